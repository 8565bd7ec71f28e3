//! Checkpoints outside Postgres: what a database that was rolled back or cut short can't undo.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chancery_evidence::{Checkpoint, VerifierKey};

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointFileError {
    /// It can't be read or written.
    #[error("checkpoint file `{path}`: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line holds no note, or would be the newest of its log and is not signed by this installation.
    #[error("checkpoint file `{path}`, line {line}: {reason}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// Notes on lines of their own, each a JSON string, the newest last. Appended and synced; from time
/// to time rewritten to the newest of each log and a thinned history.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    file: File,
    written: u64,
    compact_at: u64,
    newest: HashMap<String, (Checkpoint, String)>,
}

/// The file is not rewritten below this size, in bytes.
const COMPACT_FROM: u64 = 8 * 1024 * 1024;
/// How many checkpoints of each log a rewrite keeps besides the newest: spread over its sizes.
const HISTORY: usize = 16;

impl CheckpointFile {
    /// Opens or makes the file and reads what it vouches for: of each log the newest checkpoint, which
    /// must be signed by this installation. What older lines say is used nowhere and not checked. A line
    /// cut short by a crash is dropped.
    ///
    /// # Errors
    /// See [`CheckpointFileError`].
    pub fn open(path: &Path, key: &VerifierKey) -> Result<Self, CheckpointFileError> {
        let failed = |source| CheckpointFileError::Io { path: path.to_owned(), source };
        let Contents { newest, whole } = read(path, key)?;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
        file.set_len(whole).map_err(failed)?;
        let written = whole;
        Ok(Self { path: path.to_owned(), file, written, compact_at: COMPACT_FROM.max(written * 2), newest })
    }

    /// The newest checkpoint of each log.
    pub fn newest(&self) -> impl Iterator<Item = &Checkpoint> {
        self.newest.values().map(|(checkpoint, _)| checkpoint)
    }

    /// Appends checkpoints and waits until they are on the disk.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn append(&mut self, checkpoints: Vec<(Checkpoint, String)>) -> Result<(), CheckpointFileError> {
        let failed = |source| CheckpointFileError::Io { path: self.path.clone(), source };
        let mut lines = Vec::new();
        for (_, note) in &checkpoints {
            write_line(&mut lines, note).map_err(failed)?;
        }
        if let Err(error) = self.file.write_all(&lines).and_then(|()| self.file.sync_data()) {
            // What was written in part would spoil the line after it.
            self.file.set_len(self.written).map_err(failed)?;
            return Err(failed(error));
        }
        for (checkpoint, note) in checkpoints {
            self.newest.insert(checkpoint.origin.clone(), (checkpoint, note));
        }
        self.written += u64::try_from(lines.len()).unwrap_or(0);
        if self.written >= self.compact_at { self.compact() } else { Ok(()) }
    }

    /// Rewrites the file: a new one is written, synced and put in the old one's place.
    fn compact(&mut self) -> Result<(), CheckpointFileError> {
        let failed = |source| CheckpointFileError::Io { path: self.path.clone(), source };
        let mut lines = Vec::new();
        for note in thin(&fs::read(&self.path).map_err(failed)?) {
            write_line(&mut lines, &note).map_err(failed)?;
        }
        let beside = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        file.write_all(&lines).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&beside, &self.path).map_err(failed)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        self.file = OpenOptions::new().append(true).open(&self.path).map_err(failed)?;
        self.written = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        self.compact_at = COMPACT_FROM.max(self.written * 2);
        Ok(())
    }
}

/// What a file vouches for, and how many bytes of it are whole lines.
struct Contents {
    newest: HashMap<String, (Checkpoint, String)>,
    whole: u64,
}

/// The newest checkpoint of each log in a file. Only read: the file belongs to the server that writes
/// it, and a last line without its end is being written at this moment. No file vouches for nothing.
///
/// # Errors
/// When the file does not read, or what it holds as the newest of a log is not this installation's.
pub fn read_newest(path: &Path, key: &VerifierKey) -> Result<Vec<Checkpoint>, CheckpointFileError> {
    Ok(read(path, key)?.newest.into_values().map(|(checkpoint, _)| checkpoint).collect())
}

fn read(path: &Path, key: &VerifierKey) -> Result<Contents, CheckpointFileError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(CheckpointFileError::Io { path: path.to_owned(), source }),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let mut newest: HashMap<String, (Checkpoint, String)> = HashMap::new();
    let keys = [key.clone()];
    let lines: Vec<&[u8]> = bytes.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').collect();
    // From the end: checking a signature costs more than all else, and of a log only the newest counts.
    for (number, line) in lines.into_iter().enumerate().rev().filter(|(_, line)| !line.is_empty()) {
        let refuse =
            |reason: String| CheckpointFileError::Line { path: path.to_owned(), line: number + 1, reason };
        let note: String = serde_json::from_slice(line).map_err(|error| refuse(error.to_string()))?;
        let is_older = |(origin, size): (&str, u64)| newest.get(origin).is_some_and(|it| size <= it.0.size);
        if !said(&note).is_some_and(is_older) {
            let checkpoint = Checkpoint::open(&note, &keys).map_err(|error| refuse(error.to_string()))?;
            newest.insert(checkpoint.origin.clone(), (checkpoint, note));
        }
    }
    Ok(Contents { newest, whole: u64::try_from(whole).unwrap_or(u64::MAX) })
}

/// The log and size that a note speaks of, whoever signed it.
fn said(note: &str) -> Option<(&str, u64)> {
    let mut lines = note.lines();
    Some((lines.next()?, lines.next()?.parse().ok()?))
}

fn write_line(lines: &mut Vec<u8>, note: &str) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, note)?;
    lines.push(b'\n');
    Ok(())
}

/// Of each log the newest note and at most [`HISTORY`] older ones, evenly spread.
fn thin(bytes: &[u8]) -> Vec<String> {
    let mut logs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(note) = serde_json::from_slice::<String>(line) else { continue };
        let origin = note.lines().next().unwrap_or_default().to_owned();
        logs.entry(origin).or_default().push(note);
    }
    let mut kept = Vec::new();
    for notes in logs.into_values() {
        let (last, every) = (notes.len().saturating_sub(1), notes.len().div_ceil(HISTORY).max(1));
        kept.extend(
            notes.into_iter().enumerate().filter(|(i, _)| *i == last || i % every == 0).map(|(_, n)| n),
        );
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_crypto::{Algorithm, SigningKey};
    use chancery_evidence::CheckpointSigner;

    fn signer() -> CheckpointSigner {
        CheckpointSigner::new("chancery/test".to_owned(), SigningKey::generate(Algorithm::EdDsa).unwrap())
            .unwrap()
    }

    fn signed(signer: &CheckpointSigner, log: &str, size: u64) -> (Checkpoint, String) {
        let checkpoint = Checkpoint { origin: format!("chancery/test/{log}"), size, root: [7; 32] };
        let note = signer.sign(&checkpoint).unwrap();
        (checkpoint, note)
    }

    fn sizes(file: &CheckpointFile) -> BTreeMap<String, u64> {
        file.newest().map(|checkpoint| (checkpoint.origin.clone(), checkpoint.size)).collect()
    }

    #[test]
    fn the_newest_survives_a_restart_a_torn_line_and_a_rewrite() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints");
        let signer = signer();
        let mut file = CheckpointFile::open(&path, signer.vkey()).unwrap();
        for size in 1..=100 {
            file.append(vec![signed(&signer, "a", size), signed(&signer, "b", size * 2)]).unwrap();
        }
        drop(file);
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"\"half a no").unwrap();
        let mut file = CheckpointFile::open(&path, signer.vkey()).unwrap();
        let before = sizes(&file);
        assert_eq!(before.values().copied().collect::<Vec<_>>(), [100, 200]);
        let long = fs::metadata(&path).unwrap().len();
        file.compact().unwrap();
        file.append(vec![signed(&signer, "a", 101)]).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < long / 4);
        let again = CheckpointFile::open(&path, signer.vkey()).unwrap();
        assert_eq!(sizes(&again).values().copied().collect::<Vec<_>>(), [101, 200]);
    }

    #[test]
    fn a_forged_line_counts_for_nothing_and_is_refused_where_it_would() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints");
        let (ours, theirs) = (signer(), signer());
        let write = |notes: &[(Checkpoint, String)]| {
            let mut lines = Vec::new();
            notes.iter().for_each(|(_, note)| write_line(&mut lines, note).unwrap());
            fs::write(&path, lines).unwrap();
        };
        let at = |signer, size| signed(signer, "a", size);
        write(&[at(&theirs, 5), at(&ours, 4), at(&ours, 6)]);
        let newest = read_newest(&path, ours.vkey()).unwrap();
        assert_eq!(newest.iter().map(|it| it.size).collect::<Vec<_>>(), [6]);
        for forged in [&[at(&ours, 4), at(&theirs, 5)], &[at(&theirs, 5), at(&ours, 4)]] {
            write(forged);
            assert!(read_newest(&path, ours.vkey()).is_err());
        }
    }

    #[test]
    fn another_installations_checkpoint_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints");
        let (ours, theirs) = (signer(), signer());
        CheckpointFile::open(&path, theirs.vkey()).unwrap().append(vec![signed(&theirs, "a", 1)]).unwrap();
        assert!(matches!(
            CheckpointFile::open(&path, ours.vkey()),
            Err(CheckpointFileError::Line { line: 1, .. })
        ));
    }
}
