use std::collections::BTreeMap;

use tributary_model::duration;

use super::*;

fn read(set: &[(&str, &str)]) -> Result<LocalSettings, Problems> {
    let set: BTreeMap<&str, &str> = set.iter().copied().collect();
    LocalSettings::read(|name| set.get(name).map(|value| (*value).to_owned()))
}

/// What is printed when `name` has this value.
fn refusal(name: &str, value: &str) -> String {
    let problems = read(&[(name, value)]).expect_err(value);
    assert_eq!(problems.0.len(), 1, "{problems}");
    problems.to_string()
}

/// S9: it listens on this machine alone.
#[test]
fn without_variables_everything_has_its_default() {
    let settings = read(&[]).expect("settings");
    let expected = LocalSettings {
        data: "./.tributary".into(),
        http: "127.0.0.1:8080".parse().expect("an address"),
        https: None,
        only: BTreeSet::from([
            FunctionName::Collector,
            FunctionName::Worker,
            FunctionName::Query,
            FunctionName::Replay,
        ]),
        region: Region::new("local").expect("a region"),
        log: Some(Level::Warn),
        stream_shards: limits::STREAM_SHARDS,
        stream_retention: limits::STREAM_RETENTION,
        search_commit_interval: limits::SEARCH_COMMIT_INTERVAL,
        dead_letter_retention: limits::DEAD_LETTER_RETENTION,
        search_batch_window: limits::BATCH_WINDOW,
        ledger_batch_window: limits::BATCH_WINDOW,
    };
    assert_eq!(settings, expected);
    assert!(settings.http.ip().is_loopback(), "nobody else is let in unless told otherwise");
    let empty: Vec<(&str, &str)> = VARIABLES.iter().map(|variable| (variable.name, "")).collect();
    assert_eq!(read(&empty), Ok(expected), "what is set to nothing is not set");
}

#[test]
fn the_meanings_name_the_defaults() {
    for (name, default) in [
        ("TRIBUTARY_HTTP", limits::HTTP_ADDRESS.to_string()),
        ("TRIBUTARY_LOG", limits::LOG_LEVEL.as_str().to_owned()),
        ("TRIBUTARY_REGION", Region::local().to_string()),
        ("TRIBUTARY_STREAM_SHARDS", limits::STREAM_SHARDS.to_string()),
        ("TRIBUTARY_STREAM_RETENTION", duration::format(limits::STREAM_RETENTION)),
        ("TRIBUTARY_SEARCH_COMMIT_INTERVAL", duration::format(limits::SEARCH_COMMIT_INTERVAL)),
        ("TRIBUTARY_SEARCH_BATCH_WINDOW", duration::format(limits::BATCH_WINDOW)),
        ("TRIBUTARY_LEDGER_BATCH_WINDOW", duration::format(limits::BATCH_WINDOW)),
    ] {
        let variable = VARIABLES.iter().find(|variable| variable.name == name).expect(name);
        assert!(variable.meaning.contains(&format!("({default})")), "{name}: {}", variable.meaning);
    }
}

#[test]
fn every_variable_takes_its_example() {
    let examples: Vec<(&str, &str)> = VARIABLES.iter().map(|variable| (variable.name, variable.example)).collect();
    let settings = read(&examples).expect("settings");
    assert_eq!(settings.data, PathBuf::from("/var/lib/tributary"));
    assert_eq!(settings.https, Some("127.0.0.1:8443".parse().expect("an address")));
    assert_eq!(settings.only, BTreeSet::from([FunctionName::Collector, FunctionName::Worker]));
    assert_eq!((settings.region.as_str(), settings.log), ("eu-west-1", Some(Level::Info)));
    assert_eq!(settings.search_commit_interval, Duration::from_millis(500));
    assert_eq!(Target::ALL.map(|consumer| settings.batch_window(consumer)), [Duration::from_secs(1); 2]);
}

#[test]
fn each_consumer_has_settings_of_its_own() {
    let settings = read(&[("TRIBUTARY_SEARCH_BATCH_WINDOW", "7ms")]).expect("settings");
    assert_eq!(settings.batch_window(Target::Search), Duration::from_millis(7));
    assert_eq!(settings.batch_window(Target::Ledger), limits::BATCH_WINDOW);
}

#[test]
fn all_problems_are_reported_at_once() {
    let problems = read(&[
        ("TRIBUTARY_HTTP", "8080"),
        ("TRIBUTARY_ONLY", "collector,wroker"),
        ("TRIBUTARY_STREAM_RETENTION", "7 days"),
        ("TRIBUTARY_STREAM_SHARDS", "1000"),
        ("TRIBUTARY_REGION", "eu-west-1"),
    ]);
    let expected = "\
TRIBUTARY_HTTP must be an IP address and a port, ADDRESS:PORT or [ADDRESS]:PORT, not \"8080\" (for example \
TRIBUTARY_HTTP=127.0.0.1:8080)
TRIBUTARY_ONLY must be some of collector, worker, query, replay, joined by commas, not \"collector,wroker\" (for example \
TRIBUTARY_ONLY=collector,worker)
TRIBUTARY_STREAM_SHARDS must be a whole number from 1 to 256, not \"1000\" (for example TRIBUTARY_STREAM_SHARDS=4)
TRIBUTARY_STREAM_RETENTION must be a whole number and a unit, one of ms, s, m, h, d, without a space: 500ms, 10s, 5m, \
12h, 7d, not \"7 days\" (for example TRIBUTARY_STREAM_RETENTION=7d)";
    assert_eq!(problems.expect_err("problems").to_string(), expected);
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    for (name, value, range) in [
        ("TRIBUTARY_STREAM_SHARDS", "0", "from 1 to 256"),
        ("TRIBUTARY_STREAM_SHARDS", "257", "from 1 to 256"),
        ("TRIBUTARY_STREAM_SHARDS", "-1", "from 1 to 256"),
        ("TRIBUTARY_STREAM_SHARDS", "99999999999999999999", "from 1 to 256"),
        ("TRIBUTARY_STREAM_RETENTION", "59s", "from 1m to 365d"),
        ("TRIBUTARY_STREAM_RETENTION", "366d", "from 1m to 365d"),
        ("TRIBUTARY_SEARCH_COMMIT_INTERVAL", "61s", "from 0s to 1m"),
        ("TRIBUTARY_LEDGER_BATCH_WINDOW", "301s", "from 0s to 5m"),
    ] {
        let text = refusal(name, value);
        assert!(text.starts_with(name) && text.contains(range) && text.contains(value), "{text}");
    }
}

#[test]
fn values_of_another_form_are_refused() {
    for (name, value) in [
        ("TRIBUTARY_HTTP", "localhost:8080"),
        ("TRIBUTARY_HTTPS", "127.0.0.1"),
        ("TRIBUTARY_ONLY", ","),
        ("TRIBUTARY_ONLY", "Collector"),
        ("TRIBUTARY_REGION", "EU West"),
        ("TRIBUTARY_LOG", "debug"),
        ("TRIBUTARY_STREAM_SHARDS", "4.0"),
        ("TRIBUTARY_DATA", "a\0b"),
        ("TRIBUTARY_DATA", "\u{fffd}"),
    ] {
        assert!(refusal(name, value).starts_with(&format!("{name} must be")), "{name}");
    }
}

#[test]
fn logs_can_be_turned_off_and_functions_may_stand_apart() {
    assert_eq!(read(&[("TRIBUTARY_LOG", "off")]).expect("settings").log, None);
    let only = read(&[("TRIBUTARY_ONLY", "query, worker,query")]).expect("settings").only;
    assert_eq!(only, BTreeSet::from([FunctionName::Worker, FunctionName::Query]));
}

#[test]
fn one_address_can_not_serve_both() {
    let text = read(&[("TRIBUTARY_HTTPS", "127.0.0.1:8080")]).expect_err("a problem").to_string();
    assert!(text.starts_with("TRIBUTARY_HTTPS is the address of TRIBUTARY_HTTP, too"), "{text}");
    read(&[("TRIBUTARY_HTTP", "[::1]:0"), ("TRIBUTARY_HTTPS", "[::1]:0")]).expect("any two free ports");
}

#[test]
fn of_a_long_value_the_beginning_is_shown() {
    let text = refusal("TRIBUTARY_LOG", &"x".repeat(1000));
    assert!(text.contains(&format!("\"{}\"...", "x".repeat(64))) && text.len() < 300, "{text}");
}

#[test]
fn what_is_not_in_the_environment_is_not_set() {
    assert_eq!(environment("TRIBUTARY_THAT_NOBODY_SETS"), None);
    assert!(environment("PATH").is_some());
}
