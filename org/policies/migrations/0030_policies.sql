-- What an organization's agents can ask for, and the rules that decide on it.

CREATE TABLE actions (
    org_id uuid NOT NULL,
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 96),
    -- The whole definition, as canonical JSON; `name` repeats its name.
    definition text NOT NULL CHECK (octet_length(definition) <= 262144),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (org_id, name)
);
CALL protect('actions');
GRANT SELECT, INSERT, UPDATE (definition, updated_at, retired_at) ON actions TO chancery_app;

CREATE TABLE policies (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 200),
    -- The version in force; none when withdrawn or never activated.
    active_version int CHECK (active_version >= 1),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX policies_name ON policies (org_id, name);
CREATE INDEX policies_active ON policies (org_id) WHERE active_version IS NOT NULL;
CALL protect('policies');
GRANT SELECT, INSERT, UPDATE (active_version) ON policies TO chancery_app;

-- Insert-only: a version never changes, so that a decision can name it.
CREATE TABLE policy_versions (
    org_id uuid NOT NULL,
    policy_id uuid NOT NULL,
    version int NOT NULL CHECK (version >= 1),
    text text NOT NULL CHECK (octet_length(text) BETWEEN 1 AND 65536),
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, policy_id, version)
);
CALL protect('policy_versions');
GRANT SELECT, INSERT ON policy_versions TO chancery_app;
