-- The record: entries chained per organization, what was decided, and what vouches for both.

CREATE TABLE entries (
    org_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq >= 1),
    time timestamptz NOT NULL,
    kind text NOT NULL,
    correlation_id uuid,
    refs text NOT NULL,
    commitment bytea NOT NULL CHECK (octet_length(commitment) = 32),
    leaf_hash bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    entry_hash bytea NOT NULL CHECK (octet_length(entry_hash) = 32),
    -- salt and payload, sealed under the subject's key and bound to the commitment
    payload bytea NOT NULL,
    PRIMARY KEY (org_id, seq)
);
-- What is sealed does not compress, and up to a page it is written once, in its row.
ALTER TABLE entries ALTER COLUMN payload SET STORAGE EXTERNAL;
ALTER TABLE entries SET (toast_tuple_target = 8160);
CREATE INDEX entries_by_correlation ON entries (org_id, correlation_id, seq) WHERE correlation_id IS NOT NULL;
CREATE INDEX entries_by_kind ON entries (org_id, kind, seq);
CALL protect('entries');
CALL expose_to_appender('entries', 'SELECT, INSERT');
GRANT SELECT, INSERT ON entries TO chancery_app;

-- One row per decided intent, for lists. Everything said of it stands, sealed, in its entry.
CREATE TABLE intents (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    seq bigint NOT NULL,
    principal_kind text NOT NULL,
    principal_id uuid NOT NULL,
    key_id uuid NOT NULL,
    action text NOT NULL,
    resource_type text NOT NULL,
    effect text NOT NULL,
    risk smallint NOT NULL,
    environment text NOT NULL,
    created_at timestamptz NOT NULL,
    -- the signed token, sealed: for the same idempotency key again, and for evidence once it is used
    -- or expired
    token bytea,
    PRIMARY KEY (org_id, id)
);
ALTER TABLE intents ALTER COLUMN token SET STORAGE EXTERNAL;
ALTER TABLE intents SET (toast_tuple_target = 8160);
CALL protect('intents');
CALL expose_to_appender('intents', 'SELECT, INSERT');
GRANT SELECT ON intents TO chancery_app;

-- Which intent was made under which idempotency key.
CREATE TABLE idempotency (
    org_id uuid NOT NULL,
    principal_id uuid NOT NULL,
    route text NOT NULL,
    key_hash bytea NOT NULL,
    request_hash bytea NOT NULL,
    intent_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, principal_id, route, key_hash)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);
CALL protect('idempotency');
CALL expose_to_appender('idempotency', 'SELECT, INSERT, DELETE');
GRANT SELECT ON idempotency TO chancery_app;

-- Signed tree heads. `frontier` lets the next one continue without reading the tree again.
CREATE TABLE checkpoints (
    org_id uuid NOT NULL,
    size bigint NOT NULL CHECK (size >= 1),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    frontier bytea NOT NULL,
    note text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, size)
);
CALL protect('checkpoints');
CALL expose_to_appender('checkpoints', 'SELECT, INSERT, DELETE');
GRANT SELECT ON checkpoints TO chancery_app;

-- Roots of complete subtrees of 256, 65536, … leaves, so that a proof reads little.
CREATE TABLE tiles (
    org_id uuid NOT NULL,
    level smallint NOT NULL,
    index bigint NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (org_id, level, index)
);
CALL protect('tiles');
CALL expose_to_appender('tiles', 'SELECT, INSERT');
GRANT SELECT ON tiles TO chancery_app;
