//! Every key, in the order in which people read them.

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name with its section, such as `server.listen`.
    pub name: &'static str,
    /// What its value must be.
    pub expected: &'static str,
}

impl Key {
    /// The section, empty for a key outside all of them, and the name in it.
    #[must_use]
    pub fn parts(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('.').unwrap_or(("", self.name))
    }

    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", crate::sources::PREFIX, self.name.replace('.', "__").to_uppercase())
    }
}

const fn key(name: &'static str, expected: &'static str) -> Key {
    Key { name, expected }
}

/// Every key that can be set.
pub const KEYS: [Key; 42] = [
    key("data_dir", "a path"),
    key("kek_file", "a path"),
    key("server.listen", "an IP address and a port, such as \"127.0.0.1:8420\""),
    key("server.behind_proxy", "true or false"),
    key("server.trusted_proxies", "blocks of addresses (\"10.1.0.0/16\")"),
    key("server.allowed_origins", "origins as browsers write them (\"https://app.example.com\")"),
    key("server.public_url", "an address without a path, such as \"https://chancery.example.com\""),
    key("server.request_timeout_ms", "milliseconds, 100 to 600000"),
    key("server.body_limit_bytes", "bytes, 1024 to 16777216"),
    key("server.shutdown_grace_ms", "milliseconds, 0 to 600000"),
    key("server.tls.certificate", "the path of a PEM file, together with `server.tls.key`"),
    key("server.tls.key", "the path of a PEM file, together with `server.tls.certificate`"),
    key("database.url", "an address such as \"postgres://USER:PASSWORD@HOST/DATABASE\""),
    key("database.binaries", "the path of a folder with `postgres` and `initdb`"),
    key("database.app_connections", "a number, 1 to 1000"),
    key("database.appender_connections", "a number, 1 to 1000"),
    key("database.worker_connections", "a number, 2 to 1000"),
    key("limits.key_per_minute", "a number, 1 or more"),
    key("limits.key_burst", "a number, 1 or more"),
    key("limits.organization_per_minute", "a number, 1 or more"),
    key("limits.organization_burst", "a number, 1 or more"),
    key("limits.address_per_minute", "a number, 1 or more"),
    key("limits.address_burst", "a number, 1 or more"),
    key("limits.door_per_minute", "a number, 1 or more"),
    key("limits.door_burst", "a number, 1 or more"),
    key("keys.prefix", "2 to 8 of `a-z`"),
    key("record.checkpoint_interval_ms", "milliseconds, 10 to 1000"),
    key("record.checkpoint_file", "a path"),
    key("record.queue_length", "a number, 1 to 1000000"),
    key("record.queue_share", "a number, 1 to `record.queue_length`"),
    key("policies.installation_dir", "the path of a folder"),
    key(
        "egress.allow",
        "hosts (\"api.example.com\", \"*.example.com\") and blocks of addresses (\"10.1.0.0/16\")",
    ),
    key("egress.allow_plain_http", "hosts and blocks of addresses, as for `egress.allow`"),
    key("egress.nat64_prefixes", "prefixes of IPv6 of 32, 40, 48, 56, 64 or 96 bits (\"2001:db8:64::/96\")"),
    key("egress.name_servers", "IP addresses, with or without a port (\"9.9.9.9\", \"[2620:fe::fe]:53\")"),
    key("egress.ca_file", "the path of a PEM file"),
    key("egress.connect_timeout_ms", "milliseconds, 100 to 60000"),
    key("egress.head_timeout_ms", "milliseconds, 100 to 600000"),
    key("egress.timeout_ms", "milliseconds, 100 to 600000"),
    key("egress.body_limit_bytes", "bytes, 1024 to 104857600"),
    key("log.level", "\"error\", \"warn\", \"info\", \"debug\" or \"trace\""),
    key("log.format", "\"text\" or \"json\""),
];

/// The keys whose values are never shown.
pub(crate) const SECRETS: [&str; 1] = ["database.url"];

pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
