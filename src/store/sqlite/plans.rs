//! How SQLite plans the statements that have to stay quick.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, Result, params_from_iter};

use super::{queries, rows, tallies};

fn empty() -> Connection {
    let store = Connection::open_in_memory().unwrap();
    store.execute_batch(include_str!("migrations/V1__store.sql")).unwrap();
    store
}

/// A column of what SQLite says of a statement.
fn explained(store: &Connection, explain: &str, statement: &str, column: &str) -> Vec<String> {
    let mut plan = store.prepare(&format!("{explain} {statement}")).unwrap();
    let unbound = vec![None::<i64>; plan.parameter_count()];
    let steps = plan.query_map(params_from_iter(unbound), |row| row.get(column)).unwrap();
    steps.collect::<Result<_>>().unwrap()
}

/// The predicate of a partial index can make SQLite open a temporary table at each change of a row,
/// which halved the webhooks a second once.
#[test]
fn no_change_of_a_submission_makes_a_temporary_table() {
    let store = empty();
    for statement in [rows::INSERT, rows::UPDATE] {
        let steps = explained(&store, "EXPLAIN", statement, "opcode");
        assert!(steps.iter().any(|step| step.contains("Insert")), "{steps:?}");
        assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{statement}");
    }
}

#[test]
fn submissions_are_found_by_an_index_however_many_there_are() {
    let store = empty();
    for (statement, plan) in [
        (
            rows::DUE,
            "SEARCH submissions USING INDEX submissions_due (account=? AND due_at>? AND due_at<?)",
        ),
        (
            rows::LEAST_CLAIMED,
            "CO-ROUTINE (subquery-1); \
             SEARCH submissions USING INDEX submissions_due (account=? AND due_at<?); \
             SCAN (subquery-1); \
             USE TEMP B-TREE FOR ORDER BY",
        ),
        (rows::EXPIRED, "SEARCH submissions USING INDEX submissions_leased (lease_until<?)"),
        (
            rows::PURGEABLE,
            "SEARCH submissions USING INDEX submissions_retained (retention=? AND settled_at<?)",
        ),
        (rows::SOURCES, "SEARCH webhooks USING PRIMARY KEY (submission=?)"),
        (
            rows::EXPIRING_KEYS_OF,
            "SEARCH idempotency_keys USING INDEX idempotency_keys_by_age (used_at=?); \
             LIST SUBQUERY 1; \
             SEARCH webhooks USING PRIMARY KEY (submission=?)",
        ),
        (
            rows::LASTING_KEYS_OF,
            "SEARCH idempotency_keys USING INDEX idempotency_keys_lasting (submission=?)",
        ),
        (
            rows::KEYS_BEFORE,
            "SEARCH idempotency_keys USING PRIMARY KEY (source=? AND key=?); \
             LIST SUBQUERY 2; \
             SEARCH idempotency_keys USING INDEX idempotency_keys_by_age (used_at<?)",
        ),
        (
            queries::BY_AGE,
            "SEARCH submissions USING INTEGER PRIMARY KEY (rowid>? AND rowid<?); \
             CORRELATED SCALAR SUBQUERY 1; \
             SEARCH webhooks USING PRIMARY KEY (submission=?)",
        ),
        (
            queries::FAILED,
            "SEARCH submissions USING INDEX submissions_failed (state=? AND rowid>? AND rowid<?); \
             CORRELATED SCALAR SUBQUERY 1; \
             SEARCH webhooks USING PRIMARY KEY (submission=?)",
        ),
        (
            queries::WAITING,
            "MERGE (UNION ALL); \
             LEFT; \
             SCAN submissions USING INDEX submissions_due; \
             CORRELATED SCALAR SUBQUERY 1; \
             SEARCH webhooks USING PRIMARY KEY (submission=?); \
             USE TEMP B-TREE FOR ORDER BY; \
             RIGHT; \
             SEARCH submissions USING INDEX submissions_leased (lease_until>?); \
             CORRELATED SCALAR SUBQUERY 3; \
             SEARCH webhooks USING PRIMARY KEY (submission=?); \
             USE TEMP B-TREE FOR ORDER BY",
        ),
        (
            queries::ONE,
            "SEARCH submissions USING INDEX sqlite_autoindex_submissions_1 (id=?); \
             CORRELATED SCALAR SUBQUERY 1; \
             SEARCH webhooks USING PRIMARY KEY (submission=?)",
        ),
        (
            queries::FIRST_RETRIED,
            "SEARCH submissions USING INDEX submissions_retried (account=? AND due_since>?)",
        ),
        (
            queries::OVERDUE_RETRIED,
            "SEARCH submissions USING INDEX submissions_retried (account=? AND due_since>? AND due_since<?)",
        ),
        (
            queries::OVERDUE_UNTRIED,
            "SEARCH submissions USING INDEX submissions_due (account=? AND due_at>? AND due_at<?)",
        ),
        (
            queries::OVERDUE_IN_FLIGHT,
            "SEARCH submissions USING INDEX submissions_leased (lease_until>?); \
             USE TEMP B-TREE FOR GROUP BY",
        ),
        (
            queries::FIRST_IN_FLIGHT,
            "SEARCH submissions USING INDEX submissions_leased (lease_until>?); \
             USE TEMP B-TREE FOR GROUP BY",
        ),
        (queries::FIRST_DUE, "SEARCH submissions USING INDEX submissions_due (account=?)"),
        (tallies::BY_DAY, "SEARCH tallies USING PRIMARY KEY (field=? AND day>? AND day<?)"),
        (tallies::NEXT_FIELD, "SEARCH tallies USING INDEX tallies_by_value (field>?)"),
        (
            tallies::NEXT_SURVEY,
            "SEARCH tallies USING INDEX tallies_by_value (field=? AND survey>?)",
        ),
        (
            tallies::NEXT_VALUE,
            "SEARCH tallies USING INDEX tallies_by_value (field=? AND survey=? AND value>?)",
        ),
        (queries::NEXT_ACCOUNT, "SEARCH submissions USING INDEX submissions_due (account>?)"),
    ] {
        let steps = explained(&store, "EXPLAIN QUERY PLAN", statement, "detail");
        assert_eq!(steps.join("; ").replace("COVERING ", ""), plan, "{statement}");
    }
}

/// A plan does not say how many rows a search begins with.
#[test]
fn the_values_of_fields_are_found_in_as_many_steps_as_there_are_values() {
    let mut steps = [10, 1000].map(|days| {
        let mut store = empty();
        let add = format!(
            "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {days} * 20 - 1)
            INSERT INTO tallies SELECT 'campaign', i / 20, 'quality', 'main', 'value ' || (i % 20),
                'delivered', '', 500, '', '', 1 FROM n"
        );
        store.execute_batch(&add).unwrap();
        let steps = Arc::<AtomicU64>::default();
        let counted = steps.clone();
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        store.progress_handler(1, Some(count)).unwrap();
        tallies::field_values(&store).unwrap();
        steps.load(Ordering::Relaxed)
    });
    steps.sort_unstable();
    let [few, many] = steps;
    assert!(
        few > 20 && many < few * 2,
        "{few} steps, and {many} with a hundred times as many rows"
    );
}
