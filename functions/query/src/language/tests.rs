//! The language as a whole: what each form means, what each mistake is told, and the reference page's examples.

use proptest::prelude::*;
use tributary_ports::search::{BoolField, Filter, NumberField, Range, TextField};

use super::*;

fn is(field: TextField, text: &str) -> Filter {
    Filter::Is(field, text.to_owned())
}

fn words(words: &[&str]) -> Filter {
    Filter::Words(words.iter().map(|word| (*word).to_owned()).collect())
}

fn not(filter: Filter) -> Filter {
    Filter::Not(Box::new(filter))
}

fn above(value: f64) -> Range {
    Range { from: Some((value, false)), to: None }
}

fn parsed(text: &str) -> Filter {
    parse(text).unwrap_or_else(|error| panic!("{}", error.with_caret()))
}

#[test]
fn the_query_of_the_specification_reads_as_it_says() {
    let text = r#"function:checkout coldstart:true duration:>500ms error:TimeoutError label:vip
        metric.cart_total:>100 region:eu-west-1 "connection refused" -label:@iopipe/metrics request_id:abc"#;
    assert_eq!(
        parsed(text),
        Filter::And(vec![
            is(TextField::Function, "checkout"),
            Filter::True(BoolField::Coldstart),
            Filter::InRange(NumberField::DurationMs, above(500.0)),
            is(TextField::ErrorName, "TimeoutError"),
            is(TextField::Label, "vip"),
            Filter::MetricInRange("cart_total".to_owned(), above(100.0)),
            is(TextField::Region, "eu-west-1"),
            words(&["connection", "refused"]),
            not(is(TextField::Label, "@iopipe/metrics")),
            is(TextField::RequestId, "abc"),
        ])
    );
}

#[test]
fn an_empty_query_asks_for_everything() {
    assert_eq!(parsed(""), Filter::All);
    assert_eq!(parsed(" \t\n"), Filter::All);
}

#[test]
fn and_binds_tighter_than_or() {
    let (a, b, c) = (words(&["a"]), words(&["b"]), words(&["c"]));
    let expected = Filter::Or(vec![Filter::And(vec![a.clone(), b.clone()]), c.clone()]);
    assert_eq!(parsed("a b OR c"), expected);
    assert_eq!(parsed("a AND b OR c"), expected);
    assert_eq!(parsed("(a b) OR (c)"), expected);
    assert_eq!(parsed("a (b OR c)"), Filter::And(vec![a, Filter::Or(vec![b, c])]));
}

#[test]
fn negation_takes_what_follows_it() {
    let (a, b) = (words(&["a"]), words(&["b"]));
    assert_eq!(parsed("-a b"), Filter::And(vec![not(a.clone()), b.clone()]));
    assert_eq!(parsed("NOT a b"), Filter::And(vec![not(a.clone()), b.clone()]));
    assert_eq!(parsed("-(a OR b)"), not(Filter::Or(vec![a.clone(), b])));
    assert_eq!(parsed("NOT -a"), not(not(a)));
}

#[test]
fn small_or_quoted_operators_are_words() {
    assert_eq!(parsed("or"), words(&["or"]));
    assert_eq!(parsed("\"OR\""), words(&["OR"]));
    assert_eq!(parsed("ORDER"), words(&["ORDER"]));
}

#[test]
fn metric_names_may_hold_anything() {
    for (text, name) in [
        ("metric.@iopipe/event-info.s3.Records[0].eventName:*", "@iopipe/event-info.s3.Records[0].eventName"),
        (r#"metric."@iopipe/event-info.s3.Records[0].eventName":*"#, "@iopipe/event-info.s3.Records[0].eventName"),
        (r#"metric."with \"quotes\", blanks: all":*"#, r#"with "quotes", blanks: all"#),
        ("metrics.größe:*", "größe"),
    ] {
        assert_eq!(parsed(text), Filter::HasMetric(name.to_owned()), "{text}");
    }
}

#[test]
fn a_metric_s_bare_number_is_asked_of_both_forms() {
    let name = || "status".to_owned();
    let exactly = Range { from: Some((200.0, true)), to: Some((200.0, true)) };
    let text = Filter::MetricIs(name(), "200".to_owned());
    assert_eq!(parsed("metric.status:200"), Filter::Or(vec![Filter::MetricInRange(name(), exactly), text.clone()]));
    assert_eq!(parsed("metric.status:\"200\""), text);
    assert_eq!(parsed("metric.status:ok"), Filter::MetricIs(name(), "ok".to_owned()));
    let range = Range { from: Some((200.0, true)), to: Some((299.0, true)) };
    assert_eq!(parsed("metric.status:200..299"), Filter::MetricInRange(name(), range));
}

#[test]
fn errors_are_asked_by_name_or_at_all() {
    assert_eq!(parsed("error:*"), Filter::HasError);
    assert_eq!(parsed("error:true"), Filter::HasError);
    assert_eq!(parsed("error:false"), not(Filter::HasError));
    assert_eq!(parsed("error:\"true\""), is(TextField::ErrorName, "true"));
    assert_eq!(parsed("error:Timeout*"), Filter::StartsWith(TextField::ErrorName, "Timeout".to_owned()));
}

#[test]
fn texts_are_taken_whole_or_by_their_beginning() {
    assert_eq!(parsed("function:check*"), Filter::StartsWith(TextField::Function, "check".to_owned()));
    assert_eq!(parsed(r#"label:"a b"*"#), Filter::StartsWith(TextField::Label, "a b".to_owned()));
    assert_eq!(parsed(r#"label:"a*""#), is(TextField::Label, "a*"));
    assert_eq!(parsed("version:$LATEST"), is(TextField::Version, "$LATEST"));
    assert_eq!(parsed("label:a:b"), is(TextField::Label, "a:b"));
    assert_eq!(parsed(r#"label:"""#), is(TextField::Label, ""));
    assert_eq!(parsed(r#"label:"\"\\\n""#), is(TextField::Label, "\"\\\n"));
}

#[test]
fn a_word_with_marks_is_a_phrase() {
    assert_eq!(parsed("connection-refused"), words(&["connection", "refused"]));
    assert_eq!(parsed("Größe_2"), words(&["Größe", "2"]));
    assert_eq!(parsed("foo(bar)"), Filter::And(vec![words(&["foo"]), words(&["bar"])]));
}

#[test]
fn mistakes_are_told_where_they_are() {
    for (text, expected) in [
        ("functon:x", "column 1: there is no field \"functon\"; did you mean function?"),
        ("a https://b", "column 3: there is no field \"https\"; quote the text to search for its words."),
        ("timestamp:>2026", "column 1: the time range is not part of the query; it is given as from and to"),
        ("error.message:x", "column 1: an error's message is searched by its words"),
        ("metric:x", "column 1: a metric is named behind a dot"),
        ("metric.:x", "column 1: a metric's name is expected behind the dot"),
        ("metric.\"x\" y", "column 11: a colon is expected behind the metric's name"),
        ("metric.x:a*", "column 10: a metric's text is compared whole"),
        ("duration>5s", "column 9: a colon is expected here: duration:>5s"),
        ("duration:fast", "column 10: \"fast\" is no value here; expected a number such as 500ms"),
        ("duration:", "column 10: a value is expected here"),
        ("duration: 5s", "column 10: a value is expected here, without a blank before it"),
        ("duration:5*", "column 10: a number takes no *"),
        ("function:>a", "column 10: this field holds a text"),
        ("function:*", "column 10: a character is expected before the *"),
        ("function:a*b", "column 11: a * stands at the end only"),
        ("function:a\"b\"", "column 11: a blank is expected here"),
        ("coldstart:yes", "column 11: true or false is expected here"),
        ("memory:>80", "column 8: memory needs a unit"),
        ("check*", "column 6: a word is found whole"),
        ("\"a", "column 1: this quote is not closed"),
        (r#""a\x""#, "column 4: after a backslash only"),
        ("\"a\":b", "column 4: a field's name stands without quotes"),
        (":x", "column 1: a field's name is expected before the colon"),
        ("(a", "column 1: this parenthesis is not closed"),
        ("a)", "column 2: this parenthesis closes nothing"),
        ("()", "column 2: a term is expected here"),
        ("a OR", "column 5: a term is expected here"),
        ("OR a", "column 1: a term is expected here"),
        ("a AND OR b", "column 7: a term is expected here"),
        ("a NOT", "column 6: a term is expected here"),
        ("- a", "column 2: a term must follow the -"),
        ("!!!", "column 1: a word with a letter or a digit is expected"),
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn the_limits_are_named() {
    let at = |text: &str| parse(text).expect_err("beyond a limit").to_string();
    let long = "a".repeat(QUERY_BYTES_MAX + 1);
    assert_eq!(at(&long), "column 1: the query has 4097 bytes; the limit is 4096");
    assert!(parse(&"a ".repeat(QUERY_TERMS_MAX)).is_ok());
    assert_eq!(at(&"a ".repeat(QUERY_TERMS_MAX + 1)), "column 201: a query has at most 100 terms");
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(QUERY_DEPTH_MAX)).is_ok());
    assert_eq!(at(&nested(17)), "column 17: parentheses and negations are nested at most 16 deep");
    assert!(at(&format!("{}a", "-".repeat(17))).contains("at most 16 deep"));
}

/// A query that means the filter; `None` for forms that the language has no text for.
fn written(filter: &Filter) -> String {
    let quoted = |text: &str| {
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("\"{escaped}\"")
    };
    let joined = |filters: &[Filter], by: &str| filters.iter().map(written).collect::<Vec<_>>().join(by);
    match filter {
        Filter::All => String::new(),
        Filter::And(all) => format!("({})", joined(all, " ")),
        Filter::Or(any) => format!("({})", joined(any, " OR ")),
        Filter::Not(inner) => format!("-{}", written(inner)),
        Filter::Is(TextField::Label, text) => format!("label:{}", quoted(text)),
        Filter::StartsWith(TextField::Function, text) => format!("function:{}*", quoted(text)),
        Filter::True(BoolField::Signed) => "signed:true".to_owned(),
        Filter::InRange(NumberField::DurationMs, range) => format!("duration:{}", written_range(*range)),
        Filter::MetricIs(name, text) => format!("metric.{}:{}", quoted(name), quoted(text)),
        Filter::MetricInRange(name, range) => format!("metric.{}:{}", quoted(name), written_range(*range)),
        Filter::HasMetric(name) => format!("metric.{}:*", quoted(name)),
        Filter::Words(words) => quoted(&words.join(" ")),
        Filter::HasError => "error:*".to_owned(),
        other => panic!("the strategy makes no {other:?}"),
    }
}

fn written_range(range: Range) -> String {
    match (range.from, range.to) {
        (Some((from, _)), Some((to, _))) => format!("{from}..{to}"),
        (Some((from, inclusive)), None) => format!("{}{from}", if inclusive { ">=" } else { ">" }),
        (None, Some((to, inclusive))) => format!("{}{to}", if inclusive { "<=" } else { "<" }),
        (None, None) => panic!("the strategy makes no open range"),
    }
}

fn ranges() -> impl Strategy<Value = Range> {
    let number = || -1e12..1e12;
    prop_oneof![
        (number(), any::<bool>()).prop_map(|from| Range { from: Some(from), to: None }),
        (number(), any::<bool>()).prop_map(|to| Range { from: None, to: Some(to) }),
        (number(), 0.0..1e6).prop_map(|(from, more)| Range { from: Some((from, true)), to: Some((from + more, true)) }),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let text = || proptest::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter);
    let leaf = prop_oneof![
        text().prop_map(|text| Filter::Is(TextField::Label, text)),
        "[a-z\" ]{1,5}".prop_map(|text| Filter::StartsWith(TextField::Function, text)),
        Just(Filter::True(BoolField::Signed)),
        Just(Filter::HasError),
        ranges().prop_map(|range| Filter::InRange(NumberField::DurationMs, range)),
        (text(), text()).prop_map(|(name, text)| Filter::MetricIs(name, text)),
        (text(), ranges()).prop_map(|(name, range)| Filter::MetricInRange(name, range)),
        text().prop_map(Filter::HasMetric),
        proptest::collection::vec("[a-zA-Z0-9]{1,5}", 1..4).prop_map(Filter::Words),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn a_written_filter_reads_back(filter in filters()) {
        prop_assert_eq!(parse(&written(&filter)), Ok(filter));
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = parse(&text).map_err(|error| error.with_caret());
    }

    #[test]
    fn nothing_like_a_query_makes_it_panic(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("("), Just(")"), Just("-"), Just("\""), Just(":"), Just("*"), Just(" "), Just(">="), Just(".."),
                Just("OR"), Just("NOT "), Just("AND"), Just("metric."), Just("duration"), Just("memory:"), Just("5ms"),
                Just("error:"), Just("\\"), Just("é"), Just("x"),
            ],
            0..30,
        )
    ) {
        let text = parts.concat();
        if let Err(error) = parse(&text) {
            let column = error.column();
            prop_assert!(column >= 1 && column <= text.chars().count() + 1, "{}", error);
        }
    }
}

const PAGE: &str = include_str!("../../../../docs/query-language.md");

/// The blocks of the page that are marked with `language`.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    PAGE.split(opening.as_str()).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn every_example_of_the_reference_page_is_a_query() {
    let examples: Vec<&str> = blocks("query").into_iter().flat_map(str::lines).collect();
    assert!(examples.len() > 20, "only {} examples were found", examples.len());
    for example in examples {
        assert_ne!(parsed(example), Filter::All, "{example}");
    }
}

#[test]
fn every_mistake_of_the_reference_page_is_told_as_it_is_printed() {
    let mistakes = blocks("mistake");
    assert!(!mistakes.is_empty());
    for block in mistakes {
        let query = block.lines().next().expect("a query");
        assert_eq!(parse(query).expect_err(query).with_caret(), block);
    }
}
