//! Keys and tokens that their makers gave a prefix: the table, and how a row is read.
//!
//! The formats are the makers' own, as they publish them for secret scanning. To add one, add a row
//! here and a sample to `tests/vendors.rs`, which holds the two together.

use crate::kind::Kind;
use crate::span::Span;
use crate::text::{ALNUM, BASE64, DIGIT, DOTTED, HEX, LETTER, Set, TOKEN, TOKEN68, Text, UNDERSCORE, is};

/// A format: a prefix, and characters of one set after it.
pub(super) struct Vendor {
    /// In the case it is written in.
    pub(super) prefix: &'static str,
    /// What follows.
    body: Set,
    /// How many follow at least, and at most.
    least: usize,
    most: usize,
    /// Whether letters and digits must both follow: for prefixes that ordinary words have too.
    mixed: bool,
    kind: Kind,
}

const WORDLIKE: Set = ALNUM | UNDERSCORE;

const fn key(prefix: &'static str, body: Set, least: usize) -> Vendor {
    Vendor { prefix, body, least, most: usize::MAX, mixed: false, kind: Kind::Key }
}

const fn token(prefix: &'static str, body: Set, least: usize) -> Vendor {
    Vendor { kind: Kind::Token, ..key(prefix, body, least) }
}

/// As many as that and no more.
const fn exactly(vendor: Vendor) -> Vendor {
    Vendor { most: vendor.least, ..vendor }
}

const fn mixed(vendor: Vendor) -> Vendor {
    Vendor { mixed: true, ..vendor }
}

/// By maker, in the order of the alphabet.
#[rustfmt::skip]
pub(super) const VENDORS: &[Vendor] = &[
    // 1Password: service accounts.
    token("ops_eyJ", TOKEN68, 50),
    // age: identities, and those that are post-quantum.
    exactly(key("AGE-SECRET-KEY-1", ALNUM, 58)), key("AGE-SECRET-KEY-PQ-1", ALNUM, 58),
    // Anthropic.
    key("sk-ant-", TOKEN, 20),
    // Atlassian.
    token("ATATT3", TOKEN68, 50), token("ATCTT3", TOKEN68, 50),
    // AWS: ids of keys, long-lived and temporary, and of bearer tokens. Secrets go by their name.
    exactly(key("AKIA", ALNUM, 16)), exactly(key("ASIA", ALNUM, 16)), exactly(key("ABIA", ALNUM, 16)),
    // Brevo.
    key("xkeysib-", TOKEN, 64),
    // CircleCI.
    token("CCIPAT_", TOKEN, 40),
    // crates.io.
    exactly(token("cio", ALNUM, 32)),
    // Databricks.
    exactly(token("dapi", HEX, 32)),
    // DigitalOcean: personal, OAuth and refresh tokens.
    token("dop_v1_", HEX, 64), token("doo_v1_", HEX, 64), token("dor_v1_", HEX, 64),
    // Docker.
    token("dckr_pat_", TOKEN, 20), token("dckr_oat_", TOKEN, 20),
    // Doppler: personal and service tokens.
    token("dp.pt.", ALNUM, 40), token("dp.st.", DOTTED, 40),
    // ElevenLabs.
    exactly(key("sk_", HEX, 48)),
    // Figma.
    token("figd_", TOKEN, 40),
    // Fly.
    token("fm2_", TOKEN68, 40),
    // GitHub: personal, OAuth, user-to-server, server-to-server, refresh, fine-grained.
    token("ghp_", ALNUM, 36), token("gho_", ALNUM, 36), token("ghu_", ALNUM, 36),
    token("ghs_", DOTTED, 36), token("ghr_", ALNUM, 36), token("github_pat_", WORDLIKE, 70),
    // GitLab: personal, deploy, runner, trigger, job, SCIM, feed, mail, agent, OAuth.
    token("glpat-", DOTTED, 20), token("gldt-", DOTTED, 20), token("glrt-", DOTTED, 20),
    token("glptt-", DOTTED, 20), token("glcbt-", DOTTED, 20), token("glsoat-", DOTTED, 20),
    token("glft-", DOTTED, 20), token("glimt-", DOTTED, 20), token("glagent-", DOTTED, 20),
    token("gloas-", DOTTED, 20),
    // Google: API keys, access tokens, refresh tokens, client secrets.
    key("AIza", TOKEN, 35), token("ya29.", DOTTED, 20), token("1//0", TOKEN, 40), key("GOCSPX-", TOKEN, 28),
    // Grafana.
    token("glsa_", WORDLIKE, 41), token("glc_", BASE64, 32),
    // Groq.
    key("gsk_", ALNUM, 40),
    // HashiCorp Vault: service, batch and recovery tokens.
    token("hvs.", TOKEN, 24), token("hvb.", TOKEN, 24), token("hvr.", TOKEN, 24),
    // Heroku.
    key("HRKU-", TOKEN, 36),
    // Hugging Face: users and organizations.
    token("hf_", ALNUM, 34), token("api_org_", ALNUM, 34),
    // Linear.
    key("lin_api_", ALNUM, 40),
    // Mailgun.
    exactly(key("key-", HEX, 32)),
    // Mercado Pago.
    token("APP_USR-", TOKEN, 40),
    // Netlify.
    token("nfp_", ALNUM, 36),
    // New Relic.
    key("NRAK-", ALNUM, 27),
    // Notion.
    token("ntn_", ALNUM, 40), exactly(token("secret_", ALNUM, 43)),
    // npm.
    token("npm_", ALNUM, 36),
    // OpenAI: of projects, service accounts, administrators; the old form, which others have too.
    key("sk-proj-", TOKEN, 20), key("sk-svcacct-", TOKEN, 20), key("sk-admin-", TOKEN, 20),
    mixed(key("sk-", TOKEN, 32)),
    // PagerDuty: OAuth tokens, users' keys.
    token("pdus+_", TOKEN, 20), token("pdeu+_", TOKEN, 20), mixed(exactly(key("u+", TOKEN, 18))),
    // Perplexity.
    key("pplx-", ALNUM, 40),
    // PlanetScale.
    key("pscale_tkn_", DOTTED, 30), key("pscale_pw_", DOTTED, 30), key("pscale_oauth_", DOTTED, 30),
    // Postman.
    key("PMAK-", TOKEN, 50),
    // Pulumi.
    exactly(token("pul-", HEX, 40)),
    // PyPI.
    token("pypi-", TOKEN, 50),
    // Replicate.
    token("r8_", ALNUM, 37),
    // RubyGems.
    exactly(key("rubygems_", HEX, 48)),
    // SendGrid: 22 and 43 characters, and the dot between them.
    key("SG.", DOTTED, 66),
    // Sentry: organizations' and users' tokens. The keys of DSNs stand in a URL.
    token("sntrys_", TOKEN68, 40), token("sntryu_", HEX, 64),
    // Shopify: access, custom and private apps' tokens, shared secrets.
    token("shpat_", ALNUM, 32), token("shpca_", ALNUM, 32), token("shppa_", ALNUM, 32), key("shpss_", ALNUM, 32),
    // Slack: by what they are for; refresh and rotated tokens; app-level tokens.
    token("xoxa-", TOKEN, 10), token("xoxb-", TOKEN, 10), token("xoxc-", TOKEN, 10), token("xoxd-", TOKEN68, 10),
    token("xoxe-", TOKEN, 10), token("xoxe.", DOTTED, 10), token("xoxo-", TOKEN, 10), token("xoxp-", TOKEN, 10),
    token("xoxr-", TOKEN, 10), token("xoxs-", TOKEN, 10), token("xapp-", TOKEN, 20),
    // Square: access tokens and secrets of applications, old and new.
    token("sq0atp-", TOKEN, 22), key("sq0csp-", TOKEN, 43), token("EAAA", TOKEN, 56),
    // Stripe: secret, restricted and organizations' keys, signing secrets of webhooks.
    key("sk_live_", ALNUM, 10), key("sk_test_", ALNUM, 10), key("rk_live_", ALNUM, 10), key("rk_test_", ALNUM, 10),
    key("sk_org_", WORDLIKE, 20), key("whsec_", BASE64, 24),
    // Supabase.
    token("sbp_", WORDLIKE, 40), key("sb_secret_", TOKEN, 20),
    // Tailscale.
    key("tskey-", TOKEN, 20),
    // Twilio: API keys and accounts.
    exactly(key("SK", HEX, 32)), exactly(key("AC", HEX, 32)),
    // xAI.
    key("xai-", ALNUM, 60),
];

impl Vendor {
    /// The key or token at `start`, where something spelled like the prefix ends at `end`.
    pub(super) fn find(&self, text: &Text<'_>, start: usize, end: usize) -> Option<Span> {
        if !text.has(start, self.prefix.as_bytes()) || !text.starts_word(start) {
            return None;
        }
        let mut stop = text.run_end(end, self.body);
        // The full stop of a sentence.
        while stop > end && text.at(stop - 1) == b'.' {
            stop -= 1;
        }
        let length = stop - end;
        if length < self.least || length > self.most || !text.ends_word(stop) {
            return None;
        }
        let body = text.slice(end, stop);
        let mixed = || body.iter().any(|byte| is(*byte, DIGIT)) && body.iter().any(|byte| is(*byte, LETTER));
        (!self.mixed || mixed()).then_some(Span::of(self.kind, start, stop))
    }
}
