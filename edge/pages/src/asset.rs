//! The stylesheet and the script, each under a name that changes with its content.

/// A file that the pages refer to. Its name holds a hash of its content, so that it can be cached for
/// good: `Cache-Control: public, max-age=31536000, immutable`.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    stem: &'static str,
    extension: &'static str,
    content_type: &'static str,
    text: &'static str,
    hash: u64,
}

/// The one stylesheet.
pub const STYLESHEET: Asset =
    Asset::new("chancery", "css", "text/css; charset=utf-8", include_str!("../assets/chancery.css"));

/// The one script. The pages work without it.
pub const SCRIPT: Asset =
    Asset::new("chancery", "js", "text/javascript; charset=utf-8", include_str!("../assets/chancery.js"));

/// Everything that is to be served below [`FOLDER`].
pub const ASSETS: [Asset; 2] = [STYLESHEET, SCRIPT];

/// Where the pages look for the assets.
pub const FOLDER: &str = "/assets/";

/// The `Content-Security-Policy` that every page works under.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

impl Asset {
    const fn new(
        stem: &'static str,
        extension: &'static str,
        content_type: &'static str,
        text: &'static str,
    ) -> Self {
        Self { stem, extension, content_type, text, hash: fnv_1a(text.as_bytes()) }
    }

    /// Its name, such as `chancery.0f3a….css`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.{:016x}.{}", self.stem, self.hash, self.extension)
    }

    /// Its path: the name below [`FOLDER`].
    #[must_use]
    pub fn path(&self) -> String {
        format!("{FOLDER}{}", self.file_name())
    }

    /// What to serve it as.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// Its content.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        self.text
    }
}

/// FNV-1a with 64 bits. It tells one edition from the next; nobody who could make a collision could not
/// change the file as well.
const fn fnv_1a(mut bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    while let Some((first, rest)) = bytes.split_first() {
        hash = (hash ^ *first as u64).wrapping_mul(0x0000_0100_0000_01b3);
        bytes = rest;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the authors' test vectors (draft-eastlake-fnv).
        assert_eq!(fnv_1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_name_changes_with_the_content() {
        let other = Asset::new("chancery", "css", "text/css", "a{}");
        assert_ne!(STYLESHEET.file_name(), other.file_name());
        assert!(STYLESHEET.path().starts_with("/assets/chancery."));
    }
}
