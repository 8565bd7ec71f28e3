//! The scene: two organizations, the people of one, its agents, its gateway, one policy pack.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use chancery_model::OrgId;
use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::story::{Speaker, Story};
use super::upstream::Upstream;
use crate::assemble::Running;
use crate::client::Connection;
use crate::founding::{Founded, Founding};

/// Who carries out refunds: the connector, and the audience of tokens.
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
    /// Its admin, who made its people.
    pub(super) founder: Speaker,
    /// The operator, who made the agent and owns it.
    pub(super) owner: Person,
    /// Two people who answer what others ask.
    pub(super) approvers: [Person; 2],
    /// The agent that asks.
    pub(super) agent: Speaker,
    /// The system that carries out what a token allows.
    pub(super) gateway: Speaker,
    /// The same system, as it is called.
    pub(super) upstream: Upstream,
    /// The admin of another organization.
    pub(super) stranger: Speaker,
    /// What verifiers trust.
    pub(super) vkey: String,
    /// The file of checkpoints outside Postgres.
    pub(super) checkpoints: PathBuf,
    /// A folder for files.
    pub(super) folder: PathBuf,
}

/// A member with a key.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) speaker: Speaker,
}

/// Who is enlisted: a name, what it is, and what its key may do.
type Newcomer = (&'static str, &'static str, &'static [&'static str]);

const OWNER: Newcomer =
    ("Olga", "operator", &["agents:manage", "keys:manage", "intents:submit", "intents:read"]);
const APPROVERS: [Newcomer; 2] = [
    ("Ada", "approver", &["approvals:read", "approvals:decide"]),
    ("Ben", "approver", &["approvals:read", "approvals:decide"]),
];

impl Scene {
    pub(super) async fn set(
        story: &mut Story,
        running: &Running,
        upstream: Upstream,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        story.step("The scene")?;
        story.say(
            "Acme and Globex are organizations. Acme's founder made an operator, Olga, and two approvers,",
        )?;
        story.say("Ada and Ben. Olga made the agent refund-bot. The payment gateway is a system to call.")?;
        let acme = running.books.found(Founding::new("Acme", None)?).await?;
        let globex = running.books.found(Founding::new("Globex", None)?).await?;
        let server = Connection::new(&format!("http://{}", running.address), None)?;
        let founder = speaker(&server, "Acme's founder", &acme.admin_key)?;
        let owner = person(story, &server, &founder, OWNER).await?;
        let [one, other] = APPROVERS;
        let approvers =
            [person(story, &server, &founder, one).await?, person(story, &server, &founder, other).await?];
        let scopes: &[&str] = &["intents:submit", "intents:read"];
        let agent = enlist(story, &server, &owner.speaker, ("refund-bot", "agent", scopes)).await?;
        let gateway = enlist(story, &server, &founder, (CONNECTOR, "agent", &["tokens:verify"])).await?;
        let pack = "/api/v1/policies/packs/payments/apply";
        let pack = story.ask(&founder, (Method::POST, pack), None).await?;
        story.check(pack.status.is_success(), "the policy pack `payments` is in force")?;
        connect(story, &founder, &upstream).await?;
        Ok(Self {
            org: acme.org,
            founder,
            owner,
            approvers,
            agent,
            gateway,
            upstream,
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
    let connection = scene.founder.connection.with_key(Some(&founded.admin_key))?;
    Ok((founded, Speaker { name, connection }))
}

fn speaker(server: &Connection, name: &'static str, key: &SecretString) -> anyhow::Result<Speaker> {
    Ok(Speaker { name, connection: server.with_key(Some(key))? })
}

/// Tells Acme's server where the gateway is and what to authenticate with there. It is led elsewhere if the
/// gateway says so: once.
async fn connect(story: &mut Story, founder: &Speaker, upstream: &Upstream) -> anyhow::Result<()> {
    let definition = json!({
        "base_url": format!("http://{}", upstream.address),
        "redirects": 1,
        "operations": {
            "payments.refund": {
                "method": "POST", "path": "/payments/{resource.id}/refunds", "body": "arguments",
                "headers": { "idempotency-key": "{intent.id}" },
            },
            "payments.read": { "method": "GET", "path": "/payments/{resource.id}" },
        },
    });
    let new = json!({ "name": CONNECTOR, "definition": definition });
    let made = story.ask(founder, (Method::POST, "/api/v1/connectors"), Some(&new)).await?;
    let path = format!("/api/v1/connectors/{}/credentials", made.at("/data/id"));
    let credential = json!({ "kind": "bearer", "token": upstream.credential });
    let written = story.ask(founder, (Method::POST, &path), Some(&credential)).await?;
    story.check(written.status == 201, "the gateway's credential is written: nobody reads it again")
}

/// A member with a key of their own.
async fn person(
    story: &Story,
    server: &Connection,
    by: &Speaker,
    (name, role, scopes): Newcomer,
) -> anyhow::Result<Person> {
    let email = format!("{}@acme.example", name.to_lowercase());
    let new = json!({ "name": name, "email": email, "role": role });
    let made = story.ask(by, (Method::POST, "/api/v1/members"), Some(&new)).await?;
    let id = made.at("/data/id").to_owned();
    let speaker = key(story, server, by, (name, "member", scopes), &id).await?;
    Ok(Person { id, speaker })
}

/// An agent with a key of its own.
async fn enlist(
    story: &Story,
    server: &Connection,
    by: &Speaker,
    newcomer: Newcomer,
) -> anyhow::Result<Speaker> {
    let new = json!({ "name": newcomer.0 });
    let agent = story.ask(by, (Method::POST, "/api/v1/agents"), Some(&new)).await?;
    key(story, server, by, newcomer, agent.at("/data/id")).await
}

/// A key for somebody, and them speaking with it.
pub(super) async fn key(
    story: &Story,
    server: &Connection,
    by: &Speaker,
    (name, holder, scopes): Newcomer,
    id: &str,
) -> anyhow::Result<Speaker> {
    let redeems = scopes.contains(&"tokens:verify");
    let key = json!({
        "name": name, "holder": { "type": holder, "id": id }, "environment": "live",
        "scopes": scopes, "audiences": if redeems { json!([CONNECTOR]) } else { json!([]) },
    });
    let key = story.ask(by, (Method::POST, "/api/v1/api-keys"), Some(&key)).await?;
    let secret = key.at("/data/secret");
    ensure!(!secret.is_empty(), "no key for {name}");
    speaker(server, name, &secret.to_owned().into()).context("the new key")
}
