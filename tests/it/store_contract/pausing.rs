//! Accounts that are paused, and what resumes them.

use futures_util::FutureExt;
use postcall::account::{PauseCause, PauseReason};
use postcall::domain::{Name, Verdict};
use postcall::submission::{Claim, DeadReason, Decision, IgnoredReason, Settled, State};

use super::backend::wanted;
use super::spoken::{
    BUSY, TestMapper, accepted, at, attempt, complete, dead, ignored, ignoring, webhook_for,
};
use super::{Backend, TestStore};

pub async fn a_misconfigured_account_is_paused_and_nothing_is_spent(
    store: TestStore<impl Backend>,
) {
    store.receive_one(complete(0, "c-1")).await;
    pause(&store, 100).await;
    let submission = store.submission("c-1").await;
    assert_eq!((submission.state, submission.due_at), (State::Pending, at(100)));
    assert_eq!((submission.document.attempts_spent, submission.document.attempts_made), (0, 1));
    let response = submission.last_attempt().unwrap().response.as_ref().unwrap();
    assert_eq!(response.verdict, Verdict::AccountRejected);
    let pauses = store.pauses().await;
    let found: Vec<_> = pauses
        .iter()
        .map(|(account, it)| (account.as_str(), it.cause, it.since, it.status, it.detail.as_str()))
        .collect();
    let cause = PauseCause::AccountRejected;
    assert_eq!(found, [("main", cause, at(100), Some(401), "AccountRejected")]);
    store.check_counts().await;
}

pub async fn a_paused_account_gives_one_probe_at_a_time(store: TestStore<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        store.receive_one(complete(0, call)).await;
    }
    store.receive_one(webhook_for("other", 0, "o-1", &[("score", "4")])).await;
    let first = claim_first(&store, 100).await;
    assert!(!first.is_probe());
    settle_misconfigured(&store, &first, 100).await;

    let claimed = store.claim(wanted(&[("main", 9)], 159)).await.unwrap();
    assert_eq!((claimed.claims.len(), claimed.next_due_at), (0, Some(at(160))));
    let probe = store.claim_one(160).await;
    assert_eq!((probe.is_probe(), probe.paused_for), (true, Some(PauseCause::AccountRejected)));
    let claimed = store.claim(wanted(&[("main", 9)], 219)).await.unwrap();
    assert_eq!((claimed.claims.len(), claimed.next_due_at), (0, Some(at(220))));
    settle_misconfigured(&store, &probe, 161).await;
    assert_eq!(store.pauses().await[0].1.since, at(100), "paused ever since");
    assert_eq!(store.claim_due(220).await.len(), 0, "put off by the probe that failed");
    assert!(store.claim_one(221).await.is_probe());

    let others = store.claim(wanted(&[("other", 9)], 220)).await.unwrap().claims;
    assert_eq!((others.len(), others[0].is_probe()), (1, false), "a pause is of one account");
}

pub async fn a_submission_that_is_never_let_in_does_not_probe_for_all_others(
    store: TestStore<impl Backend>,
) {
    for call in ["c-1", "c-2"] {
        store.receive_one(complete(0, call)).await;
    }
    let forbidden = claim_first(&store, 100).await;
    settle_misconfigured(&store, &forbidden, 100).await;
    let probe = store.claim_one(160).await;
    assert_ne!(probe.key.call, forbidden.key.call, "another finds out whether it is the account");
    settle_misconfigured(&store, &probe, 160).await;
    let probe = store.claim_one(220).await;
    assert_eq!(probe.key.call, forbidden.key.call, "they take turns");
}

pub async fn probes_skip_submissions_that_map_to_nothing(store: TestStore<impl Backend>) {
    for call in ["c-1", "silent", "unmapped", "c-2"] {
        store.receive_one(complete(0, call)).await;
    }
    let first = claim_first(&store, 100).await;
    settle_misconfigured(&store, &first, 100).await;
    let mapper = || {
        TestMapper::default()
            .and("silent", ignored(IgnoredReason::NoAnswer))
            .and("unmapped", dead(DeadReason::Unmapped, "no such question"))
    };
    let claimed = store.claim_by(mapper(), 160).await;
    let states: Vec<_> = claimed.settled.iter().map(|it| it.state.label()).collect();
    assert_eq!(states, ["ignored", "dead"]);
    let [probe] = &claimed.claims[..] else { panic!("{claimed:?}") };
    assert_eq!((probe.is_probe(), probe.key.call.as_str()), (true, "c-2"));
    store.check_counts().await;
    assert_eq!(store.claim_by(mapper(), 219).await.claims.len(), 0, "this one asks");
    settle_misconfigured(&store, probe, 219).await;
    assert_eq!(store.claim_one(279).await.key.call, first.key.call);
}

pub async fn a_probe_that_only_finds_nothing_to_send_puts_no_probe_off(
    store: TestStore<impl Backend>,
) {
    for call in ["c-1", "c-2"] {
        store.receive_one(complete(0, call)).await;
    }
    let first = claim_first(&store, 100).await;
    settle_misconfigured(&store, &first, 100).await;
    let claimed = store.claim_by(ignoring(IgnoredReason::NoAnswer), 160).await;
    assert_eq!((claimed.claims.len(), claimed.settled.len()), (0, 2));
    store.receive_one(complete(0, "c-3")).await;
    assert!(store.claim_one(161).await.is_probe(), "nothing was asked at 160");
    assert_eq!(store.claim_due(220).await.len(), 0);
}

pub async fn a_delivery_resumes_a_paused_account(store: TestStore<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        store.receive_one(complete(0, call)).await;
    }
    let first = claim_first(&store, 100).await;
    settle_misconfigured(&store, &first, 100).await;

    let probe = store.claim_one(160).await;
    store.retry_one(&probe, attempt(BUSY, Some(503), 160)).await;
    assert_eq!(store.pauses().await.len(), 1, "only success resumes");

    let probe = store.claim_one(220).await;
    let settled = store.settle_one(&probe, accepted(221), Decision::Delivered).await;
    assert_eq!(settled, Settled::Done);
    assert_eq!(store.pauses().await, []);
    let claims = store.claim_due(221).await;
    assert_eq!(claims.len(), 2);
    assert!(claims.iter().all(|claim| !claim.is_probe()));
}

pub async fn a_clock_that_moved_back_leaves_no_account_unprobed(store: TestStore<impl Backend>) {
    store.receive_one(complete(-100_000, "c-1")).await;
    let claim = store.claim_one(100).await;
    settle_misconfigured(&store, &claim, 100).await;
    store.receive_one(complete(-100_000, "c-2")).await;
    assert_eq!(store.claim_one(-90_000).await.key.call.as_str(), "c-2");
    let claimed = store.claim(wanted(&[("main", 9)], -89_941)).await.unwrap();
    assert_eq!((claimed.claims.len(), claimed.next_due_at), (0, Some(at(100))));
}

pub async fn a_dead_submission_may_pause_its_account(store: TestStore<impl Backend>) {
    for call in ["c-1", "c-2"] {
        store.receive_one(complete(0, call)).await;
    }
    let claim = claim_first(&store, 100).await;
    let dead = Decision::Dead {
        reason: DeadReason::UnknownResult,
        pause: Some((PauseCause::Rejections, at(160))),
    };
    let attempt = attempt(Verdict::UnknownResult, None, 101);
    assert_eq!(store.settle_one(&claim, attempt, dead).await, Settled::Done);
    let submission = store.submission("c-1").await;
    assert_eq!(submission.state, State::Dead(DeadReason::UnknownResult));
    assert_eq!(store.pauses().await[0].1.cause, PauseCause::Rejections);
    assert_eq!(store.claim_due(159).await.len(), 0);
    let probe = store.claim_one(160).await;
    assert_eq!((probe.key.call.as_str(), probe.is_probe()), ("c-2", true));
    store.check_counts().await;
}

pub async fn the_time_an_account_was_paused_is_no_age(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    // c-1 is first tried at 100; the account is paused from 110 to 400 and again from 450 to 600.
    let claim = store.claim_one(100).await;
    settle_misconfigured(&store, &claim, 110).await;
    resume(&store, "l-1", 400).await;
    store.receive_one(complete(1, "c-2")).await;
    let claims = store.claim_due(450).await;
    let [second, first] = &claims[..] else { panic!("{claims:?}") };
    assert_eq!(first.age.as_secs(), 60);
    store.retry_one(first, attempt(Verdict::Unreachable, None, 450)).await;
    settle_misconfigured(&store, second, 450).await;
    resume(&store, "l-2", 600).await;

    let claims = store.claim_due(700).await;
    let ages: Vec<_> =
        claims.iter().map(|claim| (claim.key.call.as_str(), claim.age.as_secs())).collect();
    assert_eq!(ages, [("c-2", 250 - 150), ("c-1", 600 - 290 - 150)]);
}

pub async fn a_pause_survives_reopening(mut store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    pause(&store, 100).await;
    let pauses = store.pauses().await;
    store.reopen();
    assert_eq!(store.pauses().await, pauses);
    assert_eq!(store.claim_due(159).await.len(), 0);
    assert!(store.claim_one(160).await.is_probe());
}

pub async fn an_operator_pauses_an_account_until_an_operator_resumes_it(
    mut store: TestStore<impl Backend>,
) {
    for call in ["c-1", "c-2"] {
        store.receive_one(complete(0, call)).await;
    }
    let in_flight = claim_first(&store, 100).await;
    store.pause(main(), "the numbers look wrong".to_owned(), at(110)).await.unwrap();
    store.pause(main(), "they are wrong".to_owned(), at(120)).await.unwrap();
    store.settle_one(&in_flight, accepted(130), Decision::Delivered).await;
    store.reopen();
    store.probe_now(vec![main()], at(130)).await.unwrap();
    let claimed = store.claim(wanted(&[("main", 9)], 1_000_000)).await.unwrap();
    assert_eq!((claimed.claims.len(), claimed.next_due_at), (0, None));
    let expected = PauseReason {
        cause: PauseCause::Operator,
        since: at(110),
        status: None,
        detail: "they are wrong".to_owned(),
    };
    assert_eq!(store.pauses().await, [(main(), expected)]);

    assert!(store.resume(main(), at(500)).await.unwrap());
    assert_eq!(store.pauses().await, []);
    assert!(!store.resume(main(), at(501)).await.unwrap());
    assert!(!store.claim_one(501).await.is_probe());
}

pub async fn an_operator_may_resume_an_account_that_was_paused_for_another_cause(
    store: TestStore<impl Backend>,
) {
    store.receive_one(complete(0, "c-1")).await;
    pause(&store, 100).await;
    assert!(store.resume(main(), at(400)).await.unwrap());
    let claim = store.claim_one(450).await;
    assert_eq!((claim.is_probe(), claim.age.as_secs()), (false, 50));
}

pub async fn a_paused_account_is_probed_at_once_when_it_is_asked_for(
    store: TestStore<impl Backend>,
) {
    store.receive_one(complete(0, "c-1")).await;
    pause(&store, 100).await;
    while store.changed().now_or_never().is_some() {}
    store.probe_now(vec![main(), "other".parse().unwrap()], at(110)).await.unwrap();
    store.changed().await;
    assert_eq!(store.claim_due(109).await.len(), 0);
    assert!(store.claim_one(110).await.is_probe());
    assert_eq!(store.pauses().await.len(), 1, "a probe pauses no account");
}

pub async fn a_stronger_cause_takes_the_place_of_a_weaker_one_and_never_the_other_way_round(
    store: TestStore<impl Backend>,
) {
    let now_paused = async || {
        let (_, pause) = store.pauses().await.remove(0);
        (pause.cause, pause.since, pause.detail)
    };
    for call in ["c-1", "c-2", "c-3"] {
        store.receive_one(complete(0, call)).await;
    }
    let claims = store.claim_due(100).await;
    let paused = async |claim, cause, verdict, second| {
        let decision = Decision::Pause { cause, probe_at: at(second + 60), at: at(second) };
        let attempt = attempt(verdict, None, second);
        assert_eq!(store.settle_one(claim, attempt, decision).await, Settled::Done);
    };
    paused(&claims[0], PauseCause::Unreachable, Verdict::Unreachable, 110).await;
    assert_eq!(now_paused().await, (PauseCause::Unreachable, at(110), "Unreachable".to_owned()));
    paused(&claims[1], PauseCause::AccountRejected, Verdict::AccountRejected, 120).await;
    let misconfigured = (PauseCause::AccountRejected, at(110), "AccountRejected".to_owned());
    assert_eq!(now_paused().await, misconfigured);
    paused(&claims[2], PauseCause::Unreachable, Verdict::Unreachable, 130).await;
    assert_eq!(now_paused().await, misconfigured);
    assert_eq!(store.claim_due(179).await.len(), 0);
    let probe = store.claim_one(180).await;
    store.pause(main(), "wait".to_owned(), at(185)).await.unwrap();
    paused(&probe, PauseCause::AccountRejected, Verdict::AccountRejected, 190).await;
    assert_eq!(now_paused().await, (PauseCause::Operator, at(110), "wait".to_owned()));

    store.resume(main(), at(200)).await.unwrap();
    let claim = store.claim_due(200).await.remove(0);
    paused(&claim, PauseCause::Rejections, Verdict::Rejected, 210).await;
    assert_eq!(now_paused().await, (PauseCause::Rejections, at(210), "Rejected".to_owned()));
}

pub async fn any_response_resumes_an_account_that_was_unreachable(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let is_paused = async || !store.pauses().await.is_empty();
    let unreachable = async |second| {
        let claim = store.claim_one(second).await;
        let (cause, probe_at) = (PauseCause::Unreachable, at(second + 1));
        let decision = Decision::Pause { cause, probe_at, at: at(second) };
        let attempt = attempt(Verdict::Unreachable, None, second);
        store.settle_one(&claim, attempt, decision).await;
        assert!(is_paused().await);
    };
    unreachable(100).await;
    let probe = store.claim_one(101).await;
    assert!(probe.is_probe());
    store.retry_one(&probe, attempt(Verdict::Unreachable, None, 102)).await;
    assert!(is_paused().await, "there was no response");
    let probe = store.claim_one(500).await;
    store.retry_one(&probe, attempt(BUSY, Some(503), 501)).await;
    assert!(!is_paused().await);

    unreachable(600).await;
    let probe = store.claim_one(700).await;
    let dead = Decision::Dead { reason: DeadReason::UnknownCall, pause: None };
    store.settle_one(&probe, attempt(Verdict::UnknownCall, Some(404), 701), dead).await;
    assert!(!is_paused().await);
}

pub async fn only_what_is_rejected_while_others_may_pass_is_counted_against_it(
    store: TestStore<impl Backend>,
) {
    store.receive_one(complete(0, "c-1")).await;
    let mut second = 100;
    for rejections in 0..3 {
        let claim = store.claim_one(second).await;
        assert_eq!((claim.rejections, claim.is_probe()), (rejections, false));
        settle_misconfigured(&store, &claim, second).await;
        let probe = store.claim_one(second + 60).await;
        assert_eq!((probe.rejections, probe.is_probe()), (rejections + 1, true));
        settle_misconfigured(&store, &probe, second + 60).await;
        store.resume(main(), at(second + 61)).await.unwrap();
        second += 100;
    }
    let claim = store.claim_one(second).await;
    let (cause, probe_at) = (PauseCause::Unreachable, at(second + 1));
    let decision = Decision::Pause { cause, probe_at, at: at(second) };
    store.settle_one(&claim, attempt(Verdict::Unreachable, None, second), decision).await;
    assert_eq!(store.claim_one(second + 1).await.rejections, 3, "it was not rejected");
}

fn main() -> Name {
    "main".parse().unwrap()
}

/// The one that is due the longest.
async fn claim_first(store: &TestStore<impl Backend>, second: i64) -> Claim {
    store.claim(wanted(&[("main", 1)], second)).await.unwrap().claims.remove(0)
}

/// The one submission that is due finds the account misconfigured.
async fn pause(store: &TestStore<impl Backend>, second: i64) {
    let claim = store.claim_one(second).await;
    settle_misconfigured(store, &claim, second).await;
}

async fn settle_misconfigured(store: &TestStore<impl Backend>, claim: &Claim, second: i64) {
    let attempt = attempt(Verdict::AccountRejected, Some(401), second);
    let decision = Decision::Pause {
        cause: PauseCause::AccountRejected,
        probe_at: at(second + 60),
        at: at(second),
    };
    assert_eq!(store.settle_one(claim, attempt, decision).await, Settled::Done);
}

/// Another call of the account, due long before, is the probe and is delivered.
async fn resume(store: &TestStore<impl Backend>, call: &str, second: i64) {
    store.receive_one(complete(-1000, call)).await;
    let probe = store.claim_one(second).await;
    assert_eq!(probe.key.call.as_str(), call);
    store.settle_one(&probe, accepted(second), Decision::Delivered).await;
}
