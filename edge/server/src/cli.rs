//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use chancery_config::{Config, Log, LogLevel, Sources};
use chancery_model::Slug;
use clap::{Args, Parser, Subcommand};

use crate::client::{ClientCommand, Way};
use crate::consent::Consent;
use crate::doctor::{self, Asked};
use crate::founding::Founding;
use crate::terminal::Terminal;
use crate::{client, demo, egress, logging, operate, serve, verify};

/// Authority for AI agents: asks before it acts, decides by policy, records what was decided.
#[derive(Debug, Parser)]
#[command(name = "chancery", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the server's own things are.
#[derive(Args, Clone, Debug)]
struct Place {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory, over what the configuration says.
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve.
    Serve {
        #[command(flatten)]
        place: Place,
        /// The name of the organization that the first start makes.
        #[arg(long, value_name = "NAME", default_value = "default")]
        organization: String,
    },
    /// Show the whole story on a server of its own, in a minute, and leave nothing behind.
    Demo,
    /// Organizations of this installation.
    Org {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: OrgCommand,
    },
    /// The key-encryption key.
    Kek {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: KekCommand,
    },
    /// What others need to trust this installation's record.
    Trust {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: TrustCommand,
    },
    /// The configuration.
    Config {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// The way out to connectors and webhooks.
    Egress {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        command: EgressCommand,
    },
    /// What is logged.
    Logs {
        #[command(subcommand)]
        command: LogsCommand,
    },
    /// Examine this installation, or with --tenant-column any Postgres database whose tenants
    /// row-level security keeps apart. Changes nothing; exits with 1 when something has to be put right,
    /// with 2 when it could not look.
    Doctor {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        asked: Asked,
    },
    /// Verify an evidence bundle, offline.
    Verify {
        /// The bundle.
        file: PathBuf,
        /// A verifier key, or a file of them (`chancery trust export`).
        #[arg(long, value_name = "KEYS")]
        trust: String,
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
    /// The record.
    Record {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        way: Way,
        #[command(subcommand)]
        command: RecordCommand,
    },
    #[command(flatten)]
    Client(Box<ClientCommand>),
}

#[derive(Debug, Subcommand)]
enum OrgCommand {
    /// Make organizations, each with an admin, and show the admins' keys once.
    Create {
        /// Its name; several make several.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Its short name, as it stands in addresses; for one name only. If absent it is made of the
        /// name: letters without their marks, `-` between words (`Größe & Söhne`: `grosse-sohne`).
        #[arg(long)]
        slug: Option<String>,
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make another key for the admin of an organization, when theirs was lost, and show it once.
    AdminKey {
        /// The organization's short name.
        slug: Slug,
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum KekCommand {
    /// Take a new version into use and wrap every organization's key under it; also while serving.
    Rotate {
        /// Go on with a rotation that was broken off.
        #[arg(long)]
        resume: bool,
    },
    /// Destroy the versions that wrap nothing any more; refused while any key is wrapped under them.
    Drop {
        /// Do not ask: needed where there is no terminal to ask at.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum TrustCommand {
    /// Print the verifier key of the installation's checkpoints.
    Export,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the effective values and where each was set; secrets are hidden.
    Show,
}

#[derive(Debug, Subcommand)]
enum EgressCommand {
    /// Say whether URLs may be reached, and why not, without reaching them; fails if any may not.
    Check {
        /// The URLs; without one, or for `-`, they are read from standard input, one a line.
        #[arg(value_name = "URL")]
        urls: Vec<String>,
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum LogsCommand {
    /// Mask secrets and persons' data in what comes from standard input, as the server's own log is masked.
    Scrub,
}

#[derive(Debug, Subcommand)]
enum RecordCommand {
    /// Verify every record in the database, whole.
    Verify {
        /// Only this organization's.
        #[arg(long, value_name = "SLUG")]
        org: Option<Slug>,
    },
    #[command(flatten)]
    Client(client::RecordCommand),
}

impl Place {
    fn load(self) -> anyhow::Result<Config> {
        let mut sources = Sources::of_process(self.config);
        if let Some(folder) = self.data_dir {
            let folder = std::path::absolute(folder)?;
            let folder =
                folder.to_str().ok_or_else(|| anyhow::anyhow!("the data directory's path is not UTF-8"))?;
            sources.environment.insert("CHANCERY_DATA_DIR".to_owned(), folder.to_owned());
        }
        Ok(Config::load(&sources)?)
    }
}

impl Cli {
    /// Whether it serves requests, of others or of its own demonstration.
    pub(crate) const fn serves(&self) -> bool {
        matches!(self.command, Command::Serve { .. } | Command::Demo)
    }

    /// What the process exits with when what was asked can't be done.
    pub(crate) fn failure(&self) -> ExitCode {
        // 1 is what the doctor says of a finding.
        if matches!(self.command, Command::Doctor { .. }) { ExitCode::from(2) } else { ExitCode::FAILURE }
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// When it can't be done; the text is for people.
    pub(crate) async fn act(self) -> anyhow::Result<ExitCode> {
        let terminal = Terminal::stdout();
        if !self.serves() {
            // A command's answer is its output; the log tells only what went wrong on the way.
            logging::begin(Log { level: LogLevel::Warn, ..Log::default() });
        }
        let done: anyhow::Result<()> = match self.command {
            Command::Serve { place, organization } => {
                let config = place.load()?;
                logging::begin(config.log);
                serve::serve(config, &organization, terminal).await
            }
            Command::Demo => demo::run(terminal).await,
            Command::Org { place, command: OrgCommand::Create { names, slug, json } } => {
                let foundings = Founding::all(&names, slug.as_deref())?;
                operate::create_orgs(&place.load()?, foundings, json, terminal).await
            }
            Command::Org { place, command: OrgCommand::AdminKey { slug, json } } => {
                operate::make_admin_key(&place.load()?, &slug, json, terminal).await
            }
            Command::Kek { place, command: KekCommand::Drop { yes } } => {
                operate::drop_kek_versions(&place.load()?, Consent::of(yes), terminal).await
            }
            Command::Kek { place, command: KekCommand::Rotate { resume } } => {
                operate::rotate_kek(&place.load()?, resume, terminal).await
            }
            Command::Trust { place, command: TrustCommand::Export } => {
                operate::export_trust(&place.load()?, terminal).await
            }
            Command::Config { place, command: ConfigCommand::Show } => {
                Ok(terminal.line(place.load()?.printable().trim_end())?)
            }
            Command::Egress { place, command: EgressCommand::Check { urls, json } } => {
                egress::check(&place.load()?, urls, json, terminal).await
            }
            Command::Logs { command: LogsCommand::Scrub } => {
                Ok(logging::scrub(std::io::stdin().lock(), std::io::stdout().lock())?)
            }
            Command::Verify { file, trust, json } => verify::verify_bundle(&file, &trust, json, terminal),
            Command::Record { place, way, command: RecordCommand::Verify { org } } => {
                verify::verify_record(&place.load()?, org.as_ref(), way.json, terminal).await
            }
            Command::Record { way, command: RecordCommand::Client(command), .. } => {
                client::record(&way, command, terminal).await
            }
            Command::Doctor { place, asked } => {
                let config = if asked.is_foreign() { None } else { Some(place.load()?) };
                // What it finds is its answer: nothing of one check is to stand between others.
                return doctor::run(asked, config, terminal).await;
            }
            Command::Client(command) => client::run(*command, terminal).await,
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
