//! How PostgreSQL plans the statements that have to stay quick, with many rows: the plans that its server
//! logs while the store works.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use postcall::clock::Clock;
use postcall::store::postgres::{Address, LeaseClock, Options, PostgresStore};
use postcall::store::{Maintenance, Queue, Reader, Receive, RetentionCutoffs, SubmissionFilter};
use postcall::submission::{Decision, Settlement, SubmissionId};

use crate::postgres::{TestDatabase, is_available, is_pooler_available};
use crate::store_contract::backend::wanted;
use crate::store_contract::spoken::{accepted, at, complete, with_key};

/// Settled submissions of years ago and such that wait, with webhooks and keys.
const MANY: &str = "
    INSERT INTO submissions (seq, id, account, survey, call, state, accepted_at, due_at, fence,
            settled_at, retention, checksum, document)
        SELECT n, gen_random_uuid(), 'main', 'quality', 'old-' || n,
            CASE n % 50 WHEN 0 THEN 'dead' ELSE 'delivered' END, n, n, 1, n,
            CASE n % 50 WHEN 0 THEN NULL ELSE 2 END, 0, repeat('x', 300)
        FROM generate_series(-200000, -1) AS n;
    INSERT INTO submissions (seq, id, account, survey, call, state, accepted_at, due_at, fence,
            due_since, checksum, document)
        SELECT n, gen_random_uuid(), 'account-' || n % 5, 'quality', 'new-' || n, 'pending', n,
            n + 1000000000000000, 1, CASE n % 3 WHEN 0 THEN n END, 0, repeat('x', 300)
        FROM generate_series(1000001, 1010000) AS n;
    INSERT INTO due (seq, account, due_at, fence, due_since)
        SELECT seq, account, due_at, fence, due_since FROM submissions
            WHERE settled_at IS NULL ON CONFLICT DO NOTHING;
    INSERT INTO webhooks (submission, received_at, id, source, outcome, method)
        SELECT seq, accepted_at, id, 'ivr', 'created', 'POST' FROM submissions
        ON CONFLICT DO NOTHING;
    INSERT INTO idempotency_keys (source, key, digest, submission, used_at, expires)
        SELECT 'ivr', convert_to('old-' || seq, 'UTF8'), 'x', id, accepted_at, TRUE FROM submissions;
    INSERT INTO scopes VALUES ('main', 'quality') ON CONFLICT DO NOTHING;
    INSERT INTO state_counts (slot, accepted, pending, delivered, dead)
        VALUES (1000, 210000, 10000, 196000, 4000)";

/// Attempts of another replica, whose leases last longer than the test.
const IN_FLIGHT: &str = "
    UPDATE due SET replica = 1000, lease_until = (extract(epoch FROM now())::bigint + 300) * 1000000
        WHERE seq % 10 > 0";

/// The tables that grow.
const LARGE: [&str; 4] = ["submissions", "due", "webhooks", "idempotency_keys"];

/// Plans that read a large table from end to end.
fn scans(plans: &[String]) -> Vec<&String> {
    let is_scan = |plan: &&String| {
        plan.lines().any(|line| {
            LARGE.iter().any(|table| {
                let mut words = line.split_whitespace().skip_while(|word| *word != "Seq");
                words.next() == Some("Seq")
                    && words.next() == Some("Scan")
                    && words.next() == Some("on")
                    && words.next() == Some(*table)
            })
        })
    };
    plans.iter().filter(is_scan).collect()
}

/// The most rows that a step of a plan has returned, or left out by a filter.
fn most_rows(plan: &str) -> u64 {
    let number_after = |text: &str, name: &str| -> Option<u64> {
        text.split_once(name)?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let rows = plan.lines().filter_map(|step| match step.split_once("(actual ") {
        Some((_, actual)) => Some(number_after(actual, "rows=")? * number_after(actual, "loops=")?),
        None => number_after(step.strip_prefix("Rows Removed by ")?, ": "),
    });
    rows.max().unwrap_or_default()
}

/// A database after these statements, whose plans are logged from then on; none if there is no such server.
fn filled<const N: usize>(statements: [&str; N]) -> Option<TestDatabase> {
    let database = is_available().then(TestDatabase::new)?;
    database.with(async |client| {
        for statement in statements {
            client.batch_execute(statement).await.unwrap();
        }
    });
    if !database.log_plans() {
        eprintln!("skipped: plans are in the log of a server of the tests' own");
        return None;
    }
    Some(database)
}

fn open(database: &TestDatabase) -> PostgresStore {
    open_at(database.address())
}

fn open_at(address: Address) -> PostgresStore {
    PostgresStore::open(Options {
        address,
        replica: "a".to_owned(),
        write_queue: 100,
        lease: Duration::from_secs(60),
        lease_clock: LeaseClock::Database,
        clock: Clock::manual(at(0)),
        observer: Arc::new(()),
    })
    .unwrap()
}

/// What is asked of the store for each webhook and each delivery, of calls from a number on; returns a submission that
/// was delivered.
async fn ingest_and_deliver(store: &PostgresStore, first: i64) -> SubmissionId {
    for n in first..first + 3 {
        let request = with_key(&format!("key-{n}"), 1, complete(0, &format!("c-{n}")));
        store.receive(request.clone()).await.unwrap();
        store.receive(request).await.unwrap();
    }
    let claims = store.claim(wanted(&[("main", 2), ("account-1", 2)], 1000)).await.unwrap().claims;
    assert_eq!(claims.len(), 2);
    let settlements = claims.iter().map(|claim| Settlement {
        token: claim.token,
        attempt: accepted(1001),
        decision: Decision::Delivered,
    });
    store.settle(settlements.collect()).await.unwrap();
    claims[0].token.submission
}

/// Everything that a running service asks of the store again and again.
async fn work(store: &PostgresStore) {
    let id = ingest_and_deliver(store, 0).await;
    let all = SubmissionFilter::default();
    let of_state = |state| SubmissionFilter { state: Some(state), ..all.clone() };
    let of_call = SubmissionFilter { call: Some("c-1".parse().unwrap()), ..all.clone() };
    let of_source = SubmissionFilter { source: Some("ivr".parse().unwrap()), ..all.clone() };
    for filter in [all.clone(), of_state("dead"), of_state("pending"), of_call, of_source] {
        assert!(!store.search(filter, None, 20).await.unwrap().submissions.is_empty());
    }
    store.find(id).await.unwrap().unwrap();
    store.load(vec![id]).await.unwrap();
    store.of_call("c-1".parse().unwrap()).await.unwrap();
    store.accounts_waiting().await.unwrap();
    store.statistics().await.unwrap();
    store.overdue(at(0), at(1)).await.unwrap();

    let cutoffs = RetentionCutoffs { bodies: at(-1), submissions: at(-1), outcomes: at(-1) };
    store.purge(cutoffs).await.unwrap();
    store.forget_keys(at(-1)).await.unwrap();
}

#[tokio::test]
async fn submissions_in_postgresql_are_found_by_an_index_however_many_there_are() {
    let Some(database) = filled([MANY, "VACUUM ANALYZE"]) else { return };
    let store = open(&database);
    work(&store).await;
    drop(store);
    let plans = database.plans();
    let read_whole = scans(&plans);
    assert!(read_whole.is_empty(), "{read_whole:#?}");
    let used: BTreeSet<&str> = plans
        .iter()
        .flat_map(|plan| plan.split_whitespace())
        .filter(|word| LARGE.iter().any(|table| word.starts_with(&format!("{table}_"))))
        .collect();
    for index in [
        "submissions_pkey",
        "submissions_id_key",
        "submissions_failed",
        "submissions_retained",
        "due_pkey",
        "due_waiting",
        "due_retried",
        "due_leased",
        "webhooks_pkey",
        "idempotency_keys_pkey",
        "idempotency_keys_by_age",
    ] {
        assert!(used.contains(index), "{index} is not among {used:?}");
    }

    // What this test finds.
    database.with(async |client| client.batch_execute("DROP INDEX due_waiting").await.unwrap());
    let store = open(&database);
    store.claim(wanted(&[("main", 1)], 1000)).await.unwrap();
    drop(store);
    assert!(!scans(&database.plans()[plans.len()..]).is_empty());
}

/// Autovacuum, which is off in the tests, makes them a minute after the first webhooks at the earliest.
#[tokio::test]
async fn webhooks_and_claims_read_no_table_whole_in_a_database_that_has_no_statistics_yet() {
    let Some(database) = filled([MANY, IN_FLIGHT]) else { return };
    let pooled = is_pooler_available().then(|| (10, database.pooled_address()));
    for (first, address) in [(0, database.address())].into_iter().chain(pooled) {
        let store = open_at(address);
        let of_opening = database.plans().len();
        ingest_and_deliver(&store, first).await;
        drop(store);
        let plans = database.plans().split_off(of_opening);
        let read_whole = scans(&plans);
        assert!(read_whole.is_empty(), "{read_whole:#?}");
        assert!(plans.iter().any(|plan| plan.contains("due_leased")), "{plans:#?}");
    }
}

/// A plan that was made for a few rows stays until statistics come. It may read no table whole, not even by an index.
#[tokio::test]
async fn webhooks_and_claims_read_no_table_whole_that_was_small_when_their_statements_were_planned()
{
    for (of_none, of_few) in [("", ""), ("VACUUM ANALYZE", ""), ("", "ANALYZE")] {
        let Some(database) = filled([of_none]) else { return };
        let execute = |statements| {
            database.with(async |client| client.batch_execute(statements).await.unwrap());
        };
        let store = open(&database);
        for n in 0..10 {
            ingest_and_deliver(&store, n * 10).await;
        }
        execute(of_few);
        ingest_and_deliver(&store, 100).await;
        execute(MANY);
        let before = database.plans().len();
        ingest_and_deliver(&store, 110).await;
        drop(store);
        let plans = database.plans().split_off(before);
        let long: Vec<_> = plans.iter().filter(|plan| most_rows(plan) > 1000).collect();
        assert!(long.is_empty(), "{of_none}, {of_few}: {long:#?}");
        assert!(plans.iter().any(|plan| most_rows(plan) > 1), "the plans have no rows");
    }
}

/// Thousands wait after hours in which Plivo was away.
#[tokio::test]
async fn a_search_for_misfiled_rows_compares_none_with_all_others() {
    let only_waiting = "DELETE FROM submissions WHERE settled_at IS NOT NULL";
    let Some(database) = filled([MANY, only_waiting, "VACUUM ANALYZE"]) else { return };
    let store = open(&database);
    let cutoffs = RetentionCutoffs { bodies: at(-1), submissions: at(-1), outcomes: at(-1) };
    store.purge(cutoffs).await.unwrap();
    drop(store);
    let plans = database.plans();
    let rows = plans.iter().filter(|plan| plan.contains("AS misfiled")).map(|it| most_rows(it));
    // A page, and one row for each of its own.
    assert_eq!(rows.max(), Some(5000));
}

/// Of several poolers, one has to do while another host is down, which is the last to say no.
#[tokio::test]
async fn a_pooler_is_used_beside_a_host_that_is_down() {
    if !is_pooler_available() {
        return;
    }
    let database = TestDatabase::new();
    let store = open_at(database.pooled_address_beside_one_that_is_down());
    ingest_and_deliver(&store, 0).await;
}

#[tokio::test]
async fn statements_are_prepared_unless_a_pooler_gives_each_transaction_another_session() {
    if !is_pooler_available() {
        return;
    }
    let Some(database) = filled([]) else { return };
    for (first, address, is_prepared) in
        [(0, database.address(), true), (10, database.pooled_address(), false)]
    {
        let of_earlier = database.executed().len();
        ingest_and_deliver(&open_at(address), first).await;
        let executed = database.executed().split_off(of_earlier);
        let inserts: Vec<_> = executed
            .into_iter()
            .filter(|(_, text)| text.starts_with("INSERT INTO submissions"))
            .collect();
        assert!(!inserts.is_empty());
        for (name, text) in inserts {
            assert_eq!(name != "<unnamed>", is_prepared, "{name}: {text}");
        }
    }
}
