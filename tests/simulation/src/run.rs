//! One seed, from the beginning of its world to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tributary_access::{Authority, DirectoryCache};
use tributary_collector::Collector;
use tributary_custodian::Custodian;
use tributary_model::limits::STREAM_RETENTION;
use tributary_model::outages::{WRITTEN, open_outage_key};
use tributary_model::{Region, ReportId, Target};

use crate::bug::Bug;
use crate::disaster::{Restored, disaster};
use crate::end;
use crate::invariant::{Invariant, Violation};
use crate::mapping::Mapping;
use crate::ports::control::MemoryControl;
use crate::random::Random;
use crate::sender::{Senders, credentials};
use crate::stores::Stores;
use crate::story::About;
use crate::weather::Weather;
use crate::world::{Process, World, lock};

/// Virtual time in which all must be well after the last trouble.
const RECOVERY_HOURS: u64 = 3;
/// How often each shard is sent a report while the stream keeps records for longer than usual: not every batch is marked.
const REPORTS_EVERY: Duration = Duration::from_secs(2 * 60);

/// How a seed's world ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What was not true, if something was not.
    pub violation: Option<Violation>,
    /// Reports that were acknowledged.
    pub acknowledged: usize,
    /// The same for two runs of a seed.
    pub fingerprint: u64,
}

/// Runs the world of `seed`, with the bug switched in.
#[must_use]
pub fn run(seed: u64, bug: Option<Bug>) -> Ended {
    in_world(seed, bug, false, |_, ended| ended)
}

/// The same, and the story of what happened: the world's events, and those of the report that shows the violation or that
/// is asked for.
#[must_use]
pub fn tell(seed: u64, bug: Option<Bug>, id: Option<ReportId>) -> (Ended, String) {
    in_world(seed, bug, true, |world, ended| {
        let id = ended.violation.as_ref().and_then(|violation| violation.id).or(id);
        let story = world.story(id);
        (ended, story)
    })
}

#[expect(clippy::expect_used, reason = "the simulation is test code")]
fn in_world<A>(seed: u64, bug: Option<Bug>, told: bool, answer: impl FnOnce(&World, Ended) -> A) -> A {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime of one thread").block_on(async {
        let mut random = Random::new(seed);
        let trouble = random.spread_millis(20_000..600_000);
        let weather = Weather::of(&mut random, trouble);
        let over = weather.over(trouble);
        let world = World::new(random, weather, bug, told);
        world.tell_weather();
        let acknowledged = live(&world, trouble, over).await;
        let ended = Ended { violation: world.violation(), acknowledged, fingerprint: world.fingerprint() };
        answer(&world, ended)
    })
}

/// The world from its beginning to its end; answers how many reports were acknowledged. Most happens in the first `trouble`,
/// and the rest until nothing goes wrong any more, `over`: for days, where a store is out for long.
async fn live(world: &Arc<World>, trouble: Duration, over: Duration) -> usize {
    let stores = Stores::new(world);
    stores.objects.place(tributary_model::directory::OBJECT_KEY, credentials().directory.clone());
    let control = MemoryControl::new(Arc::clone(world));
    let mappings = Target::ALL.map(|consumer| Mapping::new(world, &stores, &control, consumer));
    for mapping in &mappings {
        tokio::spawn(Arc::clone(mapping).run());
    }
    tokio::spawn(custodian(Arc::clone(world), Arc::clone(&stores), Arc::clone(&control), mappings.clone()));
    let senders = Arc::new(Senders {
        world: Arc::clone(world),
        collector: collector(world, &stores),
        stream: Arc::clone(&stores.stream),
        overflow: Arc::clone(&stores.overflow),
        sent: std::sync::Mutex::default(),
        later: std::sync::atomic::AtomicUsize::new(0),
    });
    let mut sending = send(world, &senders, trouble, over);
    if let Some(restored) = restored(world, over) {
        sending.spawn(disaster(Arc::clone(world), Arc::clone(&stores), restored, over));
    }
    let resharding = tokio::spawn(reshard(Arc::clone(world), Arc::clone(&stores), trouble, over));
    world.pass(over).await;
    resharding.abort();
    world.calm();
    while world.violation().is_none() && sending.join_next().await.is_some() {}
    recover(world, &stores, &control, &mappings, &senders).await;
    if world.violation().is_none() {
        end::check(world, &stores, &senders).await;
    }
    let sent = lock(&senders.sent);
    sent.values().filter(|sent| sent.acknowledged).count()
}

/// The custodian's schedule: every few seconds, as in the local program, or every minute, as on AWS; now and then it is
/// missed. One run at a time.
async fn custodian(
    world: Arc<World>,
    stores: Arc<Stores>,
    control: Arc<MemoryControl>,
    mappings: [Arc<Mapping>; Target::ALL.len()],
) {
    let interval = world.draw(|random| random.one_of(&[5, 60])).unwrap_or(60);
    loop {
        let usual = Duration::from_secs(interval);
        // Who delivers to a store that is out is looked at as often as ever, since it is a probe, and so is who has a
        // short outage.
        let out = world.out_for_long();
        let probes = mappings.iter().any(|mapping| match out.contains(&mapping.consumer) {
            true => mapping.delivers(),
            false => stores.objects.holds(&open_outage_key(&Region::local(), mapping.consumer)),
        });
        tokio::time::sleep(if probes { usual } else { world.pause(usual) }).await;
        if world.draw(|random| random.percent(10.0)) {
            continue;
        }
        let custodian = Custodian {
            region: Region::local(),
            stream: stores.stream.clone(),
            retention: STREAM_RETENTION,
            copy: None,
            search: stores.search.clone(),
            objects: stores.objects.clone(),
            overflow: stores.overflow(),
            given_up: None,
            ledger: stores.ledger.clone(),
            control: control.clone(),
            settings: Arc::default(),
        };
        let (now, chance) = (world.now(), world.draw(|random| random.below(100)));
        let run = async move { custodian.handle(now, chance as f64 / 100.0).await };
        if let Ok(facts) = world.start(Process::Custodian, run).await
            && (!facts.outages.is_empty() || facts.drained > 0 || !facts.errors.is_empty())
        {
            world.tell("custodian", About::All, || {
                let outages = &facts.outages;
                format!("outages {outages:?}, drained {}, errors {:?}", facts.drained, facts.errors)
            });
        }
    }
}

fn collector(world: &Arc<World>, stores: &Arc<Stores>) -> Arc<Collector> {
    let directories = DirectoryCache::new(stores.objects.clone(), tributary_model::directory::OBJECT_KEY);
    let authority = Authority::new(Arc::clone(&directories));
    tokio::spawn(refresh(Arc::clone(world), directories));
    Arc::new(Collector::new(authority, stores.stream.clone(), stores.overflow(), Region::local()))
}

/// Keeps the directory fresh, as a collector's own program does.
async fn refresh(world: Arc<World>, directories: Arc<DirectoryCache>) {
    loop {
        let refreshed = directories.refresh(world.now()).await;
        let pause = if refreshed.is_ok() { world.pause(Duration::from_secs(60)) } else { Duration::from_secs(1) };
        tokio::time::sleep(pause).await;
    }
}

fn send(world: &Arc<World>, senders: &Arc<Senders>, trouble: Duration, over: Duration) -> JoinSet<()> {
    let mut sending = JoinSet::new();
    let count = world.draw(|random| 1 + random.below(40));
    for number in 0..count {
        let at = world.draw(|random| sometime(random, trouble, over));
        sending.spawn(Arc::clone(senders).invocation(number, at));
    }
    for number in 0..world.draw(|random| random.below(3)) {
        let at = world.draw(|random| sometime(random, trouble, over));
        sending.spawn(Arc::clone(senders).smuggler(at, number));
    }
    sending
}

/// As likely in the first trouble as after it.
fn sometime(random: &mut Random, trouble: Duration, over: Duration) -> Duration {
    let end = if random.percent(50.0) { trouble } else { over };
    random.millis(0..u64::try_from(end.as_millis()).unwrap_or(u64::MAX))
}

/// When a store is restored, how much it loses, and which: in every other world, one that is not out for long.
fn restored(world: &World, over: Duration) -> Option<Restored> {
    let out = world.out_for_long();
    let others: Vec<Target> = Target::ALL.into_iter().filter(|target| !out.contains(target)).collect();
    world.draw(|random| {
        let target = random.one_of(&others)?;
        let (at, lost) = (sometime(random, over, over), random.spread_millis(1000..60 * 60 * 1000));
        random.percent(50.0).then_some(Restored { target, at, lost })
    })
}

/// Splits and merges shards, for as long as there is trouble.
async fn reshard(world: Arc<World>, stores: Arc<Stores>, trouble: Duration, over: Duration) {
    let count = world.draw(|random| random.below(4));
    let mut times: Vec<Duration> = (0..count).map(|_| world.draw(|random| sometime(random, trouble, over))).collect();
    times.sort();
    for at in times {
        tokio::time::sleep(at.saturating_sub(world.elapsed())).await;
        stores.stream.reshard();
    }
}

/// Waits until all is well. Where the stream keeps records for longer than usual, life goes on meanwhile: it is the marks of
/// what comes next that say that all have caught up.
async fn recover(
    world: &World,
    stores: &Stores,
    control: &MemoryControl,
    mappings: &[Arc<Mapping>],
    senders: &Arc<Senders>,
) {
    let deadline = world.elapsed() + Duration::from_secs(RECOVERY_HOURS * 60 * 60);
    let mut next_report = world.elapsed();
    loop {
        let Some((invariant, what)) = waiting_for(stores, control, mappings) else {
            world.tell("world", About::All, || "all is well".to_owned());
            return;
        };
        if world.violation().is_some() {
            return;
        }
        if world.elapsed() >= deadline {
            return world.violated(invariant, None, format!("after {RECOVERY_HOURS} hours {what}"));
        }
        if invariant == Invariant::RetentionComesBack && world.elapsed() >= next_report {
            senders.to_every_shard().await;
            next_report = world.elapsed() + REPORTS_EVERY;
        }
        world.pass(Duration::from_secs(1)).await;
    }
}

fn waiting_for(stores: &Stores, control: &MemoryControl, mappings: &[Arc<Mapping>]) -> Option<(Invariant, String)> {
    let paused = Target::ALL.into_iter().find(|target| !control.runs(*target));
    let paused = paused.map(|target| format!("{} is still paused", target.as_str()));
    let late = mappings.iter().find(|mapping| !mapping.has_caught_up());
    let late = late.map(|mapping| format!("{} has not caught up", mapping.consumer.as_str()));
    let undrained = stores.overflow.keys().len();
    let undrained = (undrained > 0).then(|| format!("the overflow still holds {undrained} records"));
    let outages =
        stores.objects.keys().iter().filter(|key| key.starts_with("outages/") && !key.starts_with(WRITTEN)).count();
    let outages = (outages > 0).then(|| format!("{outages} outages have not ended, or have no row"));
    let kept_h = stores.stream.retention_now().as_secs() / 3600;
    let raised = (stores.stream.retention_now() != STREAM_RETENTION).then(|| format!("the stream keeps {kept_h} h"));
    let resumes = paused.or(late).or(undrained).or(outages).map(|what| (Invariant::EverythingResumes, what));
    resumes.or(raised.map(|what| (Invariant::RetentionComesBack, what)))
}
