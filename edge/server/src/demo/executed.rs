//! What was approved is decided on again and carried out, once.

use http::Method;
use serde_json::{Value, json};

use super::scene::{INTENTS, Scene};
use super::story::Story;

/// What stands in the record of it, in this order.
const STORY: [&str; 5] =
    ["intent.escalated", "approval.granted", "approval.granted", "intent.released", "intent.closed"];

pub(super) async fn tell(story: &mut Story, scene: &Scene, intent: &str) -> anyhow::Result<()> {
    story.step("refund-bot has it executed: Chancery calls the gateway, once")?;
    let execute = format!("{INTENTS}/{intent}/execute");
    let done = story.ask(&scene.agent, (Method::POST, &execute), Some(&json!({}))).await?;
    story.check(
        done.status == 200 && done.at("/data/execution/status") == "succeeded",
        "decided on again, recorded, called, recorded: it succeeded",
    )?;
    let state = done.at("/data/execution/answer/state");
    story.check(state == "done", "what the gateway answered is told")?;
    let seen = scene.upstream.seen();
    let once = matches!(seen.as_slice(), [seen]
        if seen.known && seen.method == Method::POST && seen.path == "/payments/pay_4/refunds" && seen.key == intent);
    story.check(once, "the gateway saw one request, with its credential, which refund-bot never had")?;

    let again = story.ask(&scene.agent, (Method::POST, &execute), Some(&json!({}))).await?;
    story.check(
        again.at("/data/execution/status") == "succeeded" && scene.upstream.seen().len() == 1,
        "asked again, it tells what came of it, and calls nothing",
    )?;
    let token = format!("{INTENTS}/{intent}/token");
    let token = story.ask(&scene.agent, (Method::POST, &token), Some(&json!({}))).await?;
    story.check(token.at("/error/code") == "intent_released", "nor is there a token beside it")?;

    let record = format!("/api/v1/record?correlation_id={intent}");
    let record = story.ask(&scene.founder, (Method::GET, &record), None).await?;
    let kinds = record.body.get("data").and_then(Value::as_array).into_iter().flatten().rev();
    let kinds: Vec<&str> = kinds.filter_map(|entry| entry.get("type")?.as_str()).collect();
    story.check(kinds == STORY, &format!("the record tells it: {}", kinds.join(", ")))
}
