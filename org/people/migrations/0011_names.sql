-- Organizations and members can be given other names.
GRANT UPDATE (name) ON organizations TO chancery_app;
GRANT UPDATE (profile) ON members TO chancery_app;
