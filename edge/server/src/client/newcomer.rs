//! Somebody new, with a key of their own in a file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use http::Method;
use serde_json::{Map, Value, json};

use super::Connection;
use super::request::{Request, accepted};
use crate::terminal::{Terminal, printable};

/// The key that somebody new gets.
pub(super) struct NewKey {
    /// Who acts with it: `agent` or `member`.
    pub(super) holder: &'static str,
    /// Its name.
    pub(super) name: String,
    /// What it may do.
    pub(super) scopes: Vec<String>,
    /// Whose tokens it may redeem.
    pub(super) audiences: Vec<String>,
    /// The file to make.
    pub(super) file: PathBuf,
}

/// Creates somebody and a key for them. The file is made first: a key that can't be kept is not made.
pub(super) async fn make(
    to: &Connection,
    create: Request,
    key: NewKey,
    (as_json, terminal): (bool, Terminal),
) -> anyhow::Result<()> {
    let NewKey { holder, name, scopes, audiences, file } = key;
    let refused = || format!("`{}` can't be made", file.display());
    let mut kept =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).with_context(refused)?;
    let made = async {
        let newcomer = create.ask(to).await?;
        accepted(&newcomer)?;
        let key = json!({
            "name": name, "holder": { "type": holder, "id": newcomer.at("/data/id") }, "environment": "live",
            "scopes": scopes, "audiences": audiences,
        });
        let key = Request::send(Method::POST, "/api/v1/api-keys", key).ask(to).await?;
        let made = newcomer.at("/data/id");
        accepted(&key).with_context(|| format!("the {holder} {made} was made, and no key"))?;
        anyhow::Ok((newcomer, key))
    };
    let (newcomer, key) = match made.await {
        Ok(made) => made,
        Err(error) => {
            let _ = std::fs::remove_file(&file);
            return Err(error);
        }
    };
    writeln!(kept, "{}", key.at("/data/secret")).and_then(|()| kept.sync_all()).with_context(refused)?;
    if as_json {
        let made = newcomer.body.get("data").cloned().unwrap_or_default();
        let mut told = Map::new();
        told.insert(holder.to_owned(), made);
        told.insert("key_id".to_owned(), key.at("/data/id").into());
        told.insert("key_file".to_owned(), Value::String(file.display().to_string()));
        terminal.line(json!({ "data": told }))?;
    } else {
        let (name, id) = (printable(newcomer.at("/data/name")), printable(newcomer.at("/data/id")));
        terminal.line(format_args!("{holder} {name} ({id})"))?;
        terminal.line(format_args!("its key is in {}", file.display()))?;
    }
    Ok(())
}
