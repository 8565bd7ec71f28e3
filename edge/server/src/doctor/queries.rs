//! What of the catalogue a schema is known by: each query gives lines of text. Names are looked up in
//! `pg_catalog` only.

/// Of the schema. Rights that an owner has to its own are left out, and so is what extensions brought.
pub(super) const SCHEMA: [&str; 11] =
    [RELATIONS, COLUMNS, CONSTRAINTS, UNIQUE, POLICIES, FUNCTIONS, TRIGGERS, RULES, EVENTS, OWNERS, GRANTS];
/// Of the roles that `$1` names.
pub(super) const OF_ROLES: [&str; 2] = [DEFAULTS, ROLES];

const RELATIONS: &str = "
SELECT format('%s %I: of %I%s',
    CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'sequence' END,
    c.relname, pg_get_userbyid(c.relowner),
    CASE WHEN c.relrowsecurity AND c.relforcerowsecurity THEN ', row-level security forced'
        WHEN c.relrowsecurity THEN ', row-level security not forced' ELSE '' END)
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')";

const COLUMNS: &str = "
SELECT format('column %I.%I: %s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN ' not null' ELSE '' END)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')";

const CONSTRAINTS: &str = "
SELECT format('constraint %I of %I: %s', o.conname, c.relname, pg_get_constraintdef(o.oid))
FROM pg_constraint o
JOIN pg_class c ON c.oid = o.conrelid
WHERE c.relnamespace = 'public'::regnamespace AND o.contype IN ('c', 'p', 'u', 'f', 'x')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')";

const UNIQUE: &str = "
SELECT format('unique index %I: %s', n.relname, pg_get_indexdef(i.indexrelid))
FROM pg_index i
JOIN pg_class n ON n.oid = i.indexrelid
WHERE n.relnamespace = 'public'::regnamespace AND i.indisunique
    AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = i.indrelid AND d.deptype = 'e')";

const POLICIES: &str = "
SELECT format('policy %I on %I: %s for %s to %s using %s with check %s', p.polname, c.relname,
    CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, p.polcmd,
    (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END, ', ' ORDER BY 1)
        FROM unnest(p.polroles) r),
    coalesce(pg_get_expr(p.polqual, p.polrelid), 'nothing'),
    coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'nothing'))
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
WHERE c.relnamespace = 'public'::regnamespace";

const FUNCTIONS: &str = "
SELECT format('%s %s: of %I, %s, %s%s, text %s', CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END,
    format('%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)), pg_get_userbyid(p.proowner),
    l.lanname, CASE WHEN p.prosecdef THEN 'security definer' ELSE 'security invoker' END,
    coalesce(', ' || array_to_string(p.proconfig, '; '), ''),
    md5(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)))
FROM pg_proc p
JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'public'::regnamespace
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')";

const TRIGGERS: &str = "
SELECT format('trigger %I on %I: %s', t.tgname, c.relname, pg_get_triggerdef(t.oid))
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal";

const RULES: &str = "
SELECT format('rule %I on %I: %s', r.rulename, c.relname, pg_get_ruledef(r.oid))
FROM pg_rewrite r
JOIN pg_class c ON c.oid = r.ev_class
WHERE c.relnamespace = 'public'::regnamespace AND r.rulename <> '_RETURN'";

// They run at every change of the schema, as whoever makes it: migrations' owner.
const EVENTS: &str = "
SELECT format('event trigger %I: runs %s at %s', e.evtname, e.evtfoid::regproc, e.evtevent)
FROM pg_event_trigger e
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = e.oid AND d.deptype = 'e')";

const OWNERS: &str = "
SELECT format('database: of %I', pg_get_userbyid(datdba)) FROM pg_database
WHERE datname = current_database()
UNION ALL
SELECT format('schema public: of %I', pg_get_userbyid(nspowner)) FROM pg_namespace WHERE nspname = 'public'";

const GRANTS: &str = "
WITH held (object, owner, acl) AS (
    SELECT format('%s %I', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relname), relowner, relacl
    FROM pg_class c
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    UNION ALL
    SELECT format('%s %I(%s)', CASE prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, proname,
        pg_get_function_identity_arguments(oid)), proowner, coalesce(proacl, acldefault('f', proowner))
    FROM pg_proc p
    WHERE pronamespace = 'public'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'SCHEMA public', nspowner, coalesce(nspacl, acldefault('n', nspowner))
    FROM pg_namespace WHERE nspname = 'public'
    UNION ALL
    SELECT 'DATABASE', datdba, coalesce(datacl, acldefault('d', datdba))
    FROM pg_database WHERE datname = current_database()
), rights (text, owner, grantee, again) AS (
    SELECT format('%s ON %s', x.privilege_type, h.object), h.owner, x.grantee, x.is_grantable
    FROM held h, aclexplode(h.acl) x
    UNION ALL
    SELECT format('%s (%I) ON TABLE %I', x.privilege_type, a.attname, c.relname), c.relowner, x.grantee,
        x.is_grantable
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN LATERAL aclexplode(a.attacl) x
    WHERE c.relnamespace = 'public'::regnamespace
)
SELECT format('grant %s to %s%s', text, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END,
    CASE WHEN again THEN ' with grant option' ELSE '' END)
FROM rights
WHERE grantee <> owner";

// Without an entry here everyone may call what the owner makes.
const DEFAULTS: &str = "
SELECT format('default of %I for objects %s: %s', pg_get_userbyid(d.defaclrole), d.defaclobjtype,
    (SELECT string_agg(format('%s to %s', x.privilege_type,
        CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END), ', ' ORDER BY x.privilege_type)
     FROM aclexplode(d.defaclacl) x))
FROM pg_default_acl d
WHERE pg_get_userbyid(d.defaclrole) = ANY ($1)";

const ROLES: &str = "
SELECT format('role %I: %s', r.rolname, concat_ws(' ',
    CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, CASE WHEN r.rolinherit THEN 'INHERIT' END,
    CASE WHEN r.rolsuper THEN 'SUPERUSER' END, CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
    CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
    CASE WHEN r.rolreplication THEN 'REPLICATION' END))
FROM pg_roles r WHERE r.rolname = ANY ($1)
UNION ALL
SELECT format('role %I sets: %s', r.rolname, setting)
FROM pg_db_role_setting s
JOIN pg_roles r ON r.oid = s.setrole
CROSS JOIN LATERAL unnest(s.setconfig) setting
WHERE r.rolname = ANY ($1)
    AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))";

/// Who is a member of the roles that `$1` names, other than `$2`.
pub(super) const MEMBERS: &str = "
SELECT format('member %I in %I', pg_get_userbyid(m.member), pg_get_userbyid(m.roleid))
FROM pg_auth_members m
WHERE (pg_get_userbyid(m.roleid) = ANY ($1) OR pg_get_userbyid(m.member) = ANY ($1))
    AND pg_get_userbyid(m.member) <> $2";
