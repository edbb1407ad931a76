//! A store is restored from a back-up and has lost what it wrote since; an operator replays the stream.

use std::sync::Arc;
use std::time::Duration;

use tributary_model::replays::ACTIVE;
use tributary_model::{Target, TimestampMs, TokenId};
use tributary_replay::{Mode, Next, Replays, Request, Runner, open, progress, start};

use crate::bug::Bug;
use crate::invariant::Invariant;
use crate::stores::Stores;
use crate::story::About;
use crate::world::{BEGIN, Process, World};

/// Runners of the replay.
const RUNNERS: usize = 2;
/// A replay takes this long at most, trouble included.
const TAKES_AT_MOST: Duration = Duration::from_secs(3 * 60 * 60);
/// What is this close to the end of its retention may be gone before a replay comes to it.
const FORGETS_SOON: Duration = Duration::from_secs(24 * 60 * 60);
/// How often the operator looks, and how soon one tries again.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// What is restored, when, and how much of its last time it has lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Restored {
    pub(crate) target: Target,
    pub(crate) at: Duration,
    pub(crate) lost: Duration,
}

/// Restores a store in a world whose trouble is over at `over`.
pub(crate) async fn disaster(world: Arc<World>, stores: Arc<Stores>, restored: Restored, over: Duration) {
    let Restored { target, at, lost } = restored;
    tokio::time::sleep(at).await;
    let lost_ms = i64::try_from(lost.as_millis()).unwrap_or(i64::MAX);
    stores.restore(target, world.now().plus_ms(-lost_ms));
    world.tell(target.as_str(), About::All, || format!("is restored, and has lost its last {} s", lost.as_secs()));
    if world.has(Bug::NeverReplay) {
        return;
    }
    let replays = Arc::new(stores.replays());
    // They run before there is anything to do: what starts that failed have left is theirs to put away.
    let runners: Vec<_> =
        (0..RUNNERS).map(|number| tokio::spawn(run(Arc::clone(&world), Arc::clone(&replays), number))).collect();
    // A replay waits for the store that is out, too: its dead letters may go there.
    let deadline = at.max(over) + TAKES_AT_MOST;
    let Some(id) = begin(&world, &stores, &replays, target, deadline).await else {
        return world.violated(Invariant::EverythingResumes, None, "no replay could be started".to_owned());
    };
    world.tell("operator", About::All, || format!("replays the stream into {}", target.as_str()));
    while !is_over(&replays, &id).await || is_active(&stores, &id) {
        if world.elapsed() > deadline {
            let progress = progress(&replays, world.now(), &id).await;
            return world.violated(
                Invariant::EverythingResumes,
                None,
                format!("the replay is not over: {progress:#?}"),
            );
        }
        tokio::time::sleep(world.pause(LOOKS_EVERY)).await;
    }
    world.tell("operator", About::All, || "sees that the replay is over".to_owned());
    runners.iter().for_each(tokio::task::JoinHandle::abort);
    check_counts(&world, &replays, &id, target).await;
}

/// From when on an operator replays: as early as the stream goes, but not what it is about to forget.
fn oldest(now: TimestampMs, stores: &Stores) -> TimestampMs {
    BEGIN.max(now.minus(stores.stream.retention_now().saturating_sub(FORGETS_SOON)))
}

/// Starts the replay, as often as it takes. It may be started twice, since an answer may get lost.
async fn begin(
    world: &World,
    stores: &Stores,
    replays: &Replays,
    target: Target,
    deadline: Duration,
) -> Option<String> {
    while world.elapsed() < deadline {
        let now = world.now();
        let request = Request {
            mode: Mode::Apply,
            from: oldest(now, stores),
            to: now,
            regions: Vec::new(),
            shards: Vec::new(),
            project: None,
            function: None,
            ids: Vec::new(),
            targets: vec![target],
            records_per_second: None,
        };
        if let Ok(by) = TokenId::new("operator")
            && let Ok(replay) = start(replays, now, &by, request).await
        {
            return Some(replay.id);
        }
        tokio::time::sleep(world.pause(LOOKS_EVERY)).await;
    }
    None
}

/// One runner after another: who comes after one that was killed has another name, and waits until its lease ends.
async fn run(world: Arc<World>, replays: Arc<Replays>, number: usize) {
    let (mut lives, mut runner) = (0, None);
    loop {
        let mut current = runner.take().unwrap_or_else(|| {
            lives += 1;
            Runner::new(format!("runner-{number}-{lives}"))
        });
        let (now, with) = (world.now(), Arc::clone(&replays));
        let part = async move {
            let stepped = current.step(&with, now).await;
            (current, stepped)
        };
        let next = match world.start(Process::Replay, part).await {
            Ok((current, stepped)) => {
                runner = Some(current);
                stepped.map(|stepped| stepped.next).unwrap_or(Next::Idle)
            }
            Err(_) => Next::Idle, // it was killed
        };
        let pause = match next {
            Next::At(at) => u64::try_from(at.0.saturating_sub(world.now().0)).unwrap_or_default(),
            Next::Idle => 1000,
        };
        tokio::time::sleep(world.pause(Duration::from_millis(pause.max(1)))).await;
    }
}

/// Whether the runners have not put away yet what makes the stream keep its records for the replay.
fn is_active(stores: &Stores, id: &str) -> bool {
    stores.objects.holds(&format!("{ACTIVE}{id}"))
}

async fn is_over(replays: &Replays, id: &str) -> bool {
    open(replays, id).await.is_ok_and(|replay| replay.is_some_and(|replay| replay.state.is_over()))
}

async fn check_counts(world: &World, replays: &Replays, id: &str, target: Target) {
    loop {
        if let Ok(Some(progress)) = progress(replays, world.now(), id).await {
            let counts = &progress.counts;
            let ended = counts.of(target).total();
            return world.check(counts.read == counts.skipped + ended, Invariant::OutcomesAddUp, None, || {
                format!("a replay read {}, skipped {}, and ended {ended}", counts.read, counts.skipped)
            });
        }
        tokio::time::sleep(LOOKS_EVERY).await;
    }
}
