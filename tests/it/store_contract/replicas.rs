//! Several processes on one PostgreSQL database.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use postcall::account::PauseCause;
use postcall::clock::Clock;
use postcall::domain::{Name, Verdict};
use postcall::store::postgres::{Address, LeaseClock, Options, PostgresStore};
use postcall::store::{
    Admin, ClaimRequest, Maintenance, Observer, Queue, Reader, Receive, Statistics, StoreError,
    SubmissionFilter,
};
use postcall::submission::{Decision, Outcome, Settled, Settlement, StateCounts};
use proptest::prelude::*;

use super::backend::{call_of, wanted};
use super::model::{block_on, check};
use super::order::{in_order, kept, kept_in, spoken};
use super::spoken::{accepted, at, attempt, complete, unmapping, webhook, webhook_for, with_key};
use super::{Backend, Postgres, Sqlite};
use crate::postgres::TestDatabase;

/// A replica of a name, whose leases go by the database's clock.
pub fn replica(place: &Postgres, name: &str, lease: Duration) -> PostgresStore {
    replica_at(place.database.address(), name, lease)
}

pub fn replica_at(address: Address, name: &str, lease: Duration) -> PostgresStore {
    let opened = PostgresStore::open(Options {
        address,
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

/// The state counts that were told last.
#[derive(Default)]
struct Told(Mutex<StateCounts>);

impl Observer for Told {
    fn committed(&self, _took: Duration, _group: usize, counts: StateCounts) {
        *self.0.lock().unwrap() = counts;
    }

    fn counted(&self, counts: StateCounts) {
        *self.0.lock().unwrap() = counts;
    }
}

#[tokio::test]
async fn state_counts_that_another_replica_changed_are_told_though_nothing_is_written() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let told = Arc::<Told>::default();
    let a = replica(&place, "a", LONG);
    let b = PostgresStore::open(Options {
        address: place.database.address(),
        replica: "b".to_owned(),
        write_queue: 1000,
        lease: LONG,
        lease_clock: LeaseClock::Database,
        clock: Clock::manual(at(0)),
        observer: told.clone(),
    })
    .unwrap();
    b.receive(complete(0, "c-1")).await.unwrap();
    assert_eq!(told.0.lock().unwrap().pending, 1);
    let claim = a.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.remove(0);
    let settlement =
        Settlement { token: claim.token, attempt: accepted(1001), decision: Decision::Delivered };
    a.settle(vec![settlement]).await.unwrap();
    assert_eq!(b.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len(), 0);
    let counts = *told.0.lock().unwrap();
    assert_eq!((counts.pending, counts.delivered), (0, 1));
}

#[tokio::test]
async fn replica_knows_whether_another_one_could_deliver() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let a = replica(&place, "a", LONG);
    let others_serve = async || a.claim(wanted(&[("main", 1)], 1000)).await.unwrap().others_serve;
    assert!(!others_serve().await, "it is alone");
    let b = replica(&place, "b", LONG);
    assert!(others_serve().await);
    drop(b);
    assert!(!others_serve().await, "b has ended in order");
    let last_seen = async |seconds: i64| {
        let set = format!(
            "UPDATE replicas SET incarnation = gen_random_uuid(),
                seen_at = ((extract(epoch FROM now()) - {seconds}) * 1000000)::bigint WHERE name = 'b'"
        );
        place.database.with(async |client| client.batch_execute(&set).await.unwrap());
    };
    last_seen(1).await;
    assert!(others_serve().await);
    last_seen(11).await;
    assert!(!others_serve().await, "b was killed");
}

#[tokio::test]
async fn submissions_of_one_microsecond_at_two_replicas_are_all_kept() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    let answered = |call, question| webhook(0, call, &[(question, "4")]);
    place.database.with(async |client| {
        client.batch_execute("BEGIN; LOCK TABLE idempotency_keys").await.unwrap();
        // It has chosen the number of its submission, and waits.
        let first = b.receive(with_key("key", 1, answered("c-1", "score")));
        let others = async {
            place.database.wait_until_blocked(1);
            // The other replica chooses the same.
            a.receive(answered("c-2", "score")).await.unwrap();
            // What joins the transaction that waits is about the submission of the other one.
            let joining = b.receive(answered("c-2", "problem"));
            let (joined, _) = tokio::join!(joining, client.batch_execute("COMMIT"));
            assert_eq!(joined.unwrap().outcome, Outcome::Updated);
        };
        let (first, ()) = tokio::join!(first, others);
        assert_eq!(first.unwrap().outcome, Outcome::Created);
    });
    let page = b.search(SubmissionFilter::default(), None, 10).await.unwrap();
    let answers = page.submissions.iter().map(|it| (call_of(it).to_owned(), it.answers().len()));
    let mut answers: Vec<_> = answers.collect();
    answers.sort();
    assert_eq!(answers, [("c-1".to_owned(), 1), ("c-2".to_owned(), 2)]);
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
}

/// Whichever replica each webhook of some calls comes to, in whichever order, all in one millisecond: what is
/// due, when, and with which answers, is what one process would have that got them one after the other.
#[test]
fn webhooks_of_one_call_in_one_millisecond_at_three_replicas_make_what_one_makes() {
    if !crate::postgres::is_available() {
        return;
    }
    let shuffled = spoken().prop_flat_map(|webhooks| {
        let order = Just((0..webhooks.len()).collect::<Vec<_>>()).prop_shuffle();
        let replicas = prop::collection::vec(0..3usize, webhooks.len());
        (Just(webhooks), order, replicas)
    });
    check(24, shuffled, |(webhooks, order, replicas)| {
        let requests = in_order(&webhooks, |tick| at(1) + Duration::from_micros(7 * tick as u64));
        let of_one = kept::<Sqlite>(requests.iter().cloned().zip(std::iter::repeat(false)));
        let place = Postgres::default();
        let of_three = block_on(async {
            let stores = ["a", "b", "c"].map(|name| replica(&place, name, LONG));
            let received = order.iter().map(|n| stores[replicas[*n]].receive(requests[*n].clone()));
            for received in futures_util::future::join_all(received).await {
                received.unwrap();
            }
            kept_in(&stores[0]).await
        });
        assert_eq!(of_three, of_one);
        assert_eq!(place.faults(), [""; 0]);
    });
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
async fn a_second_process_of_one_replicas_name_does_not_serve() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let a = replica(&place, "a", LONG);
    let second = replica(&place, "a", LONG);
    let ends = async {
        while second.damage().is_none() {
            // It serves, and says so again and again.
            a.claim(wanted(&[("main", 0)], 1000)).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ends).await.expect("it ends");
    let why = second.damage().unwrap().to_string();
    assert!(why.contains("another process serves") && why.contains("store.replica"), "{why}");
    second.receive(complete(0, "c-1")).await.expect_err("it does not serve");
    a.receive(complete(0, "c-1")).await.unwrap();
    drop(second);
    a.receive(complete(0, "c-2")).await.unwrap();
    assert_eq!(statistics(&a).await.counts.accepted, 2);
}

#[tokio::test]
async fn a_replica_starts_while_another_one_is_stopped_at_its_start() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    place.database.with(async |client| {
        // As a process that looks whether the schema has to be migrated.
        client.batch_execute("BEGIN; SELECT FROM schema_lock FOR UPDATE").await.unwrap();
        client.batch_execute("SET LOCAL idle_in_transaction_session_timeout = 0").await.unwrap();
        let store = replica(&place, "a", LONG);
        store.receive(complete(0, "c-1")).await.unwrap();
    });
}

#[tokio::test]
async fn a_process_whose_replicas_name_was_taken_over_writes_nothing_more() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let a = replica(&place, "a", LONG);
    a.receive(complete(0, "c-1")).await.unwrap();
    let token = a.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.remove(0).token;
    // It was suspended for long.
    let suspended = "UPDATE replicas SET seen_at = 1 WHERE name = 'a'";
    place.database.with(async |client| client.batch_execute(suspended).await.unwrap());
    let second = replica(&place, "a", LONG);
    assert_eq!(second.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len(), 1);
    let (attempt, decision) = (accepted(1001), Decision::Delivered);
    a.settle(vec![Settlement { token, attempt, decision }]).await.expect_err("it has ended");
    let why = a.damage().expect("it has ended").to_string();
    assert!(why.contains("another process has taken over the replica a"), "{why}");
    assert!(!a.is_writable());
    drop(a);
    second.receive(complete(0, "c-2")).await.unwrap();
    drop(second);
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn nothing_is_committed_to_a_database_that_a_store_is_moved_to() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let store = replica(&place, "a", LONG);
    let run = |sql| place.database.with(async |client| client.batch_execute(sql).await.unwrap());
    run("INSERT INTO moving (only_row, source) VALUES (1, '/var/lib/postcall.db')");
    let refused = store.receive(complete(0, "c-1")).await.expect_err("it is moved to");
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert!(source.contains("a store is being moved to it from /var/lib/postcall.db"), "{source}");
    assert!(!store.is_writable());
    assert_eq!(place.database.number("SELECT count(*) FROM submissions"), 0);
    run("DELETE FROM moving");
    store.receive(complete(0, "c-1")).await.unwrap();
}

#[tokio::test]
async fn a_pause_by_an_operator_is_not_overwritten_by_the_replica_that_delivers() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    for n in 0..2 {
        a.receive(complete(0, &format!("c-{n}"))).await.unwrap();
    }
    let tokens: Vec<_> = a
        .claim(wanted(&[("main", 2)], 1000))
        .await
        .unwrap()
        .claims
        .into_iter()
        .map(|it| it.token)
        .collect();
    let main: Name = "main".parse().unwrap();
    // Neither the first pause of an account is overwritten nor a later one.
    for (n, token) in tokens.into_iter().enumerate() {
        let id = token.submission;
        let rejected = Settlement {
            token,
            attempt: attempt(Verdict::AccountRejected, Some(401), 1001),
            decision: Decision::Pause {
                cause: PauseCause::AccountRejected,
                probe_at: at(2000),
                at: at(2000),
            },
        };
        place.database.with(async |client| {
            // The replica that delivers has read the pause, and cannot write yet.
            let locked = format!(
                "BEGIN; SELECT FROM due JOIN submissions AS s ON s.seq = due.seq
                        WHERE s.id = '{}' FOR UPDATE OF due",
                id.0
            );
            client.batch_execute(&locked).await.unwrap();
            let operator = async {
                place.database.wait_until_blocked(1);
                b.pause(main.clone(), format!("pause {n}"), at(1500)).await.unwrap();
                client.batch_execute("COMMIT").await.unwrap();
            };
            tokio::join!(async { a.settle(vec![rejected]).await.unwrap() }, operator);
        });
        let pause = statistics(&b).await.pauses.remove(0).1;
        assert_eq!((pause.cause, pause.detail), (PauseCause::Operator, format!("pause {n}")));
        assert!(b.resume(main.clone(), at(1600)).await.unwrap());
    }
}

#[tokio::test]
async fn a_pause_by_an_operator_is_not_overwritten_by_a_replica_that_has_read_it_twice() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    a.receive(complete(0, "c-1")).await.unwrap();
    let token = a.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.remove(0).token;
    let cause = PauseCause::AccountRejected;
    let decision = Decision::Pause { cause, probe_at: at(2000), at: at(2000) };
    let attempt = attempt(Verdict::AccountRejected, Some(401), 1001);
    a.settle(vec![Settlement { token, attempt, decision }]).await.unwrap();
    let main: Name = "main".parse().unwrap();
    place.database.with(async |client| {
        client.batch_execute("BEGIN; LOCK TABLE idempotency_keys").await.unwrap();
        // What follows the first probe waits in its transaction, and the second one joins that.
        let probe = || a.probe_now(vec![main.clone()], at(1500));
        let first = async { tokio::join!(probe(), a.forget_keys(at(-1))) };
        let others = async {
            place.database.wait_until_blocked(1);
            b.pause(main.clone(), "by an operator".to_owned(), at(1600)).await.unwrap();
            let end = client.batch_execute("COMMIT");
            let (second, ended) = tokio::join!(probe(), end);
            second.unwrap();
            ended.unwrap();
        };
        let ((first, forgotten), ()) = tokio::join!(first, others);
        first.unwrap();
        forgotten.unwrap();
    });
    let pause = statistics(&b).await.pauses.remove(0).1;
    assert_eq!((pause.cause, pause.detail), (PauseCause::Operator, "by an operator".to_owned()));
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
async fn what_a_replica_with_older_settings_does_not_know_is_delivered_by_one_that_does() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    b.receive(complete(900, "c-1")).await.unwrap();
    let older = Arc::new(unmapping("the survey has no question \"problem\""));
    let request = ClaimRequest { settings_may_differ: true, ..wanted(&[("main", 1)], 1000) };
    let claimed = a.claim(ClaimRequest { mapper: older, ..request }).await;
    assert_eq!(claimed.unwrap().claims.len(), 0);
    assert_eq!(statistics(&a).await.counts.pending, 1, "it is not dead");
    a.close().await;
    let claims = b.claim(wanted(&[("main", 1)], 1060)).await.unwrap().claims;
    assert_eq!(claims.len(), 1);
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
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
async fn a_database_of_another_encoding_is_refused_with_a_command_that_makes_one() {
    if !crate::postgres::is_available() {
        return;
    }
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let database = TestDatabase::in_encoding(encoding);
        let opened = PostgresStore::open(Options {
            address: database.address(),
            replica: "a".to_owned(),
            write_queue: 1,
            lease: LONG,
            lease_clock: LeaseClock::Database,
            clock: Clock::system(),
            observer: Arc::new(()),
        });
        let Err(refused) = opened else { panic!("{encoding} is taken") };
        let source = std::error::Error::source(&refused).unwrap().to_string();
        assert!(source.contains(encoding), "{source}");
        assert!(source.contains("--encoding UTF8 --template template0"), "{source}");
        assert_eq!(
            database.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
            0
        );
    }
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
