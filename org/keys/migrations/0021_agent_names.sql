-- Agents can be given other names.
GRANT UPDATE (name) ON agents TO chancery_app;
