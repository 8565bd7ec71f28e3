//! The command line as a stranger to it uses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::process::{Command, Output};

use support::{World, folder, options};

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_folder_named_by_mistake_does_not_become_an_installation() {
    let folder = folder();
    let nowhere = folder.path().join("nowhere");
    for arguments in [
        &["trust", "export"][..],
        &["record", "verify"],
        &["kek", "rotate"],
        &["kek", "drop"],
        &["org", "admin-key", "default"],
    ] {
        let output = options(&nowhere).command(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?} succeeded: {}", words(&output));
        assert!(words(&output).contains("there is no installation in"), "{arguments:?}: {}", words(&output));
        assert!(!nowhere.exists(), "{arguments:?} made something");
    }
}

#[test]
fn every_list_lists_and_a_client_without_a_key_says_what_it_lacks() {
    let world = World::start();
    let server = format!("http://{}", world.server.address);
    let client = |arguments: &[&str], key: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.args(arguments).args(["--server", &server]).env_remove("CHANCERY_KEY");
        key.map(|key| command.env("CHANCERY_KEY", key));
        command.output().unwrap()
    };
    for things in [
        "agents",
        "keys",
        "delegations",
        "signing-keys",
        "members",
        "packs",
        "actions",
        "policies",
        "connectors",
        "intents",
        "record",
    ] {
        let output = client(&[things, "list"], Some(&world.admin_key));
        assert!(output.status.success(), "{things}: {}", words(&output));
    }
    let revoked =
        client(&["tokens", "revoke", "--all", "--reason", "restored from backup"], Some(&world.admin_key));
    assert!(revoked.status.success(), "{}", words(&revoked));
    let shown = client(&["emergency", "show"], Some(&world.admin_key));
    assert!(shown.status.success() && words(&shown).contains("connectors"), "{}", words(&shown));
    assert!(client(&["packs", "apply", "payments"], Some(&world.admin_key)).status.success());
    let policy = world.folder.path().join("policy.cedar");
    for (text, valid) in [("permit(principal, action, resource);", true), ("permit(principal, action", false)]
    {
        std::fs::write(&policy, text).unwrap();
        let output = client(&["policies", "check", &policy.to_string_lossy()], Some(&world.admin_key));
        assert_eq!(output.status.success(), valid, "{text}: {}", words(&output));
        assert_eq!(words(&output).contains("1:"), !valid, "{text}: {}", words(&output));
    }
    let (definition, secret) =
        (world.folder.path().join("connector.json"), world.folder.path().join("secret.json"));
    std::fs::write(&definition, r#"{"base_url": "https://ledger.example.org", "operations": {}}"#).unwrap();
    let made = client(
        &["connectors", "create", "ledger", &definition.to_string_lossy(), "--json"],
        Some(&world.admin_key),
    );
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
    let id = support::text(&made, "/data/id");
    for (text, taken) in [("canary", false), (r#"{"kind": "bearer", "token": "canary"}"#, true)] {
        std::fs::write(&secret, text).unwrap();
        let written =
            client(&["connectors", "credential", &id, &secret.to_string_lossy()], Some(&world.admin_key));
        assert_eq!(written.status.success(), taken, "{}", words(&written));
        assert!(!words(&written).contains("canary"), "the client shows a secret: {}", words(&written));
    }
    for arguments in [
        &["connectors", "pause", &id, "--reason", "a drill"][..],
        &["connectors", "resume", &id, "--reason", "over"],
        &["connectors", "change", &id, "--name", "books"],
        &["connectors", "remove-credentials", &id],
        &["connectors", "show", &id],
        &["connectors", "retire", &id],
    ] {
        let output = client(arguments, Some(&world.admin_key));
        assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    }
    let output = client(&["me", "show"], None);
    assert!(!output.status.success() && words(&output).contains("CHANCERY_KEY"), "{}", words(&output));
}
