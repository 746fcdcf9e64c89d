//! What is dropped by age, and what is kept however old it is.

use postcall::domain::Verdict;
use postcall::store::{Begun, Decision, Dossier, Horizon, Outcome, Replay, Swept};
use postcall::submission::{
    ChangedAnswerPolicy, DeadReason, IgnoredReason, State, StateCounts, SubmissionId,
};

use super::spoken::{at, attempt, changing, complete, hook, ignored, unmapped};
use super::{Backend, Ledger};

pub async fn bodies_are_dropped_first_and_what_was_said_stays(ledger: Ledger<impl Backend>) {
    let id = delivered(&ledger, "c-1").await;
    let before = dossier(&ledger, id).await;
    assert_eq!(sweep(&ledger, [101, 0, 0]).await, NOTHING, "it was settled then, not before");
    assert_eq!(sweep(&ledger, [102, 0, 0]).await, Swept { bodies: 1, ..NOTHING });
    assert_eq!(sweep(&ledger, [102, 0, 0]).await, NOTHING);

    let after = dossier(&ledger, id).await;
    assert!(before.hooks.iter().all(|hook| hook.said.is_some()));
    assert!(after.hooks.iter().all(|hook| hook.said.is_none()));
    assert!(before.attempts[0].reply.is_some() && after.attempts[0].reply.is_none());
    assert_eq!((after.row, after.answers), (before.row, before.answers));
    assert_eq!(after.attempts[0].feedback, before.attempts[0].feedback);
    ledger.check_books().await;
}

pub async fn then_all_but_the_outcome_is_dropped_and_the_totals_stay(
    mut ledger: Ledger<impl Backend>,
) {
    let id = delivered(&ledger, "c-1").await;
    silent(&ledger, "c-2").await;
    let totals = ledger.totals().await;
    sweep(&ledger, [102, 0, 0]).await;
    silent(&ledger, "c-3").await;
    assert_eq!(sweep(&ledger, [102, 102, 0]).await, Swept { submissions: 3, ..NOTHING });
    assert_eq!(sweep(&ledger, [102, 102, 0]).await, NOTHING);

    let Dossier { row, hooks, answers, attempts, .. } = dossier(&ledger, id).await;
    assert_eq!((row.state, row.settled_at), (State::Delivered, Some(at(101))));
    assert!(row.gone_at.is_some() && row.feedback.is_none() && row.trace.is_none());
    assert!(hooks.is_empty() && answers.is_empty() && attempts.is_empty());
    assert_eq!(ledger.of_call("c-1".parse().unwrap()).await.unwrap(), []);
    assert_eq!(ledger.hear(hook(200, "c-1", &[("score", "1")])).await.outcome, Outcome::Gone);
    assert_eq!(ledger.totals().await, StateCounts { accepted: 3, ignored: 2, ..totals });
    ledger.check_books().await;
    ledger.reopen();
    ledger.check_books().await;
}

pub async fn then_that_too_and_a_hook_that_comes_again_starts_anew(
    mut ledger: Ledger<impl Backend>,
) {
    let id = delivered(&ledger, "c-1").await;
    let erased = silent(&ledger, "c-2").await;
    ledger.erase(vec![erased], at(102)).await.unwrap();
    assert_eq!(sweep(&ledger, [200; 3]).await, Swept { tombstones: 1, submissions: 1, bodies: 0 });
    assert_eq!(sweep(&ledger, [200; 3]).await, Swept { tombstones: 1, ..NOTHING });
    assert_eq!(ledger.find(id).await.unwrap(), None);
    assert_eq!(ledger.rows().await, []);
    let totals = StateCounts { accepted: 2, delivered: 1, discarded: 1, ..StateCounts::default() };
    assert_eq!(ledger.totals().await, totals);
    ledger.reopen();
    assert_eq!(ledger.totals().await, totals);

    let heard = ledger.hear(hook(300, "c-1", &[("score", "4")])).await;
    assert_eq!((heard.submission, heard.outcome), (id, Outcome::New));
    assert_eq!(ledger.totals().await, StateCounts { accepted: 3, collecting: 1, ..totals });
}

pub async fn what_waits_and_what_is_dead_is_kept_however_old(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "unmapped")).await;
    let lease = ledger.lease_one(100).await;
    ledger.settle_one(&lease, unmapped("no survey"), 101).await;
    ledger.hear(complete(0, "refused")).await;
    let lease = ledger.attempt_one(100).await;
    let refused = attempt(Verdict::Refused, Some(422), 101);
    let dead = Decision::Dead { attempt: refused, reason: DeadReason::Refused };
    ledger.settle_one(&lease, dead, 101).await;
    ledger.hear(complete(0, "under-way")).await;
    ledger.attempt_one(100).await;
    ledger.hear(hook(0, "collecting", &[("score", "4")])).await;
    let rows = ledger.rows().await;
    assert_eq!(sweep(&ledger, [1_000_000; 3]).await, NOTHING);
    assert_eq!(ledger.rows().await, rows);
    for row in rows {
        assert!(dossier(&ledger, row.id).await.hooks.iter().all(|hook| hook.said.is_some()));
    }
}

pub async fn what_comes_after_the_bodies_were_dropped_is_dropped_in_its_turn(
    ledger: Ledger<impl Backend>,
) {
    let late = delivered(&ledger, "c-1").await;
    let reopened = silent(&ledger, "c-2").await;
    let replayed = silent(&ledger, "c-3").await;
    sweep(&ledger, [102, 0, 0]).await;

    assert_eq!(ledger.hear(hook(110, "c-1", &[("problem", "2")])).await.outcome, Outcome::Late);
    ledger.hear(hook(110, "c-2", &[("problem", "2")])).await;
    let how = Replay { as_was: false, accepted_too: false, at: at(110) };
    ledger.replay(vec![replayed], how).await.unwrap();
    ledger.check_books().await;
    for (id, said) in [(late, 1), (reopened, 1), (replayed, 0)] {
        let hooks = dossier(&ledger, id).await.hooks;
        assert_eq!(hooks.iter().filter(|hook| hook.said.is_some()).count(), said, "{hooks:?}");
    }
    assert_eq!(sweep(&ledger, [102, 0, 0]).await, Swept { bodies: 1, ..NOTHING }, "the late one");
    for lease in ledger.lease_due(1000).await {
        assert_eq!(ledger.begin_one(&lease, 1000).await, Begun::Started);
        let attempt = attempt(Verdict::Accepted, Some(201), 1001);
        ledger.settle_one(&lease, Decision::Delivered { attempt }, 1001).await;
    }
    assert_eq!(sweep(&ledger, [1001, 0, 0]).await, NOTHING);
    assert_eq!(sweep(&ledger, [1002, 1002, 0]).await, Swept { submissions: 3, ..NOTHING });
}

pub async fn what_is_delivered_again_is_kept_until_that_is_old(ledger: Ledger<impl Backend>) {
    ledger.hear(changing(ChangedAnswerPolicy::Redeliver, complete(0, "c-1"))).await;
    let lease = ledger.attempt_one(100).await;
    let first = Decision::Delivered { attempt: attempt(Verdict::Accepted, Some(201), 101) };
    ledger.settle_one(&lease, first, 101).await;
    let again = changing(ChangedAnswerPolicy::Redeliver, hook(110, "c-1", &[("score", "2")]));
    assert_eq!(ledger.hear(again).await.outcome, Outcome::Added);
    assert_eq!(sweep(&ledger, [1_000_000; 3]).await, NOTHING);
    let lease = ledger.attempt_one(1000).await;
    let second = Decision::Delivered { attempt: attempt(Verdict::Accepted, Some(201), 1001) };
    ledger.settle_one(&lease, second, 1001).await;
    assert_eq!(sweep(&ledger, [1001; 3]).await, NOTHING);
    assert_eq!(sweep(&ledger, [1002, 1002, 0]).await, Swept { submissions: 1, ..NOTHING });
}

pub async fn what_is_old_is_dropped_a_few_at_a_time_and_makes_room(ledger: Ledger<impl Backend>) {
    const MANY: usize = 450;
    let mut sizes = Vec::new();
    for round in 0..3 {
        for n in 0..MANY {
            let mut arrival = complete(0, &format!("c-{round}-{n}"));
            arrival.hook.body = vec![b'x'; 1000];
            ledger.hear(arrival).await;
        }
        loop {
            let leases = ledger.lease_due(100).await;
            if leases.is_empty() {
                break;
            }
            for lease in leases {
                ledger.settle_one(&lease, ignored(IgnoredReason::NoAnswer), 101).await;
            }
        }
        for (horizon, of) in [([102, 0, 0], 0), ([102, 102, 0], 1), ([102; 3], 2)] {
            let mut dropped = Vec::new();
            loop {
                let swept = sweep(&ledger, horizon).await;
                if swept == NOTHING {
                    break;
                }
                dropped.push([swept.bodies, swept.submissions, swept.tombstones][of]);
            }
            assert_eq!(dropped, [200, 200, 50]);
        }
        sizes.push(ledger.figures().await.unwrap().bytes);
    }
    assert_eq!(ledger.totals().await.ignored, 3 * MANY as u64);
    assert_eq!(sizes[1], sizes[2], "the ledger does not grow for ever");
}

const NOTHING: Swept = Swept { bodies: 0, submissions: 0, tombstones: 0 };

/// What was settled before these seconds: bodies, submissions, tombstones.
async fn sweep(
    ledger: &Ledger<impl Backend>,
    [bodies, submissions, tombstones]: [i64; 3],
) -> Swept {
    let horizon =
        Horizon { bodies: at(bodies), submissions: at(submissions), tombstones: at(tombstones) };
    ledger.sweep(horizon).await.unwrap()
}

async fn dossier(ledger: &Ledger<impl Backend>, id: SubmissionId) -> Dossier {
    ledger.find(id).await.unwrap().expect("the ledger has it")
}

/// Delivered at 101.
async fn delivered(ledger: &Ledger<impl Backend>, call: &str) -> SubmissionId {
    ledger.hear(complete(0, call)).await;
    let lease = ledger.attempt_one(100).await;
    let attempt = attempt(Verdict::Accepted, Some(201), 101);
    ledger.settle_one(&lease, Decision::Delivered { attempt }, 101).await;
    lease.ticket.submission
}

/// Ignored at 101.
async fn silent(ledger: &Ledger<impl Backend>, call: &str) -> SubmissionId {
    ledger.hear(hook(0, call, &[("score", "")])).await;
    let lease = ledger.lease_one(1000).await;
    ledger.settle_one(&lease, ignored(IgnoredReason::NoAnswer), 101).await;
    lease.ticket.submission
}
