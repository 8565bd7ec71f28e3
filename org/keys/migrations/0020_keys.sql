-- Agents, their and members' API keys, and when keys were last used.

CREATE TABLE agents (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 200),
    description text NOT NULL CHECK (octet_length(description) <= 1000),
    owner_id uuid NOT NULL,
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CALL protect('agents');
CALL expose_to_definer('agents', 'SELECT (org_id, id, owner_id, retired_at)');
GRANT SELECT, INSERT, UPDATE (owner_id, retired_at) ON agents TO chancery_app;

-- Only a hash of the secret is here, and the requests' login can write it but not read it: a key is
-- found through find_api_key, by whoever holds it.
CREATE TABLE api_keys (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    holder_kind text NOT NULL CHECK (holder_kind IN ('member', 'agent')),
    holder_id uuid NOT NULL,
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 200),
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    scopes text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 64),
    audiences text[] NOT NULL CHECK (cardinality(audiences) <= 32),
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    rotated_from uuid,
    superseded_at timestamptz,
    revoked_at timestamptz,
    revoke_reason text CHECK (octet_length(revoke_reason) <= 1000),
    PRIMARY KEY (org_id, id),
    CHECK ((revoked_at IS NULL) = (revoke_reason IS NULL)),
    CHECK (superseded_at IS NULL OR expires_at IS NOT NULL)
);
-- A presented key names no organization. Not unique: ids are unique by themselves, and a unique
-- index without org_id could not be distributed by organization.
CREATE INDEX api_keys_by_id ON api_keys (id);
CALL protect('api_keys');
CALL expose_to_definer('api_keys', 'SELECT');
GRANT SELECT (org_id, id, holder_kind, holder_id, name, environment, scopes, audiences, created_by,
        created_at, expires_at, rotated_from, superseded_at, revoked_at, revoke_reason),
    INSERT, UPDATE (expires_at, superseded_at, revoked_at, revoke_reason) ON api_keys TO chancery_app;

-- Bookkeeping: written in batches, without an entry in the record.
CREATE TABLE api_key_use (
    org_id uuid NOT NULL,
    key_id uuid NOT NULL,
    last_used_at timestamptz NOT NULL,
    uses bigint NOT NULL CHECK (uses >= 1),
    PRIMARY KEY (org_id, key_id)
) WITH (fillfactor = 70);
CALL protect('api_key_use');
CALL expose_to_definer('api_key_use', 'SELECT, INSERT, UPDATE');
GRANT SELECT ON api_key_use TO chancery_app;


-- All that authenticating a key needs, in one look. Who holds the whole key gets its one row; an id
-- alone, or an id with another hash, gets nothing. A holder, owner or creator whose row is missing
-- counts as gone.
CREATE FUNCTION find_api_key(wanted uuid, hash bytea) RETURNS TABLE (
    org_id uuid, slug text, holder_kind text, holder_id uuid, holder_role text, holder_active boolean,
    owner_id uuid, created_by uuid, creator_role text, environment text, scopes text[], audiences text[],
    expires_at timestamptz, revoked boolean, epoch bigint, halted boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF wanted IS NULL OR hash IS NULL OR octet_length(hash) <> 32 THEN RETURN; END IF;
    RETURN QUERY
    SELECT k.org_id, o.slug, k.holder_kind, k.holder_id,
        CASE k.holder_kind WHEN 'member' THEN holder.role ELSE 'agent' END,
        CASE k.holder_kind
            WHEN 'member' THEN holder.id IS NOT NULL AND holder.removed_at IS NULL
            ELSE agent.id IS NOT NULL AND agent.retired_at IS NULL
                AND owner.id IS NOT NULL AND owner.removed_at IS NULL
        END,
        agent.owner_id, k.created_by, CASE WHEN creator.removed_at IS NULL THEN creator.role END,
        k.environment, k.scopes, k.audiences, k.expires_at, k.revoked_at IS NOT NULL, h.epoch, h.halted
    FROM api_keys k
    JOIN heads h ON h.org_id = k.org_id
    JOIN organizations o ON o.org_id = k.org_id
    LEFT JOIN members creator ON creator.org_id = k.org_id AND creator.id = k.created_by
    LEFT JOIN members holder
        ON k.holder_kind = 'member' AND holder.org_id = k.org_id AND holder.id = k.holder_id
    LEFT JOIN agents agent
        ON k.holder_kind = 'agent' AND agent.org_id = k.org_id AND agent.id = k.holder_id
    LEFT JOIN members owner ON owner.org_id = agent.org_id AND owner.id = agent.owner_id
    WHERE k.id = wanted AND k.secret_hash = hash;
END $$;
CALL definer_function('find_api_key(uuid, bytea)', 'chancery_app');

-- Adds a batch of uses. What names no key of that organization is ignored; sorted, so that two
-- servers writing at once don't lock each other out.
CREATE FUNCTION touch_api_keys(orgs uuid[], ids uuid[], moments timestamptz[], counts bigint[]) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE touched bigint;
BEGIN
    IF cardinality(orgs) <> cardinality(ids) OR cardinality(ids) <> cardinality(moments)
        OR cardinality(moments) <> cardinality(counts) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'arrays of different lengths';
    END IF;
    INSERT INTO api_key_use AS used (org_id, key_id, last_used_at, uses)
    SELECT k.org_id, k.id, max(t.moment), sum(t.uses)
    FROM unnest(orgs, ids, moments, counts) AS t (org, id, moment, uses)
    JOIN api_keys k ON k.org_id = t.org AND k.id = t.id
    GROUP BY k.org_id, k.id ORDER BY k.org_id, k.id
    ON CONFLICT (org_id, key_id) DO UPDATE
        SET last_used_at = greatest(used.last_used_at, excluded.last_used_at), uses = used.uses + excluded.uses;
    GET DIAGNOSTICS touched = ROW_COUNT;
    RETURN touched;
END $$;
CALL definer_function('touch_api_keys(uuid[], uuid[], timestamptz[], bigint[])', 'chancery_worker');
