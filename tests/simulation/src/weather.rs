//! What goes wrong, where and when: decided by the seed before the world begins, and drawn call by call.

use std::ops::Range;
use std::time::Duration;

use tributary_model::Target;
use tributary_ports::PortErrorKind;

use crate::random::Random;

/// Of a hundred worlds, how many have a store that is out for longer than the stream keeps a record unless told otherwise.
const LONG_PERCENT: f64 = 3.0;
/// Hours of such an outage. A report is a week old at most when it is sent, and its class keeps it for thirty days.
const LONG_HOURS: Range<u64> = 180..340;
/// How long before its end everything looks as often again as it does in any world.
const LONG_EVE: Duration = Duration::from_secs(5 * 60);
/// Of a hundred calls, how many fail at most while little is done: what runs every three hours, and not every minute, would
/// else be out for days by chance.
const QUIET_FAILING_PERCENT_MAX: f64 = 2.0;
/// How often is looked, while little is done, for what comes by itself.
const QUIET_INTERVAL: Duration = Duration::from_secs(3 * 60 * 60);

/// A store or service as a whole: what fails together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Stream,
    Search,
    Ledger,
    Objects,
    Overflow,
    Keys,
    Control,
}

impl Place {
    pub(crate) const ALL: [Self; 7] =
        [Self::Stream, Self::Search, Self::Ledger, Self::Objects, Self::Overflow, Self::Keys, Self::Control];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Search => "search",
            Self::Ledger => "ledger",
            Self::Objects => "objects",
            Self::Overflow => "overflow",
            Self::Keys => "keys",
            Self::Control => "control",
        }
    }

    /// The store of a consumer.
    pub(crate) const fn of(consumer: Target) -> Self {
        match consumer {
            Target::Search => Self::Search,
            Target::Ledger => Self::Ledger,
        }
    }
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It does what it says.
    Works,
    /// It fails and has done nothing.
    Fails(PortErrorKind),
    /// It has done everything, and its answer is lost.
    AnswerLost,
    /// It has done a part, and fails.
    Partly(PortErrorKind),
}

/// A time in which a place fails whatever it is asked.
#[derive(Debug, Clone)]
pub(crate) struct Spell {
    pub(crate) place: Place,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
    pub(crate) kind: PortErrorKind,
}

/// The weather of one seed.
#[derive(Debug)]
pub(crate) struct Weather {
    /// Of a hundred calls, how many fail outside of spells, by place.
    failing_percent: Vec<(Place, f64)>,
    slow_percent: f64,
    /// Of a hundred parts of processes, how many are killed while they run, and all else of their process with them.
    killed_percent: f64,
    pub(crate) spells: Vec<Spell>,
    /// The stores that are out for long, if any are.
    pub(crate) long: Vec<Target>,
    /// The days in which nothing new happens; none, mostly.
    quiet: Range<Duration>,
}

impl Weather {
    /// Faults for `trouble`, the time in which there are any, or for as long as a store is out.
    pub(crate) fn of(random: &mut Random, trouble: Duration) -> Self {
        let failing_percent =
            Place::ALL.map(|place| (place, random.one_of(&[0.0, 0.0, 1.0, 5.0, 20.0]).unwrap_or_default())).to_vec();
        let slow_percent = random.one_of(&[0.0, 1.0, 5.0]).unwrap_or_default();
        let killed_percent = random.one_of(&[0.0, 2.0, 10.0, 30.0]).unwrap_or_default();
        let spells = (0..random.below(4)).filter_map(|_| spell(random, trouble)).collect();
        let quiet = Duration::ZERO..Duration::ZERO;
        let mut weather = Self { failing_percent, slow_percent, killed_percent, spells, long: Vec::new(), quiet };
        if random.percent(LONG_PERCENT) {
            weather.lasts(random, trouble);
        }
        weather
    }

    /// Has one store, or both, fail for days from some time in the trouble on.
    fn lasts(&mut self, random: &mut Random, trouble: Duration) {
        let trouble_ms = u64::try_from(trouble.as_millis()).unwrap_or(u64::MAX);
        let from = random.millis(0..trouble_ms.max(1));
        let until = from + Duration::from_secs(random.within(LONG_HOURS) * 60 * 60);
        let both = random.percent(25.0);
        let one = random.one_of(&Target::ALL);
        self.long = Target::ALL.into_iter().filter(|target| both || one == Some(*target)).collect();
        for target in &self.long {
            self.spells.push(Spell { place: Place::of(*target), from, until, kind: kind(random) });
        }
        self.quiet = trouble..until.saturating_sub(LONG_EVE);
    }

    /// Never a cloud.
    pub(crate) fn fair() -> Self {
        Self {
            failing_percent: Vec::new(),
            slow_percent: 0.0,
            killed_percent: 0.0,
            spells: Vec::new(),
            long: Vec::new(),
            quiet: Duration::ZERO..Duration::ZERO,
        }
    }

    /// When the trouble is over that would be over after `trouble`: when the last store is back that is out for long.
    pub(crate) fn over(&self, trouble: Duration) -> Duration {
        let long = self.long.iter().map(|target| Place::of(*target));
        let ends = long.filter_map(|place| self.spells.iter().rfind(|spell| spell.place == place));
        ends.map(|spell| spell.until).max().unwrap_or(trouble).max(trouble)
    }

    /// How long who looks every `usual` waits until it looks again: in quiet days, hours.
    pub(crate) fn pause(&self, usual: Duration, at: Duration) -> Duration {
        match self.quiet.contains(&at) {
            true => QUIET_INTERVAL.min(self.quiet.end.saturating_sub(at)).max(usual),
            false => usual,
        }
    }

    /// What becomes of a call on `place` at the time `at`.
    pub(crate) fn fate(&self, random: &mut Random, place: Place, at: Duration) -> Fate {
        if let Some(spell) = self.spell(place, at) {
            return Fate::Fails(spell.kind);
        }
        let failing =
            self.failing_percent.iter().find(|(named, _)| *named == place).map_or(0.0, |(_, percent)| *percent);
        let failing = if self.quiet.contains(&at) { failing.min(QUIET_FAILING_PERCENT_MAX) } else { failing };
        if failing == 0.0 || !random.percent(failing) {
            return Fate::Works;
        }
        let kind = kind(random);
        match random.below(10) {
            0..5 => Fate::Fails(kind),
            5..8 => Fate::AnswerLost,
            _ => Fate::Partly(kind),
        }
    }

    /// Whether the place fails whatever it is asked.
    pub(crate) fn is_out(&self, place: Place, at: Duration) -> bool {
        self.spell(place, at).is_some()
    }

    fn spell(&self, place: Place, at: Duration) -> Option<&Spell> {
        self.spells.iter().find(|spell| spell.place == place && (spell.from..spell.until).contains(&at))
    }

    /// After how long a part of a process that begins now is killed, if it is.
    pub(crate) fn kill_after(&self, random: &mut Random) -> Option<Duration> {
        let killed = self.killed_percent > 0.0 && random.percent(self.killed_percent);
        killed.then(|| random.millis(0..40))
    }

    /// How long one way of a call takes.
    pub(crate) fn latency(&self, random: &mut Random) -> Duration {
        let slow = self.slow_percent > 0.0 && random.percent(self.slow_percent);
        if slow { random.millis(200..4000) } else { random.millis(0..8) }
    }
}

fn spell(random: &mut Random, trouble: Duration) -> Option<Spell> {
    let trouble_ms = u64::try_from(trouble.as_millis()).unwrap_or(u64::MAX);
    let place = random.one_of(&[
        Place::Stream,
        Place::Search,
        Place::Search,
        Place::Ledger,
        Place::Ledger,
        Place::Objects,
        Place::Overflow,
        Place::Control,
    ])?;
    let from = random.millis(0..trouble_ms.max(1));
    let length = random.spread_millis(2_000..trouble_ms.max(2_001));
    let kind = kind(random);
    Some(Spell { place, from, until: from + length, kind })
}

fn kind(random: &mut Random) -> PortErrorKind {
    match random.below(10) {
        0..5 => PortErrorKind::Unavailable,
        5..8 => PortErrorKind::Throttled,
        _ => PortErrorKind::Denied,
    }
}
