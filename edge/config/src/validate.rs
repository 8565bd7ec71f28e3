//! What types do not say: ranges, and values that must go together.

use std::fmt::Display;
use std::ops::RangeInclusive;

use chancery_egress::{Nat64Prefix, Network, Pattern};
use secrecy::ExposeSecret;

use crate::error::Problem;
use crate::reference::find;
use crate::{Config, Egress, Server};

/// Adds what is wrong with a configuration of right types.
pub(crate) fn validate(config: &Config, problems: &mut Vec<Problem>) {
    let mut check = Check { config, problems };
    let server = &config.server;
    check.range("server.request_timeout_ms", server.request_timeout_ms, 100..=600_000);
    check.range("server.body_limit_bytes", server.body_limit_bytes as u64, 1_024..=16_777_216);
    check.range("server.shutdown_grace_ms", server.shutdown_grace_ms, 0..=600_000);
    check.text("server.public_url", server.public_url.as_deref(), is_origin);
    check.listener(server);
    check.each("server.trusted_proxies", &server.trusted_proxies, |text| text.parse::<Network>().map(drop));
    check.each("server.allowed_origins", &server.allowed_origins, |text| browser_origin(text).map(drop));

    let database = &config.database;
    if database.url.as_ref().is_some_and(|url| !is_postgres_url(url.expose_secret())) {
        check.expected("database.url");
    }
    check.range("database.app_connections", database.app_connections.into(), 1..=1_000);
    check.range("database.appender_connections", database.appender_connections.into(), 1..=1_000);
    // One of them listens for what other servers tell.
    check.range("database.worker_connections", database.worker_connections.into(), 2..=1_000);

    check.text("keys.prefix", Some(&config.keys.prefix), is_prefix);

    let record = &config.record;
    check.range("record.checkpoint_interval_ms", record.checkpoint_interval_ms, 10..=1_000);
    check.range("record.queue_length", record.queue_length as u64, 1..=1_000_000);
    check.range("record.queue_share", record.queue_share as u64, 1..=record.queue_length as u64);

    check.egress(&config.egress);
}

struct Check<'a> {
    config: &'a Config,
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn problem(&mut self, key: &str, message: String) {
        let source = self.config.sources.get(key).cloned().unwrap_or_default();
        self.problems.push(Problem { key: key.to_owned(), source, message });
    }

    fn expected(&mut self, key: &str) {
        let expected = find(key).map_or("", |key| key.expected);
        self.problem(key, format!("expected {expected}"));
    }

    fn unfit(&mut self, key: &str, value: &str) {
        let expected = find(key).map_or("", |key| key.expected);
        self.problem(key, format!("{value} is not {expected}"));
    }

    fn range(&mut self, key: &str, value: u64, range: RangeInclusive<u64>) {
        if !range.contains(&value) {
            self.unfit(key, &value.to_string());
        }
    }

    fn text(&mut self, key: &str, value: Option<&str>, right: fn(&str) -> bool) {
        if let Some(value) = value.filter(|value| !right(value)) {
            self.unfit(key, &format!("{value:?}"));
        }
    }

    fn egress(&mut self, egress: &Egress) {
        self.each("egress.allow", &egress.allow, |text| text.parse::<Pattern>().map(drop));
        self.each("egress.allow_plain_http", &egress.allow_plain_http, |text| {
            text.parse::<Pattern>().map(drop)
        });
        self.each("egress.nat64_prefixes", &egress.nat64_prefixes, |text| {
            text.parse::<Nat64Prefix>().map(drop)
        });
        self.each("egress.name_servers", &egress.name_servers, |text| {
            let fault = format!("`{text}` is not an IP address, with or without a port");
            Egress::name_server(text).map(drop).ok_or(fault)
        });
        self.range("egress.connect_timeout_ms", egress.connect_timeout_ms, 100..=60_000);
        self.range("egress.head_timeout_ms", egress.head_timeout_ms, 100..=600_000);
        self.range("egress.timeout_ms", egress.timeout_ms, 100..=600_000);
        self.range("egress.body_limit_bytes", egress.body_limit_bytes as u64, 1_024..=104_857_600);
    }

    /// Each that is wrong in a list, in its parser's own words.
    fn each<E: Display>(&mut self, key: &str, values: &[String], read: impl Fn(&str) -> Result<(), E>) {
        for fault in values.iter().filter_map(|value| read(value).err()) {
            self.problem(key, fault.to_string());
        }
    }

    fn listener(&mut self, server: &Server) {
        match (&server.tls.certificate, &server.tls.key) {
            (Some(_), None) => {
                self.problem("server.tls.certificate", "needs `server.tls.key` beside it".into())
            }
            (None, Some(_)) => {
                self.problem("server.tls.key", "needs `server.tls.certificate` beside it".into())
            }
            _ => {}
        }
        let local = server.listen.ip().to_canonical().is_loopback();
        if !local && server.tls.files().is_none() && !server.behind_proxy {
            self.problem(
                "server.listen",
                format!(
                    "other machines reach `{}`, and without TLS keys would travel in the clear; set `server.tls.certificate` and `server.tls.key`, or `server.behind_proxy = true` where a proxy ends TLS",
                    server.listen
                ),
            );
        }
    }
}

fn is_postgres_url(text: &str) -> bool {
    ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.len() > scheme.len() && text.starts_with(scheme))
}

fn is_web_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|b| b.is_ascii_graphic())
    })
}

fn is_origin(text: &str) -> bool {
    is_web_address(text)
        && text.split_once("://").is_some_and(|(_, host)| !host.contains(['/', '?', '#', '@']))
}

/// An origin in the one spelling that browsers give it (WHATWG URL, § 4.5): any other would never match.
fn browser_origin(text: &str) -> Result<(), String> {
    let fault = || format!("`{text}` is no origin as browsers write it, such as `https://app.example.com`");
    let (scheme, rest) = text.split_once("://").ok_or_else(fault)?;
    let default = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return Err(fault()),
    };
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
    };
    let fits = !rest.is_empty()
        && rest.bytes().all(plain)
        && !rest.ends_with(default)
        && !rest.ends_with(['.', ':']);
    if fits { Ok(()) } else { Err(fault()) }
}

fn is_prefix(text: &str) -> bool {
    (2..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase())
}
