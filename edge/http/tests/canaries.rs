//! A credential, a token that was fetched with one, and what a system answered stand nowhere but where they
//! belong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_connectors::{Credential, CredentialDraft, CredentialKind, Definition};
use chancery_evidence::Hex;
use chancery_record::Conclusion;
use chancery_record::releases::CallOutcome;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use support::bank::{Bank, CANARY, bearer, text};
use support::tls::Authority;
use support::upstream::{Behaviour, Upstream};
use support::{Setup, World};
use tokio::sync::Semaphore;

/// A client's secret, with which tokens are fetched.
const CLIENT: &str = "canary-9dKs3w-client";
/// How the tokens begin.
const GRANTED: &str = "canary-Lm2vYt-granted";
/// What the system answers, to those who asked it and nobody else.
const BODY: &str = "canary-aR8nQx-answer";

/// A log that is kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The forms in which bytes can stand in a text: as they are, in hex, as a list of numbers, and in the three
/// ways that base64 has of writing what stands in the midst of something else.
fn forms(canary: &str) -> Vec<String> {
    let hex: String = canary.bytes().map(|byte| Hex([byte]).to_string()).collect();
    let numbers = format!("{:?}", canary.as_bytes()).trim_matches(['[', ']']).to_owned();
    let mut forms = vec![canary.to_owned(), hex, numbers];
    for shift in 0..3 {
        let encoded = BASE64.encode(format!("{}{canary}", &"..."[..shift]));
        // The first and the last digits depend on what stands around.
        forms.push(encoded[4..encoded.len() - 4].to_owned());
    }
    forms
}

fn assert_clean(place: &str, content: &str, canaries: &[&str]) {
    for canary in canaries {
        for form in forms(canary) {
            let found = content.find(&form);
            let around = found.map(|at| content[..at].chars().rev().take(200).collect::<String>());
            assert_eq!(
                found,
                None,
                "the {place} holds {form}, {:?}",
                around.map(|it| it.chars().rev().collect::<String>())
            );
        }
    }
}

/// Every row of every table, as text.
async fn rows(world: &World) -> String {
    let mut superuser = world.superuser().await;
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_all(&mut superuser)
            .await
            .unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    let mut all = String::new();
    for table in tables {
        let select = AssertSqlSafe(format!("SELECT t::text FROM public.{table} t"));
        let rows: Vec<String> = sqlx::query_scalar(select).fetch_all(&mut superuser).await.unwrap();
        all.push_str(&rows.join("\n"));
    }
    all
}

/// Calls that succeed, fail, and are told again; gives what is told to others than who asked.
async fn use_them(bank: &Bank, tokens: &Upstream) -> Vec<String> {
    let said = r#"{"note":"canary-aR8nQx-answer"}"#;
    let mut told = Vec::new();
    for connector in ["bank", "till"] {
        let part = if connector == "bank" { "/v1" } else { "/v2" };
        for (account, status, code) in
            [("good", 200, ""), ("no", 422, "execution_failed"), ("gone", 504, "outcome_unknown")]
        {
            bank.upstream
                .behave(&format!("{part}/accounts/{account}/transfers"), Behaviour::Status(status, said));
            let key = format!("{connector}-{account}");
            let mut intent = String::new();
            for _ in 0..2 {
                let asked = (connector, "bank.transfer", account);
                let answer = bank.ask_at(&bank.world, asked, Some(&key)).await;
                assert_eq!(answer.code(), code, "{}", answer.text);
                assert!(answer.text.contains(BODY), "who asked is told: {}", answer.text);
                assert_clean("answer", &answer.text, &[CANARY, CLIENT, GRANTED]);
                intent = text(&answer.json(), "/data/id");
            }
            assert_clean(
                "intent as its asker sees it",
                &bank.intent(&intent).await.to_string(),
                &[CANARY, CLIENT, GRANTED],
            );
            let path = format!("/api/v1/intents/{intent}");
            for path in [path.as_str(), "/api/v1/intents", "/api/v1/connectors"] {
                told.push(bank.world.call(&bank.org.key, "GET", path, Value::Null).await.text);
            }
            told.push(json!(bank.entries(&intent).await).to_string());
        }
    }
    tokens.behave("/oauth/token", Behaviour::Status(401, said));
    bank.world.clock.advance_seconds(4_000);
    bank.upstream.behave("/v2/accounts/good/transfers", Behaviour::Wants("nobody"));
    let asked = ("till", "bank.transfer", "good");
    for _ in 0..2 {
        told.push(bank.ask_at(&bank.world, asked, None).await.text);
    }
    let test = format!("/api/v1/connectors/{}/test", bank.connector);
    bank.upstream.behave("/v1/ping", Behaviour::Status(500, said));
    told.push(bank.world.call(&bank.org.key, "POST", &test, Value::Null).await.text);
    told
}

#[tokio::test]
async fn no_answer_log_line_entry_row_or_meter_holds_a_credential_or_what_a_system_answered() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .init();
    let authority = Authority::new();
    let world = World::set_up(Setup { roots_pem: authority.pem(), ..Setup::default() }).await;
    let tokens = Upstream::secured(&authority).await;
    tokens.behave("/oauth/token", Behaviour::Grants(GRANTED, Arc::new(Semaphore::new(1))));
    let bank = Bank::on(world, json!({}), bearer()).await;
    let _meters = metrics::set_default_local_recorder(&bank.world.meters);
    let credential = json!({"kind": "oauth2_client_credentials", "token_url": format!("{}/oauth/token", tokens.url),
        "client_id": "us", "client_secret": CLIENT, "auth": "post"});
    bank.connect(("till", "/v2"), json!({}), credential).await;

    let told = use_them(&bank, &tokens).await;
    let everywhere = [CANARY, CLIENT, GRANTED, BODY];
    told.iter().for_each(|answer| assert_clean("answer to others", answer, &everywhere));
    assert!(tokens.seen()[0].body.contains(CLIENT), "what is looked for was used");
    assert!(
        bank.upstream.seen().iter().any(|seen| seen.headers["authorization"] == format!("Bearer {GRANTED}1"))
    );

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a token was refused"), "the log is the server's");
    assert_clean("log", &log, &everywhere);
    let rows = rows(&bank.world).await;
    assert!(rows.contains("bank.transfer") && rows.contains("succeeded"), "the rows are those of the test");
    assert_clean("database", &rows, &everywhere);
    let meters = bank.world.call("", "GET", "/metrics", Value::Null).await.text;
    assert!(meters.contains("executions_total"), "{meters}");
    assert_clean("meters", &meters, &everywhere);
}

#[test]
fn what_holds_a_credential_or_an_answer_does_not_show_it() {
    let secret = || Some(CANARY.to_owned().into());
    let empty = || CredentialDraft {
        kind: CredentialKind::Bearer,
        token: None,
        username: None,
        password: None,
        name: None,
        value: None,
        token_url: None,
        client_id: None,
        client_secret: None,
        scope: None,
        audience: None,
        auth: None,
    };
    let text = |it: &str| Some(it.to_owned());
    let definition = json!({"base_url": "https://bank.example.org", "operations": {}});
    let definition = Definition::parse(&definition).unwrap();
    for draft in [
        CredentialDraft { token: secret(), ..empty() },
        CredentialDraft { kind: CredentialKind::Basic, username: text("u"), password: secret(), ..empty() },
        CredentialDraft { kind: CredentialKind::Header, name: text("x-key"), value: secret(), ..empty() },
        CredentialDraft {
            kind: CredentialKind::OAuth2ClientCredentials,
            token_url: text("https://id.example.org/token"),
            client_id: text("us"),
            client_secret: secret(),
            ..empty()
        },
    ] {
        assert_clean("draft", &format!("{draft:?} {draft:#?}"), &[CANARY]);
        let credential: Credential = draft.check(&definition).unwrap();
        assert_clean("credential", &format!("{credential:?} {credential:#?}"), &[CANARY]);
    }
    let conclusion = Conclusion {
        outcome: CallOutcome::Succeeded,
        status: Some(200),
        code: None,
        attempts: 1,
        answer: Some(BODY.as_bytes().to_vec()),
    };
    assert_clean("conclusion", &format!("{conclusion:?}"), &[BODY]);
}
