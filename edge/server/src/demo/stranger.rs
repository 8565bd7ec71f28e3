//! Another organization sees nothing.

use http::Method;

use super::allowed::Allowed;
use super::scene::{INTENTS, Scene};
use super::story::Story;

/// An id of the right form that nobody has.
const NOBODYS: &str = "01900000-0000-7000-8000-000000000000";

pub(super) async fn tell(story: &mut Story, scene: &Scene, allowed: &Allowed) -> anyhow::Result<()> {
    story.step("Globex asks for Acme's intent: there is no such thing")?;
    let acmes = format!("{INTENTS}/{}", allowed.id);
    let ours = story.ask(&scene.agent, (Method::GET, &acmes), None).await?;
    let theirs = story.ask(&scene.stranger, (Method::GET, &acmes), None).await?;
    let nobodys = story.ask(&scene.stranger, (Method::GET, &format!("{INTENTS}/{NOBODYS}")), None).await?;
    story.check(ours.status == 200, "Acme reads it")?;
    story.check(theirs.status == 404, "to Globex it is 404")?;
    story.check(theirs.text == nobodys.text, "just like an intent that never was")
}
