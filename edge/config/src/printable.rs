//! The effective configuration, for people.

use std::fmt::Write;

use crate::Config;
use crate::error::Source;
use crate::reference::KEYS;

impl Config {
    /// The effective values as TOML, with the source of each; a secret is `"hidden"`.
    #[must_use]
    pub fn printable(&self) -> String {
        let values = toml::Value::try_from(self).ok();
        let mut text = String::new();
        let mut current = "";
        for key in KEYS {
            let (section, name) = key.parts();
            if section != current {
                let _ = write!(text, "\n[{section}]\n");
                current = section;
            }
            let value = values.as_ref().and_then(|all| key.name.split('.').try_fold(all, toml::Value::get));
            let source = self.sources.get(key.name).unwrap_or(&Source::Default);
            let _ = match value {
                Some(value) => writeln!(text, "{name} = {value}  # {source}"),
                None => writeln!(text, "# {name} is not set: {}", key.expected),
            };
        }
        text
    }
}
