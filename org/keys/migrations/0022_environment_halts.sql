-- Halting one environment of an organization: what acts with its keys, live or test.

CREATE TABLE environment_halts (
    org_id uuid NOT NULL,
    environment text NOT NULL CHECK (environment IN ('live', 'test')),
    -- NULL while it acts.
    halted_at timestamptz,
    reason text CHECK (octet_length(reason) BETWEEN 1 AND 1000),
    PRIMARY KEY (org_id, environment),
    CHECK ((halted_at IS NULL) = (reason IS NULL))
);
CALL protect('environment_halts');
CALL expose_to_definer('environment_halts', 'SELECT (org_id, environment, halted_at)');
GRANT SELECT, INSERT, UPDATE (halted_at, reason) ON environment_halts TO chancery_app;

-- As before, but a key is halted with its environment too.
CREATE OR REPLACE FUNCTION find_api_key(wanted uuid, hash bytea) RETURNS TABLE (
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
        k.environment, k.scopes, k.audiences, k.expires_at, k.revoked_at IS NOT NULL, h.epoch,
        h.halted OR halt.halted_at IS NOT NULL
    FROM api_keys k
    JOIN heads h ON h.org_id = k.org_id
    JOIN organizations o ON o.org_id = k.org_id
    LEFT JOIN environment_halts halt ON halt.org_id = k.org_id AND halt.environment = k.environment
    LEFT JOIN members creator ON creator.org_id = k.org_id AND creator.id = k.created_by
    LEFT JOIN members holder
        ON k.holder_kind = 'member' AND holder.org_id = k.org_id AND holder.id = k.holder_id
    LEFT JOIN agents agent
        ON k.holder_kind = 'agent' AND agent.org_id = k.org_id AND agent.id = k.holder_id
    LEFT JOIN members owner ON owner.org_id = agent.org_id AND owner.id = agent.owner_id
    WHERE k.id = wanted AND k.secret_hash = hash;
END $$;
