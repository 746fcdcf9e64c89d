//! A database that is away, slow, or whose answer is lost, and its replicas.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use postcall::clock::Clock;
use postcall::store::postgres::{LeaseClock, Options, PostgresStore};
use postcall::store::{ClaimRequest, Queue, Reader, Receive, StoreError, SubmissionFilter};
use postcall::submission::{Decision, LeaseToken, Settled, Settlement, Submission};

use super::backend::{Commits, wanted};
use super::replicas::{LONG, replica, replica_at, statistics};
use super::spoken::{accepted, at, complete, webhook};
use super::{Backend, Postgres};

/// What fails takes at most so long.
const PATIENCE: Duration = Duration::from_secs(60);

async fn claim_one(store: &PostgresStore) -> LeaseToken {
    store.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.remove(0).token
}

fn delivered(token: LeaseToken) -> Vec<Settlement> {
    vec![Settlement { token, attempt: accepted(1001), decision: Decision::Delivered }]
}

/// Tries until the database is back.
async fn until_it_succeeds<T>(attempt: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let tries = async {
        loop {
            if let Ok(done) = attempt().await {
                return done;
            }
        }
    };
    tokio::time::timeout(PATIENCE, tries).await.expect("the database is back")
}

async fn all(store: &PostgresStore) -> Vec<Submission> {
    store.search(SubmissionFilter::default(), None, 100).await.unwrap().submissions
}

fn lease_end(place: &Postgres) -> Timestamp {
    let lease_until = place.database.number("SELECT lease_until FROM due");
    Timestamp::from_microsecond(lease_until).unwrap()
}

#[tokio::test]
async fn an_outage_longer_than_the_lease_loses_no_result() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, Duration::from_secs(1)));
    a.receive(complete(0, "c-1")).await.unwrap();
    let token = claim_one(&a).await;
    let lease_end = lease_end(&place);
    place.database.be_away(true);
    while Timestamp::now() <= lease_end {
        b.claim(wanted(&[("main", 1)], 1000)).await.expect_err("the database is away");
    }
    place.database.be_away(false);
    // The other one is back first.
    let claimed = until_it_succeeds(async || b.claim(wanted(&[("main", 1)], 1000)).await).await;
    assert_eq!(claimed.claims.len(), 0);
    let settled = until_it_succeeds(async || a.settle(delivered(token)).await).await;
    assert_eq!(settled, [Settled::Done]);
}

/// Has the database's clock set by what is returned, which says how far it is ahead from then on.
fn clock_of(place: &Postgres) -> impl Fn(&str) {
    let run = |statements: &str| {
        place.database.with(async |client| client.batch_execute(statements).await.unwrap());
    };
    run("CREATE TABLE set_ahead AS SELECT '0 s'::interval AS time;
        CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql
            RETURN pg_catalog.clock_timestamp() + (SELECT time FROM set_ahead);
        DO $$ BEGIN EXECUTE format(
            'ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()
        ); END $$");
    move |ahead| run(&format!("UPDATE set_ahead SET time = '{ahead}'"))
}

#[tokio::test]
async fn a_clock_of_the_database_that_is_put_ahead_ends_no_lease_of_another_replica() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let set_clock_ahead = clock_of(&place);
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    a.receive(complete(0, "c-1")).await.unwrap();
    let token = claim_one(&a).await;
    assert_eq!(b.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len(), 0);
    set_clock_ahead("1 day");
    assert_eq!(b.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len(), 0);
    assert_eq!(a.settle(delivered(token)).await.unwrap(), [Settled::Done]);
}

#[tokio::test]
async fn a_clock_of_the_database_that_is_put_back_keeps_nothing_of_a_killed_replica() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let set_clock_ahead = clock_of(&place);
    let lease = Duration::from_secs(60);
    set_clock_ahead("1 day");
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, lease));
    for call in ["c-1", "c-2"] {
        a.receive(complete(0, call)).await.unwrap();
    }
    let token = claim_one(&a).await;
    b.claim(wanted(&[("other", 0)], 1000)).await.unwrap();
    // What it leads and its name are as if it had not ended in order.
    place.database.with(async |client| {
        let before = "CREATE TABLE left_leaders AS SELECT * FROM leaders WHERE account = 'main';
            CREATE TABLE left_replicas AS SELECT * FROM replicas WHERE name = 'a'";
        client.batch_execute(before).await.unwrap();
        drop(a);
        let killed = "UPDATE leaders SET until = known.until FROM left_leaders AS known
                WHERE leaders.account = known.account;
            UPDATE replicas SET incarnation = known.incarnation FROM left_replicas AS known
                WHERE replicas.slot = known.slot";
        client.batch_execute(killed).await.unwrap();
    });
    set_clock_ahead("0 s");
    let other = b.claim(wanted(&[("main", 1), ("other", 0)], 1000)).await.unwrap().claims.remove(0);
    assert_ne!(other.token.submission, token.submission, "the lease of that one may be renewed");
    let longest = "SELECT (max(until) / 1000000 - extract(epoch FROM now()))::bigint FROM leaders";
    assert!(place.database.number(longest) <= 16, "it leads for no longer than it may");
    let again = async {
        loop {
            let claims = b.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims;
            if let Some(claim) = claims.into_iter().next() {
                return claim.token;
            }
        }
    };
    let again = tokio::time::timeout(PATIENCE, again).await.expect("its lease has ended");
    assert_eq!(again.submission, token.submission);
    let a = replica(&place, "a", lease);
    a.receive(complete(0, "c-3")).await.expect("the name is free");
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn the_lease_of_a_claim_that_is_worked_on_is_renewed_long_before_it_ends() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let a = replica(&place, "a", Duration::from_secs(6));
    a.receive(complete(0, "c-1")).await.unwrap();
    let leased = vec![claim_one(&a).await];
    let first_end = lease_end(&place);
    while lease_end(&place) == first_end {
        assert!(Timestamp::now() < first_end, "it was not renewed");
        let request = ClaimRequest { leased: leased.clone(), ..wanted(&[("main", 0)], 1000) };
        a.claim(request).await.unwrap();
    }
    assert!(Timestamp::now() < first_end, "it had ended");
    assert_eq!(a.settle(delivered(leased[0])).await.unwrap(), [Settled::Done]);
}

#[tokio::test]
async fn a_claim_whose_commit_was_not_answered_costs_no_attempt() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let Some((address, proxy)) = place.database.proxied() else { return };
    let store = replica_at(address, "a", LONG);
    store.receive(complete(0, "c-1")).await.unwrap();
    proxy.lose_the_next_commit();
    let claimed = store.claim(wanted(&[("main", 1)], 1000)).await;
    assert!(proxy.has_lost_it());
    claimed.expect_err("the result is unknown");
    assert!(all(&store).await[0].is_in_flight(), "it was committed");
    let token =
        until_it_succeeds(async || store.claim(wanted(&[("main", 1)], 1000)).await).await.claims[0]
            .token;
    assert_eq!(store.settle(delivered(token)).await.unwrap(), [Settled::Done]);
    let document = &all(&store).await[0].document;
    assert_eq!(document.attempts_used, 1, "{document:?}");
    drop(store);
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn a_claim_whose_commit_was_not_answered_costs_no_attempt_if_it_is_seen_later() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let Some((address, proxy)) = place.database.proxied() else { return };
    let store = replica_at(address, "a", LONG);
    store.receive(complete(0, "c-1")).await.unwrap();
    proxy.lose_the_next_commit();
    store.claim(wanted(&[("main", 1)], 1000)).await.expect_err("the result is unknown");
    let set = |replica: &str| {
        let sql = format!("UPDATE due SET replica = {replica}");
        place.database.with(async |client| client.batch_execute(&sql).await.unwrap());
    };
    // As long as the server still commits it, the next claims do not find it.
    set("0");
    for _ in 0..2 {
        until_it_succeeds(async || store.claim(wanted(&[("main", 0)], 1000)).await).await;
    }
    set("(SELECT slot FROM replicas WHERE name = 'a')");
    let claims = store.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims;
    assert_eq!(claims.len(), 1, "it was given back");
    // That one is known, and is not given back.
    assert_eq!(store.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len(), 0);
    assert_eq!(store.settle(delivered(claims[0].token)).await.unwrap(), [Settled::Done]);
    assert_eq!(all(&store).await[0].document.attempts_used, 1);
}

#[tokio::test]
async fn two_claims_in_a_row_whose_commits_were_not_answered_cost_no_attempt() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let Some((address, proxy)) = place.database.proxied() else { return };
    let store = replica_at(address, "a", LONG);
    store.receive(complete(0, "c-1")).await.unwrap();
    for _ in 0..2 {
        let lost = async {
            while !store.is_writable() {
                tokio::task::yield_now().await;
            }
            proxy.lose_the_next_commit();
            while store.claim(wanted(&[("main", 1)], 1000)).await.is_ok() {}
            assert!(proxy.has_lost_it());
        };
        tokio::time::timeout(PATIENCE, lost).await.expect("a commit is lost");
    }
    let again = until_it_succeeds(async || store.claim(wanted(&[("main", 1)], 1000)).await).await;
    let token = again.claims.first().expect("it was given back").token;
    assert_eq!(store.settle(delivered(token)).await.unwrap(), [Settled::Done]);
    assert_eq!(all(&store).await[0].document.attempts_used, 1);
}

#[tokio::test]
async fn a_connection_that_was_lost_while_nothing_came_costs_no_webhook() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let store = replica(&place, "a", LONG);
    store.receive(complete(0, "c-1")).await.unwrap();
    place.database.be_away(true);
    place.database.be_away(false);
    store.receive(complete(1, "c-2")).await.unwrap();
    assert!(store.is_writable());
    assert_eq!(statistics(&store).await.counts.accepted, 2);
}

#[tokio::test]
async fn a_submission_that_is_locked_for_long_refuses_no_webhook_of_another_call() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let store = replica(&place, "a", LONG);
    store.receive(webhook(0, "c-0", &[("score", "4")])).await.unwrap();
    let calls: Vec<String> = (1..20).map(|n| format!("c-{n}")).collect();
    let received = place.database.with(async |client| {
        client.batch_execute("BEGIN; SELECT FROM submissions FOR UPDATE").await.unwrap();
        let locked = store.receive(webhook(1, "c-0", &[("problem", "1")]));
        let others = calls.iter().map(|call| store.receive(complete(2, call)));
        let received = tokio::join!(locked, join_all(others));
        client.batch_execute("ROLLBACK").await.unwrap();
        received
    });
    let (locked, others) = received;
    locked.expect_err("it is locked");
    let refused: Vec<_> = others.into_iter().filter_map(Result::err).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(store.is_writable());
    store.receive(webhook(1, "c-0", &[("problem", "1")])).await.unwrap();
}

#[tokio::test]
async fn submissions_of_a_transaction_are_inserted_in_the_order_of_their_ids() {
    if !crate::postgres::is_available() {
        return;
    }
    const MANY: usize = 100;
    let place = Postgres::default();
    let commits = Arc::<Commits>::default();
    let store = PostgresStore::open(Options {
        address: place.database.address(),
        replica: "a".to_owned(),
        write_queue: 1000,
        lease: LONG,
        lease_clock: LeaseClock::Database,
        clock: Clock::manual(at(0)),
        observer: commits.clone(),
    })
    .unwrap();
    let received = (0..MANY).map(|n| {
        let call = format!("c-{n}");
        store.receive(complete(n as i64, &call))
    });
    for received in join_all(received).await {
        received.unwrap();
    }
    let transactions = commits.take().len();
    assert!(transactions < MANY / 2, "{transactions} transactions");
    // Two replicas that insert the same calls in different orders would wait for each other.
    let out_of_order = "SELECT count(*) FROM (SELECT id < lag(id) OVER (ORDER BY ctid) AS is_lower
        FROM submissions) AS inserted WHERE is_lower";
    let out_of_order = place.database.number(out_of_order);
    assert!(out_of_order < transactions as i64, "{out_of_order} in {transactions} transactions");
}

#[tokio::test]
async fn an_error_of_the_database_has_nothing_of_what_a_caller_said() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let store = replica(&place, "a", LONG);
    place.database.with(async |client| {
        let constraint = "ALTER TABLE submissions ADD CONSTRAINT none CHECK (call IS NULL)";
        client.batch_execute(constraint).await.unwrap();
    });
    let refused = store.receive(complete(0, "call-of-a-caller")).await.unwrap_err();
    let mut chain = vec![refused.to_string()];
    let mut cause = refused.source();
    while let Some(error) = cause {
        chain.push(error.to_string());
        cause = error.source();
    }
    let chain = chain.join(": ");
    assert!(chain.contains("violates check constraint"), "{chain}");
    assert!(!chain.contains("call-of-a-caller"), "{chain}");
}
