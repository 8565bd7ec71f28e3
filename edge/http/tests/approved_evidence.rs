//! Evidence of an intent that people agreed to: fetched as anybody would, and verified offline.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use chancery_evidence::{Agreement, Report, Trust, verify};
use serde_json::{Value, json};
use support::office::{Office, text};

/// The bundle of an intent, once its newest entry is under a checkpoint.
async fn bundle(office: &Office, intent: &str) -> (Value, Trust) {
    let trust = office.world.checkpoint().await;
    let path = format!("/api/v1/intents/{intent}/evidence");
    let answer = office.world.call(&office.agent_key, "GET", &path, Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    (answer.json(), trust)
}

fn proven((bundle, trust): &(Value, Trust)) -> Report {
    verify(bundle.to_string().as_bytes(), trust).unwrap_or_else(|findings| panic!("{findings:?}\n{bundle}"))
}

fn agreed(office: &Office, seqs: [u64; 2]) -> Vec<Agreement> {
    let people = office.approvers.iter().zip(seqs);
    people
        .map(|(person, seq)| Agreement { seq, member: person.id.clone(), role: Some("approver".to_owned()) })
        .collect()
}

/// The places of the entries of a type.
fn places(bundle: &Value, kind: &str) -> Vec<u64> {
    let of_kind = format!("\"type\":\"{kind}\"");
    let entries = bundle["entries"].as_array().unwrap().iter();
    entries
        .filter(|entry| text(entry, "/leaf").contains(&of_kind))
        .map(|entry| entry["seq"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn it_proves_who_agreed_and_the_token_that_was_released() {
    let office = Office::open().await;
    let intent = office.ask(&office.agent_key, 40).await;

    let waiting = bundle(&office, &intent).await;
    let report = proven(&waiting);
    assert_eq!((report.effect, report.released, report.token), ("escalate", None, None));

    // One who changes their mind is counted once.
    let first = &office.approvers[0].key;
    assert_eq!(office.answer(first, &intent, "approve").await.status, 200);
    assert_eq!(office.answer(first, &intent, "withdraw").await.status, 200);
    office.approve_both(&intent).await;
    let token = text(&office.release(&intent, json!({})).await.json(), "/data/token");

    let unused = bundle(&office, &intent).await;
    assert_eq!(unused.0["token"]["jws"], Value::Null, "it can still be used");
    assert_eq!(proven(&unused).token.unwrap().used, None);

    assert_eq!(office.redeem(&token, 40).await.status, 200);
    let used = bundle(&office, &intent).await;
    let report = proven(&used);
    let granted = places(&used.0, "approval.granted");
    assert_eq!(granted.len(), 3);
    assert_eq!(report.agreed, agreed(&office, [granted[1], granted[2]]));
    assert_eq!(report.released, Some(places(&used.0, "intent.released")[0]));
    let proof = report.token.as_ref().unwrap();
    assert!(proof.signature_verified);
    assert_eq!(proof.used, Some(places(&used.0, "token.used")[0]));
    assert_eq!(used.0["released"]["reasons"][0]["code"], json!("approved"));
    assert_eq!(used.0["decision"]["effect"], json!("escalate"));
    let kinds: Vec<String> =
        used.0["approvals"].as_array().unwrap().iter().map(|it| text(it, "/type")).collect();
    assert_eq!(kinds, ["granted", "withdrawn", "granted", "granted"].map(|it| format!("approval.{it}")));
    let said = report.to_string();
    let expected = format!("agreed: member {} (approver, entry {})", office.approvers[1].id, granted[2]);
    assert!(said.contains(&expected) && said.contains("decided again and released (entry "), "{said}");
}

#[tokio::test]
async fn less_than_was_required_proves_no_release() {
    let office = Office::open().await;
    let intent = office.ask(&office.agent_key, 41).await;
    office.approve_both(&intent).await;
    assert_eq!(office.release(&intent, json!({})).await.status, 200);
    let (mut bundle, trust) = bundle(&office, &intent).await;
    let _ = proven(&(bundle.clone(), trust.clone()));

    let last = places(&bundle, "approval.granted")[1];
    bundle["entries"].as_array_mut().unwrap().retain(|entry| entry["seq"] != last);
    bundle["approvals"].as_array_mut().unwrap().retain(|approval| approval["seq"] != last);
    let findings = verify(bundle.to_string().as_bytes(), &trust).unwrap_err();
    assert_eq!(findings.iter().map(|it| it.code).collect::<Vec<_>>(), ["requirements"]);
}

#[tokio::test]
async fn it_proves_what_came_of_asking_when_nothing_was_released() {
    let office = Office::open().await;
    let rejected = office.ask(&office.agent_key, 42).await;
    assert_eq!(office.answer(&office.approvers[1].key, &rejected, "reject").await.status, 200);
    let report = proven(&bundle(&office, &rejected).await);
    assert_eq!(report.ended.unwrap().kind, "approval.rejected");
    assert_eq!((report.agreed, report.released, report.token), (vec![], None, None));

    let denied = office.ask(&office.agent_key, 43).await;
    office.approve_both(&denied).await;
    let path = format!("/api/v1/members/{}", office.approvers[1].id);
    let lower = json!({"role": "viewer"});
    assert_eq!(office.world.call(&office.org.key, "PATCH", &path, lower).await.status, 200);
    assert_eq!(office.release(&denied, json!({})).await.status, 403);
    let shown = bundle(&office, &denied).await;
    let report = proven(&shown);
    assert_eq!(report.denied_again, places(&shown.0, "intent.release_denied"));
    assert_eq!((report.agreed.len(), report.released, report.token), (2, None, None));
}
