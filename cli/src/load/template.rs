//! A request built once and sent many times: only what must differ is written anew, in its place and width.

use rand::Rng;
use rand::rngs::StdRng;
use tributary_model::json::{Type, Value};
use tributary_model::{Rejection, Report, TimestampMs};

/// Characters of a UUID.
const UUID_BYTES: usize = 36;
/// Digits of an instant in milliseconds, from 2001 to 2286.
const INSTANT_DIGITS: usize = 13;
/// Numbers of that many digits are instants of the report if they lie this near to its beginning.
const NEAR_MS: u64 = 60 * 60 * 1000;
/// Digits of the duration that stay as they are; the others are drawn anew for each request.
const DURATION_DIGITS_KEPT: usize = 3;

/// A whole request, head and body, and where it changes.
#[derive(Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    body_bytes: usize,
    patches: Vec<Patch>,
    /// How long the invocation lasted, to the digits that stay.
    lasted_ms: i64,
}

#[derive(Debug)]
struct Patch {
    at: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    /// `processId` and `awsRequestId`.
    Uuid,
    /// An instant, by its distance from the invocation's beginning.
    Instant { after_ms: i64 },
    /// Digits of the duration.
    Digits { count: usize },
}

impl Template {
    /// `head` is the request's head without `Content-Length` and without the empty line at its end.
    ///
    /// # Errors
    /// If the body is no report.
    pub(super) fn new(head: &str, body: &str) -> Result<Self, Rejection> {
        let bytes = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
        let body_at = bytes.len() - body.len();
        let report = Report::parse(body.as_bytes())?;
        let mut patches = patches(&report);
        patches.iter_mut().for_each(|patch| patch.at += body_at);
        let lasted_ns = report.root().get("duration").and_then(Value::as_f64).unwrap_or_default();
        let lasted = std::time::Duration::try_from_secs_f64(lasted_ns / 1e9).unwrap_or_default();
        let lasted_ms = i64::try_from(lasted.as_millis()).unwrap_or_default();
        Ok(Self { bytes, body_bytes: body.len(), patches, lasted_ms })
    }

    /// Bytes of the report.
    pub(super) const fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Writes a request into `request` whose invocation ended at `ended` and shares its names with no other.
    pub(super) fn fill(&self, request: &mut Vec<u8>, ended: TimestampMs, random: &mut StdRng) {
        let begun = ended.plus_ms(-self.lasted_ms);
        request.clear();
        request.extend_from_slice(&self.bytes);
        for patch in &self.patches {
            let Some(place) = request.get_mut(patch.at..) else { continue };
            match patch.what {
                What::Uuid => put(place, &uuid(random.random())),
                What::Instant { after_ms } => put(place, &digits::<INSTANT_DIGITS>(begun.plus_ms(after_ms).0)),
                What::Digits { count } => scramble(place, count, random.random()),
            }
        }
    }
}

/// The places by their offset in the report's text.
fn patches(report: &Report<'_>) -> Vec<Patch> {
    let root = report.root();
    let names = [root.get("processId"), root.path(&["aws", "awsRequestId"])];
    let uuids = names.into_iter().flatten().map(Value::span).filter(|span| span.len() == UUID_BYTES + 2);
    let mut patches: Vec<Patch> = uuids.map(|span| Patch { at: span.start + 1, what: What::Uuid }).collect();
    instants(root, report.timestamp(), &mut patches);
    if let Some(duration) = root.get("duration") {
        let count = duration.raw().len().saturating_sub(DURATION_DIGITS_KEPT);
        patches.push(Patch { at: duration.span().end - count, what: What::Digits { count } });
    }
    patches
}

/// Every number that is an instant near to the report's beginning: its own, its end's, those of its traces.
fn instants(value: Value<'_, '_>, begun: TimestampMs, patches: &mut Vec<Patch>) {
    match value.type_of() {
        Type::Object => value.entries().for_each(|(_, value)| instants(value, begun, patches)),
        Type::Array => value.items().for_each(|value| instants(value, begun, patches)),
        Type::Number => {
            let whole = value.raw().split('.').next().filter(|whole| whole.len() == INSTANT_DIGITS);
            let near = |at: &i64| at.abs_diff(begun.0) < NEAR_MS;
            if let Some(at) = whole.and_then(|whole| whole.parse().ok()).filter(near) {
                patches.push(Patch { at: value.span().start, what: What::Instant { after_ms: at - begun.0 } });
            }
        }
        _ => {}
    }
}

fn put<const N: usize>(place: &mut [u8], text: &[u8; N]) {
    if let Some(place) = place.first_chunk_mut() {
        *place = *text;
    }
}

/// A UUID of version 4 (RFC 9562) made of 122 of the bits.
fn uuid(bits: u128) -> [u8; UUID_BYTES] {
    let mut rest = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut text = [b'-'; UUID_BYTES];
    for (_, place) in text.iter_mut().enumerate().filter(|(at, _)| ![8, 13, 18, 23].contains(at)) {
        *place = hex(u8::try_from(rest >> 124).unwrap_or_default());
        rest <<= 4;
    }
    text
}

const fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

/// The last `N` decimal digits of a number that is not negative.
fn digits<const N: usize>(number: i64) -> [u8; N] {
    let mut rest = number.unsigned_abs();
    let mut text = [b'0'; N];
    for place in text.iter_mut().rev() {
        *place = last_digit(rest);
        rest /= 10;
    }
    text
}

/// Writes `count` digits, at most the 19 that 64 bits give.
fn scramble(place: &mut [u8], count: usize, mut bits: u64) {
    for place in place.iter_mut().take(count) {
        *place = last_digit(bits);
        bits /= 10;
    }
}

fn last_digit(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const HEAD: &str = "POST / HTTP/1.1\r\n";
    const BODY: &str = r#"{"processId":"c867db95-dbfd-480a-b132-ce09b86bf3f6","timestamp":1795284061873,"duration":9471669,
        "aws":{"awsRequestId":"69e9a2a7-e7aa-4efe-9c3d-f17555924fb8"},"load_time":1795284061837.25,"other":1234567890123,
        "traces":[{"timestamp":1795284061900}],"timestampEnd":1795284061882}"#;

    fn filled(ended: i64, seed: u64) -> String {
        let template = Template::new(HEAD, BODY).expect("a report");
        assert_eq!(template.body_bytes(), BODY.len());
        let mut request = Vec::new();
        template.fill(&mut request, TimestampMs(ended), &mut StdRng::seed_from_u64(seed));
        String::from_utf8(request).expect("UTF-8")
    }

    #[test]
    fn names_times_and_duration_change_and_nothing_else_does() {
        let request = filled(1_800_000_000_009, 7);
        let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
        assert_eq!(head, format!("POST / HTTP/1.1\r\nContent-Length: {}", BODY.len()));
        let report = Report::parse(body.as_bytes()).expect("a report");
        assert_eq!(report.timestamp(), TimestampMs(1_800_000_000_000), "nine milliseconds before the end");
        let raw = |path: &[&str]| report.root().path(path).expect("it is there").raw();
        assert_eq!(raw(&["load_time"]), "1799999999964.25");
        assert_eq!(raw(&["timestampEnd"]), "1800000000009");
        assert_eq!(raw(&["other"]), "1234567890123");
        assert_eq!(report.root().get("traces").expect("there").raw(), r#"[{"timestamp":1800000000027}]"#);
        assert!(raw(&["duration"]).starts_with("947") && raw(&["duration"]).len() == 7, "{}", raw(&["duration"]));
        assert_ne!(report.process_id(), report.request_id());
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(filled(1_800_000_000_009, 7), filled(1_800_000_000_009, 7));
        assert_ne!(filled(1_800_000_000_009, 7), filled(1_800_000_000_009, 8));
    }

    #[test]
    fn a_uuid_has_its_version_and_its_variant() {
        assert_eq!(&uuid(0), b"00000000-0000-4000-8000-000000000000");
        assert_eq!(&uuid(u128::MAX), b"ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
