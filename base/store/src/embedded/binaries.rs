//! The Postgres binaries of this machine.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::{EmbeddedError, OnFile};

/// The oldest major version that the schema and the settings are written for.
const OLDEST: u32 = 15;

/// Where distributions keep the binaries; `*` stands for one path part with a version in it.
const USUAL_FOLDERS: [&str; 6] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
];

/// A folder with one version's binaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    folder: PathBuf,
    version: u32,
}

impl Binaries {
    /// The configured folder, or the best one found; with an existing cluster, the newest of the
    /// major version that made it.
    pub(super) fn find(configured: Option<&Path>, cluster: &Path) -> Result<Self, EmbeddedError> {
        // The search path is not configuration of ours: it is read where any program would be found.
        Search { configured, path: std::env::var_os("PATH"), folders: &USUAL_FOLDERS }.run(cluster)
    }

    /// The path of one of them.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

struct Search<'a> {
    configured: Option<&'a Path>,
    path: Option<OsString>,
    folders: &'a [&'a str],
}

impl Search<'_> {
    fn run(&self, cluster: &Path) -> Result<Binaries, EmbeddedError> {
        let made_by = made_by(cluster)?;
        let found = match self.configured {
            Some(folder) => vec![configured(folder)?],
            None => self.candidates(),
        };
        let newest = found.iter().map(|binaries| binaries.version).max();
        let usable = |binaries: &Binaries| match made_by {
            Some(version) => binaries.version == version,
            None => binaries.version >= OLDEST,
        };
        if let Some(binaries) = found.into_iter().find(usable) {
            return Ok(binaries);
        }
        Err(match (made_by, newest) {
            (Some(cluster_version), Some(newest)) => {
                EmbeddedError::OtherVersion { path: cluster.to_owned(), cluster: cluster_version, newest }
            }
            (_, older) => EmbeddedError::NoBinaries { older },
        })
    }

    /// Every installation: the search path's in its order, then the usual folders', newest first.
    fn candidates(&self) -> Vec<Binaries> {
        let on_path = self.path.iter().flat_map(std::env::split_paths);
        // Debian links the tools into the search path one by one: follow `postgres` to its folder.
        let on_path = on_path.filter_map(|folder| {
            let program = fs::canonicalize(folder.join("postgres")).ok()?;
            inspect(program.parent()?).ok()
        });
        let mut usual: Vec<_> = self
            .folders
            .iter()
            .flat_map(|pattern| matching(pattern))
            .filter_map(|folder| inspect(&folder).ok())
            .collect();
        usual.sort_by_key(|binaries| std::cmp::Reverse(binaries.version));
        on_path.chain(usual).collect()
    }
}

/// The major version that made a cluster; `None` where there is no cluster.
fn made_by(cluster: &Path) -> Result<Option<u32>, EmbeddedError> {
    let file = cluster.join("PG_VERSION");
    match fs::read_to_string(&file) {
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).on(file),
    }
}

/// The configured folder: a wrong one is an error, not a reason to look elsewhere.
fn configured(folder: &Path) -> Result<Binaries, EmbeddedError> {
    let bad = |problem| EmbeddedError::BadBinaries { folder: folder.to_owned(), problem };
    let binaries = inspect(folder).map_err(bad)?;
    if binaries.version < OLDEST {
        return Err(bad(format!("holds version {}, and {OLDEST} or newer is needed", binaries.version)));
    }
    Ok(binaries)
}

/// What is in a folder, or why it cannot be used.
fn inspect(folder: &Path) -> Result<Binaries, String> {
    for name in ["postgres", "initdb"] {
        if !folder.join(name).is_file() {
            return Err(format!("holds no `{name}`"));
        }
    }
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("holds a `postgres` that cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version =
        major(&text).ok_or_else(|| "holds a `postgres` that does not tell its version".to_owned())?;
    Ok(Binaries { folder: folder.to_owned(), version })
}

/// The major version in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, `17beta1` included.
fn major(text: &str) -> Option<u32> {
    let number = text.strip_prefix("postgres (PostgreSQL) ")?;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number.get(..end)?.parse().ok()
}

/// The folders that a pattern of [`USUAL_FOLDERS`] names.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else { return vec![PathBuf::from(pattern)] };
    let (parent, start) = before.rsplit_once('/').unwrap_or(("", before));
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path().join(after.trim_start_matches('/')))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder that looks like an installation of `version`.
    fn install(root: &Path, name: &str, version: &str) -> PathBuf {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        for program in ["postgres", "initdb"] {
            let script = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n");
            fs::write(folder.join(program), script).unwrap();
            fs::set_permissions(folder.join(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    }

    fn search(root: &Path, path: Option<&Path>, cluster: &Path) -> Result<Binaries, EmbeddedError> {
        let pattern = format!("{}/pg-*/bin", root.display());
        let path = path.map(|path| path.as_os_str().to_owned());
        Search { configured: None, path, folders: &[&pattern] }.run(cluster)
    }

    #[test]
    fn takes_the_search_path_first_and_then_the_newest() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "pg-16/bin", "16.2");
        let newest = install(root.path(), "pg-17/bin", "17.0 (Debian 17.0-1)");
        install(root.path(), "pg-14/bin", "14.9");
        let none = root.path().join("none");
        assert_eq!(search(root.path(), None, &none).unwrap().folder, newest);

        let on_path = install(root.path(), "path", "15.1");
        let found = search(root.path(), Some(&on_path), &none).unwrap();
        assert_eq!(found, Binaries { folder: fs::canonicalize(on_path).unwrap(), version: 15 });

        let old = install(root.path(), "old", "13.4");
        assert_eq!(
            search(root.path(), Some(&old), &none).unwrap().folder,
            newest,
            "an old one is passed over"
        );
    }

    #[test]
    fn an_existing_cluster_keeps_its_version() {
        let root = tempfile::tempdir().unwrap();
        let made_by = install(root.path(), "pg-16/bin", "16.2");
        install(root.path(), "pg-17/bin", "17.0");
        let cluster = root.path().join("cluster");
        fs::create_dir(&cluster).unwrap();
        fs::write(cluster.join("PG_VERSION"), "16\n").unwrap();
        assert_eq!(search(root.path(), None, &cluster).unwrap().folder, made_by);

        fs::write(cluster.join("PG_VERSION"), "15\n").unwrap();
        let error = search(root.path(), None, &cluster).unwrap_err();
        assert!(matches!(error, EmbeddedError::OtherVersion { cluster: 15, newest: 17, .. }), "{error}");
    }

    #[test]
    fn none_is_one_line_with_the_install_commands() {
        let root = tempfile::tempdir().unwrap();
        let none = root.path().join("none");
        let line = search(root.path(), None, &none).unwrap_err().to_string();
        for part in ["apt install", "dnf install", "apk add", "brew install", "PG_BIN"] {
            assert!(line.contains(part), "{line}");
        }
        assert_eq!(line.lines().count(), 1);

        install(root.path(), "pg-14/bin", "14.9");
        assert!(search(root.path(), None, &none).unwrap_err().to_string().contains("only version 14"));
    }

    #[test]
    fn a_wrong_configured_folder_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let none = root.path().join("none");
        let find = |folder: &Path| Binaries::find(Some(folder), &none).unwrap_err().to_string();
        assert!(find(root.path()).contains("holds no `postgres`"));
        assert!(find(&install(root.path(), "old", "14.1")).contains("holds version 14"));
        assert!(find(&install(root.path(), "odd", "x")).contains("does not tell its version"));
    }

    #[test]
    fn reads_versions() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres (EnterpriseDB) 15"), None);
    }
}
