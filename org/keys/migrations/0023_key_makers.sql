-- Who stands behind the key that a key was made with: who made that, and so on back. Whoever made a key may
-- hold it, and may have made the next one with it in its holder's name.
ALTER TABLE api_keys ADD COLUMN made_behind uuid[] NOT NULL DEFAULT '{}' CHECK (cardinality(made_behind) <= 10000);
GRANT SELECT (made_behind) ON api_keys TO chancery_app;
