//! A URL, or the `location` of a redirect, that a request would be sent to.

use chancery_egress::{Host, Target, refused};

/// What URLs are made of, and what is used to pass a check by.
const PIECES: &[&str] = &[
    "https://",
    "http://",
    "//",
    "/",
    "\\",
    "a.example",
    "B\u{fc}cher.example",
    "localhost",
    ".",
    "@",
    "u:p@",
    ":",
    ":0",
    ":8443",
    "127.0.0.1",
    "0x7f.1",
    "2130706433",
    "[::1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::1.2.3.4]",
    "%00",
    "%2e",
    "?",
    "#",
    "\u{ad}",
    "\u{200b}",
    "\u{3002}",
    "\u{ff41}",
    "\t",
    "\n",
    " ",
    "..",
    "metadata",
    ".google.internal",
    "xn--",
    "-",
    "_",
    "*",
    "é",
    "0",
    "x",
    "..//",
];

/// What is read of a URL is what is written: it names no user, this machine by no name, no port 0; it is
/// read the same again; and so is wherever a redirect from there leads.
///
/// # Panics
/// When that does not hold.
pub fn url(data: &[u8]) {
    let data = &data[..data.len().min(2_000)];
    let made: String = data.iter().map(|byte| PIECES[usize::from(*byte) % PIECES.len()]).collect();
    let from = Target::parse("https://from.example/a/b?c").unwrap();
    for text in [
        &*String::from_utf8_lossy(data),
        &made,
        &format!("https://{made}"),
        &format!("http://a.example{made}"),
    ] {
        if let Ok(target) = Target::parse(text) {
            hold(&target, text);
            assert!(is_spelled(&target, text), "`{text:?}` is read as {target}");
        }
        if let Ok(target) = from.join(text) {
            hold(&target, text);
            let is_here = target.host() == from.host() && target.scheme() == from.scheme();
            assert!(is_here || is_spelled(&target, text), "`{text:?}` leads to {target}");
        }
    }
}

fn hold(target: &Target, text: &str) {
    assert!(!text.chars().any(|c| c.is_control() || c.is_whitespace()), "{text:?}");
    assert_ne!(target.port(), 0);
    assert_eq!(Target::parse(target.as_str()).as_ref(), Ok(target), "{text:?}");
    let (_, rest) = target.as_str().split_once("://").unwrap();
    assert!(!rest.split(['/', '?']).next().unwrap().contains('@'), "{text:?}");
    assert!(!target.as_str().contains('#'), "{text:?}");
    match target.host() {
        Host::Name(name) => {
            assert!(
                name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')),
                "{name}"
            );
            assert!(!name.ends_with('.') && !name.starts_with('.') && !name.contains(".."), "{name}");
            for refused in ["localhost", "metadata.google.internal", "metadata"] {
                let before = name.strip_suffix(refused);
                assert!(before.is_none_or(|before| !before.is_empty() && !before.ends_with('.')), "{name}");
            }
            assert!(name.parse::<std::net::IpAddr>().is_err(), "{name}");
        }
        // Whatever it is, it is judged, and the same in either family.
        Host::Address(address) => {
            assert_eq!(*address, address.to_canonical());
            let _ = refused(*address);
        }
    }
}

/// Whether the host of a target stands in the text, but for its case and what is not ASCII.
fn is_spelled(target: &Target, text: &str) -> bool {
    let Host::Name(name) = target.host() else { return true };
    !text.is_ascii() || text.to_ascii_lowercase().contains(&**name)
}
