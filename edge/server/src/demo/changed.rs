//! A token for one thing, used for another.

use http::Method;

use super::scene::{INTENTS, Scene, VERIFY};
use super::story::Story;

pub(super) async fn tell(story: &mut Story, scene: &Scene) -> anyhow::Result<()> {
    story.step("A token for 25 EUR, used for 2500: refused, and the token is not spent by it")?;
    let (asked, wanted) = (Scene::refund("pay_2", 25), Scene::refund("pay_2", 2500));
    let answer = story.ask(&scene.agent, (Method::POST, INTENTS), Some(&asked)).await?;
    let token = answer.at("/data/token");
    let changed = Scene::redemption(token, &wanted);
    let refused = story.ask(&scene.gateway, (Method::POST, VERIFY), Some(&changed)).await?;
    story.check(
        refused.status == 403 && refused.at("/error/code") == "token_invalid",
        "changed arguments are refused",
    )?;
    let as_asked = Scene::redemption(token, &asked);
    let used = story.ask(&scene.gateway, (Method::POST, VERIFY), Some(&as_asked)).await?;
    story.check(used.status == 200, "for what it was made for, it still works")
}
