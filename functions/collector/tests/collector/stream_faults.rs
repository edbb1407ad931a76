//! A stream that fails: the sender never hears 200, and hears when to try again.

use std::time::Duration;

use tributary_ports::{PortError, PortErrorKind};

use crate::fixture::{Fate, Fixture, detail, post_as, report};

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

#[tokio::test]
async fn a_report_that_the_stream_did_not_take_is_never_acknowledged() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    let unavailable = "the stream did not take the report; it is not stored, send it again";
    let throttled = "the stream takes no more just now; the report is not stored, send it again";
    for (error, status, retry_after, expected) in [
        (full as fn() -> PortError, 429, "3", throttled),
        (down, 503, "1", unavailable),
        (denied, 503, "1", unavailable),
        (wrong, 503, "1", unavailable),
    ] {
        fixture.let_stream(Fate::Fails(error));
        let handled = fixture.send(post_as(&token, report(""))).await;
        assert_eq!(handled.response.status(), status);
        assert_eq!(handled.response.headers()["retry-after"], retry_after);
        assert_eq!(detail(&handled), expected);
        assert_eq!(handled.facts.error, Some(error().to_string()), "the log says what the sender is not told");
        assert_eq!(handled.facts.project.as_ref().map(|project| project.as_str()), Some("shop"));
    }
    fixture.let_stream(Fate::Stores);
    assert_eq!(fixture.send(post_as(&token, report(""))).await.response.status(), 200);
    assert_eq!(fixture.take_stored().len(), 1, "nothing was kept of the refused ones");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_answer_costs_the_sender_less_than_a_second() {
    let fixture = Fixture::new().await;
    let token = fixture.token().await;
    fixture.let_stream(Fate::NeverAnswers);
    let begun = tokio::time::Instant::now();
    let handled = fixture.send(post_as(&token, report(""))).await;
    assert_eq!(begun.elapsed(), Duration::from_millis(700), "by the test's own clock");
    assert_eq!((handled.facts.status, handled.facts.reason), (503, "unavailable"));
    assert_eq!(handled.facts.error.as_deref(), Some("stream.append: no answer within 700 ms"));
}
