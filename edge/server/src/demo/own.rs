//! Nobody answers their own request.

use http::Method;
use serde_json::json;

use super::scene::{Scene, key};
use super::story::Story;

pub(super) async fn tell(story: &mut Story, scene: &Scene, intent: &str) -> anyhow::Result<()> {
    story.step("Whoever stands behind the request tries to approve it: refused, each of them")?;
    let approve = format!("/api/v1/approvals/{intent}/approve");
    let because = json!({ "reason": "it is fine" });
    let answer = story.ask(&scene.agent, (Method::POST, &approve), Some(&because)).await?;
    let scope = answer.at("/error/code") == "insufficient_scope";
    story.check(answer.status == 403 && scope, "an agent answers nothing: no agent's key can")?;

    let path = format!("/api/v1/members/{}", scene.owner.id);
    story.ask(&scene.founder, (Method::PATCH, &path), Some(&json!({ "role": "admin" }))).await?;
    let newcomer = ("Olga, now an admin", "member", &["approvals:decide"] as &[&str]);
    let (server, id) = (&scene.founder.connection, &scene.owner.id);
    let owner = key(story, server, &scene.founder, newcomer, id).await?;
    for (who, what) in [
        (&owner, "nor the agent's owner, as an admin either"),
        (&scene.founder, "nor the founder, who made the owner and could hold her keys"),
    ] {
        let answer = story.ask(who, (Method::POST, &approve), Some(&because)).await?;
        story.check(answer.status == 403 && answer.at("/error/code") == "self_approval", what)?;
    }
    Ok(())
}
