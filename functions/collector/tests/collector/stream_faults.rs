//! A stream that fails: the record goes to the overflow, and only if that fails too does the sender hear of it.

use std::time::Duration;

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
    let unavailable = "the stream did not take the report; it is not stored, send it again";
    let throttled = "the stream takes no more just now; the report is not stored, send it again";
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
