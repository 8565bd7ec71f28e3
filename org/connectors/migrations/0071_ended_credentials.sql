-- Which credentials of all organizations have ended by now and still have their bytes, for the schedulers:
-- what they do with them they do in the organization, with an entry in its record.
CREATE INDEX connector_credentials_ending ON connector_credentials (ends_at) WHERE state = 'previous';
CALL expose_to_definer('connector_credentials', 'SELECT (org_id, connector_id, state, ends_at)');
CREATE FUNCTION connector_credentials_ended(ended_by timestamptz, most int) RETURNS TABLE (
    org_id uuid, connector_id uuid)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 100 SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF most IS NULL OR most NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'between 1 and 1000 at once';
    END IF;
    RETURN QUERY
    SELECT c.org_id, c.connector_id FROM connector_credentials c
        WHERE c.state = 'previous' AND c.ends_at <= ended_by ORDER BY c.ends_at LIMIT most;
END $$;
CALL definer_function('connector_credentials_ended(timestamptz, int)', 'chancery_worker');
