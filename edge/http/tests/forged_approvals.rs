//! Whoever writes the database makes no approval: it is released on what the record tells.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use serde_json::json;
use sqlx::PgConnection;
use support::office::{Office, because, text};

/// Writes an answer that nobody gave: of this person, to this intent, with a key of theirs.
async fn forge(database: &mut PgConnection, (intent, member): (&str, &str)) {
    let made = sqlx::query(
        "INSERT INTO approvals (org_id, intent_id, member_id, key_id, answer, answered_at)
         SELECT e.org_id, e.intent_id, m.id, k.id, 'approve', e.requested_at
         FROM escalations e JOIN members m ON m.org_id = e.org_id AND m.id = $2::uuid
         JOIN api_keys k ON k.org_id = e.org_id AND k.holder_id = m.id WHERE e.intent_id = $1::uuid LIMIT 1",
    )
    .bind(intent)
    .bind(member)
    .execute(database)
    .await
    .unwrap();
    assert_eq!(made.rows_affected(), 1);
}

async fn approve(database: &mut PgConnection, intent: &str) {
    let made = sqlx::query(
        "UPDATE escalations SET state = 'approved', ended_at = requested_at,
             good_until = requested_at + interval '1 day' WHERE intent_id = $1::uuid",
    )
    .bind(intent)
    .execute(database)
    .await
    .unwrap();
    assert_eq!(made.rows_affected(), 1);
}

async fn is_refused(office: &Office, intent: &str) {
    let answer = office.release(intent, json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "internal"), "{}", answer.text);
    assert!(!office.story(intent).await.contains(&"intent.release_denied".to_owned()), "nothing is decided");
}

#[tokio::test]
async fn answers_that_nobody_gave_release_nothing() {
    let office = Office::open().await;
    let mut database = office.world.superuser().await;
    let [one, other] = &office.approvers;

    let none = office.ask(&office.agent_key, 1).await;
    for person in [one, other] {
        forge(&mut database, (&none, &person.id)).await;
    }
    approve(&mut database, &none).await;
    is_refused(&office, &none).await;

    let half = office.ask(&office.agent_key, 2).await;
    assert_eq!(office.answer(&one.key, &half, "approve").await.status, 200);
    forge(&mut database, (&half, &other.id)).await;
    approve(&mut database, &half).await;
    is_refused(&office, &half).await;

    // One who took it back agrees no more, whatever the row says.
    let taken_back = office.ask(&office.agent_key, 3).await;
    for person in [one, other] {
        assert_eq!(office.answer(&person.key, &taken_back, "approve").await.status, 200);
        if person.id == one.id {
            assert_eq!(office.answer(&person.key, &taken_back, "withdraw").await.status, 200);
        }
    }
    sqlx::query("UPDATE approvals SET withdrawn_at = NULL").execute(&mut database).await.unwrap();
    approve(&mut database, &taken_back).await;
    is_refused(&office, &taken_back).await;
}

#[tokio::test]
async fn answers_to_another_intent_or_with_another_key_release_nothing() {
    let office = Office::open().await;
    let mut database = office.world.superuser().await;
    let good = office.ask(&office.agent_key, 1).await;
    office.approve_both(&good).await;

    // The entries of those who agreed, moved into another intent's story.
    let other = office.ask(&office.agent_key, 1).await;
    for person in &office.approvers {
        forge(&mut database, (&other, &person.id)).await;
    }
    approve(&mut database, &other).await;
    let told = |to: &str| {
        sqlx::query("UPDATE entries SET correlation_id = $1::uuid WHERE kind = 'approval.granted'")
            .bind(to.to_owned())
    };
    told(&other).execute(&mut database).await.unwrap();
    is_refused(&office, &other).await;
    told(&good).execute(&mut database).await.unwrap();

    // With a key of theirs that they did not answer with.
    let [one, _] = &office.approvers;
    support::office::key(&office.world, &office.org.key, ("member", &one.id)).await;
    let with = "UPDATE approvals SET key_id = (SELECT k.id FROM api_keys k WHERE k.holder_id = $2::uuid
         ORDER BY k.created_at";
    let with =
        |order: &str| format!("{with} {order} LIMIT 1) WHERE intent_id = $1::uuid AND member_id = $2::uuid");
    let moved = async |database: &mut PgConnection, order| {
        let sql = sqlx::AssertSqlSafe(with(order));
        let moved = sqlx::query(sql).bind(&good).bind(&one.id).execute(database).await.unwrap();
        assert_eq!(moved.rows_affected(), 1);
    };
    moved(&mut database, "DESC").await;
    is_refused(&office, &good).await;
    moved(&mut database, "ASC").await;
    assert_eq!(office.release(&good, json!({})).await.status, 200, "as it was, it is good");
}

#[tokio::test]
async fn what_ended_is_not_approved_again_nor_good_for_longer() {
    let office = Office::open().await;
    let mut database = office.world.superuser().await;
    let cancelled = office.ask(&office.agent_key, 1).await;
    office.approve_both(&cancelled).await;
    let cancel = format!("/api/v1/intents/{cancelled}/cancel");
    assert_eq!(office.world.call(&office.agent_key, "POST", &cancel, because()).await.status, 200);
    approve(&mut database, &cancelled).await;
    is_refused(&office, &cancelled).await;

    let late = office.ask(&office.agent_key, 2).await;
    office.approve_both(&late).await;
    office.world.clock.advance_seconds(3_600);
    approve(&mut database, &late).await;
    is_refused(&office, &late).await;
}

#[tokio::test]
async fn a_release_whose_row_is_gone_is_not_made_again() {
    let office = Office::open().await;
    let mut database = office.world.superuser().await;
    let intent = office.ask(&office.agent_key, 1).await;
    office.approve_both(&intent).await;
    let first = office.release(&intent, json!({})).await;
    assert!(!text(&first.json(), "/data/token").is_empty(), "{}", first.text);
    sqlx::query("DELETE FROM releases").execute(&mut database).await.unwrap();
    is_refused(&office, &intent).await;
}
