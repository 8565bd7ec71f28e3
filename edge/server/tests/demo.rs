//! The demo, as anyone runs it.

#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// What the story is told for, in its order.
const CLAIMS: [&str; 16] = [
    "the gateway redeems the token",
    "a token is good once",
    "changed arguments are refused",
    "the intent is denied",
    "it says who has to agree: two approvers",
    "nor the agent's owner",
    "with Ben it is approved",
    "decided on again, recorded, called, recorded: it succeeded",
    "the gateway saw one request, with its credential",
    "the way out refuses it",
    "a refund of 30 EUR, which needs nobody, is refused",
    "to Globex it is 404",
    "not in rows of every table",
    "not in any of",
    "caught by the checkpoints kept outside",
    "it proves the intent, its decision, who agreed",
];

#[test]
fn every_step_holds_and_nothing_is_left_behind() {
    let temporary = tempfile::Builder::new().permissions(Permissions::from_mode(0o711)).tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_chancery"))
        .arg("demo")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("✓") && !told.contains("✗") && !told.contains('\u{1b}'), "{told}");
    for claim in CLAIMS {
        assert!(told.contains(&format!("✓ {claim}")), "nothing is said of: {claim}\n{told}");
    }
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the folder is removed");
}
