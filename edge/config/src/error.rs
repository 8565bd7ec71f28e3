//! What is wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

/// Where a value was set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nowhere.
    #[default]
    Default,
    /// In the configuration file.
    File(PathBuf),
    /// In the environment variable of this name.
    Environment(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::Environment(name) => write!(f, "environment variable `{name}`"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key; empty when it is the file as a whole.
    pub key: String,
    /// Where it was set.
    pub source: Source,
    /// What is wrong and what is expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.source, self.message),
            key => write!(f, "`{key}` ({}): {}", self.source, self.message),
        }
    }
}

/// The configuration cannot be used; everything that is wrong with it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", list(problems))]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    match problems {
        [one] => format!("wrong configuration: {one}"),
        many => many
            .iter()
            .fold("wrong configuration:".to_owned(), |text, problem| format!("{text}\n  {problem}")),
    }
}
