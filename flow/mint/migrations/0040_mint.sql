-- Keys that sign an organization's tokens, the tokens that were used, and what was revoked.

-- One key of each algorithm signs. The one before it still verifies; a retired key does neither, and
-- its private half is gone.
CREATE TABLE signing_keys (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    kid text NOT NULL CHECK (octet_length(kid) BETWEEN 1 AND 80),
    algorithm text NOT NULL CHECK (algorithm IN ('RS256', 'ES256', 'EdDSA')),
    state text NOT NULL CHECK (state IN ('active', 'previous', 'retired')),
    generation bigint NOT NULL CHECK (generation >= 1),
    public_jwk text NOT NULL CHECK (octet_length(public_jwk) <= 4096),
    sealed bytea,
    created_at timestamptz NOT NULL,
    activated_at timestamptz NOT NULL,
    superseded_at timestamptz,
    retired_at timestamptz,
    PRIMARY KEY (org_id, id),
    CHECK ((state = 'active') = (superseded_at IS NULL)),
    CHECK ((state = 'retired') = (retired_at IS NOT NULL)),
    CHECK ((state = 'retired') = (sealed IS NULL))
);
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys (org_id, algorithm) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_generation ON signing_keys (org_id, algorithm, generation);
CREATE UNIQUE INDEX signing_keys_kid ON signing_keys (org_id, kid);
CALL protect('signing_keys');
GRANT SELECT, INSERT, UPDATE (state, sealed, superseded_at, retired_at) ON signing_keys TO chancery_app;

-- Insert-only, by the committer: the primary key is what makes a token good once.
CREATE TABLE token_uses (
    org_id uuid NOT NULL,
    nonce_hash bytea NOT NULL CHECK (octet_length(nonce_hash) = 32),
    token_id uuid NOT NULL,
    intent_id uuid NOT NULL,
    key_id uuid NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, nonce_hash)
);
CALL protect('token_uses');
CALL expose_to_appender('token_uses', 'SELECT, INSERT');
GRANT SELECT ON token_uses TO chancery_app;

-- Insert-only: what was issued to the target up to `before` no longer verifies. `key` is the API key
-- that asked for the token.
CREATE TABLE revocations (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('token', 'key', 'organization')),
    target uuid,
    before timestamptz NOT NULL,
    reason text NOT NULL CHECK (octet_length(reason) BETWEEN 1 AND 1000),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, id),
    CHECK ((kind = 'organization') = (target IS NULL))
);
CREATE INDEX revocations_by_moment ON revocations (org_id, before);
CALL protect('revocations');
GRANT SELECT, INSERT ON revocations TO chancery_app;
