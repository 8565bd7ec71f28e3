//! The queries. All names in them are Postgres' own: the search path is `pg_catalog` meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::catalogue::{Catalogue, Kind, Oid, Relation, Role, Schema};
use crate::{ExamineError, Expected};

/// Oldest server whose views can read with their caller's rights, as `server_version_num` counts.
const OLDEST_SERVER: i32 = 150_000;

/// Reads the catalogue, as far as it concerns the tenant column in these schemas.
pub(crate) async fn read(db: &mut PgConnection, expected: &Expected) -> Result<Catalogue, ExamineError> {
    let (number, version): (i32, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .persistent(false)
    .fetch_one(&mut *db)
    .await
    .map_err(ExamineError::reading("the server's version"))?;
    if number < OLDEST_SERVER {
        return Err(ExamineError::OldServer(version));
    }
    let schemas = schemas(db, expected).await?;
    let names: Vec<String> = schemas.iter().map(|schema| schema.name.clone()).collect();
    let roles: Vec<Role> = rows(db, "the roles", ROLES, &[]).await?;
    let memberships: Vec<(Oid, Oid)> = rows(db, "the roles' members", MEMBERSHIPS, &[]).await?;
    let column = std::slice::from_ref(&expected.column);
    let relations: Vec<RelationRow> = rows(db, "the tables", RELATIONS, &[&names, column]).await?;
    Ok(Catalogue {
        roles: roles.into_iter().map(|role| (role.oid, role)).collect(),
        above: closure(&memberships),
        relations: relations.into_iter().filter_map(RelationRow::relation).collect(),
        policies: rows(db, "the policies", POLICIES, &[&names, column]).await?,
        grants: rows(db, "the rights", GRANTS, &[&names]).await?,
        reads: rows(db, "what views read", READS, &[]).await?,
        functions: rows(db, "the functions", FUNCTIONS, &[&names]).await?,
        foreign_keys: rows(db, "the foreign keys", FOREIGN_KEYS, &[&names, column]).await?,
        sessions: rows(db, "the sessions", SESSIONS, &[]).await?,
        schemas,
    })
}

async fn schemas(db: &mut PgConnection, expected: &Expected) -> Result<Vec<Schema>, ExamineError> {
    let all: Vec<Schema> = rows(db, "the schemas", SCHEMAS, &[]).await?;
    if let Some(missing) =
        expected.schemas.iter().find(|wanted| all.iter().all(|schema| schema.name != **wanted))
    {
        return Err(ExamineError::NoSchema(missing.clone()));
    }
    let wanted = |schema: &Schema| expected.schemas.is_empty() || expected.schemas.contains(&schema.name);
    Ok(all.into_iter().filter(wanted).collect())
}

/// All rows of a query whose parameters are lists of names. Not kept prepared: a pooler in between may
/// give the next statement to another session.
async fn rows<T>(
    db: &mut PgConnection,
    what: &'static str,
    query: &'static str,
    lists: &[&[String]],
) -> Result<Vec<T>, ExamineError>
where
    T: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin,
{
    let mut query = sqlx::query_as(query).persistent(false);
    for list in lists {
        query = query.bind(list.to_vec());
    }
    query.fetch_all(db).await.map_err(ExamineError::reading(what))
}

fn closure(memberships: &[(Oid, Oid)]) -> BTreeMap<Oid, BTreeSet<Oid>> {
    let mut above: BTreeMap<Oid, BTreeSet<Oid>> = BTreeMap::new();
    for (member, _) in memberships {
        let (mut open, mut found) = (vec![*member], BTreeSet::new());
        while let Some(role) = open.pop() {
            for (_, granted) in memberships.iter().filter(|(of, _)| *of == role) {
                if found.insert(*granted) {
                    open.push(*granted);
                }
            }
        }
        above.insert(*member, found);
    }
    above
}

#[derive(sqlx::FromRow)]
struct RelationRow {
    oid: Oid,
    name: String,
    path: String,
    kind: String,
    owner: Oid,
    locked: bool,
    forced: bool,
    is_partition: bool,
    invoker: bool,
    has_column: bool,
    nullable: bool,
    indexed: bool,
}

impl RelationRow {
    fn relation(self) -> Option<(Oid, Relation)> {
        let Self { oid, name, path, kind, owner, locked, forced, .. } = self;
        let Self { is_partition, invoker, has_column, nullable, indexed, .. } = self;
        let kind = Kind::of(&kind)?;
        Some((
            oid,
            Relation {
                oid,
                name,
                path,
                kind,
                owner,
                locked,
                forced,
                is_partition,
                invoker,
                has_column,
                nullable,
                indexed,
            },
        ))
    }
}

const SCHEMAS: &str = "
SELECT nspname::text AS name, quote_ident(nspname) AS path, EXISTS (
    SELECT FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a
    WHERE a.grantee = 0 AND a.privilege_type = 'CREATE') AS open
FROM pg_namespace
WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
ORDER BY nspname";

const ROLES: &str = "
SELECT oid::int8, rolname::text AS name, rolsuper AS superuser, rolbypassrls AS bypass, rolcanlogin AS login,
    rolreplication AS replication, rolcreaterole AS makes_roles,
    has_database_privilege(oid, current_database(), 'CONNECT') AS connects
FROM pg_roles";

// Whether it inherits or has to change roles first: what it can become, it can do.
const MEMBERSHIPS: &str = "SELECT member::int8, roleid::int8 FROM pg_auth_members";

// What an extension owns as well: anything can be made an extension's.
const RELATIONS: &str = "
SELECT c.oid::int8, c.relname::text AS name, format('%I.%I', n.nspname, c.relname) AS path,
    c.relkind::text AS kind, c.relowner::int8 AS owner, c.relrowsecurity AS locked,
    c.relforcerowsecurity AS forced, c.relispartition AS is_partition,
    EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o
        WHERE CASE o.option_name WHEN 'security_invoker' THEN o.option_value::bool END) AS invoker,
    a.attnum IS NOT NULL AS has_column, a.attnum IS NOT NULL AND NOT a.attnotnull AS nullable,
    EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indkey[0] = a.attnum)
        AS indexed
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a
    ON a.attrelid = c.oid AND a.attname = ($2::text[])[1] AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = ANY ($1) AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')";

const POLICIES: &str = "
SELECT p.polrelid::int8 AS relation, p.polname::text AS name, p.polcmd::text AS command,
    p.polpermissive AS permissive, p.polroles::int8[] AS roles,
    pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check,
    EXISTS (SELECT FROM pg_depend d
        JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass
            AND d.refobjid = p.polrelid AND a.attname = ($2::text[])[1]) AS names_column
FROM pg_policy p
JOIN pg_class c ON c.oid = p.polrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1)
ORDER BY p.polrelid, p.polname";

const GRANTS: &str = "
SELECT c.oid::int8 AS relation, NULL::text AS column, x.privilege_type AS privilege, x.grantee::int8
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(c.relacl) x
WHERE n.nspname = ANY ($1)
UNION ALL
SELECT c.oid::int8, a.attname::text, x.privilege_type, x.grantee::int8
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL aclexplode(a.attacl) x
WHERE n.nspname = ANY ($1)";

const READS: &str = "
SELECT DISTINCT r.ev_class::int8, d.refobjid::int8
FROM pg_rewrite r
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class";

// Nothing is PUBLIC's where the list says so; without a list EXECUTE is.
const FUNCTIONS: &str = "
SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS path,
    format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)) AS signature,
    n.nspname::text AS schema, p.proname::text AS name, p.proowner::int8 AS owner, l.lanname::text AS language,
    p.prosecdef AS definer, coalesce(p.proargnames, '{}') AS arguments, coalesce(p.proconfig, '{}') AS settings,
    coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) AS body,
    p.prorettype IN ('trigger'::regtype, 'event_trigger'::regtype) AS is_trigger,
    p.prokind = 'p' AS is_procedure, EXISTS (
        SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0) AS public,
    EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') AS of_extension
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname = ANY ($1)
ORDER BY 1";

const FOREIGN_KEYS: &str = "
SELECT f.conrelid::int8 AS relation, f.confrelid::int8 AS target, f.conname::text AS name, EXISTS (
    SELECT FROM unnest(f.conkey, f.confkey) AS k (here, there)
    JOIN pg_attribute h ON h.attrelid = f.conrelid AND h.attnum = k.here AND h.attname = ($2::text[])[1]
    JOIN pg_attribute t ON t.attrelid = f.confrelid AND t.attnum = k.there AND t.attname = ($2::text[])[1]
    ) AS by_column
FROM pg_constraint f
JOIN pg_class c ON c.oid = f.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0 AND n.nspname = ANY ($1)
ORDER BY f.conrelid, f.conname";

// Of sessions of others an ordinary login sees whose they are, and in what database.
const SESSIONS: &str = "
SELECT usesysid::int8 AS role, count(*) AS sessions,
    min(application_name) FILTER (WHERE application_name <> '') AS application
FROM pg_stat_activity
WHERE datname = current_database() AND usesysid IS NOT NULL AND pid <> pg_backend_pid()
    AND coalesce(backend_type, 'client backend') = 'client backend'
GROUP BY usesysid";
