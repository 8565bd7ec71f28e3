//! Whose intents a key reads: an agent those it asked itself, whatever the database's rows say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use support::{Answered, Org, World};

/// Well-formed, and nobody's.
const ABSENT: &str = "0198c0de-0000-7000-8000-000000000001";

fn refund(cents: u32) -> Value {
    json!({
        "action": "payments.refund",
        "resource": {"type": "Payment", "id": "pay_1"},
        "arguments": {"amount": cents, "currency": "EUR", "reason": "duplicate"},
        "connector": "billing",
    })
}

/// An agent with a key, and an intent it asked.
struct Asker {
    agent: String,
    key: String,
    intent: String,
}

/// An organization with two agents.
struct Office {
    world: World,
    org: Org,
    ours: Asker,
    theirs: Asker,
}

impl Office {
    async fn open() -> Self {
        let world = World::start().await;
        let org = world.found("acme").await;
        world.call(&org.key, "POST", "/api/v1/policies/packs/payments/apply", Value::Null).await;
        let ours = Self::asker(&world, &org, 11).await;
        let theirs = Self::asker(&world, &org, 22).await;
        Self { world, org, ours, theirs }
    }

    async fn asker(world: &World, org: &Org, cents: u32) -> Asker {
        let made = world.call(&org.key, "POST", "/api/v1/agents", json!({"name": "bot"})).await.json();
        let agent = made["data"]["id"].as_str().unwrap().to_owned();
        let wanted = json!({"name": "k", "holder": {"type": "agent", "id": agent}, "environment": "live",
            "scopes": ["intents:submit", "intents:read"]});
        let made = world.call(&org.key, "POST", "/api/v1/api-keys", wanted).await.json();
        let key = made["data"]["secret"].as_str().unwrap().to_owned();
        world.clock.advance_seconds(1);
        let asked = world.call(&key, "POST", "/api/v1/intents", refund(cents)).await;
        assert_eq!(asked.status, 200, "{}", asked.text);
        Asker { agent, key, intent: asked.json()["data"]["id"].as_str().unwrap().to_owned() }
    }

    async fn get(&self, key: &str, path: &str) -> Answered {
        self.world.call(key, "GET", path, Value::Null).await
    }

    async fn ids(&self, key: &str, query: &str) -> Vec<String> {
        let listed = self.get(key, &format!("/api/v1/intents{query}")).await;
        assert_eq!(listed.status, 200, "{}", listed.text);
        let listed = listed.json();
        listed["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn tamper(&self, sql: &str) {
        let mut superuser = self.world.superuser().await;
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut superuser).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{sql}");
    }

    /// That an answer says nothing but that something is wrong inside.
    fn says_nothing(answer: &Answered, name: &str) {
        assert_eq!((answer.status.as_u16(), &*answer.code()), (500, "internal"), "{name}: {}", answer.text);
        assert_eq!(answer.json()["data"], Value::Null, "{name}");
    }
}

#[tokio::test]
async fn an_agent_sees_what_it_asked_and_a_member_sees_all() {
    let office = Office::open().await;
    let (ours, theirs) = (&office.ours, &office.theirs);
    for query in ["", "?status=allowed", "?limit=1"] {
        assert_eq!(office.ids(&ours.key, query).await, [ours.intent.as_str()], "{query}");
    }
    assert_eq!(office.ids(&ours.key, "?status=denied").await, [""; 0]);
    let all = [theirs.intent.as_str(), ours.intent.as_str()];
    assert_eq!(office.ids(&office.org.key, "").await, all);
    let page = office.get(&office.org.key, "/api/v1/intents?limit=1").await.json();
    let cursor = page["page"]["next"].as_str().unwrap();
    // Where a member's list goes on, an agent's own goes on too, and no other's.
    assert_eq!(office.ids(&theirs.key, &format!("?cursor={cursor}")).await, [""; 0]);
    assert_eq!(office.ids(&ours.key, &format!("?cursor={cursor}")).await, [ours.intent.as_str()]);

    for end in ["", "/evidence"] {
        let foreign = office.get(&ours.key, &format!("/api/v1/intents/{}{end}", theirs.intent)).await;
        let absent = office.get(&ours.key, &format!("/api/v1/intents/{ABSENT}{end}")).await;
        assert_eq!((foreign.status.as_u16(), &foreign.text), (404, &absent.text), "{end}");
    }
    for (key, asker) in [(&ours.key, ours), (&theirs.key, theirs), (&office.org.key, theirs)] {
        let shown = office.get(key, &format!("/api/v1/intents/{}", asker.intent)).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        assert_eq!(shown.json()["data"]["principal"]["id"], asker.agent.as_str());
    }
}

#[tokio::test]
async fn an_agent_reads_no_record() {
    let office = Office::open().await;
    for path in ["/api/v1/record", "/api/v1/record/verify", "/api/v1/record/checkpoint"] {
        let refused = office.get(&office.ours.key, path).await;
        assert_eq!((refused.status.as_u16(), &*refused.code()), (403, "insufficient_scope"), "{path}");
    }
    let wanted = json!({"name": "k", "holder": {"type": "agent", "id": office.ours.agent},
        "environment": "live", "scopes": ["record:read"]});
    let refused = office.world.call(&office.org.key, "POST", "/api/v1/api-keys", wanted).await;
    assert_eq!(refused.code(), "scope_exceeds_holder", "{}", refused.text);
}

#[tokio::test]
async fn a_row_pointed_at_another_entry_shows_nothing_of_it() {
    let office = Office::open().await;
    let (ours, theirs) = (&office.ours, &office.theirs);
    let again = || {
        let request = Request::post("/api/v1/intents").header("x-api-key", &ours.key);
        let request = request.header("content-type", "application/json").header("idempotency-key", "once");
        office.world.send(request.body(Body::from(refund(33).to_string())).unwrap())
    };
    let first = again().await.json();
    let replayed = first["data"]["id"].as_str().unwrap();
    assert_eq!(again().await.json()["data"]["id"], replayed);
    let pointed_at = |intent: &str, other: &str| {
        format!(
            "UPDATE intents SET seq = (SELECT seq FROM intents WHERE id = '{other}') WHERE id = '{intent}'"
        )
    };
    office.tamper(&pointed_at(&ours.intent, &theirs.intent)).await;
    office.tamper(&pointed_at(replayed, &theirs.intent)).await;
    for end in ["", "/evidence"] {
        for key in [&ours.key, &office.org.key] {
            let answer = office.get(key, &format!("/api/v1/intents/{}{end}", ours.intent)).await;
            Office::says_nothing(&answer, end);
        }
    }
    Office::says_nothing(&again().await, "the same request again");
    // An entry that decides nothing, such as a member's or a key's.
    office.tamper(&format!("UPDATE intents SET seq = 1 WHERE id = '{}'", ours.intent)).await;
    let answer = office.get(&office.org.key, &format!("/api/v1/intents/{}", ours.intent)).await;
    Office::says_nothing(&answer, "the founding");
}

#[tokio::test]
async fn a_row_that_names_another_asker_shows_nothing_to_them() {
    let office = Office::open().await;
    let (ours, theirs) = (&office.ours, &office.theirs);
    let change = format!("UPDATE intents SET principal_id = '{}' WHERE id = '{}'", ours.agent, theirs.intent);
    office.tamper(&change).await;
    for end in ["", "/evidence"] {
        let answer = office.get(&ours.key, &format!("/api/v1/intents/{}{end}", theirs.intent)).await;
        Office::says_nothing(&answer, end);
    }
    let references = format!(
        "UPDATE entries SET refs = replace(refs, '{}', '{}') WHERE seq = (SELECT seq FROM intents WHERE id = '{}')",
        theirs.agent, ours.agent, theirs.intent
    );
    office.tamper(&references).await;
    let answer = office.get(&ours.key, &format!("/api/v1/intents/{}", theirs.intent)).await;
    Office::says_nothing(&answer, "with its references");
}

#[tokio::test]
async fn an_entry_put_into_another_intents_story_is_in_no_bundle() {
    let office = Office::open().await;
    let (ours, theirs) = (&office.ours, &office.theirs);
    let evidence = format!("/api/v1/intents/{}/evidence", ours.intent);
    let moved =
        |entry: &str| format!("UPDATE entries SET correlation_id = '{}' WHERE seq = {entry}", ours.intent);
    // A decision belongs to the story whose intent's row names it, wherever it is moved.
    office.tamper(&moved(&format!("(SELECT seq FROM intents WHERE id = '{}')", theirs.intent))).await;
    let answer = office.get(&ours.key, &evidence).await;
    assert_eq!(answer.code(), "checkpoint_pending");
    let admin = format!("/api/v1/record?correlation_id={}", ours.intent);
    let story = office.get(&office.org.key, &admin).await.json();
    assert_eq!(story["data"].as_array().map(Vec::len), Some(1), "{story}");
    assert_eq!(story["data"][0]["correlation_id"], ours.intent.to_string());
    // Any other entry is found there, and what it says does not agree.
    office.tamper(&moved("1")).await;
    Office::says_nothing(&office.get(&ours.key, &evidence).await, "an entry of the organization");
}
