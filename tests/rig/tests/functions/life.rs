use std::time::Duration;

use serde_json::{Value, json};
use tributary_rig::binaries::Binary;
use tributary_rig::runtime_api::Function;

fn probe() -> Function {
    Function::new(&Binary::Probe.path(), &[])
}

fn get(path: &str) -> String {
    request(path, "").to_string()
}

fn request(path: &str, body: &str) -> Value {
    json!({"version": "2.0", "rawPath": path, "body": body, "requestContext": {"http": {"method": "GET"}}})
}

#[tokio::test]
async fn a_panic_is_an_error_that_quotes_nothing_and_the_process_goes_on() {
    let function = probe();
    assert_eq!(function.invoke(get("/")).await.json()["statusCode"], 200);
    let process = function.idle();
    let answer = function.invoke(request("/panic", "canary").to_string()).await;
    assert_eq!(answer.error().kind, "Tributary.Panic");
    assert!(!answer.error().message.contains("canary"));
    assert_eq!(function.invoke(get("/")).await.json()["statusCode"], 200);
    assert_eq!(function.idle(), process, "the same process");
    let log = function.log();
    assert!(log.contains("lambda.panic") && log.contains("probe.rs:") && !log.contains("canary"), "{log}");
}

#[tokio::test]
async fn a_process_that_ends_is_followed_by_another() {
    let function = probe();
    assert_eq!(function.invoke(get("/")).await.json()["statusCode"], 200);
    let first = function.idle();
    let answer = function.invoke(get("/abort")).await;
    assert_eq!(answer.error().kind, "Runtime.ExitError");
    assert_eq!(function.invoke(get("/")).await.json()["statusCode"], 200);
    assert_ne!(function.idle(), first);
}

#[tokio::test]
async fn one_that_takes_too_long_is_killed() {
    let function = probe().with_timeout(Duration::from_millis(300));
    let answer = function.invoke(get("/hang")).await;
    assert_eq!(answer.error().kind, "Sandbox.Timedout");
    assert_eq!(function.invoke(get("/")).await.json()["statusCode"], 200);
}

#[tokio::test]
async fn a_start_that_fails_tells_every_problem_to_who_invokes_and_to_the_log() {
    let function = Function::new(&Binary::Probe.path(), &[("PROBE_REFUSES", "1")]);
    for _ in 0..2 {
        let answer = function.invoke(get("/")).await;
        assert_eq!(answer.error().kind, "Tributary.Settings");
        assert_eq!(answer.error().message, "ONE is wrong\nTWO is wrong");
    }
    let log = function.log();
    assert!(log.contains(r#""error":"ONE is wrong\nTWO is wrong","event":"lambda.init""#), "{log}");
}

#[tokio::test]
async fn invocations_at_once_have_a_process_each() {
    let function = probe();
    let event = get("/");
    let answers = tokio::join!(function.invoke(event.clone()), function.invoke(event.clone()), function.invoke(event));
    for answer in [answers.0, answers.1, answers.2] {
        assert_eq!(answer.json()["statusCode"], 200);
    }
    assert_eq!(function.idle().len(), 3);
}

#[tokio::test]
async fn log_lines_are_written_before_the_answer() {
    let function = probe();
    let _ = function.invoke(get("/one")).await.json();
    assert!(function.log().contains(r#""handled":"GET /one""#), "{}", function.log());
}

#[tokio::test]
async fn what_is_no_event_is_a_function_error() {
    let function = probe();
    for event in ["null", "{}", "not JSON at all", r#"{"Records":[]}"#] {
        let answer = function.invoke(event).await;
        assert!(!answer.error().message.is_empty(), "{event}");
    }
    assert_eq!(function.invoke("{}").await.error().kind, "Tributary.MalformedEvent");
    assert_eq!(function.invoke(get("/")).await.json()["statusCode"], 200);
}
