//! Two people agree.

use http::Method;
use serde_json::{Value, json};

use super::escalated::AMOUNT;
use super::scene::{INTENTS, Scene};
use super::story::Story;

pub(super) async fn tell(story: &mut Story, scene: &Scene, intent: &str) -> anyhow::Result<()> {
    story.step("Ada and Ben look at it and agree: one is not enough, and one does not count twice")?;
    let [ada, ben] = &scene.approvers;
    let shown = format!("/api/v1/approvals/{intent}");
    let asked = story.ask(&ada.speaker, (Method::GET, &shown), None).await?;
    let amount = asked.body.pointer("/data/intent/canonical/arguments/amount");
    story.check(amount == Some(&Value::from(AMOUNT)), "Ada reads exactly what is asked")?;

    let (approve, execute) = (format!("{shown}/approve"), format!("{INTENTS}/{intent}/execute"));
    let because = json!({ "reason": "the customer paid twice" });
    let first = story.ask(&ada.speaker, (Method::POST, &approve), Some(&because)).await?;
    story.check(first.at("/data/status") == "pending", "after Ada it still waits")?;
    let early = story.ask(&scene.agent, (Method::POST, &execute), Some(&json!({}))).await?;
    story.check(
        early.status == 409 && early.at("/error/code") == "approval_pending",
        "refund-bot can't have it executed yet",
    )?;
    let twice = story.ask(&ada.speaker, (Method::POST, &approve), Some(&because)).await?;
    story.check(
        twice.at("/error/code") == "already_answered",
        "Ada is one person, however often she agrees",
    )?;
    let second = story.ask(&ben.speaker, (Method::POST, &approve), Some(&because)).await?;
    story.check(second.at("/data/status") == "approved", "with Ben it is approved")?;
    story.check(scene.upstream.seen().is_empty(), "an approval does nothing by itself: nothing was called")
}
