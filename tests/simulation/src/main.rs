//! Runs seeds, on all processors, until one fails.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tributary_simulation::{Bug, Ended, run, tell};

/// Runs the pipeline in simulated worlds, one a seed.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this seed alone, and tell its story
    #[arg(long)]
    seed: Option<u64>,
    /// Switch this deliberate bug in
    #[arg(long)]
    bug: Option<Bug>,
    /// Tell the story of this report as well
    #[arg(long, requires = "seed")]
    report: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, arguments.bug, arguments.report.as_deref()),
        None => many(arguments.from..arguments.from.saturating_add(arguments.seeds), arguments.bug),
    }
}

#[expect(clippy::print_stdout, reason = "the program's answer")]
fn one(seed: u64, bug: Option<Bug>, report: Option<&str>) -> ExitCode {
    let (ended, story) = tell(seed, bug, report.and_then(|id| id.parse().ok()));
    println!("{story}");
    match ended.violation {
        None => {
            println!("seed {seed}: all is true; {} reports were acknowledged", ended.acknowledged);
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the program's answer")]
fn many(seeds: std::ops::Range<u64>, bug: Option<Bug>) -> ExitCode {
    let bar = ProgressBar::new(seeds.end - seeds.start);
    let style = ProgressStyle::with_template("[{elapsed_precise}] {bar:40} {pos}/{len} seeds, {per_sec}, {eta} left");
    let bar = style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style));
    let next = AtomicU64::new(seeds.start);
    let failed: Mutex<Option<(u64, Ended)>> = Mutex::new(None);
    let acknowledged = AtomicU64::new(0);
    let work = || {
        while let seed @ 0.. = next.fetch_add(1, Ordering::Relaxed)
            && seeds.contains(&seed)
        {
            let ended = run(seed, bug);
            acknowledged.fetch_add(ended.acknowledged as u64, Ordering::Relaxed);
            bar.inc(1);
            if ended.violation.is_some() {
                next.store(seeds.end, Ordering::Relaxed);
                failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert((seed, ended));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        None => {
            let (seeds, acknowledged) = (seeds.end - seeds.start, acknowledged.into_inner());
            println!("{seeds} seeds, {acknowledged} reports acknowledged: none lost, none doubled, all is true");
            ExitCode::SUCCESS
        }
        Some((seed, _)) => {
            println!("seed {seed} fails; this is its story (--seed {seed} tells it again):\n");
            one(seed, bug, None)
        }
    }
}
