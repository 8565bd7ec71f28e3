//! An intent that needs a person.

use http::Method;
use serde_json::Value;

use super::scene::{INTENTS, Scene};
use super::story::Story;

pub(super) async fn tell(story: &mut Story, scene: &Scene) -> anyhow::Result<()> {
    story.step("refund-bot asks to refund 500 EUR: a person has to agree first")?;
    let answer = story.ask(&scene.agent, (Method::POST, INTENTS), Some(&Scene::refund("pay_4", 500))).await?;
    let needed = answer.body.pointer("/data/approval/requirements").and_then(Value::as_array);
    for requirement in needed.into_iter().flatten() {
        let part = |name: &str| requirement.get(name).cloned().unwrap_or_default();
        let message = part("message");
        let said = message.as_str().unwrap_or("the risk asks for it");
        story.say(&format!(
            "needed: {} × {} ({said})",
            part("approvals"),
            part("role").as_str().unwrap_or("?")
        ))?;
    }
    story.check(answer.status == 202, "the answer is 202: not yet")?;
    story.check(needed.is_some_and(|needed| !needed.is_empty()), "it says who has to approve")?;
    story.check(answer.at("/data/token").is_empty(), "there is no token")
}
