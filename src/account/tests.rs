//! What pauses an account, what resumes it, and when it may be probed, in whatever order that comes.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

use super::{Claimable, Pause, PauseCause};
use crate::domain::{Attempt, AttemptResponse, Verdict};

const MINUTE: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn attempt(second: i64) -> Attempt {
    let reply = AttemptResponse {
        status: Some(401),
        text: "call c-1 is unknown".into(),
        ..Default::default()
    };
    Attempt { verdict: Verdict::AccountRejected, reply, finished_at: at(second) }
}

fn paused(cause: PauseCause, second: i64) -> Pause {
    match cause {
        PauseCause::Operator => Pause::by_operator("look first", at(second)),
        cause => Pause::new(cause, &attempt(second), at(second + 60)),
    }
}

#[test]
fn an_account_that_is_paused_says_why_and_since_when() {
    let reason = paused(PauseCause::AccountRejected, 5).reason().unwrap();
    assert_eq!((reason.cause, reason.since), (PauseCause::AccountRejected, at(5)));
    assert_eq!((reason.status, &*reason.detail), (Some(401), "call c-1 is unknown"));
    let reason = paused(PauseCause::Operator, 5).reason().unwrap();
    assert_eq!(
        (reason.cause, reason.status, &*reason.detail),
        (PauseCause::Operator, None, "look first")
    );
    let reason = Pause::unreadable(at(5)).reason().unwrap();
    assert_eq!(reason.cause, PauseCause::Operator);
    assert!(reason.detail.contains("resume it if it may deliver"), "{}", reason.detail);
    let labels = PauseCause::ALL.map(PauseCause::label);
    assert_eq!(labels, ["operator", "account_rejected", "rejections", "unreachable"]);
}

#[test]
fn a_stronger_cause_takes_the_place_of_a_weaker_one_and_the_time_stays() {
    for (known, was) in PauseCause::ALL.into_iter().enumerate() {
        for (new, cause) in PauseCause::ALL.into_iter().enumerate().skip(1) {
            let mut pause = paused(was, 5);
            pause.pause(cause, &attempt(9), at(100));
            let expected = if known < new { was } else { cause };
            assert_eq!(pause.cause(), Some(expected), "{was:?}, then {cause:?}");
            assert_eq!(pause.reason().unwrap().since, at(5));
            let is_put_off = matches!(pause.claimable(at(50), MINUTE), Claimable::Probe { at: probe, .. } if probe == at(100));
            assert_eq!(is_put_off, known >= new, "{was:?}, then {cause:?}");
        }
        let mut pause = paused(was, 5);
        pause.pause_by_operator("stop", at(9));
        let reason = pause.reason().unwrap();
        assert_eq!(
            (reason.cause, reason.since, &*reason.detail),
            (PauseCause::Operator, at(5), "stop")
        );
        assert_eq!(reason.status, None);
    }
}

#[test]
fn an_account_resumes_by_what_proves_its_cause_wrong_and_by_an_operator() {
    for cause in PauseCause::ALL {
        let resumed_by = |resume: fn(&mut Pause)| {
            let mut pause = paused(cause, 5);
            resume(&mut pause);
            pause.cause().is_none()
        };
        assert_eq!(
            resumed_by(|it| it.answered(at(9))),
            cause == PauseCause::Unreachable,
            "{cause:?}"
        );
        assert_eq!(resumed_by(|it| it.accepted(at(9))), cause != PauseCause::Operator, "{cause:?}");
        assert!(resumed_by(|it| assert!(it.resume(at(9)), "it was paused")));
    }
    let mut pause = paused(PauseCause::Operator, 5);
    assert!(pause.resume(at(9)) && !pause.resume(at(10)), "it was paused once");
    assert_eq!((pause.cause(), pause.reason()), (None, None));
    assert_eq!(pause.claimable(at(11), MINUTE), Claimable::Freely);
    // What was said is gone, and it can be paused again.
    pause.pause_by_operator("", at(20));
    assert_eq!(pause.reason().unwrap().since, at(20));
    pause.resume(at(30));
    pause.pause(PauseCause::Unreachable, &attempt(40), at(50));
    assert_eq!(
        (pause.cause(), pause.reason().unwrap().since),
        (Some(PauseCause::Unreachable), at(40))
    );
}

#[test]
fn a_paused_account_gives_one_probe_when_it_is_time_and_one_that_an_operator_paused_none() {
    let mut pause = paused(PauseCause::AccountRejected, 0);
    let is_due = |pause: &Pause, second| match pause.claimable(at(second), MINUTE) {
        Claimable::Probe { is_due, .. } => is_due,
        other => panic!("{other:?}"),
    };
    assert_eq!([59, 60, 61].map(|second| is_due(&pause, second)), [false, true, true]);
    pause.probe_from(at(600));
    // A time that is farther ahead than two intervals was set before the clock was put back.
    assert_eq!(
        [479, 480, 599, 600].map(|second| is_due(&pause, second)),
        [true, false, false, true]
    );
    pause.probe_now(at(500));
    assert!(is_due(&pause, 500) && !is_due(&pause, 499));
    pause.probe_now(at(550));
    assert!(is_due(&pause, 500), "it is not put off");
    let by_operator = paused(PauseCause::Operator, 500);
    let mut pause = by_operator.clone();
    pause.probe_now(at(100));
    assert_eq!(pause, by_operator);
    assert_eq!(pause.claimable(at(10_000), MINUTE), Claimable::Never);
}

#[test]
fn an_erased_call_is_in_no_pause() {
    let mut pause = paused(PauseCause::AccountRejected, 5);
    pause.erase_call("c-2");
    assert_eq!(pause.reason().unwrap().detail, "call c-1 is unknown");
    pause.erase_call("c-1");
    assert_eq!(pause.reason().unwrap().detail, "call (erased) is unknown");
}

/// Something that happens to an account.
#[derive(Debug, Clone, Copy)]
enum Step {
    Pauses(PauseCause),
    Accepted,
    Answered,
    OperatorPauses,
    OperatorResumes,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop::sample::select(vec![
        Step::Pauses(PauseCause::AccountRejected),
        Step::Pauses(PauseCause::Rejections),
        Step::Pauses(PauseCause::Unreachable),
        Step::Accepted,
        Step::Answered,
        Step::OperatorPauses,
        Step::OperatorResumes,
    ]);
    prop::collection::vec((1..100i64, step), 0..30)
}

proptest! {
    #[test]
    fn the_time_for_which_an_account_was_paused_is_that_between_pauses_and_what_ended_them(
        steps in steps(),
        rest in 0..100i64,
    ) {
        let mut pause = paused(PauseCause::Unreachable, 0);
        let (mut now, mut expected) = (0, 0);
        let mut is_by_operator = false;
        for (passes, step) in steps {
            now += passes;
            let was_paused = pause.cause().is_some();
            expected += if was_paused { passes } else { 0 };
            match step {
                Step::Pauses(cause) => pause.pause(cause, &attempt(now), at(now + 60)),
                Step::Accepted => pause.accepted(at(now)),
                Step::Answered => pause.answered(at(now)),
                Step::OperatorPauses => pause.pause_by_operator("stop", at(now)),
                Step::OperatorResumes => prop_assert_eq!(pause.resume(at(now)), was_paused),
            }
            is_by_operator = match step {
                Step::OperatorPauses => true,
                Step::OperatorResumes => false,
                _ => is_by_operator,
            };
            // Only an operator ends what an operator began.
            prop_assert_eq!(pause.cause() == Some(PauseCause::Operator), is_by_operator);
            prop_assert_eq!(pause.paused_in_all(at(now)), Duration::from_secs(expected as u64));
        }
        let running = if pause.cause().is_some() { rest } else { 0 };
        let all = Duration::from_secs((expected + running) as u64);
        prop_assert_eq!(pause.paused_in_all(at(now + rest)), all);
        // A clock that was put back takes nothing away.
        prop_assert!(pause.paused_in_all(at(-1000)) <= all);
    }
}
