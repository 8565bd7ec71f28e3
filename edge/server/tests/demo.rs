//! The demo, as anyone runs it.

#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

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
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the folder is removed");
}
