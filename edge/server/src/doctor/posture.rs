//! How clients and the server reach each other, what the configuration allows, and who may call what.

use chancery_config::{Config, LogLevel, Server};
use chancery_doctor::{Check, Code, Finding};
use chancery_egress::Network;
use chancery_http::{Access, routes};
use chancery_store::provision::require_tls;
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgConnectOptions;

use super::files;

/// A rate of one key beyond this, per minute, holds nobody back.
const MOST_PER_MINUTE: u32 = 100_000;

/// TLS, on both sides.
pub(super) fn check_tls(config: &Config) -> Check {
    let server = &config.server;
    let local = server.listen.ip().to_canonical().is_loopback();
    let mut findings = Vec::new();
    let listener = match server.tls.files() {
        Some((_, key)) => {
            findings.extend(files::tls_key(key));
            "TLS"
        }
        None if local => "this machine only",
        None if server.behind_proxy => {
            findings.push(Finding::new(
                Code::BehindProxy,
                server.listen.to_string(),
                "Other machines reach this address without TLS, and a proxy is to be the only one that does.",
                "Let a firewall hold everyone else off it, or listen on the loopback address.",
            ));
            "behind a proxy"
        }
        None => {
            findings.push(Finding::new(
                Code::ListenerWithoutTls,
                server.listen.to_string(),
                "Other machines reach it, and keys travel in the clear.",
                "Set server.tls.certificate and server.tls.key, or server.behind_proxy.",
            ));
            "no TLS"
        }
    };
    let database = match &config.database.url {
        None => "a socket of its own",
        Some(url) => match url.expose_secret().parse::<PgConnectOptions>().map(|url| require_tls(&url)) {
            Ok(Ok(held)) if matches!(held.get_ssl_mode(), sqlx::postgres::PgSslMode::VerifyFull) => {
                "TLS, verified"
            }
            Ok(Ok(_)) => "this machine",
            _ => {
                findings.push(Finding::new(
                    Code::DatabaseWithoutTls,
                    "database.url",
                    "It turns TLS off for a database on another machine, or does not read: the server refuses it.",
                    "Use sslmode=verify-full.",
                ));
                "no TLS"
            }
        },
    };
    let seen = format!("clients reach {} ({listener}), the server its database by {database}", server.listen);
    Check { name: "TLS", seen, findings }
}

/// Whoever is trusted as a proxy says where its requests come from, and no limit of addresses holds it.
fn check_proxies(server: &Server) -> impl Iterator<Item = Finding> {
    let blocks = server.trusted_proxies.iter().filter(|_| server.behind_proxy);
    let wide = blocks.filter(|block| {
        let block = block.parse::<Network>();
        block.is_ok_and(|block| block.length() < if block.first().is_ipv4() { 8 } else { 32 })
    });
    wide.map(|block| {
        Finding::new(
            Code::LimitWeak,
            "server.trusted_proxies",
            format!("`{block}` is most of the internet: whoever calls from it can say to be anybody."),
            "Name the addresses of your proxies alone.",
        )
    })
}

/// What the configuration and the build allow.
pub(super) fn check_configuration(config: &Config) -> Check {
    let mut findings = Vec::new();
    let limits = &config.limits;
    for (name, value) in [
        ("limits.key_per_minute", limits.key_per_minute),
        ("limits.key_burst", limits.key_burst),
        ("limits.organization_per_minute", limits.organization_per_minute),
        ("limits.organization_burst", limits.organization_burst),
        ("limits.address_per_minute", limits.address_per_minute),
        ("limits.address_burst", limits.address_burst),
        ("limits.door_per_minute", limits.door_per_minute),
        ("limits.door_burst", limits.door_burst),
    ] {
        if value.get() > MOST_PER_MINUTE {
            findings.push(Finding::new(
                Code::LimitWeak,
                name,
                format!("{value} holds nobody back: one client can take the whole server."),
                "Set it to what is really needed.",
            ));
        }
    }
    findings.extend(check_proxies(&config.server));
    if matches!(config.log.level, LogLevel::Debug | LogLevel::Trace) {
        findings.push(Finding::new(
            Code::LogVerbose,
            "log.level",
            format!(
                "`{}` is for developers: it fills disks, and tells more of what happens than operators need.",
                config.log.level.as_str()
            ),
            "Set it to info.",
        ));
    }
    if cfg!(feature = "danger-null-record") {
        findings.push(Finding::new(
            Code::DangerBuiltIn,
            "danger-null-record",
            "This program was built to measure without a record.",
            "Build it without the feature.",
        ));
    }
    Check { name: "Configuration", seen: "limits, log, features of the build".to_owned(), findings }
}

/// A route and its guard, for people.
pub(super) fn guards() -> Vec<[String; 3]> {
    let guard = |access: Access| match access {
        Access::Public => "anyone".to_owned(),
        Access::AnyCaller => "any valid key".to_owned(),
        Access::Needs(permission) => permission.as_str().to_owned(),
    };
    routes()
        .iter()
        .map(|route| [route.method.to_string(), route.path.to_owned(), guard(route.access)])
        .collect()
}

/// That every route has a guard, its type says; what can be looked at is which.
pub(super) fn check_routes() -> Check {
    let guards = guards();
    let open = guards.iter().filter(|[_, _, guard]| guard == "anyone").count();
    let seen = format!("{} routes, each with a guard; {open} are open to anyone", guards.len());
    Check { name: "Routes", seen, findings: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::num::NonZeroU32;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    fn codes(change: impl FnOnce(&mut Config)) -> Vec<&'static str> {
        let mut config = Config::defaults(Path::new("/nowhere"));
        change(&mut config);
        let checks = [check_tls(&config), check_configuration(&config)];
        checks.iter().flat_map(|check| &check.findings).map(|finding| finding.code.as_str()).collect()
    }

    #[test]
    fn what_is_not_safe_is_told_and_the_defaults_are() {
        assert_eq!(codes(|_| {}), [""; 0]);
        let anywhere = |config: &mut Config| config.server.listen = ([0, 0, 0, 0], 8420).into();
        assert_eq!(codes(anywhere), ["listener_without_tls"]);
        let proxied = |config: &mut Config| {
            anywhere(config);
            config.server.behind_proxy = true;
        };
        assert_eq!(codes(proxied), ["behind_proxy"]);
        let url = |url: &'static str| move |config: &mut Config| config.database.url = Some(url.into());
        assert_eq!(codes(url("postgres://u@db.example.com/d?sslmode=disable")), ["database_without_tls"]);
        assert_eq!(codes(url("postgres://u@db.example.com/d")), [""; 0]);
        assert_eq!(codes(url("postgres://u@localhost/d?sslmode=disable")), [""; 0]);
        let loose = |config: &mut Config| config.limits.key_burst = NonZeroU32::MAX;
        assert_eq!(codes(loose), ["limit_weak"]);
        for (block, expected) in
            [("10.0.0.0/8", &[][..]), ("0.0.0.0/0", &["limit_weak"]), ("::/0", &["limit_weak"])]
        {
            let trusting = |config: &mut Config| {
                config.server.behind_proxy = true;
                config.server.trusted_proxies = vec![block.to_owned()];
            };
            assert_eq!(codes(trusting), expected, "{block}");
        }
        assert_eq!(codes(|config| config.log.level = LogLevel::Trace), ["log_verbose"]);
    }

    #[test]
    fn a_private_key_that_others_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        fs::write(&key, "").unwrap();
        for (mode, expected) in [(0o600, &[][..]), (0o640, &[]), (0o644, &["tls_key_exposed"])] {
            fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
            let with_tls = |config: &mut Config| {
                config.server.tls.certificate = Some(key.clone());
                config.server.tls.key = Some(key.clone());
            };
            assert_eq!(codes(with_tls), expected, "{mode:o}");
        }
        fs::remove_file(&key).unwrap();
        let gone = |config: &mut Config| {
            config.server.tls.certificate = Some(key.clone());
            config.server.tls.key = Some(key.clone());
        };
        assert_eq!(codes(gone), ["unseen"]);
    }
}
