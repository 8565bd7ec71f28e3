//! The scene: two organizations, two agents, one policy pack.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use chancery_model::OrgId;
use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::story::{Speaker, Story};
use crate::assemble::Running;
use crate::client::Connection;
use crate::founding::{Founded, Founding};

/// Who redeems the tokens.
pub(super) const CONNECTOR: &str = "payment-gateway";
/// The route of intents.
pub(super) const INTENTS: &str = "/api/v1/intents";
/// The route that redeems.
pub(super) const VERIFY: &str = "/api/v1/tokens/verify";

/// Everybody, ready to play.
#[derive(Debug)]
pub(super) struct Scene {
    /// The organization that the story is about.
    pub(super) org: OrgId,
    /// Its admin.
    pub(super) admin: Speaker,
    /// The agent that asks.
    pub(super) agent: Speaker,
    /// The system that carries out what a token allows.
    pub(super) gateway: Speaker,
    /// The admin of another organization.
    pub(super) stranger: Speaker,
    /// What verifiers trust.
    pub(super) vkey: String,
    /// The file of checkpoints outside Postgres.
    pub(super) checkpoints: PathBuf,
    /// A folder for files.
    pub(super) folder: PathBuf,
}

impl Scene {
    pub(super) async fn set(story: &mut Story, running: &Running, folder: &Path) -> anyhow::Result<Self> {
        story.step("The scene")?;
        story.say(
            "Acme and Globex are organizations. Acme has an agent, refund-bot, and a payment gateway.",
        )?;
        let acme = running.books.found(Founding::new("Acme", None)?).await?;
        let globex = running.books.found(Founding::new("Globex", None)?).await?;
        let server = Connection::new(&format!("http://{}", running.address), None)?;
        let admin = speaker(&server, "Acme's admin", &acme.admin_key)?;
        let agent =
            enlist(story, &server, &admin, "refund-bot", json!(["intents:submit", "intents:read"])).await?;
        let gateway = enlist(story, &server, &admin, CONNECTOR, json!(["tokens:verify"])).await?;
        let pack = story.ask(&admin, (Method::POST, "/api/v1/policies/packs/payments/apply"), None).await?;
        story.check(pack.status.is_success(), "the policy pack `payments` is in force")?;
        Ok(Self {
            org: acme.org,
            admin,
            agent,
            gateway,
            stranger: speaker(&server, "Globex's admin", &globex.admin_key)?,
            vkey: running.vkey.to_string(),
            checkpoints: folder.join("checkpoints.log"),
            folder: folder.to_owned(),
        })
    }

    /// A refund as refund-bot asks for it.
    pub(super) fn refund(payment: &str, amount: u32) -> Value {
        json!({
            "action": "payments.refund",
            "resource": { "type": "Payment", "id": payment },
            "arguments": { "amount": amount, "currency": "EUR", "reason": "duplicate" },
            "connector": CONNECTOR,
        })
    }

    /// The gateway's question about a token for that refund.
    pub(super) fn redemption(token: &str, refund: &Value) -> Value {
        let part = |name: &str| refund.get(name).cloned().unwrap_or_default();
        json!({
            "token": token, "audience": CONNECTOR,
            "action": part("action"), "resource": part("resource"), "arguments": part("arguments"),
        })
    }
}

/// An organization founded for one experiment, with its admin.
pub(super) async fn found(
    running: &Running,
    scene: &Scene,
    name: &'static str,
) -> anyhow::Result<(Founded, Speaker)> {
    let founded = running.books.found(Founding::new(name, None)?).await?;
    let connection = scene.admin.connection.with_key(Some(&founded.admin_key))?;
    Ok((founded, Speaker { name, connection }))
}

fn speaker(server: &Connection, name: &'static str, key: &SecretString) -> anyhow::Result<Speaker> {
    Ok(Speaker { name, connection: server.with_key(Some(key))? })
}

/// An agent with a key of its own.
async fn enlist(
    story: &Story,
    server: &Connection,
    admin: &Speaker,
    name: &'static str,
    scopes: Value,
) -> anyhow::Result<Speaker> {
    let agent = story.ask(admin, (Method::POST, "/api/v1/agents"), Some(&json!({ "name": name }))).await?;
    let redeems = scopes.as_array().is_some_and(|scopes| scopes.contains(&json!("tokens:verify")));
    let key = json!({
        "name": name, "holder": { "type": "agent", "id": agent.at("/data/id") }, "environment": "live",
        "scopes": scopes, "audiences": if redeems { json!([CONNECTOR]) } else { json!([]) },
    });
    let key = story.ask(admin, (Method::POST, "/api/v1/api-keys"), Some(&key)).await?;
    let secret = key.at("/data/secret");
    ensure!(!secret.is_empty(), "no key for {name}");
    speaker(server, name, &secret.to_owned().into()).context("the new key")
}
