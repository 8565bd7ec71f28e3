//! An intent that needs people.

use http::Method;
use serde_json::Value;

use super::scene::{INTENTS, Scene};
use super::story::Story;

/// The amount in question.
pub(super) const AMOUNT: u32 = 5_000;

/// Asks for it; gives the intent's id.
pub(super) async fn tell(story: &mut Story, scene: &Scene) -> anyhow::Result<String> {
    story.step("refund-bot asks to refund 5000 EUR: two people have to agree first")?;
    let wanted = Scene::refund("pay_4", AMOUNT);
    let answer = story.ask(&scene.agent, (Method::POST, INTENTS), Some(&wanted)).await?;
    let needed = answer.body.pointer("/data/approval/requirements").and_then(Value::as_array);
    let mut most = 0;
    for requirement in needed.into_iter().flatten() {
        let part = |name: &str| requirement.get(name).cloned().unwrap_or_default();
        most = most.max(part("approvals").as_u64().unwrap_or(0));
        let (message, role) = (part("message"), part("role"));
        let said = message.as_str().unwrap_or("the risk asks for it");
        story.say(&format!("needed: {} × {} ({said})", part("approvals"), role.as_str().unwrap_or("?")))?;
    }
    story.check(answer.status == 202, "the answer is 202: not yet")?;
    story.check(most == 2, "it says who has to agree: two approvers")?;
    story.check(answer.at("/data/token").is_empty(), "there is no token")?;
    Ok(answer.at("/data/id").to_owned())
}
