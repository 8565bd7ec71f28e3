-- Organizations with their settings, the people in them, and what they delegate.

CREATE TABLE organizations (
    org_id uuid PRIMARY KEY,
    slug text NOT NULL CHECK (slug ~ '^[a-z][a-z0-9-]{0,46}[a-z0-9]$'),
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 200),
    created_at timestamptz NOT NULL,
    token_algorithm text NOT NULL DEFAULT 'RS256' CHECK (token_algorithm IN ('RS256', 'ES256', 'EdDSA')),
    token_ttl_seconds int NOT NULL DEFAULT 300 CHECK (token_ttl_seconds BETWEEN 30 AND 900),
    escalate_at smallint NOT NULL DEFAULT 70 CHECK (escalate_at BETWEEN 0 AND 100),
    deny_at smallint NOT NULL DEFAULT 90 CHECK (deny_at BETWEEN escalate_at AND 101),
    CONSTRAINT organizations_slug UNIQUE (slug)
);
CALL protect('organizations');
CALL expose_to_definer('organizations', 'SELECT (org_id, slug)');
GRANT SELECT, INSERT, UPDATE (token_algorithm, token_ttl_seconds, escalate_at, deny_at)
    ON organizations TO chancery_app;

-- The organization behind a public address. A slug is public; nothing but the id leaves here, and
-- only for the whole slug.
CREATE FUNCTION find_organization(wanted text) RETURNS uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF wanted IS NULL OR octet_length(wanted) > 48 THEN RETURN NULL; END IF;
    RETURN (SELECT o.org_id FROM organizations o WHERE o.slug = wanted);
END $$;
CALL definer_function('find_organization(text)', 'chancery_app');

-- `profile` is sealed under the member's own key: destroying the key erases the person. A role is
-- stored with who granted it and when: an approver made by the requester after the request does not
-- count for it. Rows are never deleted: the record refers to them.
CREATE TABLE members (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    profile bytea NOT NULL CHECK (octet_length(profile) BETWEEN 1 AND 8192),
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'admin')),
    role_granted_at timestamptz NOT NULL,
    role_granted_by uuid,
    created_by uuid,
    created_at timestamptz NOT NULL,
    removed_at timestamptz,
    PRIMARY KEY (org_id, id)
);
-- An organization has few admins among many members; losing the last one is checked by locking them.
CREATE INDEX members_admins ON members (org_id, id) WHERE role = 'admin' AND removed_at IS NULL;
CALL protect('members');
-- For the look-up of an API key (0020), which needs to know whether its people are still there.
CALL expose_to_definer('members', 'SELECT (org_id, id, role, removed_at)');
GRANT SELECT, INSERT, UPDATE (role, role_granted_at, role_granted_by, removed_at) ON members TO chancery_app;

-- A member lets an agent act on their behalf, for the actions named and no others. Only the member
-- can have made the row, so there is no `created_by`.
CREATE TABLE delegations (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    member_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    actions text[] NOT NULL CHECK (cardinality(actions) <= 256),
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX delegations_in_force ON delegations (org_id, member_id, agent_id) WHERE revoked_at IS NULL;
CALL protect('delegations');
GRANT SELECT, INSERT, UPDATE (revoked_at) ON delegations TO chancery_app;
