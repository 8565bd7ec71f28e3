//! Halt: nothing acts any more, until somebody lets it.

use http::Method;
use serde_json::{Value, json};

use super::scene::{INTENTS, Scene};
use super::story::Story;

pub(super) async fn tell(story: &mut Story, scene: &Scene) -> anyhow::Result<()> {
    story.step("Acme's founder halts the organization: the next action does not happen")?;
    let mut wanted = Scene::refund("pay_5", 30);
    if let Value::Object(members) = &mut wanted {
        members.insert("execute".to_owned(), true.into());
    }
    let before = scene.upstream.seen().len();
    let ask = async |story: &Story| story.ask(&scene.agent, (Method::POST, INTENTS), Some(&wanted)).await;
    let order = async |story: &Story, word: &str, reason: &str| {
        let path = format!("/api/v1/emergency/{word}");
        story.ask(&scene.founder, (Method::POST, &path), Some(&json!({ "reason": reason }))).await
    };
    order(story, "halt", "refund-bot behaves oddly").await?;
    let refused = ask(story).await?;
    story.check(
        refused.status == 403 && refused.at("/error/code") == "organization_halted",
        "a refund of 30 EUR, which needs nobody, is refused",
    )?;
    story.check(scene.upstream.seen().len() == before, "and the gateway is not called")?;
    order(story, "resume", "it was a test").await?;
    let done = ask(story).await?;
    story.check(done.at("/data/execution/status") == "succeeded", "resumed, it is executed")
}
