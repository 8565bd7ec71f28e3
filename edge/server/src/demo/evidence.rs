//! The evidence of an intent, verified without the server.

use anyhow::Context as _;
use chancery_evidence::{Trust, verify};
use http::Method;
use serde_json::{Value, json};

use super::escalated::AMOUNT;
use super::scene::{INTENTS, Scene};
use super::story::Story;

pub(super) async fn tell(story: &mut Story, scene: &Scene, intent: &str) -> anyhow::Result<()> {
    story.step("The evidence of the refund of 5000 EUR, verified offline; a changed copy is refused")?;
    let path = format!("{INTENTS}/{intent}/evidence");
    let bundle = story.ask(&scene.agent, (Method::GET, &path), None).await?;
    story.check(bundle.status == 200, "the bundle is one JSON file")?;
    std::fs::write(scene.folder.join("evidence.json"), &bundle.text)?;
    let bytes = std::fs::read(scene.folder.join("evidence.json"))?;
    let trust = Trust::parse(&scene.vkey)?;
    story.say(&format!("chancery verify evidence.json --trust {}", scene.vkey))?;
    let proven = verify(&bytes, &trust);
    if let Ok(report) = &proven {
        for line in report.to_string().lines() {
            story.say(line)?;
        }
    }
    let agreed = bundle.body.get("approvals").and_then(Value::as_array).map_or(0, Vec::len);
    let closed = bundle.body.pointer("/result/outcome").and_then(Value::as_str) == Some("succeeded");
    let what = match &proven {
        Ok(_) => "it proves the intent, its decision, who agreed, and what came of the call".to_owned(),
        Err(findings) => findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    let whole = agreed == 2 && closed && proven.is_ok_and(|report| report.org == scene.org);
    story.check(whole, &what)?;

    let changed = with_other_amount(&bytes).context("the bundle has no amount")?;
    story.say(&format!("a copy says 4000 in place of {AMOUNT}"))?;
    let refused = verify(&changed, &trust);
    let findings = refused.err().unwrap_or_default();
    let what = match findings.first() {
        Some(finding) => format!("refused: {finding}"),
        None => "the changed copy passes".to_owned(),
    };
    story.check(!findings.is_empty(), &what)
}

/// The bundle with another amount in the intent's canonical form.
fn with_other_amount(bundle: &[u8]) -> Option<Vec<u8>> {
    let mut bundle: Value = serde_json::from_slice(bundle).ok()?;
    let amount = bundle.pointer_mut("/intent/canonical/arguments/amount")?;
    *amount = json!(4000);
    serde_json::to_vec(&bundle).ok()
}
