//! The schema's versions, as `infra/schema` has them.
//!
//! The table `schema_version` says which were applied. Each is applied in a transaction with its row there, under a lock,
//! so that of two commands at once one does what the other then finds done.

use tributary_ports::{PortError, PortErrorKind};

use super::call::{Database, Statement, Transaction, number, number_parameter, unreadable};

/// What makes each version of the one before.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../../../infra/schema/0001_invocation.sql"),
    include_str!("../../../../infra/schema/0002_dead_letter.sql"),
    include_str!("../../../../infra/schema/0003_operation.sql"),
];

const MIGRATE: &str = "ledger.migrate";
const CHECK: &str = "ledger.check_schema";

/// Any number that no other lock of the database has: "tributar" in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(8390891532226191730)";

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS schema_version (
        version    int         PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT now()
    )";

const IS_THERE: &str = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('schema_version')";
const VERSION: &str = "SELECT count(*) FROM schema_version";
const APPLIED: &str = "INSERT INTO schema_version (version) VALUES (:version)";

/// Brings the schema up to this build's version; answers how many versions were missing.
pub(super) async fn migrate(database: &Database) -> Result<usize, PortError> {
    let mut applied = 0;
    loop {
        let transaction = database.begin(MIGRATE).await?;
        let step = match apply_next(&transaction).await {
            Ok(step) => step,
            Err(error) => {
                transaction.roll_back().await;
                return Err(error);
            }
        };
        transaction.commit().await?;
        match step {
            Step::Applied => applied += 1,
            Step::UpToDate => return Ok(applied),
            Step::Newer(version) => return Err(differs(MIGRATE, version)),
        }
    }
}

enum Step {
    Applied,
    UpToDate,
    Newer(usize),
}

async fn apply_next(transaction: &Transaction<'_>) -> Result<Step, PortError> {
    transaction.execute(LOCK, Vec::new()).await?;
    transaction.execute(CREATE, Vec::new()).await?;
    let records = transaction.execute(VERSION, Vec::new()).await?;
    let version = count(MIGRATE, records.first())?;
    let Some(migration) = MIGRATIONS.get(version) else {
        return Ok(if version == MIGRATIONS.len() { Step::UpToDate } else { Step::Newer(version) });
    };
    for statement in statements(migration) {
        transaction.execute(&statement, Vec::new()).await?;
    }
    let next = i64::try_from(version + 1).map_err(|error| unreadable(MIGRATE, error))?;
    transaction.execute(APPLIED, vec![number_parameter("version", next)]).await?;
    Ok(Step::Applied)
}

/// Whether the schema's version is the one that this build needs.
pub(super) async fn check(database: &Database) -> Result<(), PortError> {
    let one = async |sql| {
        let records = database.execute(Statement { operation: CHECK, sql, parameters: Vec::new() }).await?;
        count(CHECK, records.first())
    };
    let version = if one(IS_THERE).await? == 0 { 0 } else { one(VERSION).await? };
    if version == MIGRATIONS.len() { Ok(()) } else { Err(differs(CHECK, version)) }
}

fn count(operation: &'static str, record: Option<&Vec<aws_sdk_rdsdata::types::Field>>) -> Result<usize, PortError> {
    let record = record.ok_or_else(|| unreadable(operation, "no row"))?;
    usize::try_from(number(operation, record, 0)?).map_err(|error| unreadable(operation, error))
}

fn differs(operation: &'static str, version: usize) -> PortError {
    let needed = MIGRATIONS.len();
    let detail = if version < needed {
        format!("the ledger's schema has version {version}, and this build needs {needed}: run `tributary aws setup`")
    } else {
        format!("the ledger's schema has version {version}, and this build knows none beyond {needed}: run a later one")
    };
    PortError::new(PortErrorKind::Invalid, operation, detail)
}

/// The statements of a file, of which the Data API takes one a call. One ends with the `;` at a line's end, unless it is
/// within a body between two `$$`.
fn statements(file: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut statement = String::new();
    for line in file.lines().filter(|line| !line.trim_start().starts_with("--")) {
        statement.push_str(line);
        statement.push('\n');
        if line.ends_with(';') && statement.matches("$$").count().is_multiple_of(2) {
            statements.push(std::mem::take(&mut statement));
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_ends_with_its_last_statement() {
        for file in MIGRATIONS {
            let joined: String = statements(file).concat();
            let code = |text: &str| {
                text.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<String>().trim().to_owned()
            };
            assert_eq!(code(&joined), code(file));
        }
    }

    #[test]
    fn a_function_is_one_statement() {
        let all: Vec<String> = MIGRATIONS.into_iter().flat_map(statements).collect();
        assert!(all.iter().all(|statement| statement.trim_start().starts_with("CREATE ")), "{all:?}");
        let function = all.iter().find(|statement| statement.contains("LANGUAGE plpgsql")).expect("the function");
        assert!(function.trim_end().ends_with("$$;") && function.contains("EXECUTE format"), "{function}");
    }
}
