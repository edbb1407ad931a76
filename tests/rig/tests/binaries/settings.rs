use tributary_config::FUNCTION_VARIABLES;
use tributary_rig::binaries::Binary;
use tributary_rig::runtime_api::Function;

/// Variables that have a default.
const OPTIONAL: [&str; 5] = [
    "TRIBUTARY_LOG",
    "TRIBUTARY_LEDGER_DATABASE",
    "TRIBUTARY_OPERATORS",
    "TRIBUTARY_STREAMS",
    "TRIBUTARY_DEAD_LETTER_RETENTION",
];

#[tokio::test]
async fn a_start_without_settings_names_all_that_are_missing() {
    for (name, variables) in FUNCTION_VARIABLES {
        let (binary, own): (_, &[(&str, &str)]) = match *name {
            "collector" => (Binary::Collector, &[]),
            "worker-search" => (Binary::Worker, &[("TRIBUTARY_TARGET", "search")]),
            "worker-ledger" => (Binary::Worker, &[("TRIBUTARY_TARGET", "ledger")]),
            "query" => (Binary::Query, &[]),
            "custodian" => (Binary::Custodian, &[]),
            "replay" => (Binary::Replay, &[]),
            other => panic!("{other} has no binary here"),
        };
        let function = Function::new(&binary.path(), own);
        let answer = function.invoke("{}").await;
        assert_eq!(answer.error().kind, "Tributary.Settings");
        for variable in *variables {
            let is_missing = !OPTIONAL.contains(&variable.name) && variable.name != "TRIBUTARY_TARGET";
            let is_named = answer.error().message.contains(&format!("{} is not set", variable.name));
            assert_eq!(is_named, is_missing, "{name}, {}: {}", variable.name, answer.error().message);
        }
        assert!(function.log().contains("lambda.init"), "{}", function.log());
    }
}
