-- Escalated intents that wait for people, and what people answered.

-- One row per escalated intent, written by the committer with the entry that escalates it. What is asked,
-- with its arguments, stands sealed in that entry.
CREATE TABLE escalations (
    org_id uuid NOT NULL,
    intent_id uuid NOT NULL,
    seq bigint NOT NULL,
    requester_kind text NOT NULL CHECK (requester_kind IN ('member', 'agent')),
    requester_id uuid NOT NULL,
    -- The members who stood behind the request when it was made: who asked or owned who asked, who made
    -- the key, and in whose name. None of them may answer it.
    behind uuid[] NOT NULL CHECK (cardinality(behind) BETWEEN 1 AND 8),
    intent_hash bytea NOT NULL CHECK (octet_length(intent_hash) = 32),
    -- What people have to do: the decision's requirements, as JSON.
    requirements text NOT NULL CHECK (octet_length(requirements) <= 262144),
    environment text NOT NULL,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'approved', 'rejected', 'cancelled', 'expired')),
    requested_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    -- Until when what was approved can be carried out.
    good_until timestamptz,
    PRIMARY KEY (org_id, intent_id),
    CHECK ((state = 'pending') = (ended_at IS NULL)),
    CHECK ((state = 'approved') = (good_until IS NOT NULL))
);
CREATE INDEX escalations_pending ON escalations (org_id, intent_id) WHERE state = 'pending';
CREATE INDEX escalations_due ON escalations (expires_at) WHERE state = 'pending';
CALL protect('escalations');
CALL expose_to_appender('escalations', 'SELECT, INSERT');
CALL expose_to_definer('escalations', 'SELECT (org_id, intent_id, state, expires_at)');
GRANT SELECT, UPDATE (state, ended_at, good_until) ON escalations TO chancery_app;

-- One answer per person. The words a person gives stand sealed in the entry.
CREATE TABLE approvals (
    org_id uuid NOT NULL,
    intent_id uuid NOT NULL,
    member_id uuid NOT NULL,
    key_id uuid NOT NULL,
    key_created_by uuid NOT NULL,
    answer text NOT NULL CHECK (answer IN ('approve', 'reject')),
    answered_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    PRIMARY KEY (org_id, intent_id, member_id)
);
CALL protect('approvals');
GRANT SELECT, INSERT, UPDATE (key_id, key_created_by, answer, answered_at, withdrawn_at) ON approvals TO chancery_app;

-- Which escalations of all organizations are over by now, for the schedulers: what they do with them they
-- do in the organization, with an entry in its record.
CREATE FUNCTION escalations_due(expired_by timestamptz, most int) RETURNS TABLE (org_id uuid, intent_id uuid)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF most IS NULL OR most NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'between 1 and 1000 at once';
    END IF;
    RETURN QUERY SELECT e.org_id, e.intent_id FROM escalations e
        WHERE e.state = 'pending' AND e.expires_at <= expired_by ORDER BY e.expires_at LIMIT most;
END $$;
CALL definer_function('escalations_due(timestamptz, int)', 'chancery_worker');
