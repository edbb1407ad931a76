use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::AWS_VARIABLES;

type Set = BTreeMap<&'static str, &'static str>;

/// Every variable of `list` with its example.
fn examples(list: &[Variable]) -> Set {
    list.iter().map(|variable| (variable.name, variable.example)).collect()
}

fn lookup(set: &Set) -> impl Fn(&str) -> Option<String> {
    |name| set.get(name).map(|value| (*value).to_owned())
}

fn key(region: &str) -> Arn {
    let text = format!("arn:aws:kms:{region}:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab");
    Arn { text, region: Region::new(region).expect("a region") }
}

#[test]
fn each_function_looks_up_its_list_and_nothing_else() {
    type Read = fn(&dyn Fn(&str) -> Option<String>) -> bool;
    let collector: Read = |lookup| CollectorSettings::read(lookup).is_ok();
    let worker: Read = |lookup| WorkerSettings::read(lookup).is_ok();
    let query: Read = |lookup| QuerySettings::read(lookup).is_ok();
    let custodian: Read = |lookup| CustodianSettings::read(lookup).is_ok();
    let replay: Read = |lookup| ReplaySettings::read(lookup).is_ok();
    let operator: Read = |lookup| OperatorSettings::read(lookup).is_ok();
    let mut cases: Vec<(&str, &[Variable], Read)> = vec![("operator", OperatorSettings::VARIABLES, operator)];
    let of = BTreeMap::from([
        ("collector", collector),
        ("worker-search", worker),
        ("worker-ledger", worker),
        ("query", query),
        ("custodian", custodian),
        ("replay", replay),
    ]);
    cases.extend(FUNCTION_VARIABLES.iter().map(|(name, list)| (*name, *list, of[name])));
    for (name, list, read) in cases {
        let mut set = examples(list);
        if name == "worker-ledger" {
            set.insert("TRIBUTARY_TARGET", "ledger");
        }
        let asked = RefCell::new(BTreeSet::new());
        let whole = read(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            lookup(&set)(name)
        });
        assert!(whole, "{name} takes the examples");
        let listed: BTreeSet<String> = list.iter().map(|variable| variable.name.to_owned()).collect();
        assert_eq!(asked.into_inner(), listed, "{name}");
    }
}

#[test]
fn every_variable_is_read_by_somebody_under_one_meaning() {
    let lists = FUNCTION_VARIABLES.iter().map(|(_, list)| *list).chain([OperatorSettings::VARIABLES]);
    let read: BTreeSet<&str> = lists.flatten().map(|variable| variable.name).collect();
    for variable in AWS_VARIABLES {
        assert!(read.contains(variable.name), "{}", variable.name);
    }
    assert_eq!(read.len(), AWS_VARIABLES.len() + 2, "LOG and DEAD_LETTER_RETENTION besides");
}

#[test]
fn what_is_missing_is_reported_at_once_with_examples() {
    let text = WorkerSettings::read(|_| None).expect_err("problems").to_string();
    let names: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
    let expected = [
        "TRIBUTARY_REGION",
        "TRIBUTARY_TARGET",
        "TRIBUTARY_LEDGER_CLUSTER_ARN",
        "TRIBUTARY_LEDGER_SECRET_ARN",
        "TRIBUTARY_OBJECTS_BUCKET",
        "TRIBUTARY_DATA_KEY",
    ];
    assert_eq!(names, expected, "{text}");
    assert!(text.starts_with("TRIBUTARY_REGION is not set (for example TRIBUTARY_REGION=eu-west-1)\n"), "{text}");
}

#[test]
fn a_bucket_is_where_its_key_is() {
    let worker = WorkerSettings::read(lookup(&examples(WORKER_SEARCH))).expect("settings");
    assert_eq!(worker.objects, Bucket { name: "tributary-core-objects".to_owned(), key: key("eu-west-1") });
    assert_eq!(worker.ledger.cluster.region, Region::new("eu-west-1").expect("a region"));
    let operator = OperatorSettings::read(lookup(&examples(OPERATOR))).expect("settings");
    let copy = Bucket { name: "tributary-directory-us-east-1".to_owned(), key: key("us-east-1") };
    assert_eq!(operator.copies, [copy]);
    assert_eq!(operator.signing_key.region, Region::new("eu-west-1").expect("a region"));
}

#[test]
fn what_has_a_default_need_not_be_set() {
    let mut set = examples(OPERATOR);
    for name in ["TRIBUTARY_LEDGER_DATABASE", "TRIBUTARY_DIRECTORY_COPIES", "TRIBUTARY_ISSUER"] {
        set.insert(name, "");
    }
    let settings = OperatorSettings::read(lookup(&set)).expect("settings");
    assert_eq!((settings.ledger.database.as_str(), settings.issuer.as_str()), ("tributary", "tributary"));
    assert_eq!(settings.copies, []);
    let mut set = examples(QUERY);
    set.remove("TRIBUTARY_OPERATORS");
    assert_eq!(QuerySettings::read(lookup(&set)).expect("settings").operators, None);
}

#[test]
fn the_directory_is_an_object_an_address_or_a_file() {
    let read = |text: &'static str| {
        let mut set = examples(COLLECTOR);
        set.insert("TRIBUTARY_JWKS", text);
        CollectorSettings::read(lookup(&set))
            .map(|settings| settings.directory)
            .map_err(|problems| problems.to_string())
    };
    let object = |bucket: &str, key: &str| DirectoryPlace::Object { bucket: bucket.to_owned(), key: key.to_owned() };
    assert_eq!(read("s3://abc/directory.json"), Ok(object("abc", "directory.json")));
    assert_eq!(read("s3://abc/a/b.json"), Ok(object("abc", "a/b.json")));
    assert_eq!(read("https://a.b/c"), Ok(DirectoryPlace::Url("https://a.b/c".to_owned())));
    assert_eq!(read("/etc/directory.json"), Ok(DirectoryPlace::File("/etc/directory.json".into())));
    for wrong in ["s3://abc", "s3://abc/", "s3:///key", "s3://A/key", "http://a.b/c", "ftp://a.b/c"] {
        assert!(read(wrong).expect_err(wrong).starts_with("TRIBUTARY_JWKS must be "), "{wrong}");
    }
}

#[test]
fn values_of_another_form_are_refused() {
    for (name, value) in [
        ("TRIBUTARY_DATA_KEY", "alias/tributary"),
        ("TRIBUTARY_DATA_KEY", "arn:aws:kms:eu-west-1:123456789012:alias/a"),
        ("TRIBUTARY_DATA_KEY", "arn:aws:kms::123456789012:key/a"),
        ("TRIBUTARY_DATA_KEY", "arn:aws:kms:eu-west-1:123456789012:key/"),
        ("TRIBUTARY_SIGNING_KEY", "arn:aws:kms:eu-west-1:123456789012:key/a"),
        ("TRIBUTARY_LEDGER_CLUSTER_ARN", "arn:aws:kms:eu-west-1:123456789012:cluster:a"),
        ("TRIBUTARY_LEDGER_SECRET_ARN", "secret"),
        ("TRIBUTARY_OBJECTS_BUCKET", "s3://bucket"),
        ("TRIBUTARY_OPENSEARCH_URL", "http://search.example.com"),
        ("TRIBUTARY_OPENSEARCH_URL", "https://"),
        ("TRIBUTARY_OPENSEARCH_URL", "http://127.0.0.1:9200@example.com/"),
        ("TRIBUTARY_ISSUER", "two words"),
        ("TRIBUTARY_DIRECTORY_COPIES", "abc"),
        ("TRIBUTARY_DIRECTORY_COPIES", "abc=key"),
    ] {
        let mut set = examples(OPERATOR);
        set.insert(name, value);
        let problems = OperatorSettings::read(lookup(&set)).expect_err(value);
        assert_eq!(problems.0.len(), 1, "{problems}");
        assert!(problems.to_string().starts_with(&format!("{name} must be ")), "{problems}");
    }
    for value in
        ["http://127.0.0.1:9200", "http://user:secret@127.0.0.1:9200", "https://user:secret@search.example.com"]
    {
        let mut set = examples(OPERATOR);
        set.insert("TRIBUTARY_OPENSEARCH_URL", value);
        assert_eq!(OperatorSettings::read(lookup(&set)).expect("settings").opensearch_url, value);
    }
}

#[test]
fn streams_have_a_name_or_an_arn() {
    for (value, good) in [
        ("tributary", true),
        ("arn:aws:kinesis:eu-west-1:123456789012:stream/tributary", true),
        ("arn:aws:kinesis:eu-west-1:123456789012:tributary", false),
        ("a b", false),
        ("a/b", false),
    ] {
        let mut set = examples(COLLECTOR);
        set.insert("TRIBUTARY_STREAM", value);
        assert_eq!(CollectorSettings::read(lookup(&set)).is_ok(), good, "{value}");
    }
}

#[test]
fn a_password_in_a_wrong_address_is_not_shown() {
    let mut set = examples(OPERATOR);
    set.insert("TRIBUTARY_OPENSEARCH_URL", "http://user:canary@search.example.com");
    let text = OperatorSettings::read(lookup(&set)).expect_err("a problem").to_string();
    assert!(text.contains("search.example.com") && !text.contains("canary"), "{text}");
}
