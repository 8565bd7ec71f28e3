-- Circuit breakers of connectors, shared by all servers. Bookkeeping: written without an entry, but for
-- resetting one.

CREATE TABLE breakers (
    org_id uuid NOT NULL,
    connector_id uuid NOT NULL,
    host text NOT NULL CHECK (octet_length(host) BETWEEN 1 AND 300),
    -- The failures that count, the oldest first.
    failures timestamptz[] NOT NULL DEFAULT '{}' CHECK (cardinality(failures) <= 1000),
    -- Nothing is called until then; afterwards a few probes at a time, until one succeeds.
    open_until timestamptz,
    probes int NOT NULL DEFAULT 0 CHECK (probes >= 0),
    -- When the newest probe began: one that nobody reported on counts no more after a while.
    probed_at timestamptz,
    PRIMARY KEY (org_id, connector_id, host)
);
CALL protect('breakers');
CALL expose_to_definer('breakers', 'SELECT, INSERT, UPDATE');
CALL expose_to_definer('connectors', 'SELECT (org_id, id)');
GRANT SELECT, DELETE ON breakers TO chancery_app;

-- Whether a call may be made whose breaker is open: as one of at most `most` probes, once the time is over.
-- A probe older than `lost_after` counts no more.
CREATE FUNCTION breaker_probe(org uuid, connector uuid, at_host text, moment timestamptz, most int, lost_after interval)
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE b breakers;
BEGIN
    IF NOT EXISTS (SELECT FROM connectors c WHERE c.org_id = org AND c.id = connector) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'no such connector in this organization';
    END IF;
    SELECT * INTO b FROM breakers x
        WHERE x.org_id = org AND x.connector_id = connector AND x.host = at_host FOR UPDATE;
    IF NOT FOUND OR b.open_until IS NULL THEN RETURN true; END IF;
    IF moment < b.open_until THEN RETURN false; END IF;
    IF b.probes > 0 AND b.probed_at < moment - lost_after THEN b.probes := 0; END IF;
    IF b.probes >= most THEN RETURN false; END IF;
    UPDATE breakers x SET probes = b.probes + 1, probed_at = moment
        WHERE x.org_id = org AND x.connector_id = connector AND x.host = at_host;
    RETURN true;
END $$;
CALL definer_function('breaker_probe(uuid, uuid, text, timestamptz, int, interval)', 'chancery_worker');

-- Notes how a call ended, and says whether the breaker is open from here on. A success matters only to an
-- open breaker, which it closes. `most` failures within `within` open it for `open_for`; so does any failure
-- of a probe.
CREATE FUNCTION breaker_note(org uuid, connector uuid, at_host text, moment timestamptz, succeeded boolean,
    most int, within interval, open_for interval) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE b breakers; counted timestamptz[];
BEGIN
    IF most IS NULL OR most NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'between 1 and 1000 failures';
    END IF;
    IF NOT EXISTS (SELECT FROM connectors c WHERE c.org_id = org AND c.id = connector) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'no such connector in this organization';
    END IF;
    IF NOT succeeded THEN
        INSERT INTO breakers (org_id, connector_id, host) VALUES (org, connector, at_host)
            ON CONFLICT DO NOTHING;
    END IF;
    SELECT * INTO b FROM breakers x
        WHERE x.org_id = org AND x.connector_id = connector AND x.host = at_host FOR UPDATE;
    IF NOT FOUND THEN RETURN false; END IF;
    IF succeeded THEN
        -- One that was under way when the breaker opened closes nothing: only a probe does.
        IF b.open_until IS NOT NULL AND moment >= b.open_until AND b.probes > 0 THEN
            UPDATE breakers x SET failures = '{}', open_until = NULL, probes = 0, probed_at = NULL
                WHERE x.org_id = org AND x.connector_id = connector AND x.host = at_host;
            RETURN false;
        END IF;
        RETURN b.open_until IS NOT NULL;
    END IF;
    IF b.open_until IS NOT NULL AND moment < b.open_until THEN RETURN true; END IF;
    counted := ARRAY(SELECT f FROM unnest(b.failures) AS f WHERE f > moment - within ORDER BY f) || moment;
    counted := counted[greatest(1, cardinality(counted) - most + 1):];
    IF b.open_until IS NOT NULL OR cardinality(counted) >= most THEN
        UPDATE breakers x SET failures = counted, open_until = moment + open_for, probes = 0, probed_at = NULL
            WHERE x.org_id = org AND x.connector_id = connector AND x.host = at_host;
        RETURN true;
    END IF;
    UPDATE breakers x SET failures = counted
        WHERE x.org_id = org AND x.connector_id = connector AND x.host = at_host;
    RETURN false;
END $$;
CALL definer_function('breaker_note(uuid, uuid, text, timestamptz, boolean, int, interval, interval)', 'chancery_worker');

-- Gives a probe back that was not made.
CREATE FUNCTION breaker_abandon(org uuid, connector uuid, at_host text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM connectors c WHERE c.org_id = org AND c.id = connector) THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'no such connector in this organization';
    END IF;
    UPDATE breakers x SET probes = greatest(x.probes - 1, 0)
        WHERE x.org_id = org AND x.connector_id = connector AND x.host = at_host;
END $$;
CALL definer_function('breaker_abandon(uuid, uuid, text)', 'chancery_worker');
