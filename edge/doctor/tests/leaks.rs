//! Ways past row-level security that look like none: each is planted in a database that is well made,
//! and found by its code; and what only resembles one is not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use support::{Flaw, World, each_is_found, flaw, told};

/// A way around in a policy for reading.
macro_rules! open {
    ($code:literal, $using:literal) => {
        flaw(
            &[$code],
            concat!("CREATE POLICY open ON shop.customers FOR SELECT USING (", $using, ")"),
            "DROP POLICY open ON shop.customers",
        )
    };
}

/// A policy for reading that holds.
macro_rules! held {
    ($using:literal) => {
        flaw(
            &[],
            concat!(
                "CREATE SCHEMA help; GRANT USAGE ON SCHEMA help TO PUBLIC;
                 CREATE TABLE help.seats (org_id uuid NOT NULL, who text NOT NULL, PRIMARY KEY (org_id, who));
                 ALTER TABLE help.seats ENABLE ROW LEVEL SECURITY;
                 ALTER TABLE help.seats FORCE ROW LEVEL SECURITY;
                 CREATE FUNCTION help.role_in(org uuid) RETURNS text LANGUAGE sql STABLE
                     AS $f$ SELECT who FROM help.seats WHERE org_id = org $f$;
                 CREATE POLICY open ON shop.customers FOR SELECT USING (",
                $using,
                ")"
            ),
            "DROP POLICY open ON shop.customers; DROP SCHEMA help CASCADE",
        )
    };
}

const POLICIES: &[Flaw] = &[
    open!("policy_ignores_column", "org_id IS DISTINCT FROM shop.tenant()"),
    open!("policy_ignores_column", "org_id <> shop.tenant()"),
    open!("policy_has_way_around", "(org_id = shop.tenant() OR published) IS TRUE"),
    open!("policy_ignores_column", "(org_id = shop.tenant()) IS NOT FALSE"),
    open!("policy_ignores_column", "(org_id = shop.tenant()) IS NOT NULL"),
    open!("policy_ignores_column", "(org_id = shop.tenant()) = published"),
    open!("policy_ignores_column", "CASE WHEN published THEN 1 = 1 ELSE org_id = shop.tenant() END"),
    open!("policy_ignores_column", "CASE WHEN org_id = shop.tenant() THEN 1 = 1 ELSE published END"),
    open!("policy_ignores_column", "org_id = COALESCE(shop.tenant(), org_id)"),
    open!("policy_has_way_around", "COALESCE(org_id = shop.tenant(), published)"),
    open!("policy_ignores_column", "org_id = ANY (ARRAY[org_id, shop.tenant()])"),
    open!("policy_ignores_column", "org_id = ALL (ARRAY[]::uuid[])"),
    open!("policy_ignores_column", "org_id IN (SELECT customers.org_id)"),
    open!("policy_ignores_column", "org_id::text LIKE '%'"),
    open!("policy_ignores_column", "starts_with(org_id::text, '')"),
    open!("policy_ignores_column", "left(org_id::text, 0) = ''"),
    open!("policy_ignores_column", "length(org_id::text) = 36"),
    open!(
        "policy_has_way_around",
        "EXISTS (SELECT FROM shop.plans p WHERE org_id = shop.tenant() OR p.monthly = 0)"
    ),
    open!("policy_ignores_column", "EXISTS (SELECT count(*) FROM shop.plans WHERE org_id = shop.tenant())"),
    open!(
        "policy_ignores_column",
        "EXISTS (SELECT FROM shop.plans WHERE org_id = shop.tenant() UNION SELECT)"
    ),
    open!("policy_ignores_column", "EXISTS (SELECT org_id)"),
    open!(
        "policy_ignores_column",
        "EXISTS (SELECT FROM unnest(ARRAY[org_id]) AS u (id) WHERE u.id = org_id)"
    ),
    held!("org_id = current_setting('app.org_id')::uuid"),
    held!("org_id::text = current_setting('app.org_id', true)"),
    held!("org_id::text = (current_setting('request.jwt.claims', true)::jsonb ->> 'org')"),
    held!("(current_setting('request.jwt.claims', true)::jsonb -> 'orgs') ? org_id::text"),
    held!("org_id = ANY (string_to_array(current_setting('app.orgs'), ',')::uuid[])"),
    held!("org_id IN (SELECT s.org_id FROM help.seats s WHERE s.who = session_user OR s.who = 'all')"),
    held!("org_id IN (SELECT s.org_id FROM help.seats s WHERE s.org_id = customers.org_id AND s.who = 'a')"),
    held!(
        "EXISTS (SELECT 1 FROM help.seats s WHERE s.org_id = customers.org_id AND (s.who = 'a' OR s.who = 'b'))"
    ),
    held!("help.role_in(org_id) = ANY (ARRAY['owner', 'admin'])"),
    held!("(SELECT help.role_in(org_id) = 'owner')"),
    held!("COALESCE(org_id = shop.tenant(), false)"),
    held!("(org_id = shop.tenant()) IS TRUE AND (published OR name <> '')"),
    held!("org_id IS NOT DISTINCT FROM shop.tenant()"),
];

#[tokio::test]
async fn a_policy_that_names_the_column_and_compares_nothing_is_found() {
    each_is_found(World::shop().await, POLICIES).await;
}

const DROP: &str = "DROP FUNCTION shop.f";

/// A function that runs as a superuser.
macro_rules! definer {
    ($codes:expr, $arguments:literal, $body:literal) => {
        flaw(
            $codes,
            concat!(
                "CREATE FUNCTION shop.f(",
                $arguments,
                ") RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $f$ ",
                $body,
                " $f$; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC"
            ),
            DROP,
        )
    };
}

const UNGUARDED: &[&str] = &["definer_unguarded"];
const DEFINERS: &[Flaw] = &[
    // A name is no call.
    definer!(UNGUARDED, "uid uuid", "BEGIN RETURN (SELECT name FROM shop.customers WHERE org_id = uid); END"),
    definer!(
        UNGUARDED,
        "jwt jsonb",
        "BEGIN RETURN (SELECT name FROM shop.customers WHERE org_id = (jwt ->> 'org')::uuid); END"
    ),
    definer!(
        UNGUARDED,
        "\"session_user\" uuid",
        "BEGIN RETURN (SELECT name FROM shop.customers WHERE org_id = \"session_user\"); END"
    ),
    definer!(
        UNGUARDED,
        "current_setting uuid",
        "BEGIN RETURN (SELECT name FROM shop.customers WHERE org_id = current_setting); END"
    ),
    definer!(
        UNGUARDED,
        "tenant uuid",
        "BEGIN RETURN (SELECT name FROM shop.customers WHERE org_id = tenant); END"
    ),
    definer!(
        UNGUARDED,
        "",
        "BEGIN RETURN (SELECT max(c.name) FROM shop.customers AS uid (org_id, id, name), shop.customers c); END"
    ),
    // A table that is named in a text.
    definer!(UNGUARDED, "q text", "BEGIN RETURN query_to_xml(q, true, false, ''); END"),
    definer!(UNGUARDED, "t regclass", "BEGIN RETURN pg_catalog.table_to_xml(t, true, false, ''); END"),
    definer!(UNGUARDED, "c refcursor", "BEGIN RETURN cursor_to_xml(c, 9, true, false, ''); END"),
    definer!(UNGUARDED, "", "BEGIN RETURN database_to_xml(true, false, ''); END"),
    definer!(UNGUARDED, "s name", "BEGIN RETURN schema_to_xml_and_xmlschema(s, true, false, ''); END"),
    definer!(UNGUARDED, "q text", "BEGIN RETURN (SELECT string_agg(word, '') FROM ts_stat(q)); END"),
    // It reads through others, which run with its rights.
    flaw(
        UNGUARDED,
        "CREATE FUNCTION shop.inner() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM shop.customers';
         CREATE FUNCTION shop.middle() RETURNS bigint LANGUAGE sql AS 'SELECT shop.inner()';
         CREATE FUNCTION shop.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = ''
             AS 'SELECT shop.middle()'; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        "DROP FUNCTION shop.f; DROP FUNCTION shop.middle; DROP FUNCTION shop.inner",
    ),
    flaw(
        UNGUARDED,
        "CREATE FUNCTION shop.inner(q text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE q; END';
         CREATE FUNCTION shop.f(q text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = ''
             AS 'SELECT shop.inner(q)'; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        "DROP FUNCTION shop.f; DROP FUNCTION shop.inner",
    ),
    // What asks itself, and what calls nothing that reads.
    flaw(
        &[],
        "CREATE FUNCTION shop.inner() RETURNS bigint LANGUAGE sql
             AS 'SELECT count(*) FROM shop.customers WHERE org_id = shop.tenant()';
         CREATE FUNCTION shop.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = ''
             AS 'SELECT shop.inner()'; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        "DROP FUNCTION shop.f; DROP FUNCTION shop.inner",
    ),
    definer!(&[], "", "BEGIN RETURN (SELECT name FROM shop.customers WHERE org_id = shop.tenant ()); END"),
    definer!(&[], "", "BEGIN RETURN (SELECT name FROM shop.customers WHERE name = session_user); END"),
    definer!(&[], "org_id uuid", "BEGIN RETURN (SELECT max(name) FROM shop.plans); END"),
];

#[tokio::test]
async fn a_function_is_guarded_by_what_it_calls_and_not_by_a_name() {
    each_is_found(World::shop().await, DEFINERS).await;
}

const UNDO_ROLES: &str = "DROP OWNED BY {own}; DROP ROLE {own}";

/// A login that can connect, and what it has besides.
macro_rules! login {
    ($codes:expr, $more:literal) => {
        flaw(
            $codes,
            concat!("CREATE ROLE {own} LOGIN; GRANT CONNECT ON DATABASE \"{db}\" TO {own}; ", $more),
            UNDO_ROLES,
        )
    };
}

const AROUND: &[&str] = &["login_reaches_around"];
const ROLES: &[Flaw] = &[
    // The part of a table is not locked: whoever becomes its owner reads it by its own name.
    login!(&["login_can_bypass_rls"], "GRANT shop_owner TO {own}"),
    flaw(
        &["login_can_bypass_rls"],
        "CREATE ROLE {own} LOGIN; GRANT CONNECT ON DATABASE \"{db}\" TO {own}; CREATE ROLE {own}_middle;
         GRANT shop_owner TO {own}_middle; GRANT {own}_middle TO {own}",
        "DROP OWNED BY {own}; DROP ROLE {own}, {own}_middle",
    ),
    flaw(
        &["login_bypasses_rls", "rls_not_forced"],
        "CREATE ROLE {own} LOGIN; GRANT CONNECT ON DATABASE \"{db}\" TO {own};
         CREATE TABLE shop.notes (org_id uuid PRIMARY KEY); ALTER TABLE shop.notes OWNER TO {own};
         ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY",
        UNDO_ROLES,
    ),
    flaw(
        &[],
        "CREATE ROLE {own} LOGIN; GRANT CONNECT ON DATABASE \"{db}\" TO {own};
         CREATE TABLE shop.notes (org_id uuid PRIMARY KEY); ALTER TABLE shop.notes OWNER TO {own};
         ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY; ALTER TABLE shop.notes FORCE ROW LEVEL SECURITY",
        UNDO_ROLES,
    ),
    login!(AROUND, "ALTER ROLE {own} REPLICATION"),
    login!(AROUND, "ALTER ROLE {own} CREATEROLE"),
    login!(AROUND, "GRANT pg_execute_server_program TO {own}"),
    login!(AROUND, "GRANT pg_read_server_files TO {own}"),
    login!(AROUND, "GRANT pg_write_server_files TO {own}"),
    login!(AROUND, "GRANT pg_read_all_data TO {own}"),
    login!(AROUND, "GRANT pg_write_all_data TO {own}"),
    flaw(
        AROUND,
        "CREATE ROLE {own} LOGIN; GRANT CONNECT ON DATABASE \"{db}\" TO {own};
         CREATE ROLE {own}_middle CREATEROLE; GRANT {own}_middle TO {own}",
        "DROP OWNED BY {own}; DROP ROLE {own}, {own}_middle",
    ),
    login!(&[], "GRANT pg_monitor TO {own}"),
];

#[tokio::test]
async fn a_login_that_goes_around_the_policies_is_found() {
    each_is_found(World::shop().await, ROLES).await;
}

#[tokio::test]
async fn whoever_is_trusted_or_makes_roles_may_go_around() {
    let mut world = World::shop().await;
    world
        .run(
            "CREATE ROLE {own} LOGIN CREATEROLE; GRANT CONNECT ON DATABASE \"{db}\" TO {own};
             GRANT shop_owner TO {own}",
        )
        .await;
    assert_eq!(support::codes(&world.examine().await), ["login_can_bypass_rls", "login_reaches_around"]);
    world.expected.administrators = vec![format!("own_{}", world.database.name())];
    let report = world.examine().await;
    assert!(report.is_clean(), "{}", told(&report));
    world.run(UNDO_ROLES).await;
}

#[tokio::test]
async fn what_an_extension_owns_is_examined_or_named() {
    let world = World::shop().await;
    world
        .run(
            "CREATE TABLE shop.notes (org_id uuid PRIMARY KEY); ALTER EXTENSION plpgsql ADD TABLE shop.notes;
             CREATE VIEW shop.v AS SELECT * FROM shop.customers; ALTER EXTENSION plpgsql ADD VIEW shop.v;
             CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
             ALTER EXTENSION plpgsql ADD FUNCTION shop.f()",
        )
        .await;
    let report = world.examine().await;
    assert_eq!(support::codes(&report), ["rls_off", "view_bypasses_rls"], "{}", told(&report));
    let seen: String = report.checks.iter().map(|check| check.seen.as_str()).collect();
    assert!(seen.contains("shop.f()"), "{seen}");
}

const EVIL: &str = "x\"; ALTER ROLE x SUPERUSER; --";

#[tokio::test]
async fn every_name_in_a_fix_is_quoted() {
    let world = World::shop().await;
    // {e} is the name as SQL needs it, {l} in a literal.
    let plant = "
        CREATE ROLE {e}; CREATE ROLE {e2} LOGIN BYPASSRLS; GRANT CONNECT ON DATABASE \"{db}\" TO {e2};
        CREATE ROLE {e3} LOGIN CREATEROLE REPLICATION; GRANT CONNECT ON DATABASE \"{db}\" TO {e3};
        CREATE ROLE {e4} BYPASSRLS; CREATE ROLE {e5} LOGIN; GRANT {e4}, pg_read_all_data, shop_owner TO {e5};
        GRANT CONNECT ON DATABASE \"{db}\" TO {e5};
        CREATE SCHEMA {e}; GRANT CREATE ON SCHEMA {e} TO PUBLIC; CREATE SEQUENCE {e}.{e6};
        GRANT USAGE ON SEQUENCE {e}.{e6} TO PUBLIC;
        CREATE TABLE {e}.{e} ({e} int, org_id uuid); GRANT SELECT ({e}) ON {e}.{e} TO PUBLIC;
        CREATE POLICY {e} ON {e}.{e} TO {e}, {e2} USING (true); ALTER TABLE {e}.{e} ENABLE ROW LEVEL SECURITY;
        GRANT TRUNCATE, TRIGGER ON {e}.{e} TO {e};
        CREATE POLICY {e} ON shop.customers TO {e} USING (published OR org_id = shop.tenant());
        GRANT SELECT ON shop.orders_2026 TO {e};
        CREATE FOREIGN DATA WRAPPER {e}; CREATE SERVER {e} FOREIGN DATA WRAPPER {e};
        CREATE FOREIGN TABLE {e}.far (org_id uuid NOT NULL) SERVER {e}; GRANT SELECT ON {e}.far TO {e}, PUBLIC;
        CREATE FUNCTION {e}.{e}({e} int) RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = {e}, \"a, b\"
            AS 'SELECT 1';
        CREATE FUNCTION {e}.open({e} int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
        CREATE MATERIALIZED VIEW {e}.m AS SELECT * FROM {e}.{e}; CREATE VIEW {e}.v AS SELECT * FROM {e}.{e};
        ALTER TABLE {e}.{e} ADD CONSTRAINT {e7} UNIQUE ({e}), ADD r int REFERENCES {e}.{e} ({e})";
    let undo = "
        DROP SCHEMA {e} CASCADE; DROP FOREIGN DATA WRAPPER {e} CASCADE; DROP POLICY {e} ON shop.customers;
        DROP OWNED BY {e}, {e2}, {e3}, {e4}, {e5}; DROP ROLE {e}, {e2}, {e3}, {e4}, {e5}";
    let named = |sql: &str| {
        let quoted = |more: &str| format!("\"{}{more}\"", EVIL.replace('"', "\"\""));
        let sql = ["2", "3", "4", "5", "6", "7"]
            .iter()
            .fold(sql.to_owned(), |sql, n| sql.replace(&format!("{{e{n}}}"), &quoted(n)));
        sql.replace("{e}", &quoted(""))
    };
    world.run(&named(plant)).await;
    let report = world.examine().await;
    world.run(&named(undo)).await;
    let mut told = 0;
    for finding in report.findings() {
        // What is left of a fix without what stands in double quotes holds no part of a name.
        let outside: String = finding.fix.split('"').step_by(2).collect();
        assert!(!outside.contains("ALTER ROLE x SUPERUSER"), "{}: {}", finding.code, finding.fix);
        told += usize::from(finding.fix.contains("ALTER ROLE x SUPERUSER"));
    }
    let codes = support::codes(&report);
    assert!(told > 15, "{told} of {codes:?}");
    let temporary = report.findings().find(|finding| finding.code.as_str() == "definer_temporary").unwrap();
    assert!(temporary.fix.ends_with("--\", \"a, b\", pg_temp;"), "{}", temporary.fix);
}
