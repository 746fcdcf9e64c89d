//! One submission comes of the webhooks of a call, whatever their order, their number, and the restarts
//! in between.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postcall::domain::{
    Answer, ExtractedAnswer, Extraction, IdempotencyKey, Method, Name, Webhook, WebhookId,
};
use postcall::store::ReceiveRequest;
use postcall::submission::{
    AnswerValidity, Answers, CompletionPolicy, Fact, FieldValue, Mapping, RecordedAnswer,
    SubmissionKey,
};
use postcall::survey::Survey;
use postcall::telemetry::WebhookOutcome;
use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use crate::store_contract::check;
use crate::test_env::Rounds;

/// Every way in which answers change, hang-ups end and surveys stay incomplete, at least once.
const SETTINGS: &str = r#"
public: { listen: "127.0.0.1:0", url: "https://surveys.example.com" }
admin: { listen: "127.0.0.1:0" }
store: { url: "sqlite:@folder@/store.db" }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { file: "@folder@/token" }, api: "@plivo@" }
sources:
  ivr: { preset: plivo, account: main, survey: first, extract: { fields: { campaign: query:campaign } } }
surveys:
  first:
    on_changed_answer: keep_first
    fields: [campaign]
    questions: &questions
      - { name: score, answers: 1-5 }
      - { name: problem, answers: 1-3, ask_when: "score < 5", opt_out: ["9"] }
      - { name: comment, text: 20, optional: true }
    rating: &rating { question: score }
    issues: &issues { question: problem, choices: [{ answer: 1, issue: ECHO }, { question: comment, keywords: [lag], issue: AUDIO_LAG }] }
    notes: &notes "{{ score }} {{ problem }} {{ comment }} {{ campaign }}"
    rules: &rules [{ when: "campaign == 'test'", ignore: "a test call" }]
    complete: { timeout: 120s, hangup_timeout: 5s, on_incomplete: send }
  last:
    { on_changed_answer: keep_last, fields: [campaign], questions: *questions, rating: *rating, issues: *issues, notes: *notes, rules: *rules,
      complete: { timeout: 60s, hangup_timeout: 5s, on_incomplete: ignore } }
  resend:
    { on_changed_answer: redeliver, fields: [campaign], questions: *questions, rating: *rating, issues: *issues, notes: *notes, rules: *rules,
      on_no_rating: { hang_up: dead }, complete: { timeout: 120s, on_incomplete: dead } }
  eager:
    { on_changed_answer: redeliver, fields: [campaign], questions: *questions, rating: *rating, issues: *issues, notes: *notes, rules: *rules,
      complete: { timeout: 20s, deadline: 40s, on_incomplete: send } }
delivery: { delay: 10s }
"#;

const SURVEYS: [&str; 4] = ["first", "last", "resend", "eager"];

/// Far more than any of these calls takes.
const ROUNDS_MAX: usize = 100;

/// When webhooks arrive, in seconds; then everything is due, and is delivered.
const SPOKEN: i64 = 30;

/// Webhooks of each call that come before the delivery, and those that come after it.
#[derive(Debug, Clone)]
struct Call {
    survey: &'static str,
    before: Vec<Spoken>,
    after: Vec<Spoken>,
}

/// One webhook of a call.
#[derive(Debug, Clone)]
struct Spoken {
    second: i64,
    said: Vec<(&'static str, &'static str)>,
    campaign: Option<&'static str>,
    hung_up: bool,
    opted_out: bool,
    /// Its sender has a name for it.
    named: bool,
    /// It never arrives.
    dropped: bool,
    repeated: bool,
}

/// In which order webhooks are kept, and after which the service crashes.
#[derive(Debug, Clone)]
struct Disorder {
    order: Vec<u32>,
    crashes: Vec<bool>,
}

#[test]
fn the_order_and_the_number_of_webhooks_and_restarts_in_between_change_nothing() {
    let calls = prop::collection::vec(call(), 1..6);
    check(24, (calls, disorder(), disorder()), |(calls, first, second)| {
        Rounds::play_with(
            |_| SETTINGS.to_owned(),
            async |rounds| {
                let began_at = rounds.now();
                let webhooks = webhooks(&calls, began_at, |call| &call.before);
                keep_all(rounds, webhooks, &first).await;
                everything_is_delivered(rounds).await;
                for (n, call) in calls.iter().enumerate() {
                    let survey = rounds.survey(call.survey);
                    assert_same(rounds, n);
                    if call.before.iter().any(|spoken| !spoken.dropped) {
                        let answers = heard(call, began_at, |call| &call.before);
                        assert_told(rounds, &in_order(n), &survey.map(&answers).mapping);
                    }
                }

                let last_at = rounds.now();
                let webhooks = self::webhooks(&calls, last_at, |call| &call.after);
                keep_all(rounds, webhooks, &second).await;
                everything_is_delivered(rounds).await;
                for (n, call) in calls.iter().enumerate() {
                    let survey = rounds.survey(call.survey);
                    let before = heard(call, began_at, |call| &call.before);
                    let mut all = before.clone();
                    hear(&mut all, call, last_at, |call| &call.after);
                    let changes = counting(&survey, &all) != counting(&survey, &before);
                    if !call.changes_are_sent() {
                        assert_same(rounds, n);
                    } else if changes {
                        assert_same(rounds, n);
                        assert_told(rounds, &in_order(n), &survey.map(&all).mapping);
                    } else {
                        assert_rated_alike(rounds, n);
                    }
                }
            },
        );
    });
}

/// The one question of `quick`, whose answers are sent again where they change.
fn quick_resends(settings: &str) -> String {
    settings.replace("quick: { questions", "quick: { on_changed_answer: redeliver, questions")
}

#[test]
fn an_answer_that_changes_after_its_delivery_is_delivered_again() {
    Rounds::play_with(quick_resends, async |rounds| {
        rounds.hears("quick", "c-1", "4").await;
        rounds.round().await;
        for (digits, outcome) in [
            ("4", WebhookOutcome::Duplicate),
            ("", WebhookOutcome::Late),
            ("2", WebhookOutcome::Updated),
            ("2", WebhookOutcome::Duplicate),
        ] {
            rounds.later(Duration::from_secs(60));
            assert_eq!(rounds.hears("quick", "c-1", digits).await, outcome, "{digits:?}");
        }
        rounds.round().await;
        let told = told(rounds, "c-1");
        assert_eq!([&told[0][0], &told[1][0]], [&Value::from(4), &Value::from(2)]);
        assert_eq!(told.len(), 2);
        assert_eq!(rounds.submission("c-1").state, "delivered");
        for (series, value) in [
            ("redeliveries_total{survey=\"quick\"}", 1.0),
            ("answers_changed_total{survey=\"quick\"}", 1.0),
            ("rating_count{survey=\"quick\"}", 1.0),
        ] {
            assert_eq!(rounds.figure(series), value, "{series}");
        }
    });
}

#[test]
fn an_answer_that_changes_while_it_is_delivered_is_delivered_again() {
    for crashes in [false, true] {
        Rounds::play_with(quick_resends, async |rounds| {
            rounds.hears("quick", "c-1", "4").await;
            rounds.sets_out().await.unwrap();
            rounds.later(Duration::from_secs(1));
            assert_eq!(rounds.hears("quick", "c-1", "2").await, WebhookOutcome::Updated);
            if crashes {
                rounds.crash();
                rounds.start();
            } else {
                rounds.comes_home().await.unwrap();
                assert_eq!(rounds.submission("c-1").state, "pending");
                assert_eq!(told(rounds, "c-1")[0][0], 4);
            }
            rounds.round().await;
            assert_eq!(rounds.submission("c-1").state, "delivered");
            assert_eq!(told(rounds, "c-1").last().unwrap()[0], 2);
        });
    }
}

#[test]
fn what_the_survey_made_of_a_call_is_kept_with_it() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "4").await;
        rounds.hears("quick", "c-2", "").await;
        rounds.hears_of("quick", Some("scroe"), "c-3", "4").await;
        rounds.round().await;
        for submission in rounds.store.submissions() {
            let trace = submission.document.trace.expect("a trace");
            let trace: Value = serde_json::from_str(trace.as_str()).unwrap();
            assert!(trace.is_object(), "{trace}");
        }
        assert_eq!(rounds.submission("c-3").state, "dead(unmapped)");
        let dead = "submissions_dead_total{reason=\"unmapped\",survey=\"quick\"}";
        assert_eq!(rounds.figure(dead), 1.0);
    });
}

fn call() -> impl Strategy<Value = Call> {
    let webhooks = || prop::collection::vec(spoken(), 0..5);
    (prop::sample::select(SURVEYS.to_vec()), webhooks(), webhooks())
        .prop_map(|(survey, before, after)| Call { survey, before, after })
}

fn spoken() -> impl Strategy<Value = Spoken> {
    let said = prop_oneof![
        4 => prop::sample::select(vec!["5", "4", "2", "7", ""]).prop_map(|text| vec![("score", text)]),
        2 => prop::sample::select(vec!["1", "2", "9", ""]).prop_map(|text| vec![("problem", text)]),
        1 => prop::sample::select(vec!["a lag", "fine"]).prop_map(|text| vec![("comment", text)]),
        1 => Just(vec![("score", "3"), ("problem", "1")]),
        1 => Just(vec![]),
    ];
    let campaign = prop::option::weighted(0.2, prop::sample::select(vec!["test", "spring"]));
    let marks = (prop::bool::weighted(0.1), prop::bool::weighted(0.05), any::<bool>());
    let fate = (prop::bool::weighted(0.2), prop::bool::weighted(0.4));
    (0..SPOKEN, said, campaign, marks, fate).prop_map(
        |(second, said, campaign, (hung_up, opted_out, named), (dropped, repeated))| Spoken {
            second,
            hung_up: hung_up || (said.is_empty() && !opted_out),
            said,
            campaign,
            opted_out,
            named,
            dropped,
            repeated,
        },
    )
}

fn disorder() -> impl Strategy<Value = Disorder> {
    (prop::collection::vec(any::<u32>(), 60), prop::collection::vec(prop::bool::weighted(0.05), 60))
        .prop_map(|(order, crashes)| Disorder { order, crashes })
}

/// The call whose webhooks are kept in their order, once each.
fn in_order(n: usize) -> String {
    format!("in-order-{n}")
}

/// Its twin, whose webhooks are not.
fn shuffled(n: usize) -> String {
    format!("shuffled-{n}")
}

impl Call {
    /// In the order of their arrival; those of the same second in the order in which they stand.
    fn arriving(&self, part: impl Fn(&Call) -> &Vec<Spoken>) -> Vec<Spoken> {
        let mut spoken: Vec<_> = part(self).iter().filter(|it| !it.dropped).cloned().collect();
        spoken.sort_by_key(|spoken| spoken.second);
        spoken
    }

    fn changes_are_sent(&self) -> bool {
        matches!(self.survey, "resend" | "eager")
    }
}

/// The webhooks of all calls: to be kept in their order, and to be shuffled.
struct Twins {
    orderly: Vec<(Spoken, Key)>,
    wild: Vec<(Spoken, Key)>,
}

fn webhooks(calls: &[Call], from: Timestamp, part: impl Fn(&Call) -> &Vec<Spoken>) -> Twins {
    let (mut orderly, mut wild) = (Vec::new(), Vec::new());
    for (n, call) in calls.iter().enumerate() {
        for (nth, spoken) in call.arriving(&part).into_iter().enumerate() {
            let at = from + Duration::from_secs(spoken.second as u64);
            let key = |call: String| Key { call, survey: calls[n].survey, at, nth };
            orderly.push((spoken.clone(), key(in_order(n))));
            wild.push((spoken.clone(), key(shuffled(n))));
            if spoken.repeated {
                wild.push((spoken, key(shuffled(n))));
            }
        }
    }
    Twins { orderly, wild }
}

/// Which webhook it is.
#[derive(Clone)]
struct Key {
    call: String,
    survey: &'static str,
    at: Timestamp,
    nth: usize,
}

impl Key {
    /// Later ones have later ids.
    fn webhook(&self) -> WebhookId {
        let micros = u128::try_from(self.at.as_microsecond()).unwrap();
        WebhookId(Uuid::from_u128((micros << 32) + self.nth as u128))
    }
}

async fn keep_all(rounds: &mut Rounds, Twins { orderly, mut wild }: Twins, disorder: &Disorder) {
    for (spoken, key) in orderly {
        rounds.keeps(request(rounds, &spoken, &key)).await;
    }
    let mut places = disorder.order.iter().cycle();
    wild.sort_by_cached_key(|_| places.next());
    for ((spoken, key), crash) in wild.into_iter().zip(disorder.crashes.iter().cycle()) {
        rounds.keeps(request(rounds, &spoken, &key)).await;
        if *crash {
            rounds.crash();
            rounds.start();
        }
    }
}

async fn everything_is_delivered(rounds: &mut Rounds) {
    rounds.later(Duration::from_secs(600));
    // A round takes up no more than may be under way at once.
    for _ in 0..ROUNDS_MAX {
        if rounds.round().await.is_none() && rounds.store.totals().waiting() == 0 {
            break;
        }
    }
    assert_eq!(rounds.store.totals().waiting(), 0);
    assert!(rounds.store.totals().balance());
}

fn request(rounds: &Rounds, spoken: &Spoken, key: &Key) -> ReceiveRequest {
    let webhook = Webhook {
        id: key.webhook(),
        method: Method::Post,
        path: "/hooks/ivr".to_owned(),
        query: None,
        headers: Default::default(),
        body: Vec::new(),
        received_at: key.at,
    };
    let id = format!("{}-{}", key.call, key.webhook().0);
    ReceiveRequest {
        webhook,
        source: "ivr".parse().unwrap(),
        key: SubmissionKey {
            account: "main".parse().unwrap(),
            survey: key.survey.parse().unwrap(),
            call: key.call.parse().unwrap(),
        },
        extraction: spoken.extraction(),
        trace: None,
        idempotency_key: spoken.named.then_some(IdempotencyKey {
            id,
            digest: [0; 32],
            expires: true,
        }),
        policy: rounds.survey(key.survey),
    }
}

impl Spoken {
    fn extraction(&self) -> Extraction {
        let answers = self.said.iter().map(|(question, text)| extracted(question, text)).collect();
        let fields =
            self.campaign.map(|value| (campaign(), value.to_owned())).into_iter().collect();
        Extraction { answers, fields, hung_up: self.hung_up, opted_out: self.opted_out }
    }
}

fn extracted(question: &str, text: &str) -> ExtractedAnswer {
    let answer = if text.is_empty() { Answer::Silence } else { Answer::Given(text.to_owned()) };
    ExtractedAnswer { question: question.to_owned(), answer, reader: "form:Digits".to_owned() }
}

fn campaign() -> Name {
    "campaign".parse().unwrap()
}

/// What is known of a call where all of this was heard, worked out without a store.
fn heard(call: &Call, from: Timestamp, part: impl Fn(&Call) -> &Vec<Spoken>) -> Answers {
    let mut answers = Answers::default();
    hear(&mut answers, call, from, part);
    answers
}

fn hear(answers: &mut Answers, call: &Call, from: Timestamp, part: impl Fn(&Call) -> &Vec<Spoken>) {
    for (nth, spoken) in call.arriving(part).into_iter().enumerate() {
        let at = from + Duration::from_secs(spoken.second as u64);
        let webhook = Key { call: String::new(), survey: call.survey, at, nth }.webhook();
        for extracted in spoken.extraction().answers {
            answers.record(RecordedAnswer::new(extracted, at, webhook));
        }
        if let Some(value) = spoken.campaign {
            let value = FieldValue { value: value.to_owned(), received_at: at, webhook };
            answers.set_field(campaign(), value);
        }
        let fact = Fact { received_at: at, webhook };
        if spoken.hung_up {
            answers.hang_up(fact);
        }
        if spoken.opted_out {
            answers.opt_out(fact);
        }
    }
}

/// The answers in their domains that count.
fn counting(survey: &Arc<Survey>, answers: &Answers) -> Vec<Option<Answer>> {
    let of_question = |question: &Name| {
        let standing = |answer: &Answer| survey.validity(question.as_str(), answer);
        let (said, standing) =
            answers.best(question.as_str(), standing, survey.changed_answers())?;
        (standing == AnswerValidity::InDomain).then(|| said.answer.clone())
    };
    survey.questions().map(of_question).collect()
}

/// Both twins came to the same, and Plivo heard the same about them.
#[track_caller]
fn assert_same(rounds: &Rounds, n: usize) {
    let of = |call: String| {
        let submission = rounds.store.submission(&call);
        let shown = submission.map(|it| (it.state, it.detail, it.due_at, it.feedback));
        (shown, told(rounds, &call))
    };
    assert_eq!(of(shuffled(n)), of(in_order(n)), "call {n}");
}

/// Where answers change and change back after the delivery, the order decides whether what was told
/// is told once more; never what is told.
#[track_caller]
fn assert_rated_alike(rounds: &Rounds, n: usize) {
    let of = |call: String| told(rounds, &call).last().map(|told| told[0].clone());
    assert_eq!(of(shuffled(n)), of(in_order(n)), "call {n}");
}

/// What Plivo was told last is what the answers come to; where they come to nothing, the store
/// says why.
#[track_caller]
fn assert_told(rounds: &Rounds, call: &str, mapping: &Mapping) {
    let state = rounds.submission(call).state;
    match mapping {
        Mapping::Ignore { reason, .. } => assert_eq!(state, format!("ignored({})", reason.label())),
        Mapping::Dead { reason, .. } => assert_eq!(state, format!("dead({})", reason.label())),
        Mapping::Feedback(feedback) => {
            assert_eq!(state, "delivered");
            let told = told(rounds, call).pop().expect("Plivo was told");
            assert_eq!(told[0].as_f64(), Some(feedback.rating().value()));
            let issues: Vec<_> = feedback.issues().map(|issue| issue.name()).collect();
            assert_eq!(told[1], Value::from(issues));
            assert_eq!(told[2].as_str(), feedback.notes());
        }
    }
}

/// Rating, issues and notes of each feedback, in the order in which Plivo heard it.
fn told(rounds: &Rounds, call: &str) -> Vec<[Value; 3]> {
    let heard = rounds.plivo.heard_about(call).into_iter();
    heard.map(|told| ["rating", "issues", "notes"].map(|key| told[key].clone())).collect()
}
