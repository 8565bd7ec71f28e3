-- What was issued to an agent can be revoked as a whole.
ALTER TABLE revocations
    DROP CONSTRAINT revocations_kind_check,
    ADD CONSTRAINT revocations_kind_check CHECK (kind IN ('token', 'key', 'agent', 'organization'));
