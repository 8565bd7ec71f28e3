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

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    use TargetError::{
        Backslash, Control, HostName, HostSpelling, Localhost, Malformed, MetadataName, NoHost, PortZero,
        Scheme, TrailingDot, Userinfo,
    };
    for (text, error) in [
        ("", Scheme),
        ("example.com", Scheme),
        ("//example.com", Scheme),
        ("https:example.com", Scheme),
        ("https:/example.com", Scheme),
        ("https:///example.com", NoHost),
        ("https:////example.com", NoHost),
        ("ftp://example.com", Scheme),
        ("file:///etc/passwd", Scheme),
        ("javascript://a.example/%0aalert(1)", Scheme),
        ("https://", NoHost),
        ("https://:443/", NoHost),
        ("https://?a", NoHost),
        ("https://user@example.com/", Userinfo),
        ("https://user:pass@example.com/", Userinfo),
        ("https://@example.com/", Userinfo),
        ("https://example.com@10.0.0.1/", Userinfo),
        ("https://example.com%40x@10.0.0.1/", Userinfo),
        ("https://example.com:0/", PortZero),
        ("https://example.com:65536/", Malformed),
        ("https://example.com:x/", Malformed),
        (" https://example.com/", Control),
        ("https://example.com/\n", Control),
        ("https://exa\tmple.com/", Control),
        ("https://exa\nmple.com/", Control),
        ("https://example.com/\u{0}", Control),
        ("https://example.com/a b", Control),
        ("https://exa\u{a0}mple.com/", Control),
        ("https://exam\u{3000}ple.com/", Control),
        ("ht\ttps://example.com", Control),
        ("https:\\\\example.com", Backslash),
        ("https://example.com\\@10.0.0.1/", Backslash),
        ("https://example.com/\\a", Backslash),
        ("https://localhost/", Localhost),
        ("https://LOCALHOST:8443/", Localhost),
        ("https://a.localhost/", Localhost),
        ("https://localhost./", TrailingDot),
        ("https://example.com./", TrailingDot),
        ("https://a..example/", HostName),
        ("https://.example.com/", HostName),
        ("https://metadata.google.internal/", MetadataName),
        ("https://Metadata.Google.Internal/", MetadataName),
        ("https://metadata/", MetadataName),
        ("https://instance-data/", MetadataName),
        ("https://x.metadata.azure.internal/", MetadataName),
        ("https://[example.com]/", Malformed),
        ("https://[::1", Malformed),
        ("https://[fe80::1%25eth0]/", Malformed),
        ("https://[127.0.0.1]/", Malformed),
        ("https://1.2.3.4.5/", Malformed),
        ("https://256.0.0.1/", Malformed),
        ("https://ex\u{ad}ample.com/", HostSpelling),
        ("https://ex\u{200b}ample.com/", HostSpelling),
        ("https://ex\u{200d}ample.com/", Malformed),
        ("https://ex\u{2060}ample.com/", HostSpelling),
        ("https://ex\u{fe0f}ample.com/", HostSpelling),
        ("https://\u{ff45}xample.com/", HostSpelling),
        ("https://example\u{3002}com/", HostSpelling),
        ("https://e\u{301}.example/", HostSpelling),
        ("https://\u{24d4}xample.com/", HostSpelling),
        ("https://ex%61mple.com/", HostSpelling),
        ("https://b%C3%BCcher.example/", HostSpelling),
        ("https://localho\u{ad}st/", Localhost),
        ("https://a!b.example/", HostName),
        ("https://a*b.example/", HostName),
        ("https://a b.example/", Control),
        ("https://a<b.example/", Malformed),
    ] {
        assert_eq!(Target::parse(text).map(|target| target.to_string()), Err(error), "{text:?}");
    }
    let label = "a".repeat(63);
    assert!(Target::parse(&format!("https://{label}.example/")).is_ok());
    assert_eq!(Target::parse(&format!("https://a{label}.example/")), Err(HostName));
    let long = format!("{}.example", [label.as_str(); 4].join("."));
    assert_eq!(Target::parse(&format!("https://{long}/")), Err(HostName));
    assert_eq!(Target::parse(&format!("https://a.example/{}", "x".repeat(8192))), Err(Malformed));
}
