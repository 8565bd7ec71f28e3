//! `chancery egress check`, as an operator runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn check(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_chancery"))
        .env_clear()
        .env("HOME", folder.path())
        .env("CHANCERY_DATA_DIR", folder.path())
        .envs(environment.iter().copied())
        .args(["egress", "check"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Where the URLs are arguments, nobody reads this.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn each_url_is_judged_and_one_that_is_refused_fails_the_command() {
    let output = check(&["https://8.8.8.8/", "https://10.0.0.1/", "https://u@8.8.8.8/"], &[], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stdout),
        "https://8.8.8.8/  allowed: 8.8.8.8:443\n\
         https://10.0.0.1/  refused: `10.0.0.1` is a private address\n\
         https://u@8.8.8.8/  refused: the URL holds a user's name before the host\n"
    );
    assert!(text(&output.stderr).contains("2 of 3 may not be reached"));
    assert_eq!(check(&["https://8.8.8.8/"], &[], "").status.code(), Some(0));
}

#[test]
fn urls_are_read_from_standard_input_and_answered_in_json() {
    let input = "https://8.8.8.8/a?b\n\nhttps://127.1/\n https://8.8.8.8/\n";
    for arguments in [&["--json"][..], &["--json", "-"]] {
        let output = check(arguments, &[], input);
        assert_eq!(output.status.code(), Some(1));
        let told: Vec<Value> =
            text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            told.iter().map(|each| &each["verdict"]).collect::<Vec<_>>(),
            ["allowed", "refused", "refused"]
        );
        assert_eq!(told[0]["addresses"], serde_json::json!(["8.8.8.8:443"]));
        assert_eq!(told[1]["origin"], "https://127.0.0.1:443");
        assert_eq!(told[2]["reason"], "the URL holds blanks or control characters");
    }
}

#[test]
fn what_the_configuration_allows_is_allowed_but_never_metadata_or_this_server() {
    let environment = [
        ("CHANCERY_EGRESS__ALLOW", "127.0.0.0/8, 169.254.0.0/16"),
        ("CHANCERY_EGRESS__ALLOW_PLAIN_HTTP", "127.0.0.1"),
        ("CHANCERY_SERVER__LISTEN", "127.0.0.1:8555"),
    ];
    let allowed = ["https://127.0.0.2/", "http://127.0.0.1:8556/", "https://169.254.1.1/"];
    assert_eq!(check(&allowed, &environment, "").status.code(), Some(0));
    for url in ["https://169.254.169.254/", "http://127.0.0.1:8555/", "http://127.0.0.2/"] {
        assert_eq!(check(&[url], &environment, "").status.code(), Some(1), "{url}");
    }
}

#[test]
fn a_file_of_authorities_that_holds_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for (content, said) in [(None, "can't be read"), (Some("nothing"), "holds no certificate")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let environment = [("CHANCERY_EGRESS__CA_FILE", file.to_str().unwrap())];
        let output = check(&["https://8.8.8.8/"], &environment, "");
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}
