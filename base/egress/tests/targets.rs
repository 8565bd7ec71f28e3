//! URLs that are read, and those that are refused for their text.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use chancery_egress::{Host, Scheme, Target, TargetError};

#[test]
fn what_is_read_is_what_is_written() {
    for (text, host, port) in [
        ("https://api.example.com", "api.example.com", 443),
        ("HTTPS://API.Example.COM:8443/a", "api.example.com", 8443),
        ("http://example.com/", "example.com", 80),
        ("https://b\u{fc}cher.example/", "xn--bcher-kva.example", 443),
        ("https://B\u{dc}CHER.example/", "xn--bcher-kva.example", 443),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443),
        ("https://\u{65e5}\u{672c}.example/", "xn--wgv71a.example", 443),
        ("https://8.8.8.8/", "8.8.8.8", 443),
        ("https://0x08080808/", "8.8.8.8", 443),
        ("https://[2606:4700::1111]:444/", "[2606:4700::1111]", 444),
        ("https://[::ffff:8.8.8.8]/", "8.8.8.8", 443),
        ("https://my_service.example.com/", "my_service.example.com", 443),
        ("https://a.example/?next=https://u:p@b.example/", "a.example", 443),
        ("https://a.example/p@th:1/\u{e9}?\u{e9}", "a.example", 443),
        ("https://a.example?x\\y", "a.example", 443),
        ("https://intranet/", "intranet", 443),
    ] {
        let target = Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((target.host().to_string().as_str(), target.port()), (host, port), "{text}");
    }
    let target = Target::parse("https://a.example/x?secret=1#fragment").unwrap();
    assert_eq!(target.as_str(), "https://a.example/x?secret=1");
    assert_eq!((target.scheme(), target.to_string().as_str()), (Scheme::Https, "https://a.example:443"));
    assert_eq!(format!("{target:?}"), "https://a.example:443");
    assert!(matches!(Target::parse("https://127.1/").unwrap().host(), Host::Address(_)));
}

const REFUSED: &[(&str, TargetError)] = &[
    ("", TargetError::Scheme),
    ("example.com", TargetError::Scheme),
    ("//example.com", TargetError::Scheme),
    ("https:example.com", TargetError::Scheme),
    ("https:/example.com", TargetError::Scheme),
    ("https:///example.com", TargetError::NoHost),
    ("https:////example.com", TargetError::NoHost),
    ("ftp://example.com", TargetError::Scheme),
    ("file:///etc/passwd", TargetError::Scheme),
    ("javascript://a.example/%0aalert(1)", TargetError::Scheme),
    ("https://", TargetError::NoHost),
    ("https://:443/", TargetError::NoHost),
    ("https://?a", TargetError::NoHost),
    ("https://user@example.com/", TargetError::Userinfo),
    ("https://user:pass@example.com/", TargetError::Userinfo),
    ("https://@example.com/", TargetError::Userinfo),
    ("https://example.com@10.0.0.1/", TargetError::Userinfo),
    ("https://example.com%40x@10.0.0.1/", TargetError::Userinfo),
    ("https://example.com:0/", TargetError::PortZero),
    ("https://example.com:65536/", TargetError::Malformed),
    ("https://example.com:x/", TargetError::Malformed),
    (" https://example.com/", TargetError::Control),
    ("https://example.com/\n", TargetError::Control),
    ("https://exa\tmple.com/", TargetError::Control),
    ("https://exa\nmple.com/", TargetError::Control),
    ("https://example.com/\u{0}", TargetError::Control),
    ("https://example.com/a b", TargetError::Control),
    ("https://exa\u{a0}mple.com/", TargetError::Control),
    ("https://exam\u{3000}ple.com/", TargetError::Control),
    ("ht\ttps://example.com", TargetError::Control),
    ("https:\\\\example.com", TargetError::Backslash),
    ("https://example.com\\@10.0.0.1/", TargetError::Backslash),
    ("https://example.com/\\a", TargetError::Backslash),
    ("https://localhost/", TargetError::Localhost),
    ("https://LOCALHOST:8443/", TargetError::Localhost),
    ("https://a.localhost/", TargetError::Localhost),
    ("https://localhost./", TargetError::TrailingDot),
    ("https://example.com./", TargetError::TrailingDot),
    ("https://a..example/", TargetError::HostName),
    ("https://.example.com/", TargetError::HostName),
    ("https://metadata.google.internal/", TargetError::MetadataName),
    ("https://Metadata.Google.Internal/", TargetError::MetadataName),
    ("https://metadata/", TargetError::MetadataName),
    ("https://instance-data/", TargetError::MetadataName),
    ("https://x.metadata.azure.internal/", TargetError::MetadataName),
    ("https://[example.com]/", TargetError::Malformed),
    ("https://[::1", TargetError::Malformed),
    ("https://[fe80::1%25eth0]/", TargetError::Malformed),
    ("https://[127.0.0.1]/", TargetError::Malformed),
    ("https://1.2.3.4.5/", TargetError::Malformed),
    ("https://256.0.0.1/", TargetError::Malformed),
    ("https://ex\u{ad}ample.com/", TargetError::HostSpelling),
    ("https://ex\u{200b}ample.com/", TargetError::HostSpelling),
    ("https://ex\u{200d}ample.com/", TargetError::Malformed),
    ("https://ex\u{2060}ample.com/", TargetError::HostSpelling),
    ("https://ex\u{fe0f}ample.com/", TargetError::HostSpelling),
    ("https://\u{ff45}xample.com/", TargetError::HostSpelling),
    ("https://example\u{3002}com/", TargetError::HostSpelling),
    ("https://e\u{301}.example/", TargetError::HostSpelling),
    ("https://\u{24d4}xample.com/", TargetError::HostSpelling),
    ("https://ex%61mple.com/", TargetError::HostSpelling),
    ("https://b%C3%BCcher.example/", TargetError::HostSpelling),
    ("https://localho\u{ad}st/", TargetError::Localhost),
    ("https://a!b.example/", TargetError::HostName),
    ("https://a*b.example/", TargetError::HostName),
    ("https://a b.example/", TargetError::Control),
    ("https://a<b.example/", TargetError::Malformed),
];

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for (text, error) in REFUSED {
        assert_eq!(Target::parse(text).map(|target| target.to_string()), Err(*error), "{text:?}");
    }
    let label = "a".repeat(63);
    assert!(Target::parse(&format!("https://{label}.example/")).is_ok());
    assert_eq!(Target::parse(&format!("https://a{label}.example/")), Err(TargetError::HostName));
    let long = format!("{}.example", [label.as_str(); 4].join("."));
    assert_eq!(Target::parse(&format!("https://{long}/")), Err(TargetError::HostName));
    assert_eq!(
        Target::parse(&format!("https://a.example/{}", "x".repeat(8192))),
        Err(TargetError::Malformed)
    );
}
