//! How SQLite goes about the statements that must stay quick.

use rusqlite::{Connection, Result};

use super::{erase, lease, read, retention, search};

fn empty() -> Connection {
    let ledger = Connection::open_in_memory().unwrap();
    ledger.execute_batch(include_str!("migrations/V1__ledger.sql")).unwrap();
    ledger.execute_batch(include_str!("migrations/V2__assembly.sql")).unwrap();
    ledger.execute_batch(include_str!("migrations/V3__by_hand.sql")).unwrap();
    ledger
}

/// The predicate of a partial index can make SQLite open one at each change of a row, which halved
/// the hooks a second once.
#[test]
fn no_change_of_a_submission_makes_a_temporary_table() {
    let ledger = empty();
    for statement in [
        "INSERT INTO submissions (id, account, survey, call, state, accepted_at, due_at)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        "UPDATE submissions SET state = ?2, settled_at = ?3, kept = ?4, due_at = ?5,
            leased_until = ?6 WHERE seq = ?1",
    ] {
        let mut program = ledger.prepare(&format!("EXPLAIN {statement}")).unwrap();
        let unbound = vec![None::<i64>; program.parameter_count()];
        let steps: Vec<String> = program
            .query_map(rusqlite::params_from_iter(unbound), |row| row.get("opcode"))
            .unwrap()
            .collect::<Result<_>>()
            .unwrap();
        assert!(steps.iter().any(|step| step.contains("Insert")), "{steps:?}");
        assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{statement}");
    }
}

#[test]
fn however_many_submissions_were_kept_the_wanted_ones_are_found_by_an_index() {
    let ledger = empty();
    for (statement, index) in [
        (
            lease::DUE,
            "SEARCH submissions USING INDEX submissions_due (account=? AND due_at>? AND due_at<?)",
        ),
        (
            lease::PROBE,
            "CO-ROUTINE (subquery-1); \
             SEARCH submissions USING INDEX submissions_due (account=? AND due_at>? AND due_at<?); \
             SCAN (subquery-1); USE TEMP B-TREE FOR ORDER BY",
        ),
        (lease::NEXT_DUE, "SEARCH submissions USING INDEX submissions_due (account=?)"),
        (lease::ANY_VOID, "SEARCH submissions USING INDEX submissions_leased (leased_until<?)"),
        (lease::FREE_VOID, "SEARCH submissions USING INDEX submissions_leased (leased_until<?)"),
        (lease::RESENT, "SEARCH submissions USING INDEX submissions_leased (leased_until<?)"),
        (
            read::FIRST_RETRIED,
            "SEARCH submissions USING INDEX submissions_retried (first_attempt_at>?)",
        ),
        (
            erase::NAMES,
            "SEARCH seen USING INDEX seen_by_age (seen_at=?); LIST SUBQUERY 2; \
             SEARCH hooks USING PRIMARY KEY (submission=?); SCALAR SUBQUERY 1; \
             SEARCH submissions USING INTEGER PRIMARY KEY (rowid=?)",
        ),
        (
            retention::OLD,
            "SEARCH submissions USING INDEX submissions_settled (kept=? AND settled_at<?)",
        ),
        (read::NEXT_ACCOUNT, "SEARCH submissions USING INDEX submissions_due (account>?)"),
        (
            search::BY_AGE,
            "SEARCH submissions USING INDEX submissions_by_age (accepted_at>? AND accepted_at<?); \
             CORRELATED SCALAR SUBQUERY 1; SEARCH hooks USING PRIMARY KEY (submission=?)",
        ),
        (
            search::UNLUCKY,
            "SEARCH submissions USING INDEX submissions_unlucky (state=? AND accepted_at>? AND accepted_at<?); \
             CORRELATED SCALAR SUBQUERY 1; SEARCH hooks USING PRIMARY KEY (submission=?)",
        ),
        (
            search::WAITING,
            "MERGE (UNION ALL); LEFT; SCAN submissions USING INDEX submissions_due; \
             CORRELATED SCALAR SUBQUERY 1; SEARCH hooks USING PRIMARY KEY (submission=?); \
             USE TEMP B-TREE FOR ORDER BY; RIGHT; \
             SEARCH submissions USING INDEX submissions_leased (leased_until>?); \
             CORRELATED SCALAR SUBQUERY 3; SEARCH hooks USING PRIMARY KEY (submission=?); \
             USE TEMP B-TREE FOR ORDER BY",
        ),
        (
            search::ONE,
            "SEARCH submissions USING INDEX sqlite_autoindex_submissions_1 (id=?); \
             CORRELATED SCALAR SUBQUERY 1; SEARCH hooks USING PRIMARY KEY (submission=?)",
        ),
    ] {
        let mut plan = ledger.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let unbound = vec![None::<i64>; plan.parameter_count()];
        let steps: Vec<String> = plan
            .query_map(rusqlite::params_from_iter(unbound), |row| row.get("detail"))
            .unwrap()
            .collect::<Result<_>>()
            .unwrap();
        assert_eq!(steps.join("; ").replace("COVERING ", ""), index, "{statement}");
    }
}
