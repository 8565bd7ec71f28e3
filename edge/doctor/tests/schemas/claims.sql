-- Teams as on Supabase: who asks comes from the claims of a JWT, memberships say which tenants are
-- theirs, one login becomes who it speaks for.
DO $$ BEGIN
    PERFORM pg_advisory_xact_lock(7001);
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'team_authenticator') THEN
        CREATE ROLE team_admin NOLOGIN;
        CREATE ROLE team_service NOLOGIN BYPASSRLS;
        CREATE ROLE team_user NOLOGIN NOINHERIT;
        CREATE ROLE team_authenticator LOGIN NOINHERIT PASSWORD 'test-team_authenticator';
        GRANT team_user, team_service TO team_authenticator;
    END IF;
END $$;
CREATE SCHEMA auth;
CREATE SCHEMA private;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA auth, app, private TO team_user, team_service;

CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('request.jwt.claims', true)::jsonb ->> 'sub', '')::uuid $$;

CREATE TABLE app.memberships (
    org_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE TABLE app.posts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    org_id uuid NOT NULL,
    author_id uuid NOT NULL,
    body text NOT NULL
);
CREATE INDEX posts_by_org ON app.posts (org_id);
CREATE TABLE app.files (id uuid PRIMARY KEY, org_id uuid NOT NULL, path text NOT NULL);
CREATE INDEX files_by_org ON app.files (org_id, path);

-- Asks memberships without their policies, for policies that ask it.
CREATE FUNCTION private.my_orgs() RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    AS $$ SELECT m.org_id FROM app.memberships m WHERE m.user_id = auth.uid() $$;
CREATE FUNCTION private.has_role(org uuid, wanted text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
    RETURN EXISTS (SELECT FROM app.memberships m
                   WHERE m.org_id = org AND m.user_id = auth.uid() AND m.role = wanted);
REVOKE ALL ON FUNCTION private.my_orgs(), private.has_role(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION private.my_orgs(), private.has_role(uuid, text) TO team_user;

ALTER TABLE app.memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.memberships FORCE ROW LEVEL SECURITY;
ALTER TABLE app.posts ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.posts FORCE ROW LEVEL SECURITY;
ALTER TABLE app.files ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.files FORCE ROW LEVEL SECURITY;
CREATE POLICY theirs ON app.memberships FOR SELECT TO team_user
    USING (org_id IN (SELECT private.my_orgs()));
CREATE POLICY admins ON app.memberships FOR ALL TO team_user
    USING (private.has_role(org_id, 'admin')) WITH CHECK (private.has_role(org_id, 'admin'));
CREATE POLICY read ON app.posts FOR SELECT TO team_user
    USING (EXISTS (SELECT FROM app.memberships m WHERE m.org_id = posts.org_id AND m.user_id = auth.uid()));
CREATE POLICY write ON app.posts FOR INSERT TO team_user
    WITH CHECK (author_id = auth.uid() AND org_id IN (SELECT private.my_orgs()));
CREATE POLICY change ON app.posts FOR UPDATE TO team_user
    USING (author_id = auth.uid() AND org_id IN (SELECT private.my_orgs()));
-- The tenant in a policy that restricts, and who may do what in those that permit.
CREATE POLICY tenant ON app.files AS RESTRICTIVE USING (org_id IN (SELECT private.my_orgs()));
CREATE POLICY anyone ON app.files FOR SELECT USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON app.memberships, app.posts, app.files TO team_user, team_service;
