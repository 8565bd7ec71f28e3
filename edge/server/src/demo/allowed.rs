//! An intent is allowed, and its token works.

use http::Method;
use serde_json::Value;

use super::scene::{INTENTS, Scene, VERIFY};
use super::story::Story;

/// An intent that was allowed, with its token.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) refund: Value,
}

pub(super) async fn tell(story: &mut Story, scene: &Scene) -> anyhow::Result<Allowed> {
    story.step("refund-bot asks to refund 40 EUR: allowed, with a token for exactly that")?;
    let refund = Scene::refund("pay_1", 40);
    let answer = story.ask(&scene.agent, (Method::POST, INTENTS), Some(&refund)).await?;
    let allowed =
        Allowed { id: answer.at("/data/id").to_owned(), token: answer.at("/data/token").to_owned(), refund };
    story.check(
        answer.status == 200 && answer.at("/data/decision/effect") == "allow",
        "the intent is allowed",
    )?;
    story.check(!allowed.token.is_empty(), "a token came with it, after the decision was recorded")?;
    let redemption = Scene::redemption(&allowed.token, &allowed.refund);
    let used = story.ask(&scene.gateway, (Method::POST, VERIFY), Some(&redemption)).await?;
    story.check(used.status == 200, "the gateway redeems the token and makes the refund")?;
    Ok(allowed)
}
