//! A system that leads elsewhere.

use std::time::Duration;

use chancery_config::Config;
use chancery_egress::Reach;
use http::Method;
use serde_json::json;
use tokio::time::Instant;

use super::scene::{CONNECTOR, INTENTS, Scene};
use super::story::Story;
use super::upstream::METADATA;
use crate::egress;

pub(super) async fn tell(story: &mut Story, scene: &Scene, config: &Config) -> anyhow::Result<()> {
    story.step("The gateway leads a call to a cloud's metadata service: not followed")?;
    story.say(&format!("it answers 302 with `location: {METADATA}`; the connector allows one redirect"))?;
    let before = scene.upstream.seen().len();
    let wanted = json!({
        "action": "payments.read", "resource": { "type": "Payment", "id": "pay_4" },
        "connector": CONNECTOR, "execute": true,
    });
    let answer = story.ask(&scene.agent, (Method::POST, INTENTS), Some(&wanted)).await?;
    story.check(
        answer.status.is_server_error() && answer.at("/data/execution/code") == "egress_refused",
        "the way out refuses it, before anything is sent there",
    )?;
    story.check(scene.upstream.seen().len() == before + 1, "the gateway was asked once, and not again")?;
    story.check(
        answer.at("/data/execution/status") == "outcome_unknown",
        "the outcome is unknown: the gateway may have acted before it led elsewhere",
    )?;

    let mut config = config.clone();
    config.egress.allow.push("169.254.0.0/16".to_owned());
    config.egress.allow_plain_http.push("169.254.0.0/16".to_owned());
    let patience = Instant::now() + Duration::from_secs(5);
    let report = egress::open(&config, &[])?.check(METADATA, Reach::Allowed, patience).await;
    story.say(&format!("an operator lists 169.254.0.0/16 in `egress.allow`: {}", report.verdict))?;
    story.check(!report.is_allowed(), "no configuration opens that address")
}
