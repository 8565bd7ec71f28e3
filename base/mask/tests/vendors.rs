//! Every maker's format: found amid lines of JSON and logfmt, and left when it is none.
//!
//! The samples are put together here, so that nobody's scanner takes this file for a leak.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

use chancery_mask::mask;

const ALNUM: &str = "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT";
const HEX: &str = "0a1b2c3d4e5f6a7b8c9d";
const UPPER: &str = "Q3A4Z5B6C7D2E";
const TOKEN: &str = "0aB-1cD_2eF3g-H4iJ5kL_6mN7oP8qR9sT";

/// Prefix, what the body is made of, how long it is, the word, and whether a longer one is none.
type Sample = (&'static str, &'static str, usize, &'static str, bool);

#[rustfmt::skip]
const SAMPLES: &[Sample] = &[
    ("ops_eyJ", ALNUM, 60, "[token]", false),
    ("AGE-SECRET-KEY-1", UPPER, 58, "[key]", true), ("AGE-SECRET-KEY-PQ-1", UPPER, 58, "[key]", false),
    ("sk-ant-", "api03-0aB-1cD_2eF3g", 20, "[key]", false),
    ("ATATT3", TOKEN, 50, "[token]", false), ("ATCTT3", TOKEN, 50, "[token]", false),
    ("AKIA", UPPER, 16, "[key]", true), ("ASIA", UPPER, 16, "[key]", true), ("ABIA", UPPER, 16, "[key]", true),
    ("xkeysib-", HEX, 64, "[key]", false),
    ("CCIPAT_", ALNUM, 40, "[token]", false),
    ("cio", ALNUM, 32, "[token]", true),
    ("dapi", HEX, 32, "[token]", true),
    ("dop_v1_", HEX, 64, "[token]", false), ("doo_v1_", HEX, 64, "[token]", false), ("dor_v1_", HEX, 64, "[token]", false),
    ("dckr_pat_", TOKEN, 20, "[token]", false), ("dckr_oat_", TOKEN, 20, "[token]", false),
    ("dp.pt.", ALNUM, 40, "[token]", false), ("dp.st.", ALNUM, 40, "[token]", false),
    ("sk_", HEX, 48, "[key]", true),
    ("figd_", TOKEN, 40, "[token]", false),
    ("fm2_", ALNUM, 40, "[token]", false),
    ("ghp_", ALNUM, 36, "[token]", false), ("gho_", ALNUM, 36, "[token]", false), ("ghu_", ALNUM, 36, "[token]", false),
    ("ghs_", ALNUM, 36, "[token]", false), ("ghr_", ALNUM, 36, "[token]", false), ("github_pat_", ALNUM, 82, "[token]", false),
    ("glpat-", TOKEN, 20, "[token]", false), ("gldt-", TOKEN, 20, "[token]", false), ("glrt-", TOKEN, 20, "[token]", false),
    ("glptt-", TOKEN, 20, "[token]", false), ("glcbt-", TOKEN, 20, "[token]", false), ("glsoat-", TOKEN, 20, "[token]", false),
    ("glft-", TOKEN, 20, "[token]", false), ("glimt-", TOKEN, 20, "[token]", false), ("glagent-", TOKEN, 20, "[token]", false),
    ("gloas-", TOKEN, 20, "[token]", false),
    ("AIza", TOKEN, 35, "[key]", false), ("ya29.", TOKEN, 20, "[token]", false), ("1//0", TOKEN, 40, "[token]", false),
    ("GOCSPX-", TOKEN, 28, "[key]", false),
    ("glsa_", ALNUM, 41, "[token]", false), ("glc_", ALNUM, 32, "[token]", false),
    ("gsk_", ALNUM, 52, "[key]", false),
    ("hvs.", TOKEN, 24, "[token]", false), ("hvb.", TOKEN, 24, "[token]", false), ("hvr.", TOKEN, 24, "[token]", false),
    ("HRKU-", TOKEN, 36, "[key]", false),
    ("hf_", ALNUM, 34, "[token]", false), ("api_org_", ALNUM, 34, "[token]", false),
    ("lin_api_", ALNUM, 40, "[key]", false),
    ("key-", HEX, 32, "[key]", true),
    ("APP_USR-", TOKEN, 40, "[token]", false),
    ("nfp_", ALNUM, 36, "[token]", false),
    ("NRAK-", UPPER, 27, "[key]", false),
    ("ntn_", ALNUM, 46, "[token]", false), ("secret_", ALNUM, 43, "[token]", true),
    ("npm_", ALNUM, 36, "[token]", false),
    ("sk-proj-", TOKEN, 20, "[key]", false), ("sk-svcacct-", TOKEN, 20, "[key]", false), ("sk-admin-", TOKEN, 20, "[key]", false),
    ("sk-", ALNUM, 48, "[key]", false),
    ("pdus+_", TOKEN, 20, "[token]", false), ("pdeu+_", TOKEN, 20, "[token]", false), ("u+", TOKEN, 18, "[key]", true),
    ("pplx-", ALNUM, 48, "[key]", false),
    ("pscale_tkn_", TOKEN, 32, "[key]", false), ("pscale_pw_", TOKEN, 32, "[key]", false), ("pscale_oauth_", TOKEN, 32, "[key]", false),
    ("PMAK-", TOKEN, 59, "[key]", false),
    ("pul-", HEX, 40, "[token]", true),
    ("pypi-AgEIcHlwaS5vcmc", TOKEN, 50, "[token]", false),
    ("r8_", ALNUM, 37, "[token]", false),
    ("rubygems_", HEX, 48, "[key]", true),
    ("SG.", "0aB1cD2eF3gH4iJ5kL6mN7.oP8qR9sT0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0a_-x", 66, "[key]", false),
    ("sntrys_", ALNUM, 64, "[token]", false), ("sntryu_", HEX, 64, "[token]", false),
    ("shpat_", HEX, 32, "[token]", false), ("shpca_", HEX, 32, "[token]", false), ("shppa_", HEX, 32, "[token]", false),
    ("shpss_", HEX, 32, "[key]", false),
    ("xoxa-", TOKEN, 24, "[token]", false), ("xoxb-", TOKEN, 24, "[token]", false), ("xoxc-", TOKEN, 24, "[token]", false),
    ("xoxd-", ALNUM, 24, "[token]", false), ("xoxe-", TOKEN, 24, "[token]", false), ("xoxe.", "1-0aB1cD2eF3gH4", 24, "[token]", false),
    ("xoxo-", TOKEN, 24, "[token]", false), ("xoxp-", TOKEN, 24, "[token]", false), ("xoxr-", TOKEN, 24, "[token]", false),
    ("xoxs-", TOKEN, 24, "[token]", false), ("xapp-", TOKEN, 24, "[token]", false),
    ("sq0atp-", TOKEN, 22, "[token]", false), ("sq0csp-", TOKEN, 43, "[key]", false), ("EAAA", TOKEN, 60, "[token]", false),
    ("sk_live_", ALNUM, 24, "[key]", false), ("sk_test_", ALNUM, 24, "[key]", false), ("rk_live_", ALNUM, 24, "[key]", false),
    ("rk_test_", ALNUM, 24, "[key]", false), ("sk_org_", ALNUM, 24, "[key]", false), ("whsec_", ALNUM, 32, "[key]", false),
    ("sbp_", HEX, 40, "[token]", false), ("sb_secret_", TOKEN, 31, "[key]", false),
    ("tskey-", TOKEN, 24, "[key]", false),
    ("SK", HEX, 32, "[key]", true), ("AC", HEX, 32, "[key]", true),
    ("xai-", ALNUM, 80, "[key]", false),
];

fn of(alphabet: &str, length: usize) -> String {
    alphabet.chars().cycle().take(length).collect()
}

/// The sample stands in lines as logs have them, and nothing around it is touched.
fn is_masked(sample: &str, word: &str) {
    for line in [
        r#"{"level":"warn","msg":"upstream said SAMPLE and closed","status":401}"#,
        r#"{"level":"warn","items":["SAMPLE"],"status":401}"#,
        r#"{"body":"{\"value\":\"SAMPLE\",\"n\":1}"}"#,
        r#"{"body":"first\nSAMPLE\tlast"}"#,
        "ts=2026-11-27T19:28:44Z level=warn value=SAMPLE status=401",
        "ts=2026-11-27T19:28:44Z level=warn value=\"SAMPLE\" status=401",
        "GET /x?value=SAMPLE&next=1 401",
        "https://example.com/?next=%2Fx%3Fv%3DSAMPLE%26n%3D1",
        "\u{1b}[3mvalue\u{1b}[0m\u{1b}[2m=\u{1b}[0mSAMPLE \u{1b}[3mnext\u{1b}[0m",
        "It was SAMPLE, then (SAMPLE) and SAMPLE.",
        "SAMPLE",
    ] {
        assert_eq!(mask(&line.replace("SAMPLE", sample)), line.replace("SAMPLE", word), "{sample}");
    }
}

fn is_left(line: &str) {
    assert_eq!(mask(line), line);
}

#[test]
fn every_format_of_the_table_is_masked() {
    for (prefix, alphabet, length, word, _) in SAMPLES {
        is_masked(&format!("{prefix}{}", of(alphabet, *length)), word);
    }
}

#[test]
fn what_is_too_short_or_too_long_or_within_a_word_is_left() {
    for (prefix, alphabet, length, _, exact) in SAMPLES {
        is_left(&format!("a {prefix}{} b", of(alphabet, 6)));
        is_left(&format!("a x{prefix}{} b", of(alphabet, *length)));
        if *exact {
            is_left(&format!("a {prefix}{} b", of(alphabet, length - 1)));
            is_left(&format!("a {prefix}{} b", of(alphabet, length + 1)));
        }
    }
}

#[test]
fn every_row_of_the_table_has_a_sample() {
    let table = include_str!("../src/secret/vendors.rs");
    let rows = table.split_once("VENDORS: &[Vendor] = &[").unwrap().1.split_once("];").unwrap().0;
    let prefixes: Vec<&str> =
        rows.split("\", ").filter_map(|row| row.rsplit_once('"').map(|(_, prefix)| prefix)).collect();
    assert!(prefixes.len() > 90, "{}", prefixes.len());
    for prefix in prefixes {
        assert!(SAMPLES.iter().any(|sample| sample.0.starts_with(prefix)), "{prefix} has no sample");
    }
}

#[test]
fn words_that_look_alike_are_left() {
    for line in [
        "sk-loading-indicator-of-the-navigation-bar-at-the-top",
        "npm_config_cache_directory_of_the_whole_machine=/x",
        "task-0190a5c2-7b1e-7c3a-9f00-5d2c8a1b4e6f is done",
        "ASK0a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a",
        "MSG.example.com, hvs.example.com, ya29.example",
        "akia0123456789abcdef",
        "pypi-mirror-of-ours, glpat-docs, github_pat_example",
    ] {
        is_left(line);
    }
}

#[test]
fn our_own_keys_go_by_their_form_whatever_the_prefix() {
    let digits = of(ALNUM, 71);
    for prefix in ["chn", "ab", "abcdefgh"] {
        for environment in ["live", "test"] {
            is_masked(&format!("{prefix}_{environment}_{digits}"), "[key]");
        }
    }
    for none in [
        format!("c_live_{digits}"),
        format!("chn_prod_{digits}"),
        format!("chn_live_{digits}0"),
        format!("chn_live_{}", &digits[1..]),
    ] {
        is_left(&none);
    }
}

/// RFC 7515, appendix A.1, and RFC 7519.
#[test]
fn tokens_in_compact_form_are_masked() {
    let header = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODB9";
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    is_masked(&format!("{header}.{claims}.{signature}"), "[token]");
    is_masked(&format!("{header}.{claims}"), "[token]");
    is_masked(&format!("{header}..{signature}"), "[token]");
    is_masked(&format!("{header}.{claims}.{signature}.{claims}.{signature}"), "[token]");
    is_left(&format!("a {header} b"));
    is_left("eyJ.eyJ.x");
}

#[test]
fn tokens_of_bots_are_masked() {
    let telegram = format!("110201543:AA{}", of(TOKEN, 33));
    is_masked(&telegram, "[token]");
    assert_eq!(mask(&format!("/bot{telegram}/sendMessage")), "/bot[token]/sendMessage");
    is_left(&format!("110201543:AA{}", of(TOKEN, 12)));
    is_left(&format!("1102:AA{}", of(TOKEN, 33)));
    let discord = format!("MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.{}", of(ALNUM, 27));
    is_masked(&discord, "[token]");
    is_left("MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.short");
}

#[test]
fn webhooks_keep_their_host() {
    let path = format!("T{}/B{}/{}", of(UPPER, 8), of(UPPER, 8), of(ALNUM, 24));
    assert_eq!(
        mask(&format!("POST https://hooks.slack.com/services/{path} 200")),
        "POST https://hooks.slack.com/[key] 200"
    );
    assert_eq!(
        mask(&format!("POST https://discord.com/api/webhooks/123456789012345678/{} 204", of(TOKEN, 68))),
        "POST https://discord.com/api/webhooks/123456789012345678/[token] 204"
    );
    is_left("https://hooks.slack.com/docs https://discord.com/api/webhooks/123 /api/webhooks/list");
}

#[test]
fn secrets_of_azure_are_masked() {
    is_masked(&format!("abc8Q~{}", of(TOKEN, 34)), "[key]");
    is_left(&format!("abcdQ~{}", of(TOKEN, 34)));
    let signature = "sig=0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0aB1cD2eF3gH4%3D";
    assert_eq!(
        mask(&format!("https://x.blob.core.windows.net/c?sv=2024-11-04&{signature}&se=2026")),
        "https://x.blob.core.windows.net/c?sv=2024-11-04&sig=[key]&se=2026"
    );
    assert_eq!(
        mask("AccountName=x;AccountKey=0aB1cD2eF3gH4i==;EndpointSuffix=y"),
        "AccountName=x;AccountKey=[key];EndpointSuffix=y"
    );
    is_left("sig=short, config=0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0aB1cD2eF3gH4");
}

#[test]
fn dsns_and_passwords_in_urls_are_masked() {
    let key = of(HEX, 32);
    for (line, masked) in [
        (format!("https://{key}@o1.ingest.sentry.io/42"), "https://[key]@o1.ingest.sentry.io/42"),
        (format!("https://{key}:{key}@sentry.io/42"), "https://[key]@sentry.io/42"),
        ("postgres://user:pass@db.example.com/x".into(), "postgres://user:[password]@db.example.com/x"),
        ("redis://:pass@10.0.0.1:6379/0".into(), "redis://:[password]@10.0.0.1:6379/0"),
        ("amqp://user:p@ss@host/v".into(), "amqp://user:[password]@host/v"),
        ("postgres://user:p/s#s@host/x".into(), "postgres://user:[password]@host/x"),
        (r#"{"url":"mysql://u:p%40ss@h/x"}"#.into(), r#"{"url":"mysql://u:[password]@h/x"}"#),
    ] {
        assert_eq!(mask(&line), masked);
    }
    for line in [
        "http://localhost:8080/path@2",
        "https://example.com/a:b",
        "ssh://git@github.com/org/repo",
        "postgres://user:@host/x",
        "http://[::1]:8080/",
    ] {
        is_left(line);
    }
}
