//! Several processes on one PostgreSQL database.

use std::sync::Arc;
use std::time::Duration;

use postcall::clock::Clock;
use postcall::store::postgres::{LeaseClock, Options, PostgresStore};
use postcall::store::{Queue, Reader, Receive, Statistics, StoreError, SubmissionFilter};
use postcall::submission::{Decision, Outcome, Settled, Settlement};

use super::backend::wanted;
use super::spoken::{accepted, at, complete, webhook, webhook_for, with_key};
use super::{Backend, Postgres};

/// A replica of a name, whose leases go by the database's clock.
pub fn replica(place: &Postgres, name: &str, lease: Duration) -> PostgresStore {
    let opened = PostgresStore::open(Options {
        address: place.database.address(),
        replica: name.to_owned(),
        write_queue: 1000,
        lease,
        lease_clock: LeaseClock::Database,
        // A replica's own clock decides nothing about a lease.
        clock: Clock::manual(at(0)),
        observer: Arc::new(()),
    });
    opened.unwrap()
}

pub const LONG: Duration = Duration::from_secs(3600);

pub async fn statistics(store: &PostgresStore) -> Statistics {
    let statistics = store.statistics().await.unwrap();
    assert!(statistics.counts.balance());
    statistics
}

#[tokio::test]
async fn webhooks_of_one_call_at_two_replicas_make_one_submission() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    let mut received = Vec::new();
    for n in 0..60 {
        let call = format!("c-{n}");
        let (first, second) = (
            a.receive(webhook(n, &call, &[("score", "4")])),
            b.receive(webhook(n, &call, &[("problem", "1")])),
        );
        received.push(futures_util::future::join(first, second));
    }
    let mut outcomes = Vec::new();
    for (first, second) in futures_util::future::join_all(received).await {
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.submission, second.submission);
        outcomes.extend([first.outcome, second.outcome]);
    }
    let of = |outcome| outcomes.iter().filter(|it| **it == outcome).count();
    assert_eq!((of(Outcome::Created), of(Outcome::Updated)), (60, 60));
    for store in [&a, &b] {
        let counts = statistics(store).await.counts;
        assert_eq!((counts.accepted, counts.pending), (60, 60));
        let page = store.search(SubmissionFilter::default(), None, 100).await.unwrap();
        assert!(page.submissions.iter().all(|it| it.answers().len() == 2));
    }
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn an_idempotency_key_at_two_replicas_is_used_once() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    for n in 0..20 {
        let request = |bytes, call: &str| {
            with_key(&format!("key-{n}"), bytes, webhook(n, call, &[("score", "4")]))
        };
        let call = format!("c-{n}");
        let same = tokio::join!(a.receive(request(1, &call)), b.receive(request(1, &call)));
        let mut outcomes = [same.0.unwrap().outcome, same.1.unwrap().outcome];
        outcomes.sort_by_key(|outcome| outcome.label());
        assert_eq!(outcomes, [Outcome::Created, Outcome::Duplicate]);
        let other = a.receive(request(2, "another")).await;
        assert!(matches!(other, Err(StoreError::KeyReused)));
    }
    assert_eq!(statistics(&b).await.counts.accepted, 20);
    assert_eq!(place.keys(), 20);
}

#[tokio::test]
async fn replicas_that_lead_different_accounts_claim_each_submission_once() {
    if !crate::postgres::is_available() {
        return;
    }
    const MANY: usize = 200;
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    for n in 0..MANY {
        let account = ["main", "other"][n % 2];
        let request =
            webhook_for(account, 0, &format!("c-{n}"), &[("score", "4"), ("problem", "1")]);
        a.receive(request).await.unwrap();
    }
    // Each leads an account from its first claim on.
    for (store, account) in [(&a, "main"), (&b, "other")] {
        store.claim(wanted(&[(account, 0)], 1000)).await.unwrap();
    }
    let work = async |store: &PostgresStore| {
        let mut claimed = Vec::new();
        loop {
            let claims =
                store.claim(wanted(&[("main", 7), ("other", 7)], 1000)).await.unwrap().claims;
            if claims.is_empty() {
                return claimed;
            }
            let settlements = claims.iter().map(|claim| Settlement {
                token: claim.token,
                attempt: accepted(1001),
                decision: Decision::Delivered,
            });
            let settled = store.settle(settlements.collect()).await.unwrap();
            assert!(settled.iter().all(|settled| *settled == Settled::Done));
            claimed.extend(claims.into_iter().map(|claim| claim.token.submission));
        }
    };
    let (by_a, by_b) = tokio::join!(work(&a), work(&b));
    assert_eq!((by_a.len(), by_b.len()), (MANY / 2, MANY / 2));
    let mut all = [by_a, by_b].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), MANY, "each was claimed once");
    assert_eq!(statistics(&a).await.counts.delivered, MANY as u64);
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn what_is_overdue_is_counted_by_the_replica_that_delivers_for_its_account() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    a.receive(complete(0, "c-1")).await.unwrap();
    let counts = async |store: &PostgresStore| {
        let overdue = store.overdue(at(-1000), at(1000)).await.unwrap();
        overdue.into_iter().map(|(_, count)| count).sum::<u64>()
    };
    assert_eq!((counts(&a).await, counts(&b).await), (1, 1), "no replica has led it yet");
    a.claim(wanted(&[("main", 0)], 1000)).await.unwrap();
    assert_eq!((counts(&a).await, counts(&b).await), (1, 0));
    a.close().await;
    b.claim(wanted(&[("main", 0)], 1000)).await.unwrap();
    assert_eq!((counts(&a).await, counts(&b).await), (0, 1));
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn a_replica_that_opens_frees_its_own_claims_and_no_others() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let a = replica(&place, "a", LONG);
    a.receive(complete(0, "c-1")).await.unwrap();
    let claims = a.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims;
    assert_eq!(claims.len(), 1);
    let b = replica(&place, "b", LONG);
    // A webhook at another replica leaves the claim where it is.
    b.receive(webhook(1000, "c-1", &[("score", "2")])).await.unwrap();
    assert_eq!(b.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len(), 0);
    drop(replica(&place, "b", LONG));
    assert_eq!(b.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len(), 0);
    drop(a);
    let a = replica(&place, "a", LONG);
    assert_eq!(a.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len(), 1);
}

#[tokio::test]
async fn a_lease_expires_by_the_databases_clock_at_any_replica() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let a = replica(&place, "a", Duration::from_millis(200));
    let b = replica(&place, "b", LONG);
    a.receive(complete(0, "c-1")).await.unwrap();
    let lost = a.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.remove(0);
    let id = lost.token.submission;
    let freed = async {
        while b.load(vec![id]).await.unwrap()[0].is_in_flight() {
            b.claim(wanted(&[("main", 1)], 1000)).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), freed).await.expect("it expires");
    // The account is still led by the other one.
    let found = a.claim(wanted(&[("main", 1)], 2000)).await.unwrap().claims.remove(0);
    let settle = async |store: &PostgresStore, token| {
        let (attempt, decision) = (accepted(1001), Decision::Delivered);
        store.settle(vec![Settlement { token, attempt, decision }]).await.unwrap()[0]
    };
    assert_eq!(settle(&a, lost.token).await, Settled::LeaseLost);
    assert_eq!(settle(&a, found.token).await, Settled::Done);
}

#[tokio::test]
async fn an_account_is_claimed_of_by_one_replica_until_that_ends() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    for n in 0..4 {
        a.receive(complete(0, &format!("c-{n}"))).await.unwrap();
    }
    let claim = async |store: &PostgresStore| {
        store.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len()
    };
    assert_eq!(claim(&a).await, 1);
    assert_eq!(claim(&b).await, 0, "the other one leads");
    assert_eq!(claim(&a).await, 1);
    a.close().await;
    assert_eq!(claim(&b).await, 1, "the other one has ended");
    drop(a);
    let a = replica(&place, "a", LONG);
    assert_eq!(claim(&a).await, 0, "what it led before is led by another");
    // The lead of a replica that was killed expires.
    let expire = "UPDATE leaders SET until = 1";
    place.database.with(async |client| client.batch_execute(expire).await.unwrap());
    assert_eq!(claim(&a).await, 1);
    assert_eq!(claim(&b).await, 0);
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn a_connection_that_is_lost_is_made_again() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let store = replica(&place, "a", LONG);
    store.receive(complete(0, "c-1")).await.unwrap();
    place.database.with(async |client| {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        client.query(others, &[]).await.unwrap();
    });
    let received = async {
        // The first one may still find the old connection.
        while store.receive(complete(1, "c-2")).await.is_err() {}
    };
    tokio::time::timeout(Duration::from_secs(30), received).await.expect("it is taken");
    assert!(store.is_writable());
    assert_eq!(statistics(&store).await.counts.accepted, 2);
}

#[tokio::test]
async fn a_store_that_takes_writes_again_is_writable_although_no_webhook_comes() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let store = replica(&place, "a", LONG);
    place.database.with(async |client| {
        client.batch_execute("BEGIN; LOCK TABLE submissions").await.unwrap();
        store.receive(complete(0, "c-1")).await.expect_err("the table is locked");
        assert!(!store.is_writable());
        client.batch_execute("ROLLBACK").await.unwrap();
    });
    // The writer is never idle: this replica goes on asking for what is due.
    let claiming = async {
        while !store.is_writable() {
            let _ = store.claim(wanted(&[("main", 1)], 1000)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), claiming).await.expect("it is writable");
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    place.database.with(async |client| {
        let newer = "INSERT INTO schema_history (version, name, checksum) VALUES (999, 'x', '1')";
        client.batch_execute(newer).await.unwrap();
    });
    let address = place.database.address();
    let opened = PostgresStore::open_read_only(address);
    assert!(matches!(opened, Err(StoreError::OtherSchema { found: 999, .. })));
    let opened = PostgresStore::open(Options {
        address: place.database.address(),
        replica: "a".to_owned(),
        write_queue: 1,
        lease: LONG,
        lease_clock: LeaseClock::Database,
        clock: Clock::system(),
        observer: Arc::new(()),
    });
    assert!(matches!(opened, Err(StoreError::OtherSchema { found: 999, .. })));
}
