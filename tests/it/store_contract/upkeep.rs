//! What the store in PostgreSQL puts right by itself: rows of `due` that do not fit their submissions, and
//! counts of replicas that do not come back.

use std::time::Duration;

use postcall::store::postgres::PostgresStore;
use postcall::store::{
    Admin, Maintenance, PurgeCounts, Queue, Reader, Receive, RetentionCutoffs, TallyFilter,
    TallyKey,
};
use postcall::submission::{Decision, Settlement};

use super::backend::wanted;
use super::replicas::{LONG, replica, statistics};
use super::spoken::{accepted, at, complete, webhook};
use super::{Backend, Postgres};

fn run(place: &Postgres, statements: &str) {
    place.database.with(async |client| client.batch_execute(statements).await.unwrap());
}

async fn claim(store: &PostgresStore) -> usize {
    store.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.len()
}

/// Of nothing: it only looks.
async fn purge(store: &PostgresStore) {
    let cutoffs = RetentionCutoffs { bodies: at(-1), submissions: at(-1), outcomes: at(-1) };
    assert_eq!(store.purge(cutoffs).await.unwrap(), PurgeCounts::default());
}

/// Folds what others than `a` have counted, which have not said for long that they serve, until nothing is left
/// of it.
async fn fold(store: &PostgresStore, place: &Postgres) {
    let folds = async {
        while place.database.number("SELECT count(*) FROM state_counts") > 1 {
            run(place, "UPDATE replicas SET seen_at = 1 WHERE name <> 'a'");
            store.fold_counts().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(60), folds).await.expect("counts are folded");
}

async fn deliver(store: &PostgresStore) {
    let token = store.claim(wanted(&[("main", 1)], 1000)).await.unwrap().claims.remove(0).token;
    let (attempt, decision) = (accepted(1001), Decision::Delivered);
    store.settle(vec![Settlement { token, attempt, decision }]).await.unwrap();
}

#[tokio::test]
async fn a_due_row_without_its_submission_keeps_nothing_from_being_claimed() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let store = replica(&place, "a", LONG);
    store.receive(complete(0, "c-1")).await.unwrap();
    run(
        &place,
        "INSERT INTO due (seq, account, due_at, fence) SELECT n, 'main', n, 0
            FROM generate_series(1, 10) AS n;
        INSERT INTO due (seq, account, due_at, fence, lease_until, replica)
            SELECT 11, 'main', 11, 1, 1, slot FROM replicas WHERE name = 'a';
        INSERT INTO due (seq, account, due_at, fence) VALUES (12, 'unconfigured', 12, 0)",
    );
    assert_eq!(claim(&store).await, 1);
    assert_eq!(claim(&store).await, 0);
    assert_eq!(place.database.number("SELECT count(*) FROM due"), 2);
    // What no claim finds is found in time.
    purge(&store).await;
    assert_eq!(place.database.number("SELECT count(*) FROM due"), 1);
    drop(store);
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn a_submission_that_is_missing_among_what_is_due_is_claimed_all_the_same() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let store = replica(&place, "a", LONG);
    store.receive(complete(0, "c-1")).await.unwrap();
    store.receive(complete(0, "c-2")).await.unwrap();
    deliver(&store).await;
    run(&place, "DELETE FROM due");
    assert_eq!(claim(&store).await, 0);
    purge(&store).await;
    assert_eq!(claim(&store).await, 1);
    assert_eq!(claim(&store).await, 0);
    drop(store);
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn a_due_row_that_does_not_fit_its_submission_is_corrected() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let store = replica(&place, "a", LONG);
    for call in ["c-1", "c-2", "c-3"] {
        store.receive(complete(0, call)).await.unwrap();
    }
    deliver(&store).await;
    // What was delivered is due once more; of the others one has another account's name, and one a lease.
    run(
        &place,
        "INSERT INTO due (seq, account, due_at, fence)
            SELECT seq, account, due_at, fence FROM submissions WHERE state = 'delivered';
        UPDATE due SET account = 'other' WHERE seq = (SELECT max(seq) FROM due);
        UPDATE due SET lease_until = 1,
            replica = (SELECT slot FROM replicas WHERE name = 'a') WHERE seq =
            (SELECT min(due.seq) FROM due JOIN submissions AS s ON s.seq = due.seq
                WHERE s.settled_at IS NULL)",
    );
    assert_eq!(store.claim(wanted(&[("other", 1)], 1000)).await.unwrap().claims.len(), 0);
    assert_eq!((claim(&store).await, claim(&store).await, claim(&store).await), (1, 1, 0));
    drop(store);
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn the_counts_of_a_replica_that_does_not_come_back_are_folded() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    // The process that made the tests' database.
    run(&place, "DELETE FROM state_counts; DELETE FROM replicas");
    let [a, b, c] = ["a", "b", "c"].map(|name| replica(&place, name, LONG));
    for (n, store) in [&a, &b, &b, &c].into_iter().enumerate() {
        store.receive(complete(0, &format!("c-{n}"))).await.unwrap();
    }
    let slots = || place.database.number("SELECT count(*) FROM state_counts");
    assert!(!a.fold_counts().await.unwrap());
    assert_eq!(slots(), 3, "all of them serve");
    run(
        &place,
        "INSERT INTO deleted_counts SELECT slot, 'delivered', 5 FROM replicas;
        UPDATE state_counts SET accepted = accepted + 5, delivered = delivered + 5",
    );
    drop(c);
    fold(&a, &place).await;
    assert_eq!(place.database.number("SELECT count(*) FROM replicas"), 1);
    assert_eq!(place.database.number("SELECT submissions FROM deleted_counts"), 15);
    let counts = statistics(&a).await.counts;
    assert_eq!((counts.accepted, counts.pending, counts.delivered), (19, 4, 15));
    // One of them had only been stopped: it ends, and is started again.
    b.receive(complete(0, "c-9")).await.expect_err("it has lost its name");
    assert!(b.damage().is_some());
    drop(b);
    let b = replica(&place, "b", LONG);
    b.receive(complete(0, "c-9")).await.unwrap();
    assert_eq!((slots(), statistics(&b).await.counts.accepted), (2, 20));
    fold(&a, &place).await;
    assert_eq!(statistics(&a).await.counts.accepted, 20);
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn the_tallies_of_a_replica_that_does_not_come_back_are_folded() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    // The process that made the tests' database.
    run(&place, "DELETE FROM state_counts; DELETE FROM replicas");
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    a.receive(webhook(0, "c-0", &[("score", "4")])).await.unwrap();
    for call in ["c-1", "c-2"] {
        b.receive(complete(0, call)).await.unwrap();
        deliver(&b).await;
    }
    let counted = async |store: &PostgresStore| -> u64 {
        let days = i64::MIN..i64::MAX;
        let (by, limit) = (TallyKey::ALL, usize::MAX);
        let all = TallyFilter { field: None, survey: None, account: None, days, by, limit };
        store.tallies(all).await.unwrap().iter().map(|it| it.n).sum()
    };
    assert_eq!((counted(&a).await, counted(&b).await), (2, 2));
    let ids = a.of_call("c-1".parse().unwrap()).await.unwrap();
    a.erase(ids, at(2000)).await.unwrap();
    assert_eq!((counted(&a).await, counted(&b).await), (1, 1));
    assert_eq!(place.database.number("SELECT count(DISTINCT slot) FROM tallies"), 2);
    drop(b);
    // Of which there are more than one transaction folds.
    run(
        &place,
        "INSERT INTO tallies (slot, field, day, survey, account, value, state, reason, rating, issues, origin, n)
            SELECT slot, '', n, 'quality', 'main', '', 'delivered', '', 500, '', '', 1
                FROM replicas, generate_series(1, 5000) AS n;
        UPDATE replicas SET seen_at = 1 WHERE name = 'b'",
    );
    let of_b = "SELECT count(*) FROM tallies
        WHERE slot = (SELECT slot FROM replicas WHERE name = 'b')";
    let before = place.database.number(of_b);
    let first = async { while !a.fold_counts().await.unwrap() {} };
    tokio::time::timeout(Duration::from_secs(60), first).await.expect("counts are folded");
    let folded = before - place.database.number(of_b);
    assert!((1..=2000).contains(&folded), "{folded} of {before} in one transaction");
    assert_eq!(counted(&a).await, 10_001);
    fold(&a, &place).await;
    assert_eq!(place.database.number("SELECT count(*) FROM state_counts"), 1);
    assert_eq!(place.database.number("SELECT count(DISTINCT slot) FROM tallies"), 1);
    assert_eq!(place.database.number("SELECT count(*) FROM replicas"), 1);
    assert_eq!(counted(&a).await, 10_001);
    run(&place, "DELETE FROM tallies WHERE day <= 5000 AND rating = 500 AND n = 2");
    let ids = a.of_call("c-2".parse().unwrap()).await.unwrap();
    a.erase(ids, at(2000)).await.unwrap();
    assert_eq!(place.database.number("SELECT count(*) FROM tallies"), 0, "nothing is left");
    drop(a);
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn what_is_old_is_purged_although_the_counts_of_a_replica_cannot_be_folded() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    b.receive(complete(0, "c-1")).await.unwrap();
    deliver(&b).await;
    drop(b);
    run(
        &place,
        "UPDATE replicas SET seen_at = 1 WHERE name = 'b';
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN RAISE EXCEPTION 'it takes too long'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON state_counts EXECUTE FUNCTION refuse()",
    );
    let refused = async { while a.fold_counts().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(60), refused).await.expect("it is refused");
    let cutoffs = RetentionCutoffs { bodies: at(5000), submissions: at(5000), outcomes: at(0) };
    assert_eq!(a.purge(cutoffs).await.unwrap().submissions, 1);
}

#[tokio::test]
async fn the_first_replica_that_is_back_after_an_outage_forgets_no_other_one() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    for (call, store) in [("c-1", &a), ("c-2", &b)] {
        store.receive(complete(0, call)).await.unwrap();
    }
    place.database.be_away(true);
    place.database.be_away(false);
    run(&place, "UPDATE replicas SET seen_at = 1");
    a.receive(complete(0, "c-3")).await.unwrap();
    assert!(!a.fold_counts().await.unwrap());
    b.receive(complete(0, "c-4")).await.expect("it serves");
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
}

#[tokio::test]
async fn what_another_replica_erases_while_it_is_purged_stays_erased() {
    if !crate::postgres::is_available() {
        return;
    }
    let place = Postgres::default();
    let [a, b] = ["a", "b"].map(|name| replica(&place, name, LONG));
    a.receive(complete(0, "c-1")).await.unwrap();
    deliver(&a).await;
    let ids = a.of_call("c-1".parse().unwrap()).await.unwrap();
    let cutoffs = RetentionCutoffs { bodies: at(5000), submissions: at(0), outcomes: at(0) };
    let purged = place.database.with(async |client| {
        client.batch_execute("BEGIN; SELECT FROM submissions FOR UPDATE").await.unwrap();
        let purge = async {
            place.database.wait_until_blocked(1);
            a.purge(cutoffs).await.unwrap()
        };
        let end = async {
            place.database.wait_until_blocked(2);
            client.batch_execute("COMMIT").await.unwrap();
        };
        tokio::join!(b.erase(ids, at(2000)), purge, end).1
    });
    assert_eq!(purged, PurgeCounts::default());
    drop((a, b));
    assert_eq!(place.faults(), [""; 0]);
}
