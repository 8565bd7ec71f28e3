//! A server with organizations, agents, keys and a hundred policies over ten actions.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chancery_testkit::{Client, ServerOptions, ServerProcess};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How the database's disk behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disk {
    /// As this machine's does.
    AsItIs,
    /// Every fsync takes longer.
    Slowed {
        /// By how much.
        milliseconds: f64,
    },
}

/// What the measurements run against.
#[derive(Debug)]
pub(crate) struct Setting {
    server: ServerProcess,
    options: ServerOptions,
    /// An agent's key of the first organization.
    pub(crate) agent_key: String,
    /// A key that redeems tokens there.
    pub(crate) redeemer_key: String,
    /// An administrator's key there.
    pub(crate) admin_key: String,
    /// From nothing to the first answer.
    pub(crate) cold_start: Duration,
    /// From an existing data directory to the first answer.
    pub(crate) warm_start: Duration,
    _folder: TempDir,
}

impl Setting {
    /// Starts the server twice, timing both, and fills it.
    pub(crate) fn start(program: &Path, disk: Disk) -> anyhow::Result<Self> {
        Self::with(program, disk, &[])
    }

    /// The same with more of its environment.
    pub(crate) fn with(program: &Path, disk: Disk, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        // The database runs as another user and has to get in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let mut options = ServerOptions::new(program, &folder.path().join("data"));
        for (name, value) in environment {
            options = options.with(name, value);
        }
        if let Disk::Slowed { milliseconds } = disk {
            options = options.with("PG_BIN", &slowed(folder.path(), milliseconds)?.to_string_lossy());
        }
        let (mut server, cold_start) = timed(&options)?;
        let admin_key = server.admin_key()?;
        ensure!(server.terminate()?, "the server did not stop well");
        let (server, warm_start) = timed(&options)?;
        let (agent_key, redeemer_key) = fill(server.client(Some(&admin_key)))?;
        Ok(Self {
            server,
            options,
            agent_key,
            redeemer_key,
            admin_key,
            cold_start,
            warm_start,
            _folder: folder,
        })
    }

    /// Founds more organizations, each with one action, one policy and one agent. Gives the agents' keys.
    pub(crate) fn found_many(&self, count: usize) -> anyhow::Result<Vec<String>> {
        /// So many by one run of the command.
        const AT_ONCE: usize = 100;
        let names: Vec<String> = (0..count).map(|number| format!("bench {number}")).collect();
        let mut keys = Vec::with_capacity(count);
        for names in names.chunks(AT_ONCE) {
            let mut arguments = vec!["org", "create", "--json"];
            arguments.extend(names.iter().map(String::as_str));
            let output = self.options.command(&arguments).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            for line in String::from_utf8(output.stdout)?.lines() {
                let made: Value = serde_json::from_str(line)?;
                let key = made.get("admin_key").and_then(Value::as_str).context("no admin key")?;
                keys.push(furnish(self.client(key))?);
            }
        }
        Ok(keys)
    }

    /// A command of the operator on the server's data directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.options.command(arguments)
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.server.address
    }

    /// A client with a key.
    pub(crate) fn client(&self, key: &str) -> Client {
        self.server.client(Some(key))
    }

    /// The server's memory, from the system.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kilobytes * 1024)
    }
}

fn timed(options: &ServerOptions) -> anyhow::Result<(ServerProcess, Duration)> {
    let started = Instant::now();
    let server = options.start()?;
    ensure!(server.client(None).get("/readyz")?.status == 200, "the server is not ready");
    Ok((server, started.elapsed()))
}

/// Ten actions and a hundred policies, ten for each action: most of them forbid what is not asked.
fn fill(mut admin: Client) -> anyhow::Result<(String, String)> {
    for number in 0..10 {
        let definition = json!({
            "resource_type": "Thing", "description": "bench", "effect": "write", "base_risk": 5,
            "arguments": {"type": "object", "properties": {
                "amount": {"type": "integer", "minimum": 0}, "note": {"type": "string", "maxLength": 200}},
                "required": ["amount"]},
        });
        let path = format!("/api/v1/actions/bench.act_{number}");
        let answer = admin.send("PUT", &path, &[], Some(definition.to_string().as_bytes()))?;
        ensure!(answer.status < 300, "{}", String::from_utf8_lossy(&answer.body));
    }
    for action in 0..10 {
        for number in 0..10 {
            policy(&mut admin, action, number)?;
        }
    }
    keys(&mut admin)
}

fn policy(admin: &mut Client, action: u32, number: u32) -> anyhow::Result<()> {
    let head = format!("principal, action == Action::\"bench.act_{action}\", resource is Thing");
    let text = if number == 0 {
        format!("permit({head}) when {{ context.arguments.amount < 1000 }};")
    } else {
        format!("forbid({head}) when {{ context.arguments.amount == {} }};", 5000 + number)
    };
    let made =
        admin.made("/api/v1/policies", &json!({"name": format!("p{action}-{number}"), "text": text}))?;
    let id = made.get("id").and_then(Value::as_str).context("no id")?.to_owned();
    admin.made(&format!("/api/v1/policies/{id}/activate"), &json!({"version": 1}))?;
    Ok(())
}

fn keys(admin: &mut Client) -> anyhow::Result<(String, String)> {
    let agent = admin.made("/api/v1/agents", &json!({"name": "bench"}))?;
    let holder = json!({"type": "agent", "id": agent.get("id")});
    let key = |scopes: Value, audiences: Value| json!({"name": "bench", "holder": holder, "environment": "live", "scopes": scopes, "audiences": audiences});
    let submit = admin.made("/api/v1/api-keys", &key(json!(["intents:submit"]), json!([])))?;
    let redeem = admin.made("/api/v1/api-keys", &key(json!(["tokens:verify"]), json!(["bench"])))?;
    let text =
        |made: &Value| made.get("secret").and_then(Value::as_str).map(str::to_owned).context("no secret");
    Ok((text(&submit)?, text(&redeem)?))
}

/// One action, one policy and one agent. Gives the agent's key.
fn furnish(mut admin: Client) -> anyhow::Result<String> {
    let definition = json!({"resource_type": "Thing", "description": "bench", "effect": "write", "base_risk": 5,
        "arguments": {"type": "object", "properties": {"amount": {"type": "integer"}, "note": {"type": "string"}},
                      "required": ["amount"]}});
    admin.send("PUT", "/api/v1/actions/bench.act_0", &[], Some(definition.to_string().as_bytes()))?;
    policy(&mut admin, 0, 0)?;
    Ok(keys(&mut admin)?.0)
}

/// A folder with the system's Postgres programs whose `postgres` takes longer for each fsync.
fn slowed(folder: &Path, milliseconds: f64) -> anyhow::Result<PathBuf> {
    let source = folder.join("slow.c");
    let library = folder.join("slow.so");
    fs::write(
        &source,
        format!(
            "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <unistd.h>\n\
         int fdatasync(int f){{static int(*r)(int);if(!r)r=dlsym(RTLD_NEXT,\"fdatasync\");usleep({0});return r(f);}}\n\
         int fsync(int f){{static int(*r)(int);if(!r)r=dlsym(RTLD_NEXT,\"fsync\");usleep({0});return r(f);}}\n",
            (milliseconds * 1000.0).round()
        ),
    )?;
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .status()?;
    ensure!(built.success(), "the slowing library does not build");
    let real = postgres_programs()?;
    let programs = folder.join("slow-bin");
    fs::create_dir(&programs)?;
    for entry in fs::read_dir(&real)? {
        let name = entry?.file_name();
        if name != "postgres" {
            std::os::unix::fs::symlink(real.join(&name), programs.join(&name))?;
        }
    }
    let wrapper = programs.join("postgres");
    fs::write(
        &wrapper,
        format!("#!/bin/sh\nLD_PRELOAD={} exec {}/postgres \"$@\"\n", library.display(), real.display()),
    )?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    Ok(programs)
}

/// The folder of the Postgres programs that the server would take.
fn postgres_programs() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("PG_BIN") {
        return Ok(folder.into());
    }
    let find =
        "dirname \"$(command -v postgres || ls /usr/lib/postgresql/*/bin/postgres | sort -V | tail -1)\"";
    let output = Command::new("sh").args(["-c", find]).output()?;
    ensure!(output.status.success(), "no postgres is found: set PG_BIN");
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
