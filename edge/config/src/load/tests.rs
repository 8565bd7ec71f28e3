use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;
use crate::{LogFormat, LogLevel};

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { file: None, environment, root: true }
}

fn file(text: &str) -> (TempDir, Sources) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("chancery.toml");
    std::fs::write(&path, text).unwrap();
    (folder, Sources { file: Some(path), root: true, ..Sources::default() })
}

/// The keys that are found wrong, and the whole text.
fn wrong(sources: &Sources) -> (Vec<String>, String) {
    let error = Config::load(sources).unwrap_err();
    (error.problems.iter().map(|problem| problem.key.clone()).collect(), error.to_string())
}

#[test]
fn the_defaults_are_valid_and_lie_where_they_should() {
    let config = Config::load(&environment(&[])).unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/chancery"));
    assert_eq!(config.kek_file, Path::new("/var/lib/chancery/chancery.kek"));
    assert_eq!(config.record.checkpoint_file, Path::new("/var/lib/chancery/checkpoints.log"));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8420");

    let user = |pairs| Config::load(&Sources { root: false, ..environment(pairs) });
    assert_eq!(user(&[("HOME", "/home/u")]).unwrap().data_dir, Path::new("/home/u/.local/share/chancery"));
    let xdg = [("HOME", "/home/u"), ("XDG_DATA_HOME", "/data")];
    assert_eq!(user(&xdg).unwrap().data_dir, Path::new("/data/chancery"));
    assert!(user(&[]).unwrap_err().to_string().contains("data_dir"));
}

#[test]
fn the_reference_lists_every_key_and_no_other() {
    let figment = Figment::from(Serialized::defaults(Config::defaults(Path::new("/d"))));
    let mut found = Vec::new();
    let dict = figment.data().unwrap().remove(&Profile::Default).unwrap();
    leaves("", &dict, &mut |key| found.push(key));
    let mut listed: Vec<_> = KEYS.iter().map(|key| key.name.to_owned()).collect();
    listed.sort();
    assert_eq!(found, listed);
}

#[test]
fn every_variable_sets_its_key() {
    for key in KEYS {
        let variable = key.variable();
        let found = environment(&[(variable.as_str(), "x")]);
        assert_eq!(found.settings().keys().collect::<Vec<_>>(), [key.name]);
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let (_folder, mut sources) = file(
        "data_dir = \"/srv/c\"\n[server]\nlisten = \"127.0.0.1:1\"\nrequest_timeout_ms = 500\n\
         [log]\nlevel = \"debug\"\n[database]\nurl = \"postgres://file/d\"\n",
    );
    sources.environment = environment(&[
        ("CHANCERY_SERVER__LISTEN", "127.0.0.1:2"),
        ("CHANCERY_SERVER__BEHIND_PROXY", "true"),
        ("CHANCERY_LIMITS__KEY_PER_MINUTE", "7"),
        ("CHANCERY_LOG__FORMAT", "json"),
        ("CHANCERY_SERVER__PUBLIC_URL", ""),
        ("DATABASE_URL", "postgres://environment/d"),
        ("PG_BIN", "/opt/pg"),
    ])
    .environment;
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert!(config.server.behind_proxy);
    assert_eq!(config.server.request_timeout_ms, 500);
    assert_eq!(config.limits.key_per_minute.get(), 7);
    assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));
    assert_eq!(config.kek_file, Path::new("/srv/c/chancery.kek"));
    assert_eq!(config.server.public_url, None, "an empty variable is none");
    assert_eq!(config.database.url.unwrap().expose_secret(), "postgres://environment/d");
    assert_eq!(config.database.binaries.unwrap(), Path::new("/opt/pg"));

    let both = [("DATABASE_URL", "postgres://a/d"), ("CHANCERY_DATABASE__URL", "postgres://b/d")];
    let config = Config::load(&environment(&both)).unwrap();
    assert_eq!(config.database.url.unwrap().expose_secret(), "postgres://b/d", "ours wins");
}

#[test]
fn unknown_keys_are_named_with_their_source() {
    let (_folder, mut sources) = file("[server]\nlistn = 1\n[sever]\nlisten = 1\n");
    sources.environment =
        environment(&[("CHANCERY_SERVER__TLS__CERT", "x"), ("CHANCERY_DATADIR", "/x")]).environment;
    let (keys, text) = wrong(&sources);
    assert_eq!(keys, ["datadir", "server.listn", "server.tls.cert", "sever.listen"]);
    for part in [
        "chancery.toml",
        "`CHANCERY_SERVER__TLS__CERT`",
        "behind_proxy",
        "certificate, key",
        "unknown section",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let ours = [("CHANCERY_URL", "x"), ("CHANCERY_CONFIG", "x"), ("CHANCERY_TEST_FSYNC", "1"), ("HOME", "/")];
    assert!(Config::load(&environment(&ours)).is_ok());
}

#[test]
fn every_wrong_value_is_named_at_once_with_what_is_expected() {
    let (_folder, mut sources) = file(
        "[server]\nlisten = \"localhost\"\nbehind_proxy = \"maybe\"\nrequest_timeout_ms = 5\n[log]\nlevel = \"loud\"\n",
    );
    sources.environment =
        environment(&[("CHANCERY_LIMITS__KEY_BURST", "0"), ("CHANCERY_RECORD__QUEUE_LENGTH", "-1")])
            .environment;
    let (mut keys, text) = wrong(&sources);
    keys.sort();
    assert_eq!(
        keys,
        [
            "limits.key_burst",
            "log.level",
            "record.queue_length",
            "server.behind_proxy",
            "server.listen",
            "server.request_timeout_ms"
        ]
    );
    for part in [
        "`server.listen` (file `",
        "\"localhost\" is not an IP address and a port",
        "\"loud\" is not \"error\", \"warn\"",
        "5 is not milliseconds, 100 to 600000",
        "(environment variable `CHANCERY_LIMITS__KEY_BURST`)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_section_given_as_a_value_and_a_value_given_as_a_section() {
    let (_folder, sources) = file("server = 5\n[log.level]\nx = 1\n");
    let (mut keys, text) = wrong(&sources);
    keys.sort();
    assert_eq!(keys, ["log.level", "server"], "{text}");
}

#[test]
fn ranges_and_forms() {
    for (name, value) in [
        ("CHANCERY_RECORD__CHECKPOINT_INTERVAL_MS", "1001"),
        ("CHANCERY_RECORD__QUEUE_SHARE", "8193"),
        ("CHANCERY_KEYS__PREFIX", "Chn_"),
        ("CHANCERY_SERVER__PUBLIC_URL", "https://a.example/path"),
        ("CHANCERY_SERVER__PUBLIC_URL", "a.example"),
        ("CHANCERY_SERVER__PUBLIC_URL", "ftp://a"),
        ("CHANCERY_DATABASE__APP_CONNECTIONS", "0"),
        ("CHANCERY_SERVER__BODY_LIMIT_BYTES", "1"),
    ] {
        let (keys, text) = wrong(&environment(&[(name, value)]));
        assert_eq!(keys.len(), 1, "{name}");
        assert!(text.contains(name) && text.contains(" is not "), "{text}");
    }
}

#[test]
fn lists_are_read_from_the_file_and_from_variables_and_each_fault_is_named() {
    let (_folder, mut sources) = file(
        "[egress]\nallow = [\"10.1.0.0/16\", \"*.svc.example\"]\nname_servers = [\"9.9.9.9\"]\nca_file = \"ca.pem\"\n",
    );
    sources.environment =
        environment(&[("CHANCERY_EGRESS__ALLOW_PLAIN_HTTP", " 10.1.2.3, legacy.example ,")]).environment;
    let egress = Config::load(&sources).unwrap().egress;
    assert_eq!(egress.allow, ["10.1.0.0/16", "*.svc.example"]);
    assert_eq!(egress.allow_plain_http, ["10.1.2.3", "legacy.example"]);
    assert_eq!(crate::Egress::name_server(&egress.name_servers[0]), Some(([9, 9, 9, 9], 53).into()));
    assert!(egress.ca_file.unwrap().is_absolute());

    let (_folder, sources) = file(
        "[egress]\nallow = [\"10.1.0.0/8\", \"fine.example\", \"http://x\"]\nname_servers = [\"dns.example\"]\n\
         nat64_prefixes = [\"2001:db8::/33\"]\ntimeout_ms = 1\n",
    );
    let (keys, text) = wrong(&sources);
    assert_eq!(
        keys,
        ["egress.allow", "egress.allow", "egress.nat64_prefixes", "egress.name_servers", "egress.timeout_ms"]
    );
    for part in [
        "`10.1.0.0/8` has bits beyond its length: the block is `10.0.0.0/8`",
        "`http://x`",
        "`dns.example` is not an IP address",
        "`2001:db8::/33` is no NAT64 prefix",
        "1 is not milliseconds, 100 to 600000",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_folder, sources) = file("[egress]\nallow = \"10.0.0.0/8\"\n");
    let (keys, text) = wrong(&sources);
    assert_eq!(keys, ["egress.allow"], "{text}");
}

#[test]
fn other_machines_are_refused_without_tls() {
    let listen = |listen, more: &[(&str, &str)]| {
        let mut pairs = vec![("CHANCERY_SERVER__LISTEN", listen)];
        pairs.extend(more);
        Config::load(&environment(&pairs))
    };
    for address in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80"] {
        let text = listen(address, &[]).unwrap_err().to_string();
        assert!(text.contains(address) && text.contains("behind_proxy"), "{text}");
        assert!(listen(address, &[("CHANCERY_SERVER__BEHIND_PROXY", "true")]).is_ok());
        let tls = [("CHANCERY_SERVER__TLS__CERTIFICATE", "/c"), ("CHANCERY_SERVER__TLS__KEY", "/k")];
        assert!(listen(address, &tls).is_ok());
        let half = listen(address, &tls[..1]).unwrap_err();
        assert_eq!(half.problems.len(), 2, "{half}");
    }
    for address in ["127.0.0.1:80", "[::1]:80", "127.8.0.1:80", "[::ffff:127.0.0.1]:80"] {
        assert!(listen(address, &[]).is_ok(), "{address}");
    }
}

#[test]
fn secrets_are_in_no_error_and_not_printed() {
    let secret = "postgres://u:canary@db.example.com/d";
    let config =
        Config::load(&environment(&[("DATABASE_URL", secret), ("CHANCERY_LOG__LEVEL", "warn")])).unwrap();
    let text = config.printable();
    assert!(text.contains("url = \"hidden\"  # environment variable `DATABASE_URL`"), "{text}");
    assert!(text.contains("level = \"warn\"  # environment variable `CHANCERY_LOG__LEVEL`"), "{text}");
    assert!(text.contains("key_per_minute = 120  # default"), "{text}");
    assert!(text.contains("# public_url is not set"), "{text}");
    assert!(!text.contains("canary") && !format!("{config:?}").contains("canary"));
    let read_back: toml::Table = text.parse().unwrap();
    assert_eq!(read_back["server"]["listen"].as_str(), Some("127.0.0.1:8420"));

    let (_, text) = wrong(&environment(&[("DATABASE_URL", "mysql://canary")]));
    assert!(text.contains("DATABASE_URL") && !text.contains("canary"), "{text}");
    for broken in
        ["[database]\nurl = \"canary", "[database]\nurl = [\"canary\"]", "[database\nurl = 'canary'"]
    {
        let (_folder, sources) = file(broken);
        let (_, text) = wrong(&sources);
        assert!(text.contains("chancery.toml") && !text.contains("canary"), "{text}");
    }
}

#[test]
fn a_file_that_is_named_must_exist() {
    let sources = Sources { file: Some("/no/such/file".into()), ..environment(&[]) };
    assert!(wrong(&sources).1.contains("file `/no/such/file`: cannot be read"));
}

#[test]
fn relative_paths_are_made_absolute() {
    let config = Config::load(&environment(&[("CHANCERY_DATA_DIR", "here")])).unwrap();
    assert!(config.data_dir.is_absolute() && config.data_dir.ends_with("here"));
    assert_eq!(config.kek_file, config.data_dir.join("chancery.kek"));
}
