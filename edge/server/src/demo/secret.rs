//! The gateway's credential was used, and is nowhere.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use chancery_evidence::Hex;
use chancery_record::query::{Filter, entries};
use chancery_store::Scope;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::scene::{CONNECTOR, Scene};
use super::story::Story;
use crate::assemble::Running;

pub(super) async fn tell(story: &mut Story, scene: &Scene, running: &Running) -> anyhow::Result<()> {
    story.step("The gateway's credential: used, and nowhere to be read")?;
    let used = scene.upstream.seen().iter().any(|seen| seen.known);
    story.check(used, "the gateway was called with it")?;
    let credential = scene.upstream.credential.as_str();
    // Each place is looked through for a word that is there, too: a search that finds nothing proves nothing.
    let answers = story.heard();
    let places = [
        ("answers of the server", answers, CONNECTOR),
        ("the server's log, with all that it can say", story.logged(), "egress_refused"),
        ("entries of the record, unsealed", unsealed(running, scene).await?, CONNECTOR),
        ("rows of every table", rows(running).await?, CONNECTOR),
    ];
    for (place, text, there) in places {
        let kib = text.len() / 1024;
        let (found, control) = (holds(text.as_bytes(), credential), holds(text.as_bytes(), there));
        story.check(control && !found, &format!("not in {place} ({kib} KiB)"))?;
    }
    let (mut files, mut found, mut control) = (0, 0, 0);
    walk(&scene.folder, &mut |bytes| {
        files += 1;
        found += usize::from(holds(bytes, credential));
        control += usize::from(holds(bytes, CONNECTOR));
    })?;
    let what = format!("not in any of {files} files: Postgres' own, its log, the key file, checkpoints");
    story.check(found == 0 && control > 0, &what)
}

/// Whether bytes hold a text as it is, or in hex, as Postgres prints what is binary.
fn holds(bytes: &[u8], text: &str) -> bool {
    let hex: String = text.bytes().map(|byte| Hex([byte]).to_string()).collect();
    [text, &hex].iter().any(|text| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// What entries commit to, opened with the organization's own keys.
async fn unsealed(running: &Running, scene: &Scene) -> anyhow::Result<String> {
    let store = &running.books.store;
    let mut scoped = store.read(&Scope::installation(scene.org)).await?;
    let filter = Filter { limit: 1000, ..Filter::default() };
    let found = entries(&mut scoped, &filter).await?;
    drop(scoped);
    let mut text = String::new();
    for entry in found {
        let opened = entry.open(store.keyring(), scene.org).await?.context("an entry does not open")?;
        text.push_str(&format!("{} {} {}\n", entry.kind, entry.refs, opened.payload));
    }
    Ok(text)
}

/// Everything in the database, as its superuser reads it.
async fn rows(running: &Running) -> anyhow::Result<String> {
    let options =
        running.superuser.clone().context("the demo runs on the embedded Postgres")?.database("chancery");
    let mut superuser = PgConnection::connect_with(&options).await?;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&mut superuser)
    .await?;
    let mut text = String::new();
    for table in tables {
        // The name is quoted by Postgres itself.
        let all = format!("SELECT t::text FROM {table} AS t");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(all)).fetch_all(&mut superuser).await?;
        text.push_str(&rows.join("\n"));
    }
    superuser.close().await?;
    Ok(text)
}

/// Reads every file under a folder. One that goes away meanwhile is none.
fn walk(folder: &Path, look: &mut impl FnMut(&[u8])) -> io::Result<()> {
    for found in fs::read_dir(folder)? {
        let found = found?;
        let (path, kind) = (found.path(), found.file_type()?);
        let looked = if kind.is_dir() {
            walk(&path, look)
        } else if kind.is_file() {
            fs::read(&path).map(|bytes| look(&bytes))
        } else {
            Ok(())
        };
        match looked {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            looked => looked?,
        }
    }
    Ok(())
}
