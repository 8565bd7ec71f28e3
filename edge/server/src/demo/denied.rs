//! A dangerous intent is denied, with its reasons.

use http::Method;
use serde_json::Value;

use super::scene::{INTENTS, Scene};
use super::story::Story;

pub(super) async fn tell(story: &mut Story, scene: &Scene) -> anyhow::Result<()> {
    story.step("refund-bot asks to refund 20000 EUR: denied, and told why")?;
    let answer =
        story.ask(&scene.agent, (Method::POST, INTENTS), Some(&Scene::refund("pay_3", 20_000))).await?;
    let reasons = answer.body.pointer("/data/decision/reasons").and_then(Value::as_array);
    let reasons: Vec<&str> =
        reasons.into_iter().flatten().filter_map(|reason| reason.get("message")?.as_str()).collect();
    for reason in &reasons {
        story.say(&format!("because: {reason}"))?;
    }
    story
        .check(answer.status == 403 && answer.at("/error/code") == "intent_denied", "the intent is denied")?;
    story.check(!reasons.is_empty(), "the reasons are given")?;
    story.check(answer.at("/data/token").is_empty(), "there is no token")
}
