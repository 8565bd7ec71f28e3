//! What of the catalogue a schema is known by: each query gives lines of text. Names are looked up in
//! `pg_catalog` only, so what is printed has its schema before it.
//!
//! Looked at is every object that Postgres did not make itself, wherever it lies and whatever owns it: also in
//! `pg_catalog`, and also what an extension owns, for anything can be made an extension's. Objects of
//! `initdb` have ids below 16384. Temporary ones are a session's own.

/// Of the schema. Rights that an owner has to its own are left out.
pub(super) const SCHEMA: [&str; 14] = [
    RELATIONS,
    COLUMNS,
    CONSTRAINTS,
    UNIQUE,
    POLICIES,
    FUNCTIONS,
    TRIGGERS,
    RULES,
    EVENTS,
    OWNERS,
    GRANTS,
    OTHERS,
    SETTINGS,
    DEFAULTS,
];

const RELATIONS: &str = "
SELECT format('%s %I.%I: of %I%s%s',
    CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' ELSE 'sequence' END,
    n.nspname, c.relname, pg_get_userbyid(c.relowner),
    CASE WHEN c.relrowsecurity AND c.relforcerowsecurity THEN ', row-level security forced'
        WHEN c.relrowsecurity THEN ', row-level security not forced' ELSE '' END,
    CASE c.relpersistence WHEN 'u' THEN ', unlogged' ELSE '' END)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'";

const COLUMNS: &str = "
SELECT format('column %I.%I.%I: %s%s%s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attnotnull THEN ' not null' ELSE '' END,
    CASE WHEN a.attidentity <> '' THEN ' identity ' || a.attidentity::text
        WHEN a.attgenerated <> '' THEN ' generated ' || pg_get_expr(d.adbin, d.adrelid)
        ELSE coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') END)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'";

const CONSTRAINTS: &str = "
SELECT format('constraint %I of %I.%I: %s', o.conname, n.nspname, c.relname, pg_get_constraintdef(o.oid))
FROM pg_constraint o
JOIN pg_class c ON c.oid = o.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384 AND o.contype IN ('c', 'p', 'u', 'f', 'x') AND c.relpersistence <> 't'";

const UNIQUE: &str = "
SELECT format('unique index %I.%I: %s', s.nspname, n.relname, pg_get_indexdef(i.indexrelid))
FROM pg_index i
JOIN pg_class n ON n.oid = i.indexrelid
JOIN pg_namespace s ON s.oid = n.relnamespace
WHERE n.oid >= 16384 AND i.indisunique AND n.relpersistence <> 't' AND s.nspname <> 'pg_toast'
    AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid)";

const POLICIES: &str = "
SELECT format('policy %I on %I.%I: %s for %s to %s using %s with check %s', p.polname, n.nspname, c.relname,
    CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END, p.polcmd,
    (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ' ORDER BY 1)
        FROM unnest(p.polroles) r),
    coalesce(pg_get_expr(p.polqual, p.polrelid), 'nothing'),
    coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'nothing'))
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace";

// Not the handlers of plpgsql, which pg_upgrade makes again. With the names of arguments: a text that reads
// them by name reads others once they are exchanged.
const FUNCTIONS: &str = "
SELECT format('%s %I.%I(%s): of %I, %s, %s%s%s%s, parallel %s, gives %s%s%s, text %s',
    CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
    n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), pg_get_userbyid(p.proowner),
    l.lanname, CASE WHEN p.prosecdef THEN 'security definer' ELSE 'security invoker' END,
    CASE p.provolatile WHEN 'i' THEN ', immutable' WHEN 's' THEN ', stable' ELSE ', volatile' END,
    CASE WHEN p.proleakproof THEN ', leakproof' ELSE '' END, CASE WHEN p.proisstrict THEN ', strict' ELSE '' END,
    p.proparallel, coalesce(pg_get_function_result(p.oid), 'nothing'),
    CASE WHEN p.pronargdefaults > 0 THEN ', called with ' || pg_get_function_arguments(p.oid) ELSE '' END,
    coalesce(', ' || array_to_string(p.proconfig, '; '), ''),
    md5(coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)))
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
WHERE p.oid >= 16384 AND n.nspname !~ '^pg_temp_[0-9]+$'
    AND NOT coalesce(n.nspname = 'pg_catalog' AND l.lanname = 'c' AND p.probin = '$libdir/plpgsql', false)";

// Postgres' own that check foreign keys as well, where they do not.
const TRIGGERS: &str = "
SELECT format('trigger %I on %I.%I: %s, %s', t.tgname, n.nspname, c.relname, pg_get_triggerdef(t.oid),
    CASE t.tgenabled WHEN 'O' THEN 'on' WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on in replicas' ELSE 'always on' END)
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal
UNION ALL
SELECT format('checks of constraint %I on %I.%I: not on (%s)', o.conname, n.nspname, c.relname, t.tgenabled)
FROM pg_trigger t
JOIN pg_constraint o ON o.oid = t.tgconstraint
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.tgisinternal AND t.tgenabled <> 'O'";

const RULES: &str = "
SELECT format('rule %I on %I.%I: %s, %s', r.rulename, n.nspname, c.relname, pg_get_ruledef(r.oid), r.ev_enabled)
FROM pg_rewrite r
JOIN pg_class c ON c.oid = r.ev_class
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.oid >= 16384 AND r.rulename <> '_RETURN'";

// They run at every change of the schema, as whoever makes it: migrations' owner.
const EVENTS: &str = "
SELECT format('event trigger %I: runs %s at %s', e.evtname, e.evtfoid::regproc, e.evtevent)
FROM pg_event_trigger e";

const OWNERS: &str = "
SELECT format('database: of %I', pg_get_userbyid(datdba)) FROM pg_database
WHERE datname = current_database()
UNION ALL
SELECT format('schema %I: of %I', nspname, pg_get_userbyid(nspowner)) FROM pg_namespace
WHERE nspname = 'public' OR (oid >= 16384 AND nspname !~ '^pg_(toast_)?temp_[0-9]+$')";

const GRANTS: &str = "
WITH held (object, owner, acl) AS (
    SELECT format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname),
        c.relowner, c.relacl
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
    UNION ALL
    SELECT format('%s %I.%I(%s)', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, n.nspname,
        p.proname, pg_get_function_identity_arguments(p.oid)), p.proowner,
        coalesce(p.proacl, acldefault('f', p.proowner))
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.oid >= 16384 AND n.nspname !~ '^pg_temp_[0-9]+$'
        AND NOT coalesce(n.nspname = 'pg_catalog' AND p.probin = '$libdir/plpgsql', false)
    UNION ALL
    SELECT format('SCHEMA %I', nspname), nspowner, coalesce(nspacl, acldefault('n', nspowner))
    FROM pg_namespace
    WHERE nspname = 'public' OR (oid >= 16384 AND nspname !~ '^pg_(toast_)?temp_[0-9]+$')
    UNION ALL
    SELECT 'DATABASE', datdba, coalesce(datacl, acldefault('d', datdba))
    FROM pg_database WHERE datname = current_database()
), rights (text, owner, grantee, again) AS (
    SELECT format('%s ON %s', x.privilege_type, h.object), h.owner, x.grantee, x.is_grantable
    FROM held h, aclexplode(h.acl) x
    UNION ALL
    SELECT format('%s (%I) ON TABLE %I.%I', x.privilege_type, a.attname, n.nspname, c.relname), c.relowner,
        x.grantee, x.is_grantable
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN LATERAL aclexplode(a.attacl) x
    WHERE c.oid >= 16384 AND c.relpersistence <> 't'
)
SELECT format('grant %s to %s%s', text,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN again THEN ' with grant option' ELSE '' END)
FROM rights
WHERE grantee <> owner";

// What can hold code, or carry rows elsewhere, besides.
const OTHERS: &str = "
SELECT format('extension %I: in %I', e.extname, n.nspname)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
UNION ALL
SELECT format('extension %I owns: %s', e.extname, pg_describe_object(d.classid, d.objid, d.objsubid))
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.objid >= 16384
    AND NOT EXISTS (SELECT FROM pg_language l WHERE l.lanname = 'plpgsql'
        AND d.objid IN (l.oid, l.lanplcallfoid, l.laninline, l.lanvalidator))
UNION ALL
SELECT format('publication %I: of %I', pubname, pg_get_userbyid(pubowner)) FROM pg_publication
UNION ALL
SELECT format('subscription %I: of %I', subname, pg_get_userbyid(subowner)) FROM pg_subscription
    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT format('foreign server %I: of %I', srvname, pg_get_userbyid(srvowner)) FROM pg_foreign_server
UNION ALL
SELECT format('language %I: of %I', lanname, pg_get_userbyid(lanowner)) FROM pg_language
    WHERE oid >= 16384 AND lanname <> 'plpgsql'
UNION ALL
SELECT format('cast from %s to %s: by %s', format_type(castsource, NULL), format_type(casttarget, NULL),
    castfunc::regprocedure) FROM pg_cast WHERE oid >= 16384
UNION ALL
SELECT format('operator %s: by %s', o.oid::regoperator, o.oprcode) FROM pg_operator o WHERE o.oid >= 16384
UNION ALL
SELECT format('operator class %I.%I: of %I', n.nspname, o.opcname, pg_get_userbyid(o.opcowner))
FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace WHERE o.oid >= 16384
UNION ALL
SELECT format('type %I.%I: of %I', n.nspname, t.typname, pg_get_userbyid(t.typowner))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE t.oid >= 16384 AND t.typtype IN ('b', 'c', 'd', 'e', 'r') AND coalesce(c.relkind, 'c') = 'c'
    AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)";

// What holds for every session, before a role's own: of the database, of every role, and of any role here.
const SETTINGS: &str = "
SELECT format('setting of %s: %s',
    CASE s.setrole WHEN 0 THEN 'every role' ELSE quote_ident(pg_get_userbyid(s.setrole)) END, setting)
FROM pg_db_role_setting s
CROSS JOIN LATERAL unnest(s.setconfig) setting
WHERE (s.setrole = 0 AND s.setdatabase = 0)
    OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())";

// Without an entry here everyone may call what the owner makes.
const DEFAULTS: &str = "
SELECT format('default of %I for objects %s%s: %s', pg_get_userbyid(d.defaclrole), d.defaclobjtype,
    (SELECT format(' in %I', nspname) FROM pg_namespace n WHERE n.oid = d.defaclnamespace),
    (SELECT string_agg(format('%s to %s', x.privilege_type,
        CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END), ', '
        ORDER BY x.privilege_type)
     FROM aclexplode(d.defaclacl) x))
FROM pg_default_acl d";

/// Of the roles that `$1` names, and what settings they may make, or everyone.
pub(super) const ROLES: &str = "
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
WHERE r.rolname = ANY ($1) AND s.setdatabase = 0
UNION ALL
SELECT format('grant %s ON PARAMETER %I to %s', x.privilege_type, p.parname,
    CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END)
FROM pg_parameter_acl p
CROSS JOIN LATERAL aclexplode(p.paracl) x
WHERE x.grantee = 0 OR pg_get_userbyid(x.grantee) = ANY ($1)";

/// Who is a member of the roles that `$1` names, other than `$2`.
pub(super) const MEMBERS: &str = "
SELECT format('member %I in %I', pg_get_userbyid(m.member), pg_get_userbyid(m.roleid))
FROM pg_auth_members m
WHERE (pg_get_userbyid(m.roleid) = ANY ($1) OR pg_get_userbyid(m.member) = ANY ($1))
    AND pg_get_userbyid(m.member) <> $2";
