//! Databases that are not ours: two that are well made give nothing, and each flaw that is planted in
//! one is found by its code, alone, and gone when it is taken out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use chancery_doctor::{ExamineError, Guarded, Report, Trusted, examine};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use support::{Flaw, World, alone, codes, each_is_found, flaw, told};

#[tokio::test]
async fn a_well_made_database_gives_nothing() {
    for world in [World::shop().await, World::teams().await] {
        let report = world.examine().await;
        assert!(report.findings().next().is_none() && report.is_clean(), "{}", told(&report));
    }
}

const DROP_ROLES: &str = "DROP OWNED BY {own}; DROP ROLE {own}";

const TABLES: &[Flaw] = &[
        flaw(&["rls_off"], "CREATE TABLE shop.notes (org_id uuid PRIMARY KEY)", "DROP TABLE shop.notes"),
        flaw(&["rls_off"], "ALTER TABLE shop.customers DISABLE ROW LEVEL SECURITY", "ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY"),
        flaw(
            &["rls_not_forced"],
            "ALTER TABLE shop.customers NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE shop.customers FORCE ROW LEVEL SECURITY",
        ),
        flaw(
            &["policy_ignores_column"],
            "ALTER POLICY own ON shop.customers USING (true)",
            "ALTER POLICY own ON shop.customers USING (org_id = shop.tenant())",
        ),
        flaw(
            &["policy_ignores_column"],
            "CREATE POLICY open ON shop.customers FOR SELECT USING (published)",
            "DROP POLICY open ON shop.customers",
        ),
        flaw(
            &["policy_ignores_column"],
            "CREATE POLICY open ON shop.customers FOR INSERT TO shop_app WITH CHECK (name = 'org_id')",
            "DROP POLICY open ON shop.customers",
        ),
        flaw(
            &["policy_has_way_around"],
            "CREATE POLICY open ON shop.customers FOR SELECT USING (org_id = shop.tenant() OR published)",
            "DROP POLICY open ON shop.customers",
        ),
        flaw(
            &["policy_ignores_column"],
            "CREATE POLICY open ON shop.customers USING (org_id = shop.tenant()) WITH CHECK (true)",
            "DROP POLICY open ON shop.customers",
        ),
        flaw(
            &["policy_ignores_column"],
            "CREATE POLICY open ON shop.customers FOR SELECT USING (true);
             CREATE POLICY narrow ON shop.customers AS RESTRICTIVE FOR DELETE USING (org_id = shop.tenant())",
            "DROP POLICY open ON shop.customers; DROP POLICY narrow ON shop.customers",
        ),
        flaw(
            &[],
            "CREATE POLICY open ON shop.customers FOR SELECT USING (true);
             CREATE POLICY narrow ON shop.customers AS RESTRICTIVE USING (org_id = shop.tenant())",
            "DROP POLICY open ON shop.customers; DROP POLICY narrow ON shop.customers",
        ),
        flaw(
            &["partition_unlocked"],
            "GRANT SELECT ON shop.orders_2026 TO shop_app",
            "REVOKE SELECT ON shop.orders_2026 FROM shop_app",
        ),
        flaw(
            &["foreign_table"],
            "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
             CREATE FOREIGN TABLE shop.far (org_id uuid NOT NULL) SERVER s; GRANT SELECT ON shop.far TO shop_app",
            "DROP FOREIGN DATA WRAPPER w CASCADE",
        ),
        flaw(
            &["column_nullable"],
            "ALTER TABLE shop.customers DROP CONSTRAINT customers_pkey CASCADE;
             ALTER TABLE shop.customers ALTER org_id DROP NOT NULL; CREATE INDEX i ON shop.customers (org_id)",
            "DROP INDEX shop.i; ALTER TABLE shop.customers ADD PRIMARY KEY (org_id, id)",
        ),
        flaw(
            &["index_missing"],
            "ALTER TABLE shop.customers DROP CONSTRAINT customers_pkey",
            "ALTER TABLE shop.customers ADD PRIMARY KEY (org_id, id)",
        ),
        flaw(
            &["foreign_key_across"],
            "ALTER TABLE shop.customers ADD UNIQUE (id), ADD referrer bigint REFERENCES shop.customers (id)",
            "ALTER TABLE shop.customers DROP referrer, DROP CONSTRAINT customers_id_key",
        ),
];

#[tokio::test]
async fn flaws_of_tables_and_policies_are_found() {
    each_is_found(World::shop().await, TABLES).await;
}

const ROLES: &[Flaw] = &[
    flaw(
        &["login_bypasses_rls"],
        "CREATE ROLE {own} LOGIN BYPASSRLS; GRANT CONNECT ON DATABASE \"{db}\" TO {own}",
        DROP_ROLES,
    ),
    flaw(
        &["login_can_bypass_rls"],
        "CREATE ROLE {own} LOGIN NOINHERIT; GRANT CONNECT ON DATABASE \"{db}\" TO {own};
             CREATE ROLE {own}_middle; GRANT {own}_middle TO {own};
             CREATE ROLE {own}_top BYPASSRLS; GRANT {own}_top TO {own}_middle",
        "DROP OWNED BY {own}; DROP ROLE {own}, {own}_middle, {own}_top",
    ),
    // One that can't connect is of another database.
    flaw(&[], "CREATE ROLE {own} LOGIN BYPASSRLS", "DROP ROLE {own}"),
    flaw(
        &["policy_ignores_column"],
        "CREATE ROLE {own} LOGIN; CREATE POLICY wide ON shop.orders TO {own} USING (true)",
        DROP_ROLES,
    ),
    // Somebody who logs in becomes the role that reaches every tenant.
    flaw(
        &["policy_ignores_column"],
        "CREATE ROLE {own} LOGIN; GRANT CONNECT ON DATABASE \"{db}\" TO {own}; GRANT shop_jobs TO {own}",
        DROP_ROLES,
    ),
    flaw(
        &["granted_to_public"],
        "GRANT SELECT ON shop.customers TO PUBLIC",
        "REVOKE SELECT ON shop.customers FROM PUBLIC",
    ),
    flaw(
        &["granted_to_public"],
        "GRANT UPDATE (name) ON shop.customers TO PUBLIC",
        "REVOKE UPDATE (name) ON shop.customers FROM PUBLIC",
    ),
    flaw(
        &["behind_granted", "truncate_granted"],
        "GRANT TRUNCATE, TRIGGER, REFERENCES ON shop.customers TO shop_app",
        "REVOKE TRUNCATE, TRIGGER, REFERENCES ON shop.customers FROM shop_app",
    ),
    flaw(
        &["sequence_public"],
        "CREATE SEQUENCE shop.numbers; GRANT USAGE ON SEQUENCE shop.numbers TO PUBLIC",
        "DROP SEQUENCE shop.numbers",
    ),
    flaw(
        &["schema_open"],
        "GRANT CREATE ON SCHEMA shop TO PUBLIC",
        "REVOKE CREATE ON SCHEMA shop FROM PUBLIC",
    ),
];

#[tokio::test]
async fn flaws_of_roles_and_rights_are_found() {
    each_is_found(World::shop().await, ROLES).await;
}

const DROP: &str = "DROP FUNCTION shop.f";
const VIEW: &str = "DROP VIEW shop.v";
const FUNCTIONS: &[Flaw] = &[
    flaw(
        &["definer_unguarded"],
        "CREATE FUNCTION shop.f(org uuid) RETURNS SETOF shop.customers LANGUAGE sql SECURITY DEFINER
             SET search_path = shop, pg_temp AS 'SELECT * FROM customers WHERE org_id = org';
             REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        DROP,
    ),
    flaw(
        &["definer_unguarded"],
        "CREATE FUNCTION shop.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = ''
             AS $f$ SELECT count(*) FROM shop.published -- current_setting
             $f$; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        DROP,
    ),
    flaw(
        &["definer_unguarded"],
        "CREATE FUNCTION shop.f(t text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
             AS $f$ BEGIN EXECUTE 'DELETE FROM ' || t; END $f$; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        DROP,
    ),
    flaw(
        &["definer_unguarded"],
        "CREATE FUNCTION shop.f() RETURNS int LANGUAGE internal SECURITY DEFINER SET search_path = ''
             AS 'pg_backend_pid'; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        DROP,
    ),
    flaw(
        &["definer_public", "definer_search_path"],
        "CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        DROP,
    ),
    flaw(
        &["definer_search_path"],
        "CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql SECURITY DEFINER
             SET search_path = \"$user\", pg_temp AS 'SELECT 1'; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        DROP,
    ),
    flaw(
        &["definer_temporary"],
        "CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = shop
             AS 'SELECT 1'; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        DROP,
    ),
    flaw(
        &[],
        "CREATE FUNCTION shop.f() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
             AS $f$ BEGIN RETURN NEW; END $f$",
        DROP,
    ),
    // Its owner is held by the policies, as everyone else is.
    flaw(
        &[],
        "CREATE FUNCTION shop.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = ''
             AS 'SELECT count(*) FROM shop.customers'; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC;
             ALTER FUNCTION shop.f OWNER TO shop_owner",
        DROP,
    ),
    flaw(&["view_bypasses_rls"], "CREATE VIEW shop.v AS SELECT * FROM shop.customers", VIEW),
    flaw(
        &["view_bypasses_rls"],
        "CREATE VIEW shop.v AS SELECT * FROM shop.orders; ALTER VIEW shop.v OWNER TO shop_jobs",
        VIEW,
    ),
    flaw(
        &["view_bypasses_rls"],
        "CREATE VIEW shop.v WITH (security_barrier = true) AS SELECT * FROM shop.published",
        VIEW,
    ),
    flaw(
        &["view_of_owner"],
        "CREATE VIEW shop.v AS SELECT * FROM shop.orders; ALTER VIEW shop.v OWNER TO shop_owner",
        VIEW,
    ),
    flaw(
        &["materialized_view"],
        "CREATE MATERIALIZED VIEW shop.m AS SELECT count(*) FROM shop.customers",
        "DROP MATERIALIZED VIEW shop.m",
    ),
];

#[tokio::test]
async fn flaws_of_functions_and_views_are_found() {
    each_is_found(World::shop().await, FUNCTIONS).await;
}

const CLAIMS: &[Flaw] = &[
    flaw(
        &["policy_ignores_column"],
        "ALTER POLICY read ON app.posts USING (EXISTS (SELECT FROM app.memberships m
                 WHERE m.user_id = auth.uid() AND m.org_id IS NOT NULL))",
        "ALTER POLICY read ON app.posts USING (org_id IN (SELECT private.my_orgs()))",
    ),
    flaw(
        &["policy_ignores_column"],
        "DROP POLICY tenant ON app.files",
        "CREATE POLICY tenant ON app.files AS RESTRICTIVE USING (org_id IN (SELECT private.my_orgs()))",
    ),
    flaw(
        &["policy_has_way_around"],
        "ALTER POLICY change ON app.posts USING (author_id = auth.uid() OR org_id IN (SELECT private.my_orgs()))",
        "ALTER POLICY change ON app.posts USING (org_id IN (SELECT private.my_orgs()))",
    ),
    flaw(
        &["definer_unguarded"],
        "CREATE FUNCTION app.all_posts() RETURNS SETOF app.posts LANGUAGE sql SECURITY DEFINER
             SET search_path = '' BEGIN ATOMIC SELECT * FROM app.posts; END;
             REVOKE ALL ON FUNCTION app.all_posts FROM PUBLIC",
        "DROP FUNCTION app.all_posts",
    ),
];

#[tokio::test]
async fn flaws_between_claims_and_memberships_are_found() {
    each_is_found(World::teams().await, CLAIMS).await;
}

#[tokio::test]
async fn who_is_connected_past_the_locks_is_named() {
    let world = World::shop().await;
    world
        .run(
            "CREATE ROLE {own} LOGIN PASSWORD 'test-{own}'; GRANT CONNECT ON DATABASE \"{db}\" TO {own};
             ALTER TABLE shop.orders OWNER TO {own}",
        )
        .await;
    let mut login = PgConnection::connect_with(&world.login).await.unwrap();
    alone(&mut login).await;
    let own = format!("own_{}", world.database.name());
    let owner = world.database.superuser().username(&own).password(&format!("test-{own}"));
    let owner = PgConnection::connect_with(&owner).await.unwrap();
    let superuser = PgConnection::connect_with(&world.database.superuser()).await.unwrap();
    let report = examine(&mut login, &world.expected).await.unwrap();
    assert_eq!(codes(&report), ["bypass_in_use", "owner_in_use"], "{}", told(&report));
    owner.close().await.unwrap();
    superuser.close().await.unwrap();
    world.run("REASSIGN OWNED BY {own} TO shop_owner; DROP OWNED BY {own}; DROP ROLE {own}").await;
}

#[tokio::test]
async fn what_is_meant_is_named_and_what_is_misnamed_is_told() {
    let mut world = World::shop().await;
    world
        .run(
            "CREATE ROLE {own} LOGIN BYPASSRLS; GRANT CONNECT ON DATABASE \"{db}\" TO {own};
             CREATE FUNCTION shop.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = ''
             AS 'SELECT count(*) FROM shop.customers'; REVOKE ALL ON FUNCTION shop.f FROM PUBLIC",
        )
        .await;
    let own = format!("own_{}", world.database.name());
    assert_eq!(codes(&world.examine().await), ["definer_unguarded", "login_bypasses_rls"]);
    world.expected.trusted.push(Trusted { role: own, tables: None });
    for (function, owner, known) in [
        ("f", None, true),
        ("shop.f", None, true),
        ("shop.f()", None, true),
        ("other.f", None, false),
        ("shop.f(uuid)", None, false),
        ("shop.f()", Some("shop_owner"), false),
    ] {
        let owner = owner.map(str::to_owned);
        world.expected.guarded = vec![Guarded { function: function.to_owned(), owner }];
        assert_eq!(world.examine().await.is_clean(), known, "{function}");
    }
    world.expected.guarded = vec![Guarded { function: "f".to_owned(), owner: None }];
    assert_eq!(codes(&world.examine().await), [""; 0]);

    // Whoever names by hand what is not there is told: it would except nothing.
    world.expected.by_hand = true;
    assert_eq!(codes(&world.examine().await), [""; 0]);
    let mut login = PgConnection::connect_with(&world.login).await.unwrap();
    let (role, function) = ("own_nobody".to_owned(), "shop.f(uuid)".to_owned());
    let mut wrong = world.expected.clone();
    wrong.trusted.push(Trusted { role, tables: None });
    let error = examine(&mut login, &wrong).await.unwrap_err();
    assert!(matches!(&error, ExamineError::NoRole(role) if role == "own_nobody"), "{error}");
    let mut wrong = world.expected.clone();
    wrong.guarded.push(Guarded { function, owner: None });
    let error = examine(&mut login, &wrong).await.unwrap_err();
    assert!(matches!(&error, ExamineError::NoFunction(name) if name == "shop.f(uuid)"), "{error}");
    login.close().await.unwrap();

    world.expected.column = "organisation".to_owned();
    assert_eq!(codes(&world.examine().await), ["nothing_to_examine"]);
    world.expected.schemas = vec!["shop".to_owned(), "shopp".to_owned()];
    let mut login = PgConnection::connect_with(&world.login).await.unwrap();
    let error = examine(&mut login, &world.expected).await.unwrap_err();
    assert!(matches!(&error, ExamineError::NoSchema(schema) if schema == "shopp"), "{error}");
    world.run(DROP_ROLES).await;
}

#[tokio::test]
async fn in_a_cluster_of_its_own_every_login_counts() {
    let mut world = World::shop().await;
    world.run("CREATE ROLE {own} LOGIN BYPASSRLS").await;
    let own = format!("own_{}", world.database.name());
    let found = |report: &Report| {
        let ours = report.findings().filter(|finding| finding.subject.starts_with(&own));
        ours.map(|finding| format!("{} {}", finding.code, finding.subject)).collect::<Vec<_>>()
    };
    assert_eq!(found(&world.examine().await), [""; 0]);
    world.expected.whole_cluster = true;
    assert_eq!(found(&world.examine().await), [format!("login_bypasses_rls {own}")]);
    world.run("DROP ROLE {own}").await;
}

#[tokio::test]
async fn an_examination_changes_nothing_and_calls_no_function_of_the_database() {
    let world = World::shop().await;
    // Were a name looked up here before `pg_catalog`, an examination by a superuser would run it.
    world
        .run(
            "CREATE FUNCTION public.format(text, name, name) RETURNS text LANGUAGE plpgsql
             AS $f$ BEGIN RAISE EXCEPTION 'called'; END $f$;
             CREATE FUNCTION public.quote_ident(name) RETURNS text LANGUAGE plpgsql
             AS $f$ BEGIN RAISE EXCEPTION 'called'; END $f$;
             ALTER DATABASE \"{db}\" SET search_path = public, pg_catalog",
        )
        .await;
    let mut superuser = PgConnection::connect_with(&world.database.superuser()).await.unwrap();
    let told =
        sqlx::query_scalar::<_, String>("SELECT quote_ident('x'::name)").fetch_one(&mut superuser).await;
    assert!(told.unwrap_err().to_string().contains("called"), "the trap is set");
    assert!(examine(&mut superuser, &world.expected).await.unwrap().is_clean());
    let mut tx = chancery_doctor::begin_reading(&mut superuser).await.unwrap();
    let written = sqlx::raw_sql("DELETE FROM shop.customers").execute(&mut *tx).await.unwrap_err();
    assert!(written.to_string().contains("read-only"), "{written}");
}
