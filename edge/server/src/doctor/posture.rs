//! How clients and the server reach each other, what the configuration allows, and who may call what.

use chancery_config::{Config, LogLevel};
use chancery_doctor::{Check, Code, Finding};
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

/// What the configuration and the build allow.
pub(super) fn check_configuration(config: &Config) -> Check {
    let mut findings = Vec::new();
    let limits = &config.limits;
    for (name, value) in [
        ("limits.key_per_minute", limits.key_per_minute),
        ("limits.key_burst", limits.key_burst),
        ("limits.organization_per_minute", limits.organization_per_minute),
        ("limits.organization_burst", limits.organization_burst),
    ] {
        if value.get() > MOST_PER_MINUTE {
            findings.push(Finding::new(
                Code::LimitWeak,
                name,
                format!("{value} holds nobody back: one key can take the whole server."),
                "Set it to what is really needed.",
            ));
        }
    }
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
