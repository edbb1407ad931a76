//! The gateway keeps the Data API's rules, so that what passes here passes there.

use aws_sdk_rdsdata::Client;
use aws_sdk_rdsdata::error::ProvideErrorMetadata as _;
use aws_sdk_rdsdata::operation::execute_statement::builders::ExecuteStatementFluentBuilder;
use aws_sdk_rdsdata::types::{Field, RecordsFormatType, SqlParameter, TypeHint};
use tributary_rig::data_api::{CLUSTER_ARN, SECRET_ARN};

use crate::fixture::Fixture;

fn call(client: &Client, sql: &str) -> ExecuteStatementFluentBuilder {
    client.execute_statement().resource_arn(CLUSTER_ARN).secret_arn(SECRET_ARN).database("postgres").sql(sql)
}

fn text(name: &str, value: &str) -> SqlParameter {
    SqlParameter::builder().name(name).value(Field::StringValue(value.to_owned())).build()
}

async fn one(call: ExecuteStatementFluentBuilder) -> Field {
    let answer = call.send().await.expect("an answer");
    answer.records.expect("records").pop().expect("a row").pop().expect("a field")
}

async fn refused(call: ExecuteStatementFluentBuilder) -> String {
    call.send().await.expect_err("a failure").code().expect("a name").to_owned()
}

#[tokio::test]
async fn values_come_and_go_as_their_types() {
    let fixture = Fixture::start().await;
    let client = Client::new(&fixture.config);
    let value = |value| SqlParameter::builder().name("x").value(value).build();
    for (sql, parameter, expected) in [
        ("SELECT :x", value(Field::LongValue(i64::MIN)), Field::LongValue(i64::MIN)),
        ("SELECT :x", value(Field::DoubleValue(0.1)), Field::DoubleValue(0.1)),
        ("SELECT :x", value(Field::BooleanValue(true)), Field::BooleanValue(true)),
        ("SELECT :x", text("x", "ü 'x' :y"), Field::StringValue("ü 'x' :y".to_owned())),
        ("SELECT CAST(:x AS text)", value(Field::IsNull(true)), Field::IsNull(true)),
        ("SELECT :x::bytea", value(Field::BlobValue(vec![0, 255].into())), Field::BlobValue(vec![0, 255].into())),
        ("SELECT CAST(:x AS int) + 1", text("x", "41"), Field::LongValue(42)),
    ] {
        assert_eq!(one(call(&client, sql).parameters(parameter)).await, expected, "{sql}");
    }
    let uuid = "00000000-0000-0000-0000-000000000001";
    let sql = "SELECT count(*) FROM (SELECT CAST(:known AS uuid) AS x) AS y WHERE x = :x";
    let bare = call(&client, sql).parameters(text("known", uuid)).parameters(text("x", uuid));
    assert_eq!(refused(bare).await, "DatabaseErrorException", "a text without a hint is a varchar");
    let hint = SqlParameter::builder().name("x").value(Field::StringValue(uuid.to_owned())).type_hint(TypeHint::Uuid);
    let hinted = call(&client, sql).parameters(text("known", uuid)).parameters(hint.build());
    assert_eq!(one(hinted).await, Field::LongValue(1));
}

#[tokio::test]
async fn answers_have_the_forms_that_are_asked_for() {
    let fixture = Fixture::start().await;
    let client = Client::new(&fixture.config);
    let sql = "SELECT 1 AS a, 'x'::text AS b UNION ALL SELECT 2, NULL ORDER BY a";
    let answer = call(&client, sql).include_result_metadata(true).send().await.expect("an answer");
    let columns: Vec<&str> = answer.column_metadata().iter().filter_map(|column| column.type_name()).collect();
    assert_eq!((columns, answer.records().len(), answer.number_of_records_updated), (vec!["int4", "text"], 2, 0));
    let json = call(&client, sql).format_records_as(RecordsFormatType::Json).send().await.expect("an answer");
    assert_eq!(json.formatted_records(), Some(r#"[{"a":1,"b":"x"},{"a":2,"b":null}]"#));
    assert!(json.records.is_none());
    call(&client, "CREATE TABLE t (x int)").send().await.expect("a table");
    let inserted = call(&client, "INSERT INTO t SELECT generate_series(1, 7)").send().await.expect("an answer");
    assert_eq!((inserted.number_of_records_updated, inserted.records), (7, None));
}

#[tokio::test]
async fn what_is_beyond_a_limit_or_unknown_is_refused() {
    let fixture = Fixture::start().await;
    let client = Client::new(&fixture.config);
    let repeat = |times: usize| format!("SELECT repeat('x', {times})");
    for (sql, expected) in [
        (repeat(70_000), "BadRequestException"),
        ("SELECT repeat('x', 60000) FROM generate_series(1, 20)".to_owned(), "BadRequestException"),
        ("SELECT 1; SELECT 2".to_owned(), "DatabaseErrorException"),
        ("SELECT :missing".to_owned(), "BadRequestException"),
        ("SELECT no_such_column".to_owned(), "DatabaseErrorException"),
        ("SELECT point(1, 2)".to_owned(), "UnsupportedResultException"),
    ] {
        assert_eq!(refused(call(&client, &sql)).await, expected, "{sql}");
    }
    let large = call(&client, "SELECT length(:x)").parameters(text("x", &"x".repeat(4 * 1024 * 1024)));
    assert_eq!(refused(large).await, "BadRequestException");
    let unused = call(&client, "SELECT 1").parameters(text("x", "y"));
    assert_eq!(refused(unused).await, "BadRequestException");
}

#[tokio::test]
async fn a_transaction_ends_with_its_first_failure() {
    let fixture = Fixture::start().await;
    let client = Client::new(&fixture.config);
    call(&client, "CREATE TABLE t (x int PRIMARY KEY)").send().await.expect("a table");
    let begin = async || {
        let begun = client.begin_transaction().resource_arn(CLUSTER_ARN).secret_arn(SECRET_ARN).database("postgres");
        begun.send().await.expect("a transaction").transaction_id.expect("its id")
    };
    let count = async || one(call(&client, "SELECT count(*) FROM t")).await;
    let id = begin().await;
    call(&client, "INSERT INTO t VALUES (1)").transaction_id(&id).send().await.expect("a row");
    assert_eq!(count().await, Field::LongValue(0), "nobody else sees it");
    assert_eq!(refused(call(&client, "INSERT INTO t VALUES (1)").transaction_id(&id)).await, "DatabaseErrorException");
    assert_eq!(refused(call(&client, "SELECT 1").transaction_id(&id)).await, "TransactionNotFoundException");
    let id = begin().await;
    call(&client, "INSERT INTO t VALUES (1)").transaction_id(&id).send().await.expect("a row");
    let commit = client.commit_transaction().resource_arn(CLUSTER_ARN).secret_arn(SECRET_ARN).transaction_id(&id);
    commit.send().await.expect("a commit");
    assert_eq!(count().await, Field::LongValue(1));
    let batch = client.batch_execute_statement().resource_arn(CLUSTER_ARN).secret_arn(SECRET_ARN).database("postgres");
    let set = |x: i64| vec![SqlParameter::builder().name("x").value(Field::LongValue(x)).build()];
    let batch = batch.sql("INSERT INTO t VALUES (:x)").parameter_sets(set(2)).parameter_sets(set(3));
    assert_eq!(batch.send().await.expect("an answer").update_results().len(), 2);
    assert_eq!(count().await, Field::LongValue(3));
}
