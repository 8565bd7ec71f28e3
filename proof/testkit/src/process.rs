//! The real server as a process: started, killed, started again.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail};

use crate::Client;

/// How a server is started.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The `chancery` program.
    pub program: PathBuf,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// More of its environment: `CHANCERY_*`, `DATABASE_URL`, `PG_BIN`.
    pub environment: Vec<(String, String)>,
    /// The file its log is appended to; the test's own standard error when absent.
    pub log: Option<PathBuf>,
}

impl ServerOptions {
    /// A server of `program` on `data_dir`, on a free port, without limits that a test would meet.
    #[must_use]
    pub fn new(program: &Path, data_dir: &Path) -> Self {
        let environment = [
            ("CHANCERY_SERVER__LISTEN", "127.0.0.1:0"),
            ("CHANCERY_LIMITS__KEY_PER_MINUTE", "100000000"),
            ("CHANCERY_LIMITS__KEY_BURST", "1000000"),
            ("CHANCERY_LIMITS__ORGANIZATION_PER_MINUTE", "100000000"),
            ("CHANCERY_LIMITS__ORGANIZATION_BURST", "1000000"),
            ("CHANCERY_LIMITS__ADDRESS_PER_MINUTE", "100000000"),
            ("CHANCERY_LIMITS__ADDRESS_BURST", "1000000"),
            ("CHANCERY_LIMITS__DOOR_PER_MINUTE", "100000000"),
            ("CHANCERY_LIMITS__DOOR_BURST", "1000000"),
            ("CHANCERY_LOG__LEVEL", "warn"),
        ];
        Self {
            program: program.to_owned(),
            data_dir: data_dir.to_owned(),
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            log: None,
        }
    }

    /// The same with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with its whole log, at this level, in a file.
    #[must_use]
    pub fn logging_to(self, file: &Path, level: &str) -> Self {
        let with_level = self.with("CHANCERY_LOG__LEVEL", level);
        Self { log: Some(file.to_owned()), ..with_level }
    }

    /// A run of the program with other arguments, on the same data directory.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            // The tests' own, which the server would take for a mistaken key of its configuration.
            .env_remove("CHANCERY_FULL")
            .env("CHANCERY_DATA_DIR", &self.data_dir)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the server and waits until it says where it listens.
    ///
    /// # Errors
    /// When it ends before that.
    pub fn start(&self) -> anyhow::Result<ServerProcess> {
        let mut command = self.command(&["serve"]);
        if let Some(log) = &self.log {
            command.stderr(File::options().create(true).append(true).open(log)?);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().context("the server does not start")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?);
        let mut told = String::new();
        let address = loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                let status = child.wait()?;
                bail!("the server ended before it served: {status}\n{told}");
            }
            told.push_str(&line);
            if let Some((_, url)) = line.split_once("chancery serves at ") {
                break url.trim().trim_start_matches("http://").to_owned();
            }
        };
        // The rest of a first start is one write: the vkey and, on the first one, the admin's key.
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let vkey = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Ok(ServerProcess { child, address, vkey, lines })
    }
}

/// A server that runs. Dropping it kills it.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// `host:port`.
    pub address: String,
    /// The verifier key it printed.
    pub vkey: String,
    lines: BufReader<ChildStdout>,
}

impl ServerProcess {
    /// The admin key that a first start shows.
    ///
    /// # Errors
    /// When it shows none.
    pub fn admin_key(&mut self) -> anyhow::Result<String> {
        for line in self.lines.by_ref().lines() {
            let line = line?;
            if let Some(key) = line.split_whitespace().find(|word| word.starts_with("chn_live_")) {
                return Ok(key.to_owned());
            }
        }
        bail!("no key was shown")
    }

    /// A client with a key or none.
    #[must_use]
    pub fn client(&self, key: Option<&str>) -> Client {
        Client::new(&self.address, key)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`: nothing is told to it.
    ///
    /// # Errors
    /// When it is gone already.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for its end; gives whether it ended well.
    ///
    /// # Errors
    /// When it can't be told.
    pub fn terminate(&mut self) -> anyhow::Result<bool> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        Ok(self.child.wait()?.success())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
