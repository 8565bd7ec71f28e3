//! The same token a second time.

use http::Method;

use super::allowed::Allowed;
use super::scene::{Scene, VERIFY};
use super::story::Story;

pub(super) async fn tell(story: &mut Story, scene: &Scene, allowed: &Allowed) -> anyhow::Result<()> {
    story.step("The same token again: refused")?;
    let redemption = Scene::redemption(&allowed.token, &allowed.refund);
    let again = story.ask(&scene.gateway, (Method::POST, VERIFY), Some(&redemption)).await?;
    story.check(again.status == 403 && again.at("/error/code") == "token_replayed", "a token is good once")
}
