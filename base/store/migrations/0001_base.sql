-- What every other table stands on: who is asking, the tip of each organization's record, and the
-- wrapped keys that seal its data.

-- The organization, member and role of the running transaction. An unset setting is '' after the
-- first transaction on a connection, so nullif; NULL matches no row.
CREATE FUNCTION current_org() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('app.org_id', true), '')::uuid $$;
CREATE FUNCTION current_member() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('app.member_id', true), '')::uuid $$;
CREATE FUNCTION current_member_role() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('app.role', true), '') $$;

-- Locks a table to its organization: forced row-level security, one policy for the requests' login.
-- The subselect makes the planner evaluate the setting once, not once per row.
CREATE PROCEDURE protect(target regclass) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY own_organization ON %s TO chancery_app '
        'USING (org_id = (SELECT current_org())) WITH CHECK (org_id = (SELECT current_org()))', target);
END $$;
-- Lets the owner of the SECURITY DEFINER functions read a table. Each such function guards itself.
CREATE PROCEDURE expose_to_definer(target regclass, rights text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE POLICY definer_functions ON %s TO chancery_definer USING (true) WITH CHECK (true)', target);
    EXECUTE format('GRANT %s ON %s TO chancery_definer', rights, target);
END $$;
-- Lets the committer write a table of the record for all organizations (docs/adr/0003).
CREATE PROCEDURE expose_to_appender(target regclass, rights text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE POLICY committer ON %s TO chancery_appender USING (true) WITH CHECK (true)', target);
    EXECUTE format('GRANT %s ON %s TO chancery_appender', rights, target);
END $$;
-- Hands a SECURITY DEFINER function to its owner and to the one login that may call it.
CREATE PROCEDURE definer_function(signature regprocedure, caller regrole) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', signature);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', signature, caller);
    GRANT CREATE ON SCHEMA public TO chancery_definer;
    EXECUTE format('ALTER FUNCTION %s OWNER TO chancery_definer', signature);
    REVOKE CREATE ON SCHEMA public FROM chancery_definer;
END $$;

-- One row per organization: the tip of its chain, its epoch, and whether it is halted.
CREATE TABLE heads (
    org_id uuid PRIMARY KEY,
    seq bigint NOT NULL CHECK (seq >= 0),
    entry_hash bytea NOT NULL CHECK (octet_length(entry_hash) = 32),
    last_time timestamptz NOT NULL,
    epoch bigint NOT NULL CHECK (epoch >= 1),
    halted boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50);
CALL protect('heads');
CALL expose_to_appender('heads', 'SELECT, UPDATE');
CALL expose_to_definer('heads', 'SELECT (org_id, epoch, halted)');
GRANT SELECT, INSERT, UPDATE ON heads TO chancery_app;

-- Enters an organization: sets who asks for this transaction and refuses when what the caller knows
-- is out of date, all in the round trip of BEGIN. `seen` -1 is the installation's own work and -2
-- the founding of an organization: neither has an epoch to compare.
CREATE FUNCTION enter(org uuid, member text, role text, seen bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE now_at bigint;
BEGIN
    PERFORM set_config('app.org_id', org::text, true), set_config('app.member_id', member, true),
            set_config('app.role', role, true);
    IF seen = -2 THEN RETURN; END IF;
    SELECT h.epoch INTO now_at FROM heads h WHERE h.org_id = org;
    IF now_at IS NULL THEN RAISE EXCEPTION USING ERRCODE = 'CH002', MESSAGE = 'no such organization'; END IF;
    IF seen <> -1 AND now_at <> seen THEN RAISE EXCEPTION USING ERRCODE = 'CH001', MESSAGE = now_at::text; END IF;
END $$;

-- Nothing is PUBLIC here (provisioning takes it away), so the requests' login is given what it needs.
GRANT EXECUTE ON FUNCTION current_org(), current_member(), current_member_role(), enter(uuid, text, text, bigint)
    TO chancery_app;

-- Keys that seal data, each wrapped by the one above it: an organization's by the KEK, a subject's
-- by the organization's. A destroyed key keeps its row and loses its bytes.
CREATE TABLE data_keys (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    subject_id uuid,
    wrapped bytea,
    kek_version int,
    created_at timestamptz NOT NULL,
    destroyed_at timestamptz,
    PRIMARY KEY (org_id, id),
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)),
    CHECK ((subject_id IS NULL) = (kek_version IS NOT NULL))
);
CREATE UNIQUE INDEX data_keys_of_organization ON data_keys (org_id) WHERE subject_id IS NULL;
CREATE UNIQUE INDEX data_keys_of_subject ON data_keys (org_id, subject_id) WHERE subject_id IS NOT NULL;
CALL protect('data_keys');
GRANT SELECT, INSERT, UPDATE ON data_keys TO chancery_app;

-- What belongs to the installation and to no organization: its checkpoint key, sealed by the KEK.
CREATE TABLE installation_keys (
    name text PRIMARY KEY,
    id uuid NOT NULL,
    wrapped_key bytea NOT NULL,
    kek_version int NOT NULL,
    sealed bytea NOT NULL,
    public_key text NOT NULL,
    created_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON installation_keys TO chancery_appender;
