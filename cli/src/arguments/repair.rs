//! The arguments of what operators repair with.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use tributary_model::{ProjectId, Region};

use super::{EndpointArguments, OutputArguments};

/// `tributary replay`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReplayCommand {
    /// Reads a time range of the stream again and stores what the stores lack of it.
    #[command(after_help = "\
Examples:
  tributary replay start --from 2h --watch                       a store lost its last two hours
  tributary replay start --from 6d --target search --dry-run     what would be applied, without applying it
  tributary replay start --from 2026-11-21T18:00:00Z --to 2026-11-21T19:00:00Z --project shop --rate 500")]
    Start(ReplayStartArguments),
    /// Shows how far a replay is.
    Status(ReplayNamed),
    /// Lists replays in the order of their starts.
    List {
        #[command(flatten)]
        output: OutputArguments,
        #[command(flatten)]
        endpoint: EndpointArguments,
    },
    /// Lets a replay wait; what is under way is finished.
    Pause(ReplayNamed),
    /// Lets a paused replay go on where it stopped.
    Resume(ReplayNamed),
    /// Ends a replay; what it applied stays.
    Cancel(ReplayNamed),
}

/// A replay, by its id.
#[derive(Debug, Args)]
pub(crate) struct ReplayNamed {
    /// Its id, as `tributary replay list` shows it.
    pub(crate) id: String,
    /// Shows how far it is until it ends.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArguments,
}

/// Which part of the stream.
#[derive(Debug, Args)]
pub(crate) struct PartArguments {
    /// Records that arrived from then on: a time ago (30m, 12h, 7d) or an instant (2026-11-21T18:00:00Z).
    #[arg(long, value_name = "TIME", required_unless_present = "since_outage")]
    pub(crate) from: Option<String>,
    /// From the beginning of this outage on, just its region and its store.
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "target", "region"])]
    pub(crate) since_outage: Option<String>,
    /// Until when; by default now, or a minute ago for an audit.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Just this region's stream; may be repeated.
    #[arg(long)]
    pub(crate) region: Vec<Region>,
    /// Just this shard; may be repeated.
    #[arg(long)]
    pub(crate) shard: Vec<String>,
    /// Just this project's records.
    #[arg(long)]
    pub(crate) project: Option<ProjectId>,
    /// Just this function's records.
    #[arg(long)]
    pub(crate) function: Option<String>,
    /// Just this store.
    #[arg(long, value_name = "STORE", default_value = "both")]
    pub(crate) target: Targets,
    /// Records a second at most; by default as many as the stores take.
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u32>,
}

/// The stores of [`PartArguments`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Targets {
    /// The search index.
    Search,
    /// The ledger.
    Ledger,
    /// Both.
    Both,
}

/// `tributary replay start`.
#[derive(Debug, Args)]
pub(crate) struct ReplayStartArguments {
    #[command(flatten)]
    pub(crate) part: PartArguments,
    /// Applies nothing and counts what would be applied.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Shows how far it is until it ends.
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArguments,
}

/// `tributary audit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tributary audit --from 6d                          all that the stream holds
  tributary audit --from 6d --receipts ids.txt       what a sender has receipts of
  tributary audit --from 2h --heal                   and applies what is missing or differing

It fails if anything is missing, doubled or differing, unless that was healed.")]
pub(crate) struct AuditArguments {
    #[command(flatten)]
    pub(crate) part: PartArguments,
    /// Starts from a sender's own receipts, one id a line, instead of the stream.
    #[arg(long, value_name = "FILE")]
    pub(crate) receipts: Option<PathBuf>,
    /// Replays exactly what is missing or differing.
    #[arg(long)]
    pub(crate) heal: bool,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(flatten)]
    pub(crate) endpoint: EndpointArguments,
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(crate) struct LetterFilter {
    /// Just this class of error: value, missing, intermittent, too-large, parse, ...
    #[arg(long)]
    pub(crate) class: Option<String>,
    /// Just this reason, as the list shows it.
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Just those that this store met.
    #[arg(long, value_name = "STORE")]
    pub(crate) target: Option<String>,
    /// Last seen from then on: a time ago or an instant.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Last seen before then.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
}

impl LetterFilter {
    /// As parameters of a request.
    pub(crate) fn parameters(&self) -> Vec<(&str, &str)> {
        let all = [
            ("class", &self.class),
            ("reason", &self.reason),
            ("target", &self.target),
            ("from", &self.from),
            ("to", &self.to),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }
}

/// `tributary dead-letter`.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetterCommand {
    /// Lists the project's dead letters: what could not be stored, and why.
    #[command(after_help = "\
Example:
  tributary dead-letter list --class value --from 1h")]
    List {
        #[command(flatten)]
        filter: LetterFilter,
        #[command(flatten)]
        output: OutputArguments,
        #[command(flatten)]
        endpoint: EndpointArguments,
    },
    /// Shows one, with the record's bytes and the report in it.
    Show {
        /// Its id, as `tributary dead-letter list` shows it.
        id: String,
        #[command(flatten)]
        output: OutputArguments,
        #[command(flatten)]
        endpoint: EndpointArguments,
    },
    /// Opens its report in $EDITOR and applies what was made of it.
    Edit {
        /// Its id.
        id: String,
        /// Takes the report from this file instead.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The editor; it is given a file's name.
        #[arg(long, env = "EDITOR", default_value = "vi")]
        editor: String,
        #[command(flatten)]
        endpoint: EndpointArguments,
    },
    /// Applies one again, or all that match.
    #[command(after_help = "\
Examples:
  tributary dead-letter retry 20261121-aaaaaaaaaaaaaaaaaaaaaaaaaa
  tributary dead-letter retry --all --class intermittent")]
    Retry {
        /// Its id.
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// All that match.
        #[arg(long, conflicts_with = "id")]
        all: bool,
        #[command(flatten)]
        filter: LetterFilter,
        #[command(flatten)]
        endpoint: EndpointArguments,
    },
    /// Gives one up: its bytes are deleted, the reason stays in the audit trail.
    Discard {
        /// Its id.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        endpoint: EndpointArguments,
    },
}

/// `tributary ledger`.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Brings back what a lost ledger held besides invocations, from the object store.
    ///
    /// Issued tokens, dead letters, outages and the audit trail come back; invocations come back with
    /// `tributary replay start --target ledger`.
    /// What is there already is left as it is. Revoked tokens stay revoked: the directory says so, not the ledger.
    Restore,
}

/// `tributary setting`.
#[derive(Debug, Subcommand)]
pub(crate) enum SettingCommand {
    /// Lists all settings with what they may be.
    List {
        #[command(flatten)]
        output: OutputArguments,
    },
    /// Chooses a value.
    #[command(after_help = "\
Examples:
  tributary setting set search.concurrency 4      four batches of a shard at once
  tributary setting set search.page_bytes 1000000 smaller bulk requests, for a cluster of small nodes")]
    Set {
        /// The setting's name.
        name: String,
        /// The value, a whole number.
        value: usize,
    },
    /// Goes back to the default.
    Unset {
        /// The setting's name.
        name: String,
    },
}
