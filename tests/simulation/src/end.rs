//! What must be true in the end, when nothing fails any more and everything is handled.

use std::collections::BTreeMap;

use tributary_model::outages::WRITTEN;
use tributary_model::{Outcome, ReportId, Target, TimestampMs};
use tributary_ports::stream::Batch;

use crate::invariant::Invariant;
use crate::sender::{Senders, Sent};
use crate::stores::Stores;
use crate::world::{World, lock};

type Summary = BTreeMap<ReportId, Vec<TimestampMs>>;

/// Whether the store refuses the reports of a function.
fn refuses(target: Target, function: &str) -> bool {
    function == "refused-by-both" || function.strip_prefix("refused-by-") == Some(target.as_str())
}

fn summary(stores: &Stores, target: Target) -> Summary {
    match target {
        Target::Search => lock(&stores.search.documents).summary(),
        Target::Ledger => lock(&stores.ledger.rows).summary(),
    }
}

pub(crate) async fn check(world: &World, stores: &Stores, senders: &Senders) {
    let sent = lock(&senders.sent).clone();
    for target in Target::ALL {
        let held = summary(stores, target);
        check_acknowledged(world, stores, target, &sent, &held);
        check_held(world, stores, target, &sent, &held);
    }
    check_dead_letters(world, stores, &sent);
    check_outages(world, stores);
    for target in Target::ALL {
        check_twice(world, stores, target).await;
    }
}

fn check_acknowledged(world: &World, stores: &Stores, target: Target, sent: &BTreeMap<ReportId, Sent>, held: &Summary) {
    for (id, report) in sent.iter().filter(|(_, report)| report.acknowledged) {
        let times = held.get(id).map_or(0, Vec::len);
        let holds = match refuses(target, report.function) {
            true => times == 0 && stores.is_dead_letter(target, &id.to_string()),
            false => times == 1,
        };
        world.check(holds, Invariant::ExactlyOnce, Some(*id), || {
            format!("{id} of {} was acknowledged, and {} holds it {times} times", report.function, target.as_str())
        });
    }
}

fn check_held(world: &World, stores: &Stores, target: Target, sent: &BTreeMap<ReportId, Sent>, held: &Summary) {
    let earliest = stores.stream.earliest();
    for (id, received_at) in held {
        world.check(sent.contains_key(id), Invariant::NothingInvented, Some(*id), || {
            format!("{} holds {id}, which nobody sent", target.as_str())
        });
        let best = earliest.get(id);
        world.check(received_at.first() == best, Invariant::OrderDoesNotMatter, Some(*id), || {
            format!("{} holds {id} as received at {received_at:?}; the earliest is {best:?}", target.as_str())
        });
    }
}

fn check_dead_letters(world: &World, stores: &Stores, sent: &BTreeMap<ReportId, Sent>) {
    let unreadable = stores.stream.unreadable();
    for (id, row) in stores.ledger.dead_letters_now() {
        let function = id.parse().ok().and_then(|id: ReportId| sent.get(&id)).map_or("", |report| report.function);
        let refused = row.targets.iter().all(|target| refuses(*target, function));
        world.check(refused || unreadable.contains(&id), Invariant::DeadLettersAreRefused, id.parse().ok(), || {
            format!("{id} of {function:?} is a dead letter of {:?}: {}", row.targets, row.detail)
        });
    }
    for id in &unreadable {
        let there = Target::ALL.into_iter().all(|target| stores.is_dead_letter(target, id));
        world.check(there, Invariant::ExactlyOnce, None, || format!("{id} can't be read, and is no dead letter"));
    }
}

fn check_outages(world: &World, stores: &Stores) {
    let told = stores.ledger.outages_now();
    let ended = told.values().all(|row| row.ended_at.is_some_and(|at| at >= row.started_at));
    let left: Vec<String> = stores
        .objects
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("outages/") && !key.starts_with(WRITTEN))
        .collect();
    world.check(ended && left.is_empty(), Invariant::OutagesAreToldAndEnd, None, || {
        format!("the ledger tells of {told:?}, and these objects are left: {left:?}")
    });
}

/// Gives every record to the worker once more.
async fn check_twice(world: &World, stores: &Stores, target: Target) {
    let before = summary(stores, target);
    let worker = stores.worker(target);
    for (shard, records) in stores.stream.everything() {
        let handled = worker.handle(world.now(), &Batch { shard, records }).await;
        let applied = handled.facts.outcomes.of(Outcome::Applied);
        world.check(applied == 0 && handled.redeliver.is_empty(), Invariant::TwiceIsOnce, None, || {
            format!("{} of what was handled was applied again in {}", applied, target.as_str())
        });
    }
    world.check(before == summary(stores, target), Invariant::TwiceIsOnce, None, || {
        format!("{} holds something else after everything came again", target.as_str())
    });
}
