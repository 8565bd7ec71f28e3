//! Whoever owns the database changes the past, and is caught.
//!
//! Each attempt is made by the database's superuser, whom nothing in Postgres stops, on the record
//! of an organization of its own; it is undone before the next.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chancery_model::OrgId;
use chancery_record::checkpoint::read_newest;
use chancery_record::verify::{Depth, Verification, verify_organization};
use http::Method;
use serde_json::json;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::scene::{Scene, found};
use super::story::Story;
use crate::assemble::Running;

/// One way to change the past: what is said of it, its statements, and the fault that betrays it.
/// `$ORG` stands for the organization.
struct Attempt {
    what: &'static str,
    statements: &'static str,
    fault: &'static str,
    /// Whether the database alone still looks whole.
    hidden_inside: bool,
}

const ATTEMPTS: [Attempt; 4] = [
    Attempt {
        what: "edits an entry",
        statements: "UPDATE entries SET kind = 'agent.retired' WHERE org_id = $ORG AND seq = 3",
        fault: "entry_changed",
        hidden_inside: false,
    },
    Attempt {
        what: "deletes an entry",
        statements: "DELETE FROM entries WHERE org_id = $ORG AND seq = 3",
        fault: "entry_missing",
        hidden_inside: false,
    },
    Attempt {
        what: "swaps two entries",
        statements: "UPDATE entries SET seq = 1000000 WHERE org_id = $ORG AND seq = 3;
                     UPDATE entries SET seq = 3 WHERE org_id = $ORG AND seq = 4;
                     UPDATE entries SET seq = 4 WHERE org_id = $ORG AND seq = 1000000",
        fault: "entry_changed",
        hidden_inside: false,
    },
    Attempt {
        what: "cuts the last two entries off, with the head and the checkpoints that knew of them",
        statements: "DELETE FROM checkpoints c USING heads h
                       WHERE c.org_id = $ORG AND h.org_id = $ORG AND c.size > h.seq - 2;
                     DELETE FROM entries e USING heads h
                       WHERE e.org_id = $ORG AND h.org_id = $ORG AND e.seq > h.seq - 2;
                     UPDATE heads h SET seq = e.seq, entry_hash = e.entry_hash, last_time = e.time
                       FROM entries e
                       WHERE h.org_id = $ORG AND e.org_id = $ORG AND e.seq = h.seq - 2",
        fault: "record_truncated",
        hidden_inside: true,
    },
];

/// The tables of a record, the head first: whoever holds it keeps the server from writing meanwhile.
const TABLES: [&str; 3] = ["heads", "entries", "checkpoints"];

pub(super) async fn tell(story: &mut Story, scene: &Scene, running: &Running) -> anyhow::Result<()> {
    story.step("The database's superuser rewrites the past: each time it shows")?;
    let org = experiment(running, scene).await?;
    let options =
        running.superuser.clone().context("the demo runs on the embedded Postgres")?.database("chancery");
    let mut superuser = PgConnection::connect_with(&options).await?;
    let before = verify(running, scene, org, Outside::Known).await?;
    story.check(before.is_intact(), "before, the record of an organization of its own is whole")?;
    for attempt in &ATTEMPTS {
        story.say(&format!("the superuser {}", attempt.what))?;
        copy_aside(&mut superuser, org).await?;
        execute(&mut superuser, attempt.statements, org).await?;
        if attempt.hidden_inside {
            let inside = verify(running, scene, org, Outside::Unknown).await?;
            story.check(inside.is_intact(), "in the database alone nothing shows")?;
        }
        let found = verify(running, scene, org, Outside::Known).await?;
        let faults: Vec<String> =
            found.faults.iter().map(|fault| format!("{} at {}", fault.code, fault.seq)).collect();
        let by = if attempt.hidden_inside { "caught by the checkpoints kept outside" } else { "caught" };
        let caught = found.faults.iter().any(|fault| fault.code == attempt.fault);
        story.check(caught, &format!("{by}: {}", faults.join(", ")))?;
        put_back(&mut superuser, org).await?;
    }
    let after = verify(running, scene, org, Outside::Known).await?;
    story.check(after.is_intact(), "put back as it was, the record is whole again")?;
    superuser.close().await?;
    Ok(())
}

/// An organization with a few entries, all of them under a checkpoint outside Postgres.
async fn experiment(running: &Running, scene: &Scene) -> anyhow::Result<OrgId> {
    let (founded, admin) = found(running, scene, "Initech").await?;
    let mut entries = 1;
    for name in ["one", "two", "three", "four", "five"] {
        let made =
            admin.connection.ask(Method::POST, "/api/v1/agents", Some(&json!({ "name": name }))).await?;
        ensure!(made.status == 201, "no agent: {}", made.status);
        entries += 1;
    }
    let origin = chancery_evidence::origin(running.vkey.name(), founded.org);
    for _ in 0..100 {
        let signed = read_newest(&scene.checkpoints, &running.vkey)?;
        if signed.iter().any(|signed| signed.origin == origin && signed.size >= entries) {
            return Ok(founded.org);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("no checkpoint in time")
}

/// Whether the verification knows the checkpoints kept outside Postgres.
#[derive(Clone, Copy)]
enum Outside {
    Known,
    Unknown,
}

/// What `chancery record verify` finds.
async fn verify(
    running: &Running,
    scene: &Scene,
    org: OrgId,
    knows: Outside,
) -> anyhow::Result<Verification> {
    let outside = match knows {
        Outside::Known => read_newest(&scene.checkpoints, &running.vkey)?,
        Outside::Unknown => Vec::new(),
    };
    let depth = Depth::whole(&outside);
    Ok(verify_organization(&running.books.store, &running.vkey, org, depth, |_, _| {}).await?)
}

async fn copy_aside(superuser: &mut PgConnection, org: OrgId) -> anyhow::Result<()> {
    for table in TABLES {
        let copy = format!("CREATE TEMP TABLE aside_{table} AS SELECT * FROM {table} WHERE org_id = $ORG");
        execute(superuser, &copy, org).await?;
    }
    Ok(())
}

async fn put_back(superuser: &mut PgConnection, org: OrgId) -> anyhow::Result<()> {
    let back: Vec<String> = TABLES
        .iter()
        .map(|table| {
            format!(
                "DELETE FROM {table} WHERE org_id = $ORG; INSERT INTO {table} SELECT * FROM aside_{table}; \
                 DROP TABLE aside_{table};"
            )
        })
        .collect();
    execute(superuser, &back.concat(), org).await
}

/// Runs statements of ours, with an id in them: nothing needs quoting.
async fn execute(superuser: &mut PgConnection, statements: &str, org: OrgId) -> anyhow::Result<()> {
    let statements = statements.replace("$ORG", &format!("'{org}'"));
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(superuser).await?;
    Ok(())
}
