-- The systems that can be called, and what Chancery authenticates with there.

-- `name` is the audience of the tokens for it. A retired connector keeps its row; its name can be taken
-- again.
CREATE TABLE connectors (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 128),
    kind text NOT NULL CHECK (kind = 'http'),
    -- The whole definition, as canonical JSON.
    definition text NOT NULL CHECK (octet_length(definition) <= 262144),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    paused_at timestamptz,
    pause_reason text CHECK (octet_length(pause_reason) BETWEEN 1 AND 1000),
    retired_at timestamptz,
    PRIMARY KEY (org_id, id),
    CHECK ((paused_at IS NULL) = (pause_reason IS NULL))
);
CREATE UNIQUE INDEX connectors_name ON connectors (org_id, name) WHERE retired_at IS NULL;
CALL protect('connectors');
GRANT SELECT, INSERT, UPDATE (name, definition, updated_at, paused_at, pause_reason, retired_at)
    ON connectors TO chancery_app;

-- Sealed under the organization's key, bound to the connector, to this row and to the connector's host:
-- moved to another, none opens. A credential that ended keeps its row and loses its bytes.
CREATE TABLE connector_credentials (
    org_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('bearer', 'basic', 'header', 'oauth2_client_credentials')),
    state text NOT NULL CHECK (state IN ('current', 'previous', 'retired')),
    sealed bytea CHECK (octet_length(sealed) <= 32768),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    -- When another took its place, or it was removed.
    superseded_at timestamptz,
    -- Until when it still serves beside the current one.
    ends_at timestamptz,
    PRIMARY KEY (org_id, connector_id, id),
    CHECK ((state = 'current') = (superseded_at IS NULL)),
    CHECK ((superseded_at IS NULL) = (ends_at IS NULL)),
    CHECK ((state = 'retired') = (sealed IS NULL))
);
CREATE UNIQUE INDEX connector_credentials_one_current ON connector_credentials (org_id, connector_id)
    WHERE state = 'current';
CREATE UNIQUE INDEX connector_credentials_one_previous ON connector_credentials (org_id, connector_id)
    WHERE state = 'previous';
CALL protect('connector_credentials');
GRANT SELECT, INSERT, UPDATE (state, sealed, superseded_at, ends_at) ON connector_credentials TO chancery_app;
