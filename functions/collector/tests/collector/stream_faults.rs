//! A stream that fails: the record goes to the overflow, and only if that fails too does the sender hear of it.

use std::time::Duration;

use serde_json::json;
use tributary_model::limits::{DIRECTORY_REFRESH, DIRECTORY_STALE_MAX};
use tributary_model::overflow;
use tributary_pipeline::unpack::unpack;
use tributary_ports::{PortError, PortErrorKind};

use crate::fixture::{Fate, Fixture, NOW, detail, post_as, report};

fn full() -> PortError {
    PortError::new(PortErrorKind::Throttled, "stream.append", "64 MiB wait").retry_after(Duration::from_millis(2500))
}

fn down() -> PortError {
    PortError::new(PortErrorKind::Unavailable, "stream.append", "no space left")
}

fn denied() -> PortError {
    PortError::new(PortErrorKind::Denied, "stream.append", "credentials expired")
}

fn wrong() -> PortError {
    PortError::new(PortErrorKind::Invalid, "stream.append", "no such stream")
}

fn no_room() -> PortError {
    PortError::new(PortErrorKind::Unavailable, "objects.put", "no room")
}

const FAULTS: [fn() -> PortError; 4] = [full, down, denied, wrong];

#[tokio::test]
async fn what_the_stream_refuses_is_acknowledged_once_the_overflow_holds_it() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    for error in FAULTS {
        fixture.let_stream(Fate::Fails(error));
        let handled = fixture.send(post_as(&token, report(""))).await;
        assert_eq!(handled.response.status(), 200);
        let expected = if error().kind == PortErrorKind::Denied { "overflowed-denied" } else { "overflowed" };
        assert_eq!((handled.facts.reason, handled.facts.error), (expected, Some(error().to_string())));
        let kept: Vec<_> = fixture.take_overflowed().await.into_iter().collect();
        let [(key, bytes)] = kept.as_slice() else { panic!("one object: {kept:?}") };
        let record = unpack(bytes).expect("readable").record;
        assert_eq!(*key, overflow::object_key(NOW, record.id));
        assert_eq!(&handled.response.body()[..], format!(r#"{{"id":"{}"}}"#, record.id).as_bytes());
    }
    assert_eq!(fixture.take_stored().len(), 0, "the stream has none of them");
}

#[tokio::test]
async fn the_same_report_overflows_into_the_same_object() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    fixture.let_stream(Fate::Fails(down));
    for _ in 0..2 {
        assert_eq!(fixture.send(post_as(&token, report(""))).await.response.status(), 200);
    }
    assert_eq!(fixture.take_overflowed().await.len(), 1);
}

#[tokio::test]
async fn a_report_that_is_nowhere_is_never_acknowledged() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let unavailable = "the stream did not say that it has the report; send it again, it counts once";
    let throttled = "the stream takes no more just now; send the report again, it counts once";
    fixture.let_overflow(Fate::Fails(no_room));
    for error in FAULTS {
        fixture.let_stream(Fate::Fails(error));
        let handled = fixture.send(post_as(&token, report(""))).await;
        let (status, retry_after, expected) = match error().kind {
            PortErrorKind::Throttled => (429, "3", throttled),
            _ => (503, "1", unavailable),
        };
        assert_eq!(handled.response.status(), status);
        assert_eq!(handled.response.headers()["retry-after"], retry_after);
        assert_eq!(detail(&handled), expected);
        let both = format!("{}; {}", error(), no_room());
        assert_eq!(handled.facts.error, Some(both), "the log says what the sender is not told");
        assert_eq!(handled.facts.project.as_ref().map(|project| project.as_str()), Some("shop"));
    }
    fixture.let_stream(Fate::Stores);
    assert_eq!(fixture.send(post_as(&token, report(""))).await.response.status(), 200);
    assert_eq!(
        (fixture.take_stored().len(), fixture.take_overflowed().await.len()),
        (1, 0),
        "nothing is kept of the refused"
    );
}

#[tokio::test(start_paused = true)]
async fn stores_that_do_not_answer_cost_the_sender_less_than_800_ms() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    fixture.let_stream(Fate::NeverAnswers);
    let begun = tokio::time::Instant::now();
    let handled = fixture.send(post_as(&token, report(""))).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(400), "by the test's own clock");
    assert_eq!((handled.facts.status, handled.facts.reason), (200, "overflowed"));
    assert_eq!(handled.facts.error.as_deref(), Some("stream.append: unavailable: no answer in time"));

    fixture.let_overflow(Fate::NeverAnswers);
    let begun = tokio::time::Instant::now();
    let handled = fixture.send(post_as(&token, report(""))).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(700), "by the test's own clock");
    assert_eq!((handled.facts.status, handled.facts.reason), (503, "unavailable"));
}

/// Whatever is slow, and however much of it, the sender has its answer within `ANSWER_TIMEOUT`: the Go agent gives up after 1 s.
#[tokio::test(start_paused = true)]
async fn directory_stream_keys_and_overflow_together_cost_the_sender_800_ms_at_most() {
    const NEVER: Fate = Fate::NeverAnswers;
    let after = |ms| Fate::AnswersAfter(Duration::from_millis(ms));
    let fates = [Fate::Stores, after(299), after(399), after(499), NEVER];
    let fixture = Fixture::new().await;
    let token = fixture.token_with(&json!({}), &json!({"exp": NOW.plus(DIRECTORY_STALE_MAX).0 / 1000})).await;
    let mut now = NOW;
    let mut take = async |directory, stream, keys, overflow| {
        fixture.let_directory(directory);
        fixture.let_stream(stream);
        fixture.let_keys(keys);
        fixture.let_overflow(overflow);
        now = now.plus(DIRECTORY_REFRESH); // it is due again
        let begun = tokio::time::Instant::now();
        let handled = fixture.send_at(now, post_as(&token, report(""))).await;
        fixture.let_directory(Fate::Stores);
        fixture.let_keys(Fate::Stores);
        let (stored, kept) = (fixture.take_stored().len(), fixture.take_overflowed().await.len());
        (begun.elapsed().as_millis(), handled.facts.status, stored, kept)
    };
    assert_eq!(take(NEVER, NEVER, NEVER, NEVER).await, (800, 503, 0, 0));
    assert_eq!(take(NEVER, NEVER, Fate::Stores, NEVER).await, (800, 503, 0, 0));
    assert_eq!(take(NEVER, Fate::Stores, NEVER, NEVER).await, (500, 200, 1, 0), "no stream is too late that answers");
    assert_eq!(take(NEVER, NEVER, Fate::Stores, Fate::Stores).await, (500, 200, 0, 1));
    assert_eq!(
        take(after(450), after(300), after(100), after(150)).await,
        (750, 200, 0, 1),
        "none is out, all are slow"
    );
    for directory in fates {
        for stream in fates {
            for keys in fates {
                for overflow in fates {
                    let (ms, status, stored, kept) = take(directory, stream, keys, overflow).await;
                    let told = if stored + kept > 0 { 200 } else { 503 };
                    assert!(ms <= 800 && status == told, "{directory:?} {stream:?} {keys:?} {overflow:?}: {ms} ms");
                }
            }
        }
    }
}
