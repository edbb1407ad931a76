//! What goes wrong, where and when: decided by the seed before the world begins, and drawn call by call.

use std::time::Duration;

use tributary_ports::PortErrorKind;

use crate::random::Random;

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
}

impl Weather {
    /// Faults for `trouble`, the time in which there are any.
    pub(crate) fn of(random: &mut Random, trouble: Duration) -> Self {
        let failing_percent =
            Place::ALL.map(|place| (place, random.one_of(&[0.0, 0.0, 1.0, 5.0, 20.0]).unwrap_or_default())).to_vec();
        let slow_percent = random.one_of(&[0.0, 1.0, 5.0]).unwrap_or_default();
        let killed_percent = random.one_of(&[0.0, 2.0, 10.0, 30.0]).unwrap_or_default();
        let spells = (0..random.below(4)).filter_map(|_| spell(random, trouble)).collect();
        Self { failing_percent, slow_percent, killed_percent, spells }
    }

    /// Never a cloud.
    pub(crate) fn fair() -> Self {
        Self { failing_percent: Vec::new(), slow_percent: 0.0, killed_percent: 0.0, spells: Vec::new() }
    }

    /// What becomes of a call on `place` at the time `at`.
    pub(crate) fn fate(&self, random: &mut Random, place: Place, at: Duration) -> Fate {
        if let Some(spell) = self.spell(place, at) {
            return Fate::Fails(spell.kind);
        }
        let failing =
            self.failing_percent.iter().find(|(named, _)| *named == place).map_or(0.0, |(_, percent)| *percent);
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
