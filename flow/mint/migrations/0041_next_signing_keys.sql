-- A key is published before it signs: `next` stands in the key set while verifiers learn of it. At most
-- one of each algorithm waits.
ALTER TABLE signing_keys
    DROP CONSTRAINT signing_keys_state_check,
    DROP CONSTRAINT signing_keys_check,
    ALTER COLUMN activated_at DROP NOT NULL,
    ADD CONSTRAINT signing_keys_state_check CHECK (state IN ('next', 'active', 'previous', 'retired')),
    ADD CONSTRAINT signing_keys_superseded_check CHECK ((state IN ('next', 'active')) = (superseded_at IS NULL)),
    -- One that was retired while it waited never signed.
    ADD CONSTRAINT signing_keys_activated_check
        CHECK (state = 'retired' OR (state = 'next') = (activated_at IS NULL));
CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (org_id, algorithm) WHERE state = 'next';
GRANT UPDATE (activated_at) ON signing_keys TO chancery_app;

-- Which keys of all organizations have to be activated or retired by now, for the schedulers: what they
-- do with them they do in the organization, with an entry in its record.
CREATE INDEX signing_keys_next ON signing_keys (created_at) WHERE state = 'next';
CREATE INDEX signing_keys_previous ON signing_keys (superseded_at) WHERE state = 'previous';
CALL expose_to_definer('signing_keys', 'SELECT (org_id, id, state, created_at, superseded_at)');
CREATE FUNCTION signing_keys_due(published_by timestamptz, superseded_by timestamptz, most int) RETURNS TABLE (
    org_id uuid, id uuid, state text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF most IS NULL OR most NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'between 1 and 1000 at once';
    END IF;
    RETURN QUERY
    (SELECT k.org_id, k.id, k.state FROM signing_keys k
        WHERE k.state = 'next' AND k.created_at <= published_by ORDER BY k.created_at LIMIT most)
    UNION ALL
    (SELECT k.org_id, k.id, k.state FROM signing_keys k
        WHERE k.state = 'previous' AND k.superseded_at <= superseded_by ORDER BY k.superseded_at LIMIT most);
END $$;
CALL definer_function('signing_keys_due(timestamptz, timestamptz, int)', 'chancery_worker');
