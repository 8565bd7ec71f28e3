-- What an intent was released for, once: the token minted after people agreed, or a call of ours. Written
-- by the committer with the entry that releases; what becomes of a call is written with the entry that
-- closes it.
CREATE TABLE releases (
    org_id uuid NOT NULL,
    intent_id uuid NOT NULL,
    seq bigint NOT NULL,
    intent_hash bytea NOT NULL CHECK (octet_length(intent_hash) = 32),
    state text NOT NULL CHECK (state IN ('token', 'open', 'succeeded', 'failed', 'unknown')),
    opened_at timestamptz NOT NULL,
    -- The signed token, sealed.
    token bytea,
    -- The connector of a call, and from when on a call that nobody closed counts as of unknown outcome.
    connector text,
    unknown_at timestamptz,
    closed_at timestamptz,
    -- What came back: the status, and the answer sealed, until it is forgotten.
    status int,
    answer bytea,
    PRIMARY KEY (org_id, intent_id),
    CHECK ((state = 'token') = (connector IS NULL)),
    CHECK ((state = 'token') = (unknown_at IS NULL)),
    CHECK ((state IN ('token', 'open')) = (closed_at IS NULL))
);
ALTER TABLE releases ALTER COLUMN answer SET STORAGE EXTERNAL;
CREATE INDEX releases_open ON releases (unknown_at) WHERE state = 'open';
CREATE INDEX releases_answered ON releases (closed_at) WHERE answer IS NOT NULL;
CALL protect('releases');
CALL expose_to_appender('releases', 'SELECT, INSERT, UPDATE');
GRANT SELECT ON releases TO chancery_app;
