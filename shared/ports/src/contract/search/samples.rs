//! Documents to test with: one that a case changes to its needs, and random ones.

use bytes::Bytes;
use tributary_model::invocation::{
    AwsInfo, CpuInfo, ErrorInfo, HostInfo, MemoryInfo, Metric, Named, RuntimeInfo, StepFunction,
};
use tributary_model::record::Codec;
use tributary_model::{
    AccountId, Invocation, Kind, ProjectId, Region, ReportId, RetentionClass, TimestampMs, TokenId, Version,
};

use crate::search::{BoolField, Document, Filter, NumberField, Original, Range, Scope, TextField};

/// 2026-11-21T18:01:01Z, when the first sample begins.
pub const BEGIN: TimestampMs = TimestampMs(1_795_284_061_000);

/// A project of the samples.
///
/// # Panics
/// If it is no project's name.
#[must_use]
pub fn project(name: &str) -> ProjectId {
    ProjectId::new(name).expect("a project's name")
}

/// The `number`th invocation of the project `shop`: it began `number` seconds after [`BEGIN`] and has nothing special.
#[must_use]
pub fn invocation(number: u32) -> Invocation {
    invocation_of(&project("shop"), number)
}

/// The `number`th invocation of a project.
#[must_use]
pub fn invocation_of(project: &ProjectId, number: u32) -> Invocation {
    let timestamp = BEGIN.plus_ms(i64::from(number) * 1000);
    let request_id = format!("request-{number}");
    Invocation {
        id: ReportId::derive(project, "process", &request_id, timestamp),
        project: project.clone(),
        account: AccountId::new("acme").expect("an account"),
        region: Region::new("eu-west-1").expect("a region"),
        request_id,
        process_id: "process".to_owned(),
        function: "checkout".to_owned(),
        version: "$LATEST".to_owned(),
        timestamp,
        timestamp_end: None,
        received_at: timestamp.plus_ms(100),
        duration_ms: None,
        coldstart: false,
        timeout: false,
        error: None,
        labels: Vec::new(),
        metrics: Vec::new(),
        agent: Named { runtime: "nodejs".to_owned(), version: "1.19.5".to_owned() },
        runtime: RuntimeInfo::default(),
        aws: AwsInfo::default(),
        memory: MemoryInfo::default(),
        cpu: CpuInfo::default(),
        disk: None,
        host: HostInfo::default(),
        event_source: None,
        step_function: None,
        marks: Vec::new(),
        http_traces: Vec::new(),
        db_traces: Vec::new(),
        plugins: Vec::new(),
        install_method: String::new(),
        token: TokenId::new("t1").expect("a token's id"),
        signed: false,
        removed: Vec::new(),
        removed_count: 0,
        unknown: serde_json::Map::new(),
        normalizer: 1,
    }
}

/// The document of an invocation, with the version that its arrival gives it.
#[must_use]
pub fn document(invocation: Invocation) -> Document {
    let payload = Bytes::from(format!(r#"{{"requestId":"{}"}}"#, invocation.request_id));
    Document {
        version: Version::new(invocation.normalizer, invocation.received_at),
        retention: RetentionClass::DEFAULT,
        original: Original {
            kind: Kind::Report,
            codec: Codec::Plain,
            payload_bytes: u32::try_from(payload.len()).expect("a short payload"),
            payload,
        },
        invocation,
    }
}

/// All that the project `shop` has.
#[must_use]
pub fn everything(filter: Filter) -> Scope {
    Scope {
        project: project("shop"),
        from: TimestampMs(0),
        to: TimestampMs(i64::MAX),
        received_until: TimestampMs(i64::MAX),
        filter,
    }
}

/// An error.
#[must_use]
pub fn error(name: &str, message: &str) -> ErrorInfo {
    ErrorInfo {
        name: name.to_owned(),
        message: message.to_owned(),
        stack: format!("{name}: {message}\n    at handler (/var/task/index.js:7:11)"),
        fingerprint: "00c0ffee00c0ffee".to_owned(),
    }
}

/// A metric with a number.
#[must_use]
pub fn number(name: &str, n: f64) -> Metric {
    Metric { name: name.to_owned(), n: Some(n), s: None }
}

/// A metric with a text.
#[must_use]
pub fn text(name: &str, s: &str) -> Metric {
    Metric { name: name.to_owned(), n: None, s: Some(s.to_owned()) }
}

/// Random invocations and filters from a small world, in which filters often match. The same seed gives the same.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

const TEXTS: [&str; 12] = [
    "",
    "a",
    "ab",
    "abc",
    "b a",
    "A-B",
    "Été",
    "connection refused",
    "日本語",
    "a\u{10ffff}",
    "vip",
    "@iopipe/metrics",
];
const NAMES: [&str; 6] = ["m", "mm", "m\0n", "cart.total", "日", "m "];
const NUMBERS: [f64; 10] = [0.0, -0.0, 1.0, -1.0, 1.5, 500.0, 1e300, -1e300, 0.25, 100.0];

impl Random {
    /// Begins with a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    /// True in half of the cases.
    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.coin().then(|| make(self))
    }

    fn text(&mut self) -> String {
        self.one_of(&TEXTS).to_owned()
    }

    fn texts(&mut self, end: usize) -> Vec<String> {
        (0..self.below(end)).map(|_| self.text()).collect()
    }

    fn number(&mut self) -> f64 {
        self.one_of(&NUMBERS)
    }

    fn metric(&mut self) -> Metric {
        Metric { name: self.one_of(&NAMES).to_owned(), n: self.maybe(Self::number), s: self.maybe(Self::text) }
    }

    /// The `number`th invocation, in one of two projects.
    pub fn invocation(&mut self, number: u32) -> Invocation {
        let project = project(self.one_of(&["shop", "shop", "shop", "other"]));
        // Sort keys often collide, and ids lie on several days.
        let timestamp = BEGIN.plus_ms(self.one_of(&[0, 40_000_000, 80_000_000, 120_000_000]));
        let request_id = format!("r{number}");
        Invocation {
            id: ReportId::derive(&project, "p", &request_id, timestamp),
            timestamp,
            received_at: timestamp.plus_ms(self.one_of(&[0, 1, 2])),
            request_id,
            process_id: self.text(),
            function: self.text(),
            version: self.one_of(&["1", "$LATEST"]).to_owned(),
            duration_ms: self.maybe(Self::number),
            coldstart: self.coin(),
            timeout: self.coin(),
            error: self
                .maybe(|random| ErrorInfo { fingerprint: random.text(), ..error(&random.text(), &random.text()) }),
            labels: self.texts(4),
            metrics: (0..self.below(4)).map(|_| self.metric()).collect(),
            agent: Named { runtime: self.text(), version: self.text() },
            aws: AwsInfo { account_id: self.text(), trace_id: self.text(), ..AwsInfo::default() },
            memory: MemoryInfo {
                used_mib: self.maybe(Self::number),
                used_percent: self.maybe(Self::number),
                ..MemoryInfo::default()
            },
            event_source: self.maybe(Self::text),
            step_function: self.maybe(|random| StepFunction { id: random.text(), step: None }),
            signed: self.coin(),
            removed_count: u32::from(self.coin()),
            ..invocation_of(&project, number)
        }
    }

    fn bound(&mut self) -> Option<(f64, bool)> {
        self.maybe(|random| (random.number(), random.coin()))
    }

    fn range(&mut self) -> Range {
        Range { from: self.bound(), to: self.bound() }
    }

    /// A filter of at most `depth` levels of And, Or and Not.
    pub fn filter(&mut self, depth: usize) -> Filter {
        let name = self.one_of(&NAMES).to_owned();
        match self.below(if depth == 0 { 10 } else { 16 }) {
            0 => Filter::All,
            1 | 2 => Filter::Is(self.one_of(&TextField::ALL), self.text()),
            3 => Filter::StartsWith(self.one_of(&TextField::ALL), self.text()),
            4 => Filter::True(self.one_of(&BoolField::ALL)),
            5 => Filter::InRange(self.one_of(&NumberField::ALL), self.range()),
            6 => Filter::MetricIs(name, self.text()),
            7 => Filter::MetricInRange(name, self.range()),
            8 => Filter::Words(self.texts(3)),
            9 => self.one_of_two(Filter::HasMetric(name), Filter::HasError),
            10 | 11 => Filter::And((0..self.below(4)).map(|_| self.filter(depth - 1)).collect()),
            12 | 13 => Filter::Or((0..self.below(4)).map(|_| self.filter(depth - 1)).collect()),
            _ => Filter::Not(Box::new(self.filter(depth - 1))),
        }
    }

    fn one_of_two(&mut self, first: Filter, second: Filter) -> Filter {
        if self.coin() { first } else { second }
    }
}
