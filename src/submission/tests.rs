//! Properties of the transitions, in whatever order they come.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use uuid::Uuid;

use super::{
    ActionOutcome, AnswerValidity, Answers, Arrival, AttemptHistory, AuditEntry,
    ChangedAnswerPolicy, ClaimContext, ClaimOutcome, CompletionPolicy, DeadReason, Decision,
    Document, DueTime, IgnoredReason, Json, LeaseToken, Mapped, Mapper, Mapping, Next, Outcome,
    Receipt, RecordedAnswer, Remains, Replay, RetentionLevel, RetryPolicy, SetAside, Settlement,
    State, StateCounts, Submission, SubmissionKey, UnknownResult,
};
use crate::account::PauseCause;
use crate::domain::{
    Answer, Attempt, AttemptResponse, ExtractedAnswer, Extraction, Feedback, Issues, Rating,
    Verdict, WebhookId,
};

/// A survey of two questions: `score` is 1 to 5, `problem` is 1 to 3.
struct Quality(ChangedAnswerPolicy);

impl CompletionPolicy for Quality {
    fn validity(&self, question: &str, answer: &Answer) -> AnswerValidity {
        let highest = if question == "score" { "5" } else { "3" };
        match answer {
            Answer::Silence => AnswerValidity::Silence,
            Answer::Given(text) if ("1"..=highest).contains(&text.as_str()) => {
                AnswerValidity::InDomain
            }
            Answer::Given(_) => AnswerValidity::OutsideDomain,
        }
    }

    fn due(&self, answers: &Answers) -> DueTime {
        let is_answered = |question| answers.counting(question, self).is_some();
        let complete =
            answers.opted_out().is_some() || (is_answered("score") && is_answered("problem"));
        let wait = if complete || answers.hung_up().is_some() { 5 } else { 60 };
        let last = answers.last_new_at().expect("there is an answer, a hang-up or an opt-out");
        DueTime { complete, at: last + Duration::from_secs(wait) }
    }

    fn changed_answers(&self) -> ChangedAnswerPolicy {
        self.0
    }
}

/// A webhook, whose id goes with its time.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    second: i64,
    extraction: Extraction,
}

fn sent(seconds: std::ops::Range<i64>) -> impl Strategy<Value = Sent> {
    let answer = prop::sample::select(vec!["", "1", "3", "4", "9"]);
    let answers = (prop::option::of(answer.clone()), prop::option::of(answer));
    let field = prop::option::of(prop::sample::select(vec!["red", "blue"]));
    (seconds, answers, field, prop::bool::weighted(0.2), prop::bool::weighted(0.1)).prop_map(
        |(second, (score, problem), field, hung_up, opted_out)| {
            let questions = [("score", score), ("problem", problem)];
            let answers = questions.into_iter().filter_map(|(question, text)| {
                let answer = match text? {
                    "" => Answer::Silence,
                    text => Answer::Given(text.to_owned()),
                };
                let (question, reader) = (question.to_owned(), format!("form:{second}"));
                Some(ExtractedAnswer { question, answer, reader })
            });
            let fields = field.map(|value| ("campaign".parse().unwrap(), value.to_owned()));
            let (answers, fields) = (answers.collect(), fields.into_iter().collect());
            Sent { second, extraction: Extraction { answers, fields, hung_up, opted_out } }
        },
    )
}

fn policies() -> impl Strategy<Value = ChangedAnswerPolicy> {
    prop::sample::select(ChangedAnswerPolicy::ALL.to_vec())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key(call: usize) -> SubmissionKey {
    SubmissionKey {
        account: "main".parse().unwrap(),
        survey: "quality".parse().unwrap(),
        call: format!("c-{call}").parse().unwrap(),
    }
}

fn receive(
    known: &mut Option<Submission>,
    call: usize,
    sent: &Sent,
    policy: ChangedAnswerPolicy,
) -> Receipt {
    let key = key(call);
    let arrival = Arrival {
        id: key.id(),
        key: &key,
        extraction: &sent.extraction,
        received_at: at(sent.second),
        webhook: WebhookId(Uuid::from_u128(sent.second as u128)),
        trace: None,
    };
    Submission::receive(known, &arrival, &Quality(policy))
}

/// Maps everything alike.
struct Always(Mapping, UnknownResult);

impl Mapper for Always {
    fn map(&self, _: &SubmissionKey, _: &Answers, _: Option<&Json>) -> Mapped {
        Mapped { mapping: self.0.clone(), trace: None, insight: None }
    }

    fn on_unknown_result(&self) -> UnknownResult {
        self.1
    }
}

fn context(now: i64, paused_for: Option<PauseCause>) -> ClaimContext {
    let lease_until = at(now + 30);
    ClaimContext {
        now: at(now),
        lease_until,
        paused_for,
        paused_in_all: Duration::ZERO,
        longest_wait: Duration::from_secs(600),
        settings_may_differ: false,
    }
}

fn feedback() -> Mapping {
    let rating = Rating::BEST;
    Mapping::Feedback(Feedback::new(rating, Issues::default(), String::new()).unwrap())
}

fn settlement(
    submission: &Submission,
    verdict: Verdict,
    status: Option<u16>,
    decision: Decision,
    second: i64,
) -> Settlement {
    let reply =
        AttemptResponse { status, text: "as it was said".to_owned(), ..AttemptResponse::default() };
    Settlement {
        token: LeaseToken { submission: submission.id, fence: submission.fence },
        attempt: Attempt { verdict, reply, finished_at: at(second) },
        decision,
    }
}

/// One thing that happens to a submission.
#[derive(Debug, Clone)]
enum Step {
    Receive(Sent),
    Claim(Mapping, UnknownResult, Option<PauseCause>),
    /// The verdict, the status, and how old the offer is in days.
    Settle(Verdict, Option<u16>, u64, UnknownResult),
    Expire,
    Replay {
        same_payload: bool,
        include_delivered: bool,
    },
    Discard,
    Erase,
    Strip,
    Purge,
}

fn steps() -> impl Strategy<Value = Step> {
    let unknown = || prop::sample::select(vec![UnknownResult::Retry, UnknownResult::Dead]);
    let mappings = vec![
        feedback(),
        feedback(),
        feedback(),
        Mapping::Ignore { reason: IgnoredReason::NoAnswer, detail: None },
        Mapping::unmapped("no survey"),
    ];
    let pauses = vec![None, None, Some(PauseCause::AccountRejected)];
    let statuses = vec![None, Some(201), Some(401), Some(422), Some(503)];
    let verdicts = prop::sample::select(Verdict::ALL.to_vec());
    prop_oneof![
        8 => sent(0..50).prop_map(Step::Receive),
        8 => (prop::sample::select(mappings), unknown(), prop::sample::select(pauses))
            .prop_map(|(mapping, unknown, paused)| Step::Claim(mapping, unknown, paused)),
        8 => (verdicts, prop::sample::select(statuses), 0u64..5, unknown())
            .prop_map(|(verdict, status, days, it)| Step::Settle(verdict, status, days, it)),
        2 => Just(Step::Expire),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(same_payload, include_delivered)| {
            Step::Replay { same_payload, include_delivered }
        }),
        1 => Just(Step::Discard),
        1 => Just(Step::Erase),
        1 => Just(Step::Strip),
        1 => Just(Step::Purge),
    ]
}

/// The decision of the retry policy.
fn decided(
    verdict: Verdict,
    days: u64,
    on_unknown_result: UnknownResult,
    it: &Submission,
) -> Decision {
    let policy = RetryPolicy {
        initial_backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(60),
        max_age: Duration::from_secs(3 * 86_400),
        not_found_max_age: Duration::from_secs(86_400),
        on_unknown_result,
    };
    let Document { attempts_used: attempts, rejections, .. } = it.document;
    let age = Duration::from_secs(days * 86_400);
    let tried = AttemptHistory { attempts: attempts + 1, age, rejections };
    match policy.next(tried, verdict, at(100), 0.5) {
        Next::Delivered => Decision::Delivered,
        Next::RetryAt(at) => Decision::Retry { at },
        Next::Dead(reason) => Decision::Dead { reason, pause: None },
        Next::PauseUntil(due) => {
            let cause = PauseCause::AccountRejected;
            Decision::Pause { cause, probe_at: at(100), at: due }
        }
    }
}

/// Takes a step where the store would.
fn take(it: &mut Submission, step: &Step, second: i64) {
    match step {
        Step::Receive(_) => {}
        Step::Claim(mapping, unknown, paused) => {
            if it.is_due(Timestamp::MAX) {
                it.claim(&context(second, *paused), &Always(mapping.clone(), *unknown));
            }
        }
        Step::Settle(verdict, status, days, unknown) => {
            let decision = decided(*verdict, *days, *unknown, it);
            it.settle(&settlement(it, *verdict, *status, decision, second));
        }
        Step::Expire => it.expire(),
        Step::Replay { same_payload, include_delivered } => {
            let (same_payload, include_delivered) = (*same_payload, *include_delivered);
            it.replay(Replay { same_payload, include_delivered, at: at(second) });
        }
        Step::Discard => {
            it.discard("not wanted", at(second));
        }
        Step::Erase => {
            it.erase(at(second));
        }
        Step::Strip if it.is_purgeable() && it.retention == RetentionLevel::Full => it.strip(),
        Step::Purge if it.is_purgeable() && !it.is_purged() => it.purge(at(second)),
        Step::Strip | Step::Purge => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn transitions_keep_the_invariants_and_the_state_counts(
        steps in prop::collection::vec((0usize..2, steps()), 1..60),
        policy in policies(),
    ) {
        let mut submissions = [const { None::<Submission> }; 2];
        let mut counts = StateCounts::default();
        for (second, (call, step)) in (50..).zip(&steps) {
            let known = &mut submissions[*call];
            let before = known.clone();
            if let Step::Receive(sent) = step {
                let receipt = receive(known, *call, sent, policy);
                prop_assert!(receipt.modified || *known == before, "{step:?} modifies");
                prop_assert_eq!(receipt.outcome == Outcome::Created, before.is_none());
            }
            let Some(after) = known else { continue };
            take(after, step, second);
            match &before {
                None => counts.accepted += 1,
                Some(before) => {
                    // A claim leads through pending.
                    let from = match step {
                        Step::Claim(..) if before.state.is_waiting() => State::Pending,
                        _ => before.state,
                    };
                    let is_lawful = from == after.state || from.may_become(after.state);
                    prop_assert!(is_lawful, "{step:?}: {from:?} to {:?}", after.state);
                    prop_assert!(before.fence <= after.fence);
                    *counts.of_mut(before.state) -= 1;
                }
            }
            *counts.of_mut(after.state) += 1;
            prop_assert!(counts.balance(), "{step:?}: {counts:?}");
            prop_assert_eq!(after.violations(), Vec::<&str>::new(), "{:?}: {:#?}", step, after);
            let mut written = Vec::new();
            after.document.write(&mut written);
            prop_assert_eq!(&Document::read(&written).unwrap(), &after.document);
        }
    }

    #[test]
    fn any_order_of_webhooks_gives_the_same_submission(
        (sent, shuffled) in prop::collection::vec(sent(0..12), 1..10)
            .prop_map(distinct)
            .prop_flat_map(|sent| (Just(sent.clone()), Just(sent).prop_shuffle())),
        policy in policies(),
    ) {
        prop_assert_eq!(received(&sent, policy), received(&shuffled, policy));
    }

    #[test]
    fn any_order_of_webhooks_during_an_attempt_gives_the_same_submission(
        (sent, shuffled) in prop::collection::vec(sent(0..12), 1..8)
            .prop_map(distinct)
            .prop_flat_map(|sent| (Just(sent.clone()), Just(sent).prop_shuffle())),
        policy in policies(),
        (verdict, status) in prop::sample::select(vec![
            (Verdict::Accepted, Some(201)),
            (Verdict::Unreachable, None),
            (Verdict::UnknownResult, None),
            (Verdict::Rejected, Some(422)),
        ]),
    ) {
        let ended = |sent: &[Sent]| {
            let first = [("score", "4"), ("problem", "2")].map(|(question, text)| {
                let (question, answer) = (question.to_owned(), Answer::Given(text.to_owned()));
                ExtractedAnswer { question, answer, reader: "form:first".to_owned() }
            });
            let extraction = Extraction { answers: first.into(), ..Extraction::default() };
            let mut known = None;
            receive(&mut known, 0, &Sent { second: 5, extraction }, policy);
            let mapper = Always(feedback(), UnknownResult::Retry);
            known.as_mut().unwrap().claim(&context(20, None), &mapper);
            for sent in sent {
                receive(&mut known, 0, sent, policy);
            }
            let mut submission = known.unwrap();
            let decision = decided(verdict, 0, UnknownResult::Retry, &submission);
            let settlement = settlement(&submission, verdict, status, decision, 21);
            submission.settle(&settlement);
            // What is late adds to what is known: when an answer that is known came once more counts
            // by its first and its last time alone.
            submission.document.late = submission.document.all_answers().into_owned();
            forget_how_often_known_answers_counted_again(&mut submission);
            submission
        };
        let (one, other) = (ended(&sent), ended(&shuffled));
        if policy == ChangedAnswerPolicy::Redeliver {
            // An answer that changed and changed back may be offered once more or not.
            prop_assert_eq!(one.document.late, other.document.late);
        } else {
            prop_assert_eq!(one, other);
        }
    }
}

proptest! {
    #[test]
    fn answers_that_are_merged_at_once_are_those_that_are_merged_one_by_one(
        known in prop::collection::vec(sent(0..10), 0..8),
        more in prop::collection::vec(sent(0..10), 0..8),
        policy in policies(),
    ) {
        let [known, more] = [known, more].map(|sent| {
            let mut answers = Answers::default();
            for answer in distinct(sent).iter().flat_map(recorded) {
                answers.record(answer);
            }
            answers
        });
        let [mut at_once, mut one_by_one] = [known.clone(), known];
        at_once.merge(&more, policy);
        for answer in more.recorded() {
            let mut one = Answers::default();
            one.record(answer.clone());
            one_by_one.merge(&one, policy);
        }
        prop_assert_eq!(at_once, one_by_one);
    }
}

/// The answers of a webhook.
fn recorded(sent: &Sent) -> Vec<RecordedAnswer> {
    let webhook = WebhookId(Uuid::from_u128(sent.second as u128));
    let answers = sent.extraction.answers.iter();
    answers.map(|it| RecordedAnswer::new(it.clone(), at(sent.second), webhook)).collect()
}

/// Of webhooks of one time, the first.
fn distinct(mut sent: Vec<Sent>) -> Vec<Sent> {
    sent.sort_by_key(|sent| sent.second);
    sent.dedup_by_key(|sent| sent.second);
    sent.retain(|sent| sent.extraction != Extraction::default());
    sent
}

fn received(sent: &[Sent], policy: ChangedAnswerPolicy) -> Option<Submission> {
    let mut known: Option<Submission> = None;
    for sent in sent {
        receive(&mut known, 0, sent, policy);
    }
    let mut submission = known?;
    // It orders the rows, and is the time of the webhook that was first stored.
    submission.accepted_at = Timestamp::UNIX_EPOCH;
    forget_how_often_known_answers_counted_again(&mut submission);
    Some(submission)
}

/// Where the last answer counts, only the order of commits can tell how often one that was known counted
/// again. It bounds how many webhooks are kept, and nothing else.
fn forget_how_often_known_answers_counted_again(submission: &mut Submission) {
    submission.document.unrecorded = 0;
}

fn delivered() -> Submission {
    let extraction = Extraction { hung_up: true, ..Extraction::default() };
    let mut known = None;
    receive(&mut known, 0, &Sent { second: 1, extraction }, ChangedAnswerPolicy::KeepFirst);
    let mut submission = known.unwrap();
    submission.claim(&context(60, None), &Always(feedback(), UnknownResult::Retry));
    let settlement = settlement(&submission, Verdict::Accepted, Some(201), Decision::Delivered, 61);
    submission.settle(&settlement);
    submission
}

#[test]
fn more_attempts_than_are_kept_keep_the_invariants() {
    let mut known = None;
    let extraction = Extraction { hung_up: true, ..Extraction::default() };
    receive(&mut known, 0, &Sent { second: 1, extraction }, ChangedAnswerPolicy::KeepFirst);
    let mut submission = known.unwrap();
    for second in 60..100 {
        submission.claim(&context(second, None), &Always(feedback(), UnknownResult::Retry));
        assert_eq!(submission.violations(), Vec::<&str>::new());
        let retry = Decision::Retry { at: at(second + 1) };
        let settlement = settlement(&submission, Verdict::Unreachable, None, retry, second);
        submission.settle(&settlement);
        assert_eq!(submission.violations(), Vec::<&str>::new());
    }
    let numbers = submission.document.attempts.iter().map(|attempt| attempt.number);
    assert!(numbers.eq([1].into_iter().chain(26..=40)));
}

/// How old an offer is, in seconds, whose attempts begin at those seconds and end so at once.
fn ages(attempts: &[(i64, Verdict)]) -> Vec<u64> {
    let mut known = None;
    let extraction = Extraction { hung_up: true, ..Extraction::default() };
    receive(&mut known, 0, &Sent { second: 1, extraction }, ChangedAnswerPolicy::KeepFirst);
    let mut submission = known.unwrap();
    let mut age = |(second, verdict): &(i64, Verdict)| {
        let mapper = Always(feedback(), UnknownResult::Retry);
        let ClaimOutcome::Started(claim) = submission.claim(&context(*second, None), &mapper)
        else {
            panic!("an attempt starts")
        };
        let retry = Decision::Retry { at: at(second + 1) };
        let settlement = settlement(&submission, *verdict, None, retry, *second);
        submission.settle(&settlement);
        claim.age.as_secs()
    };
    attempts.iter().map(&mut age).collect()
}

#[test]
fn an_offer_does_not_age_while_its_attempts_cannot_begin() {
    use Verdict::{LocalError, Unreachable};
    let attempts = [
        (100, LocalError),
        (200, LocalError),
        (300, Unreachable),
        (340, LocalError),
        (500, Unreachable),
        (507, Unreachable),
    ];
    assert_eq!(ages(&attempts), [0, 0, 0, 40, 40, 47]);
}

#[test]
fn an_attempt_that_cannot_begin_is_not_spent() {
    let mut known = None;
    let extraction = Extraction { hung_up: true, ..Extraction::default() };
    receive(&mut known, 0, &Sent { second: 1, extraction }, ChangedAnswerPolicy::KeepFirst);
    let mut submission = known.unwrap();
    for (verdict, used) in [(Verdict::LocalError, 0), (Verdict::Unreachable, 1)] {
        submission.claim(&context(60, None), &Always(feedback(), UnknownResult::Retry));
        let retry = Decision::Retry { at: at(60) };
        submission.settle(&settlement(&submission, verdict, None, retry, 60));
        assert_eq!(submission.document.attempts_used, used, "{verdict:?}");
        assert_eq!(submission.violations(), Vec::<&str>::new());
    }
}

#[test]
fn an_offer_ages_by_no_more_than_the_longest_wait_between_two_attempts_whatever_the_clock_shows() {
    let unreachable = |second| (second, Verdict::Unreachable);
    let attempts = [100, 130, 315_000_000, 315_000_010, 50, 55].map(unreachable);
    assert_eq!(ages(&attempts), [0, 30, 630, 640, 640, 645]);
}

#[test]
fn each_violation_is_found() {
    type Damage = fn(&mut Submission);
    let damages: [(Damage, &str); 26] = [
        (|it| it.call = Some("another".parse().unwrap()), Submission::WRONG_ID),
        (|it| it.state = State::Pending, "waits and is settled"),
        (|it| it.settled_at = None, "is settled and does not say when"),
        (|it| it.lease_until = Some(at(1)), "is in flight and not pending"),
        (|it| it.lease_until = Some(at(1)), "is in flight without a recorded attempt"),
        (
            |it| it.document.attempts[0].response = None,
            "has an attempt without a response that is not in flight",
        ),
        (|it| it.document.attempts[0].number = 2, "does not have the attempts that it counts"),
        (|it| it.document.attempts_made = 0, "does not have the attempts that it counts"),
        (|it| it.document.attempts.clear(), "does not have the attempts that it counts"),
        (|it| it.document.attempts_used = 7, "has more attempts used than made"),
        (|it| it.fence = 0, "has more attempts than claims"),
        (
            |it| it.document.attempts.clear(),
            "has the due time of an offer that has begun and no attempt",
        ),
        (
            |it| it.document.attempts[0].response.as_mut().unwrap().verdict = Verdict::Rejected,
            "is in a state that its last attempt does not lead to",
        ),
        (
            |it| it.state = State::Dead(DeadReason::UnknownCall),
            "is in a state that its last attempt does not lead to",
        ),
        (|it| it.document.delivered = None, "is delivered without a payload"),
        (
            |it| it.document.redeliver_at = Some(at(1)),
            "waits for the end of an attempt that is not in flight",
        ),
        (
            |it| it.document.same_payload = true,
            "is to be sent unchanged and has nothing to send or does not wait",
        ),
        (
            |it| it.retention = RetentionLevel::Outcome,
            "is purged or is not, by its retention level",
        ),
        (|it| it.call = None, "is purged or is not, by its call"),
        (
            |it| {
                it.document.corrupt = true;
                it.state = State::Pending;
            },
            "is corrupt and neither dead, delivered nor discarded",
        ),
        (|it| it.state = State::Dead(DeadReason::Corrupt), "is dead as corrupt and is not"),
        (|it| it.purged_at = Some(at(1)), "is purged and has content"),
        (
            |it| {
                it.state = State::Dead(DeadReason::Unmapped);
                it.retention = RetentionLevel::Stripped;
            },
            "waits or is dead and was stripped",
        ),
        (|it| it.retention = RetentionLevel::Stripped, "is stripped and has texts of responses"),
        (
            |it| {
                let audit = AuditEntry { at: at(1), action: "replay".into(), detail: None };
                it.document.audit = vec![audit; 101];
            },
            "has more audit entries than are kept",
        ),
        (
            |it| {
                let text = r#"{"question":"score","answer":"4","reader":"form:Digits",
                    "received_at":9,"webhook":"00000000-0000-0000-0000-000000000001","last_at":8}"#;
                let answers = format!(r#"{{"recorded":[{text}]}}"#);
                it.document.answers = serde_json::from_str(&answers).unwrap();
            },
            "has answers out of order",
        ),
    ];
    for (damage, words) in damages {
        let mut submission = delivered();
        assert_eq!(submission.violations(), Vec::<&str>::new());
        damage(&mut submission);
        let violations = submission.violations();
        assert!(violations.contains(&words), "{words}: {violations:?}");
    }
}

#[test]
fn a_submission_that_is_set_aside_keeps_what_keeps_the_invariants() {
    let set_aside = |document| {
        let it = Submission::set_aside(remains(document), SetAside::Lost { closed: true });
        assert_eq!(it.violations(), Vec::<&str>::new());
        assert_eq!(it.state, State::Dead(DeadReason::Unmapped));
        it.document
    };
    let document = delivered().document;
    let kept = set_aside(Some(document.clone()));
    assert_eq!((&kept.answers, &kept.attempts), (&document.answers, &document.attempts));
    let mut damaged = document;
    damaged.attempts_made = 9;
    assert!(set_aside(Some(damaged)).attempts.is_empty());
    assert!(set_aside(None).reached);
}

fn remains(document: Option<Document>) -> Remains {
    let SubmissionKey { account, survey, call } = key(0);
    let (id, call, accepted_at) = (key(0).id(), Some(call), at(1));
    Remains { id, account, survey, call, accepted_at, purged_at: None, fence: 1, document }
}

/// Whatever of it is wrong: its id, its call, its answers.
#[test]
fn a_corrupt_submission_is_closed_for_good_and_never_sent() {
    let document = delivered().document;
    for remains in [
        remains(Some(document.clone())),
        remains(None),
        Remains { id: key(7).id(), ..remains(Some(document.clone())) },
        Remains { call: None, ..remains(Some(document)) },
    ] {
        for policy in ChangedAnswerPolicy::ALL {
            let set_aside =
                Submission::set_aside(remains.clone(), SetAside::Corrupt { was: State::Pending });
            assert_eq!(set_aside.violations(), Vec::<&str>::new());
            let mut known = Some(set_aside);
            for second in [1, 2, 3] {
                // What is known of it may be wrong, so that it is no duplicate.
                let extraction = Extraction { hung_up: true, ..Extraction::default() };
                let receipt = receive(&mut known, 0, &Sent { second, extraction }, policy);
                assert_eq!(receipt.outcome, Outcome::Late);
            }
            let mut submission = known.unwrap();
            let how = Replay { same_payload: false, include_delivered: true, at: at(9) };
            assert_eq!(submission.replay(how), ActionOutcome::Corrupt);
            assert_eq!(submission.state, State::Dead(DeadReason::Corrupt));
            assert!(!submission.is_due(at(100)));
            assert_eq!(submission.discard("asked again", at(10)), ActionOutcome::Done);
            assert_eq!(submission.violations(), Vec::<&str>::new());
            submission.purge(at(20));
            assert_eq!(submission.violations(), Vec::<&str>::new());
        }
    }
}

#[test]
fn a_corrupt_submission_that_had_ended_stays_as_it_was() {
    for was in [State::Delivered, State::Discarded] {
        for document in [Some(delivered().document), None] {
            let mut it = Submission::set_aside(remains(document), SetAside::Corrupt { was });
            assert_eq!((it.state, it.violations()), (was, Vec::<&str>::new()));
            let how = Replay { same_payload: false, include_delivered: true, at: at(9) };
            assert_ne!(it.replay(how), ActionOutcome::Done);
            assert!(it.is_purgeable() && !it.is_due(at(100)));
        }
    }
}

/// A webhook of an erased call is kept by no one, whatever happened to what is left of it.
#[test]
fn a_corrupt_submission_that_was_erased_stays_erased() {
    for was in [State::Delivered, State::Discarded, State::Ignored(IgnoredReason::Rule)] {
        let remains = Remains { call: None, purged_at: Some(at(5)), ..remains(None) };
        let it = Submission::set_aside(remains, SetAside::Corrupt { was });
        assert_eq!((it.state, it.violations()), (was, Vec::<&str>::new()));
        let mut known = Some(it);
        let extraction = Extraction { hung_up: true, ..Extraction::default() };
        let receipt =
            receive(&mut known, 0, &Sent { second: 7, extraction }, ChangedAnswerPolicy::KeepFirst);
        assert_eq!(receipt.outcome, Outcome::Purged);
    }
}

fn answers(second: i64, texts: impl Iterator<Item = String>) -> Sent {
    let extracted = |text| ExtractedAnswer {
        question: "score".to_owned(),
        answer: Answer::Given(text),
        reader: "form:Digits".to_owned(),
    };
    let answers = texts.map(extracted).collect();
    Sent { second, extraction: Extraction { answers, ..Extraction::default() } }
}

/// A sender that alternates between answers counts to the end, although no further webhook of it is kept.
#[test]
fn the_last_answer_counts_beyond_the_webhooks_that_are_kept() {
    let mut known = None;
    let mut receipt = None;
    for second in 0..2 * i64::from(Document::UNRECORDED_MAX) {
        let text = if second % 2 == 0 { "4" } else { "2" };
        let sent = answers(second, [text.to_owned()].into_iter());
        receipt = Some(receive(&mut known, 0, &sent, ChangedAnswerPolicy::KeepLast));
        let answers = known.as_ref().unwrap().answers();
        let all_valid = |_: &Answer| AnswerValidity::InDomain;
        let (best, _) = answers.best("score", all_valid, ChangedAnswerPolicy::KeepLast).unwrap();
        assert_eq!(best.answer, Answer::Given(text.to_owned()), "{second}");
    }
    assert_eq!(receipt.unwrap().outcome, Outcome::Excess);
    assert_eq!(known.unwrap().violations(), Vec::<&str>::new());
}

#[test]
fn webhooks_beyond_what_is_recorded_are_kept_up_to_a_bound_and_then_change_nothing() {
    let mut known = Some(delivered());
    let full = answers(100, (0..256).map(|n| format!("full-{n}")));
    receive(&mut known, 0, &full, ChangedAnswerPolicy::KeepFirst);
    let mut beyond = |n: u32, policy| {
        let before = known.clone();
        let sent = answers(200 + i64::from(n), [format!("beyond-{n}")].into_iter());
        let receipt = receive(&mut known, 0, &sent, policy);
        let is_excess = receipt.outcome == Outcome::Excess;
        assert_eq!(is_excess, known == before, "{n}");
        assert_eq!(is_excess, !receipt.modified, "{n}");
        (receipt.outcome, known.as_ref().unwrap().document.unrecorded)
    };
    for n in 0..Document::UNRECORDED_MAX {
        assert_eq!(beyond(n, ChangedAnswerPolicy::KeepFirst), (Outcome::Late, n + 1));
    }
    for policy in ChangedAnswerPolicy::ALL {
        let excess = (Outcome::Excess, Document::UNRECORDED_MAX);
        assert_eq!(beyond(Document::UNRECORDED_MAX, policy), excess);
    }
    // An earlier answer is given again.
    let again = answers(900, ["full-7".to_owned()].into_iter());
    let receipt = receive(&mut known, 0, &again, ChangedAnswerPolicy::KeepFirst);
    assert_eq!(receipt.outcome, Outcome::Duplicate);
}

#[test]
fn who_reads_numbers_again_and_again_pushes_nothing_out_that_was_done() {
    let mut submission = delivered();
    let replay = Replay { include_delivered: true, same_payload: false, at: at(1) };
    assert_eq!(submission.replay(replay), ActionOutcome::Done);
    for second in 0..2 * Document::AUDIT_MAX {
        assert_eq!(submission.reveal(at(second as i64)), ActionOutcome::Done);
    }
    let audit = &submission.document.audit;
    assert_eq!((audit.len(), &*audit[0].action), (Document::AUDIT_MAX, "replay"));
    assert_eq!(audit[1].at, at(101), "the first to go are the oldest");
    for second in 0..=Document::AUDIT_MAX {
        submission.document.note(at(second as i64), "replay", None);
    }
    let audit = &submission.document.audit;
    assert!(audit.iter().all(|it| it.action == "replay"), "{audit:?}");
    assert_eq!((audit.len(), audit[0].at), (Document::AUDIT_MAX, at(1)));
}

#[test]
fn what_other_settings_may_have_a_place_for_is_put_off_until_ten_minutes_after_its_last_answer() {
    let unmapped = Always(Mapping::unmapped("no survey"), UnknownResult::Retry);
    let claimed = |second: i64, settings_may_differ: bool| {
        let mut known = None;
        let extraction = Extraction { hung_up: true, ..Extraction::default() };
        receive(&mut known, 0, &Sent { second: 100, extraction }, ChangedAnswerPolicy::KeepFirst);
        let mut submission = known.unwrap();
        let context = ClaimContext { settings_may_differ, ..context(second, None) };
        let outcome = submission.claim(&context, &unmapped);
        assert!(matches!(outcome, ClaimOutcome::Unsent));
        assert_eq!(submission.violations(), Vec::<&str>::new());
        (submission.state, submission.due_at.as_second(), submission)
    };
    let dead = State::Dead(DeadReason::Unmapped);
    for (second, due_at) in [(100, 160), (160, 220), (639, 699), (690, 700)] {
        let (state, put_off_until, mut submission) = claimed(second, true);
        assert_eq!((state, put_off_until), (State::Pending, due_at));
        assert_eq!(claimed(second, false).0, dead, "no other process claims");
        let mapper = Always(feedback(), UnknownResult::Retry);
        let outcome = submission.claim(&context(due_at, None), &mapper);
        assert!(matches!(outcome, ClaimOutcome::Started(claim) if claim.attempts == 0));
    }
    assert_eq!(claimed(700, true).0, dead);
    assert_eq!(claimed(80, true).0, dead, "it was received by a clock that was put back since");
    assert_eq!(claimed(i64::from(u32::MAX), true).0, dead);
}

#[test]
fn an_answer_that_comes_during_each_attempt_counts_as_long_as_none_of_them_arrives() {
    let policy = ChangedAnswerPolicy::KeepLast;
    let answered = |second, score: &str| answers(second, [score.to_owned()].into_iter());
    let mut known = None;
    receive(&mut known, 0, &answered(0, "5"), policy);
    for (second, score) in [(100, "4"), (200, "2"), (300, "3")] {
        let submission = known.as_mut().unwrap();
        submission.claim(&context(second, None), &Always(feedback(), UnknownResult::Retry));
        receive(&mut known, 0, &answered(second + 1, score), policy);
        let submission = known.as_mut().unwrap();
        let retry = Decision::Retry { at: at(second + 10) };
        let refused = settlement(submission, Verdict::Unreachable, None, retry, second + 2);
        submission.settle(&refused);
        let counting = submission.answers().counting("score", &Quality(policy)).unwrap();
        assert_eq!(counting, &Answer::Given(score.to_owned()));
        assert_eq!(submission.violations(), Vec::<&str>::new());
    }
}
