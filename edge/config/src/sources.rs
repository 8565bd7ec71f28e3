//! Where the configuration comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the environment's variables of ours begin with.
pub(crate) const PREFIX: &str = "CHANCERY_";

/// The variable that names the configuration file.
const FILE_VARIABLE: &str = "CHANCERY_CONFIG";

/// Variables of ours that are not the server's configuration: the client's and the tests'.
const OTHERS: [&str; 4] = [FILE_VARIABLE, "CHANCERY_URL", "CHANCERY_KEY", "CHANCERY_API_KEY"];
const TESTS: &str = "CHANCERY_TEST_";

/// Variables under names that other programs know, and their keys. Ours win.
const COMMON: [(&str, &str); 3] = [
    ("DATABASE_URL", "database.url"),
    ("PG_BIN", "database.binaries"),
    ("ALLOWED_ORIGINS", "server.allowed_origins"),
];

/// What a configuration is loaded from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, which must exist.
    pub file: Option<PathBuf>,
    /// The environment. An empty value counts as not set.
    pub environment: BTreeMap<String, String>,
    /// Whether root runs the server, whose data then lies under `/var/lib`.
    pub root: bool,
}

impl Sources {
    /// This process's. The file is the one given, or the one `CHANCERY_CONFIG` names, or the usual one
    /// if it exists: `/etc/chancery/chancery.toml` for root, `chancery/chancery.toml` in the user's
    /// configuration folder for others.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let root = rustix::process::geteuid().is_root();
        let mut sources = Self { file, environment, root };
        sources.file = sources.file.take().or_else(|| sources.usual_file());
        sources
    }

    fn usual_file(&self) -> Option<PathBuf> {
        if let Some(path) = self.variable(FILE_VARIABLE) {
            return Some(PathBuf::from(path));
        }
        let folder =
            if self.root { PathBuf::from("/etc") } else { self.user_folder("XDG_CONFIG_HOME", ".config")? };
        Some(folder.join("chancery/chancery.toml")).filter(|file| file.exists())
    }

    /// The data directory that nobody chose; `None` for a user without a home.
    pub(crate) fn data_dir(&self) -> Option<PathBuf> {
        if self.root {
            return Some(PathBuf::from("/var/lib/chancery"));
        }
        Some(self.user_folder("XDG_DATA_HOME", ".local/share")?.join("chancery"))
    }

    /// The keys that the environment sets, with the variable and its value.
    pub(crate) fn settings(&self) -> BTreeMap<String, (&str, &str)> {
        let common = COMMON.iter().filter_map(|(name, key)| {
            let (name, value) = self.environment.get_key_value(*name)?;
            Some(((*key).to_owned(), name, value))
        });
        let ours = self.environment.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix(PREFIX)?;
            let other = OTHERS.contains(&name.as_str()) || name.starts_with(TESTS);
            (!other).then(|| (key.to_lowercase().replace("__", "."), name, value))
        });
        common
            .chain(ours)
            .filter(|(_, _, value)| !value.is_empty())
            .map(|(key, name, value)| (key, (name.as_str(), value.as_str())))
            .collect()
    }

    /// A folder of the user's, by the XDG base directory specification: relative paths are ignored.
    fn user_folder(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        let named = self.variable(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        named.or_else(|| Some(Path::new(self.variable("HOME")?).join(in_home)))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
