//! The command line.

mod repair;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use tributary_config::{FunctionName, VARIABLES};
use tributary_model::directory::Scope;
use tributary_model::limits::HTTP_THREADS_MAX;
use tributary_model::{AccountId, Day, ProjectId, Region, ReportId, RetentionClass, TokenId, duration};

use crate::load::LoadArguments;
pub(crate) use repair::{
    AuditArguments, DeadLetterCommand, LedgerCommand, LetterFilter, PartArguments, ReplayCommand, ReplayNamed,
    ReplayStartArguments, SettingCommand, Targets,
};

/// Collects telemetry of AWS Lambda functions and finds it again.
///
/// Without a command it does what `tributary up` does.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  tributary up --sample                   everything on this machine, with something to look at
  tributary query 'error:TypeError'       what went wrong, the latest first
  tributary functions --from 7d           what each function did in the last week
  tributary token issue --project shop    a token for the senders of a project

`tributary COMMAND --help` has examples of each command.")]
pub(crate) struct Arguments {
    /// The data folder: stores, keys, and where a running `tributary up` listens.
    #[arg(long, global = true, value_name = "DIR", env = "TRIBUTARY_DATA", default_value = "./.tributary")]
    pub(crate) data: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs everything in this process, on stores in the data folder.
    Up(UpArguments),
    /// Issues, revokes and lists tokens of projects.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Adds, lists and changes projects.
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Adds, lists and revokes keys for signed reports; rotates the key that signs tokens.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Searches invocations.
    Query(QueryArguments),
    /// Shows one invocation with its report.
    Show(ShowArguments),
    /// Lists functions with counts, errors, cold starts and durations.
    Functions(FunctionsArguments),
    /// Looks at records that could not be stored; applies them again, edited or not, or gives them up.
    #[command(subcommand)]
    DeadLetter(DeadLetterCommand),
    /// Reads the stream again, after a store lost data.
    #[command(subcommand)]
    Replay(ReplayCommand),
    /// Compares what the stream holds, or a sender's receipts, with both stores, and names what is not in order.
    Audit(AuditArguments),
    /// Brings back what a lost ledger held.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Lists and changes page sizes and concurrency of the stores, which take effect within two minutes.
    #[command(subcommand)]
    Setting(SettingCommand),
    /// Sends realistic reports at a rate or as fast as they are taken, and measures the answers.
    #[command(after_help = "\
Examples:
  tributary load --rate 500 --duration 1m          500 reports a second
  tributary load --connections 64 --duration 30s   as fast as they are taken
  tributary load --count 10000 --size 20000 --receipts ids.txt")]
    Load {
        #[command(flatten)]
        load: LoadArguments,
        #[command(flatten)]
        output: OutputArguments,
        #[command(flatten)]
        endpoint: EndpointArguments,
    },
    /// Sets up and operates the installation on AWS that TRIBUTARY_ variables name.
    #[cfg(feature = "aws")]
    #[command(subcommand, after_help = aws_variables())]
    Aws(AwsCommand),
    /// Says what is wrong with the settings or the data folder, and how to mend it.
    Doctor,
    /// Prints a completion script for a shell.
    #[command(after_help = "\
Example:
  tributary completions bash > ~/.local/share/bash-completion/completions/tributary")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `tributary aws`.
#[cfg(feature = "aws")]
#[derive(Debug, Subcommand)]
pub(crate) enum AwsCommand {
    /// Brings the ledger's schema and the index templates up to date and publishes the directory; again, it changes nothing.
    Setup,
    /// Issues, revokes and lists tokens of projects.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Adds, lists and changes projects.
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Adds, lists and revokes keys for signed reports; rotates the key that signs tokens.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Brings back what a lost ledger held.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Lists and changes page sizes and concurrency of the stores, which take effect within two minutes.
    #[command(subcommand)]
    Setting(SettingCommand),
}

#[cfg(feature = "aws")]
fn aws_variables() -> String {
    let list = tributary_config::OperatorSettings::VARIABLES;
    let lines = list.iter().map(|variable| format!("\n  {:<34} {}", variable.name, variable.meaning));
    format!("Variables:{}\n\nEndpoints and credentials are those of the AWS SDK.", lines.collect::<String>())
}

const UP_EXAMPLES: &str = "\
Examples:
  tributary up                                  HTTP on 127.0.0.1:8080, data in ./.tributary
  tributary up --sample                         and sends itself captured reports of all four agents
  tributary up --https 127.0.0.1:443            for JavaScript agents, which speak only to port 443
  tributary up --https 127.0.0.1:8443 --tls-name collector.test
  tributary up --only collector                 takes reports in; they wait in the stream for a worker

Ctrl-C and SIGTERM stop it cleanly. Killed in any way, it loses no acknowledged report.";

/// `tributary up`.
#[derive(Debug, Args)]
#[command(after_help = UP_EXAMPLES)]
pub(crate) struct UpArguments {
    /// Where to listen for HTTP; port 0 takes any free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// Where to listen for HTTPS, with a certificate of the data folder's own authority (`ca.pem`)
    #[arg(long, value_name = "ADDR")]
    pub(crate) https: Option<SocketAddr>,
    /// A further host name for the certificate; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_name: Vec<String>,
    /// Runs just these functions: collector, worker, query, replay [default: all]
    #[arg(long, value_name = "FUNCTIONS", value_delimiter = ',')]
    #[arg(value_parser = PossibleValuesParser::new(FunctionName::ALL.map(FunctionName::as_str)))]
    pub(crate) only: Vec<String>,
    /// Sends captured reports of all four agents through the front door, with fresh times
    #[arg(long)]
    pub(crate) sample: bool,
    /// Writes log lines of this level and above to stderr [default: warn]
    #[arg(long, value_name = "LEVEL", value_parser = PossibleValuesParser::new(["off", "info", "warn", "error"]))]
    pub(crate) log: Option<String>,
    /// The region that this collector says it is in [default: local]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
    /// Threads that serve HTTP [default: one per two processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=HTTP_THREADS_MAX.into()))]
    pub(crate) http_threads: Option<u16>,
}

impl UpArguments {
    /// The value that a flag gives to a variable; a flag goes before the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        match name {
            "TRIBUTARY_HTTP" => self.http.map(|address| address.to_string()),
            "TRIBUTARY_HTTPS" => self.https.map(|address| address.to_string()),
            "TRIBUTARY_ONLY" => (!self.only.is_empty()).then(|| self.only.join(",")),
            "TRIBUTARY_LOG" => self.log.clone(),
            "TRIBUTARY_REGION" => self.region.as_ref().map(ToString::to_string),
            _ => None,
        }
    }
}

/// What `up` can be told by variables, as a part of its help.
fn variables() -> String {
    let lines = VARIABLES.iter().map(|variable| format!("\n  {:<34} {}", variable.name, variable.meaning));
    format!("Variables (a flag goes before its variable):{}", lines.collect::<String>())
}

/// `tributary token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Prints a new token, and nothing else on stdout.
    #[command(after_help = "\
Examples:
  tributary token issue                                   to send reports to the project `default`
  tributary token issue --project shop --scope ingest,read --expires 30d
  TRIBUTARY_TOKEN=$(tributary token issue --scope read) tributary query ''")]
    Issue {
        /// The project.
        #[arg(long, default_value = "default")]
        project: ProjectId,
        /// What it allows: ingest (send reports), read (search), operate (dead letters).
        #[arg(long, value_name = "SCOPES", value_delimiter = ',', default_value = "ingest", value_parser = scope)]
        scope: Vec<Scope>,
        /// For how long it is valid.
        #[arg(long, value_name = "TIME", default_value = "365d", value_parser = duration::parse)]
        expires: Duration,
    },
    /// Revokes a token; it is refused within a second here, within a minute elsewhere.
    Revoke {
        /// Its id, as `tributary token list` shows it.
        id: TokenId,
    },
    /// Lists issued tokens. A token itself is never stored and can't be shown again.
    List {
        /// Just this project's.
        #[arg(long)]
        project: Option<ProjectId>,
        #[command(flatten)]
        output: OutputArguments,
    },
}

fn scope(text: &str) -> Result<Scope, String> {
    let known = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    known.ok_or_else(|| format!("must be one of {}", Scope::ALL.map(Scope::as_str).join(", ")))
}

/// `tributary project`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Adds a project.
    #[command(after_help = "\
Examples:
  tributary project add shop
  tributary project add bank --retention 365d --signed-only")]
    Add {
        /// Its name: lower-case letters, digits and `-`.
        name: ProjectId,
        /// The account that owns it.
        #[arg(long, default_value = "local")]
        account: AccountId,
        /// For how many days its invocations are kept.
        #[arg(long, value_name = "DAYS", default_value_t = RetentionClass::DEFAULT)]
        retention: RetentionClass,
        /// Takes signed reports only.
        #[arg(long)]
        signed_only: bool,
    },
    /// Lists projects.
    List {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Changes a project.
    #[command(after_help = "\
Examples:
  tributary project set shop --retention 90d
  tributary project set shop --signed-only true")]
    Set {
        /// Its name.
        name: ProjectId,
        /// For how many days its invocations are kept, from a later day on.
        #[arg(long, value_name = "DAYS", required_unless_present = "signed_only")]
        retention: Option<RetentionClass>,
        /// The day (yyyymmdd) from which the retention holds; by default in three days, the earliest on which
        /// no function can hold the old one any more.
        #[arg(long, value_name = "DAY", requires = "retention", value_parser = day)]
        from: Option<Day>,
        /// Whether it takes signed reports only.
        #[arg(long, value_name = "BOOL")]
        signed_only: Option<bool>,
    },
}

fn day(text: &str) -> Result<Day, String> {
    let number = text.parse().map_err(|_| "must be a day as yyyymmdd".to_owned())?;
    Day::new(number).map_err(|error| error.to_string())
}

/// `tributary key`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Registers a sender's public key for signed reports; prints the key's id (its RFC 7638 thumbprint).
    #[command(after_help = "\
Example:
  openssl genpkey -algorithm ed25519 -out sender.key && openssl pkey -in sender.key -pubout -out sender.pem
  tributary key add --project shop --public-key sender.pem")]
    Add {
        /// The project whose reports it signs.
        #[arg(long, default_value = "default")]
        project: ProjectId,
        /// The key: PEM or JWK, Ed25519, P-256 or RSA.
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
    },
    /// Lists the keys for signed reports, and those for tokens.
    List {
        /// Just this project's.
        #[arg(long)]
        project: Option<ProjectId>,
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Revokes a sender's key: reports signed with it are refused from now on; earlier ones can still be verified.
    Revoke {
        /// The project.
        #[arg(long, default_value = "default")]
        project: ProjectId,
        /// The key's id.
        id: String,
    },
    /// Makes a new key to sign tokens with; tokens of the one before stay valid until they end.
    Rotate,
}

/// Where and as whom a client command asks.
#[derive(Debug, Clone, Args)]
pub(crate) struct EndpointArguments {
    /// The address; by default that of the `tributary up` on the data folder, else http://127.0.0.1:8080.
    #[arg(long, value_name = "URL", env = "TRIBUTARY_ENDPOINT")]
    pub(crate) endpoint: Option<String>,
    /// The token; by default that of the data folder.
    #[arg(long, env = "TRIBUTARY_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Trusts this certificate authority (PEM) instead of the data folder's.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// How a command prints.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct OutputArguments {
    /// A table for people, or JSON for programs.
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub(crate) output: Form,
}

/// The forms of [`OutputArguments`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A range of time.
#[derive(Debug, Clone, Args)]
pub(crate) struct RangeArguments {
    /// From when: a time ago (30m, 12h, 7d) or an instant (2026-11-21T18:00:00Z); by default 8 days ago.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Until when; by default now.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
}

/// `tributary query`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tributary query 'error:*'                                      what went wrong, the latest first
  tributary query 'function:checkout duration:>500ms' --from 7d --sort -duration
  tributary query '\"connection refused\" -label:canary' --output json | jq .items[].id
  tributary query 'metric.cart_total:>100' --all --output json

docs/query-language.md has every field.")]
pub(crate) struct QueryArguments {
    /// The query; empty for everything.
    #[arg(default_value = "", allow_hyphen_values = true)]
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) range: RangeArguments,
    /// The order: timestamp, duration or memory, with `-` for the greatest first; by default the latest first.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) sort: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Everything that is found, page after page.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArguments,
}

/// `tributary show`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tributary show 20261121-aaaaaaaaaaaaaaaaaaaaaaaaaa
  tributary show 20261121-aaaaaaaaaaaaaaaaaaaaaaaaaa --output json | jq .original
  tributary show 20261121-aaaaaaaaaaaaaaaaaaaaaaaaaa --verify --public-key sender.pem")]
pub(crate) struct ShowArguments {
    /// The invocation's id.
    pub(crate) id: ReportId,
    /// Checks the signature of a signed report against the keys that its project has in the data folder.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Checks it against this key (PEM or JWK) instead.
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub(crate) public_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArguments,
}

/// `tributary functions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tributary functions --from 7d
  tributary functions 'region:eu-west-1 coldstart:true'")]
pub(crate) struct FunctionsArguments {
    /// Of these invocations only; empty for all.
    #[arg(default_value = "", allow_hyphen_values = true)]
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) range: RangeArguments,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArguments,
}

/// Reads the command line. Without a command, `up` is meant.
///
/// # Errors
/// What clap prints: a mistake, or the help that was asked for.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    if !names_a_command(&arguments) {
        arguments.insert(arguments.len().min(1), "up".into());
    }
    let matches = command().try_get_matches_from(arguments)?;
    Arguments::from_arg_matches(&matches)
}

/// The commands with their help.
pub(crate) fn command() -> clap::Command {
    Arguments::command().mut_subcommand("up", |up| up.after_long_help(format!("{UP_EXAMPLES}\n\n{}", variables())))
}

fn names_a_command(arguments: &[OsString]) -> bool {
    let command = command();
    let known = |word: &str| {
        ["help", "-h", "--help", "-V", "--version"].contains(&word) || command.find_subcommand(word).is_some()
    };
    let first_bare = arguments.iter().skip(1).filter_map(|word| word.to_str()).find(|word| !word.starts_with('-'));
    arguments.iter().skip(1).filter_map(|word| word.to_str()).any(known)
        || (first_bare.is_some() && arguments.get(1).and_then(|word| word.to_str()) == first_bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_commands_hold_together() {
        command().debug_assert();
    }

    #[test]
    fn without_a_command_up_is_meant() {
        for line in ["tributary", "tributary --sample", "tributary --data x --http 127.0.0.1:0"] {
            assert!(matches!(read(line).expect(line).command, Command::Up(_)), "{line}");
        }
        assert!(read("tributary upp").expect_err("no command").to_string().contains("upp"));
        assert!(matches!(read("tributary --data x functions").expect("read").command, Command::Functions(_)));
    }

    #[test]
    fn the_help_of_up_names_every_variable() {
        let mut command = command();
        let help = command.find_subcommand_mut("up").expect("a command").render_long_help().to_string();
        assert!(VARIABLES.iter().all(|variable| help.contains(variable.name)), "{help}");
    }

    #[test]
    fn a_flag_goes_before_its_variable() {
        let line = "tributary up --http 127.0.0.1:0 --only collector,worker --log off";
        let Command::Up(up) = read(line).expect("read").command else { panic!("another command") };
        let settings = tributary_config::LocalSettings::read(|name| up.variable(name).or(Some(String::new())));
        let settings = settings.expect("settings");
        assert_eq!((settings.http.port(), settings.only.len(), settings.log), (0, 2, None));
    }

    #[test]
    fn a_query_may_begin_with_a_minus() {
        let Command::Query(query) = read("tributary query -label:vip --sort -duration").expect("read").command else {
            panic!("another command");
        };
        assert_eq!((query.query.as_str(), query.sort.as_deref()), ("-label:vip", Some("-duration")));
    }

    #[test]
    fn scopes_are_a_list_and_unknown_ones_are_named() {
        let read = |text| read(&format!("tributary token issue --scope {text}"));
        assert!(read("ingest,read,operate").is_ok());
        assert!(read("admin").expect_err("unknown").to_string().contains("ingest, read, operate"));
    }

    #[test]
    fn a_token_of_the_environment_is_not_shown_in_the_help() {
        let mut command = command();
        let help = command.find_subcommand_mut("query").expect("a command").render_long_help().to_string();
        assert!(help.contains("TRIBUTARY_TOKEN") && !help.contains("TRIBUTARY_TOKEN="), "{help}");
    }
}
