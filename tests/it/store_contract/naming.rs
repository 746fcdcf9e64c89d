//! What senders call their hooks.

use postcall::store::{Outcome, StoreError};

use super::spoken::{at, hook, named};
use super::{Backend, Ledger};

pub async fn a_known_id_with_the_same_bytes_is_a_repeat(mut ledger: Ledger<impl Backend>) {
    let first = ledger.hear(named("evt-1", 1, hook(0, "c-1", &[("score", "4")]))).await;
    assert_eq!(first.outcome, Outcome::New);
    let (row, bodies) = (ledger.row("c-1").await, ledger.backend.bodies());
    ledger.reopen();
    // What it says does not matter, nor does the call: the bytes are the same.
    for call in ["c-1", "c-2"] {
        let again = ledger.hear(named("evt-1", 1, hook(60, call, &[("score", "2")]))).await;
        assert_eq!((again.submission, again.outcome), (first.submission, Outcome::Repeat));
        assert_eq!(again.answers, first.answers);
    }
    assert_eq!((ledger.rows().await, ledger.backend.bodies()), (vec![row], bodies));
}

pub async fn a_known_id_with_other_bytes_is_refused_and_leaves_nothing(
    ledger: Ledger<impl Backend>,
) {
    ledger.hear(named("evt-1", 1, hook(0, "c-1", &[("score", "4")]))).await;
    let (rows, bodies) = (ledger.rows().await, ledger.backend.bodies());
    for call in ["c-1", "c-2"] {
        let forged = ledger.accept(named("evt-1", 2, hook(1, call, &[("score", "1")]))).await;
        assert!(matches!(forged, Err(StoreError::IdReused)), "{forged:?}");
    }
    assert_eq!((ledger.rows().await, ledger.backend.bodies()), (rows, bodies));
    assert!(ledger.is_writable());
    let again = ledger.hear(named("evt-1", 1, hook(2, "c-1", &[("score", "4")]))).await;
    assert_eq!(again.outcome, Outcome::Repeat, "the first is still known");
}

pub async fn two_sources_may_use_the_same_id(ledger: Ledger<impl Backend>) {
    ledger.hear(named("evt-1", 1, hook(0, "c-1", &[("score", "4")]))).await;
    let mut other = named("evt-1", 2, hook(1, "c-2", &[("score", "1")]));
    other.source = "web".parse().unwrap();
    assert_eq!(ledger.hear(other).await.outcome, Outcome::New);
}

pub async fn what_is_forgotten_is_no_repeat_by_its_id(ledger: Ledger<impl Backend>) {
    ledger.hear(named("evt-1", 1, hook(0, "c-1", &[("score", "4")]))).await;
    assert_eq!(ledger.forget(at(0)).await.unwrap(), 0, "it came no earlier than that");
    assert_eq!(ledger.forget(at(1)).await.unwrap(), 1);
    let other = ledger.hear(named("evt-1", 2, hook(9, "c-1", &[("score", "2")]))).await;
    assert_eq!(other.outcome, Outcome::Added);
    assert_eq!(ledger.rows().await.len(), 1, "nothing else is forgotten");
}

pub async fn the_oldest_ids_are_forgotten_a_few_at_a_time(ledger: Ledger<impl Backend>) {
    for n in 0..700 {
        ledger.hear(named(&format!("evt-{n}"), 1, hook(n, "c-1", &[("score", "4")]))).await;
    }
    let (mut forgotten, mut times) = (0, 0);
    loop {
        match ledger.forget(at(699)).await.unwrap() {
            0 => break,
            some => (forgotten, times) = (forgotten + some, times + 1),
        }
        let youngest = named("evt-699", 2, hook(1000, "c-1", &[("score", "4")]));
        assert!(ledger.accept(youngest).await.is_err());
    }
    assert_eq!(forgotten, 699);
    assert!(times > 1, "hooks can be kept meanwhile");
}
