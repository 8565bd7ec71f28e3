//! In the full run (`CHANCERY_FULL=1`), Chromium opens every page under the policy for content that the
//! server sends, `axe-core` examines it, and the script is used as a person would. npm packages are fetched
//! for it; where they cannot be, or there is no Chromium, it fails.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use chancery_pages::CONTENT_SECURITY_POLICY;

use crate::samples;

const PACKAGES: [&str; 2] = ["axe-core@4.14.1", "puppeteer-core@24.43.1"];

/// The folder the packages are in. They are installed once for all tests.
fn packages() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(install)
}

fn install() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm-pages");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("package.json"), r#"{"private": true}"#).unwrap();
    let output = Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"])
        .args(PACKAGES)
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "`npm install`: {}", String::from_utf8_lossy(&output.stderr));
    folder
}

/// Runs a script of this folder over the gallery.
fn run(script: &str) {
    let gallery = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("gallery-{script}"));
    let _ = std::fs::remove_dir_all(&gallery);
    samples::write(&gallery).unwrap();
    let output = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages").join(script))
        .arg(&gallery)
        .env("NODE_PATH", packages().join("node_modules"))
        .env("CONTENT_SECURITY_POLICY", CONTENT_SECURITY_POLICY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains(" pages: nothing found") || said.contains(" steps: all as they should be"),
        "{said}"
    );
}

fn is_full() -> bool {
    std::env::var_os("CHANCERY_FULL").is_some()
}

#[test]
fn axe_finds_nothing_on_any_page() {
    if is_full() {
        run("axe.cjs");
    }
}

#[test]
fn the_script_does_what_it_is_for() {
    if is_full() {
        run("script.cjs");
    }
}
