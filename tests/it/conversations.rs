//! Conversations of several webhooks: with callers that are led from question to question, with senders
//! that edit, that say one thing at a time, that hang up, and that say what is none of ours.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::test_env::{Callback, TOKEN, TestEnv};
use crate::wire::{Reply, exchange, request};

const SETTINGS: &str = r#"
public: { listen: "127.0.0.1:0", url: "https://surveys.example.com" }
admin: { listen: "127.0.0.1:0" }
store: { url: "sqlite:@folder@/store.db" }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { file: "@folder@/token" }, api: "@plivo@" }
sources:
  led:
    preset: plivo
    account: main
    survey: led
    on_reject: reply
    replies:
      - when: not answered.score
        xml: '<Response><GetInput action="{{ url }}?question=score" redirect="true"><Speak>How was it?</Speak></GetInput></Response>'
      - when: score < 5 and not answered.problem
        xml: '<Response><GetInput action="{{ url }}?question=problem&amp;score={{ score }}" redirect="true"><Speak>What was wrong?</Speak></GetInput></Response>'
      - xml: '<Response><Speak>Thank you.</Speak></Response>'
  edits: { preset: delighted, account: main, survey: edits, signature: none }
  piecemeal: { preset: genesys, account: main, survey: led, signature: none }
  web: { preset: generic-json, account: main, survey: led, signature: { hmac: { header: X-Signature, secret: { value: a-made-up-secret } } } }
  undecided: { preset: plivo, account: main, survey: undecided }
  timed: { preset: jambonz, account: main, survey: undecided, signature: { hmac: { secret: { value: a-made-up-secret } } } }
surveys:
  undecided: { questions: [{ name: score, answers: 1-5 }], rating: { question: score }, on_changed_answer: redeliver }
  led:
    questions: [{ name: score, answers: 1-5 }, { name: problem, answers: 1-2, ask_when: "score < 5" }]
    rating: { question: score }
    issues: { question: problem, choices: [{ answer: 1, issue: ECHO }, { answer: 2, issue: AUDIO_LAG }] }
    complete: { timeout: 1h, hangup_timeout: 0s }
  edits:
    questions: [{ name: score, number: [0, 10] }, { name: comment, text: 100, optional: true }]
    rating: { question: score, scale: { from: [0, 10], round: half } }
    issues: { choices: [{ question: comment, keywords: [echo], issue: ECHO }] }
    on_changed_answer: redeliver
delivery: { delay: 0s }
shutdown: { drain_delay: 0s }
"#;

fn test_env() -> TestEnv {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.start();
    test_env
}

#[test]
fn a_caller_is_led_from_question_to_question() {
    let test_env = test_env();
    let caller = test_env.caller("c-1").at("led");
    let asked_again = caller.clone().asked("score").presses("9");
    let url = "https://surveys.example.com/hooks/led";
    assert!(
        asked_again.text.contains(&format!("\"{url}?question=score\"")),
        "{}",
        asked_again.text
    );
    let next = caller.clone().asked("score").presses("2");
    assert_eq!(next.header("content-type"), Some("application/xml"));
    assert!(
        next.text.contains(&format!("\"{url}?question=problem&amp;score=2\"")),
        "{}",
        next.text
    );
    let goodbye = caller.clone().asked("problem").presses("1");
    assert!(goodbye.text.contains("Thank you."));
    test_env.until_it_is("c-1", "delivered");
    assert_eq!(test_env.plivo.heard_about("c-1")[0]["issues"], json!(["ECHO"]));
    let repeat = caller.asked("problem").presses("1");
    assert_eq!(repeat.text, goodbye.text);

    let content = test_env.caller("c-2").at("led").asked("score").presses("5");
    assert!(content.text.contains("Thank you."), "nothing was wrong");
    test_env.until_it_is("c-2", "delivered");
    let refused = test_env.caller("c-3").at("led").signed_with("another").presses("5");
    refused.assert_status(200);
    assert_eq!((&refused.text, refused.header("postcall-submission")), (&goodbye.text, None));
}

#[test]
fn a_call_that_was_hung_up_is_not_waited_for() {
    let test_env = test_env();
    let hangs_up = |call: &str| {
        let body = format!("CallUUID={call}&HangupCause=NORMAL_CLEARING&CallStatus=completed");
        Callback::signed("led", None, &body, TOKEN).send(&test_env)
    };
    assert_eq!(hangs_up("c-1").header("postcall-outcome"), Some("created"));
    test_env.until_it_is("c-1", "ignored(hang_up)");
    test_env.caller("c-2").at("led").has_pressed("3");
    assert_eq!(hangs_up("c-2").header("postcall-outcome"), Some("updated"));
    test_env.until_it_is("c-2", "delivered");
    assert_eq!(hangs_up("c-2").header("postcall-outcome"), Some("duplicate"));
    let ignored = "submissions_ignored_total{reason=\"hang_up\",survey=\"led\"}";
    assert_eq!(test_env.figures().of(ignored), 1.0);
}

#[test]
fn a_sender_that_edits_is_heard_again() {
    let test_env = test_env();
    let edited = |kind: &str, score: u8, comment: Value| {
        let data = json!({
            "id": "5435", "score": score, "comment": comment,
            "person_properties": { "call_uuid": "c-1" },
        });
        post(&test_env, "edits", json!({ "event_type": kind, "event_data": data }), &[])
    };
    let created = edited("survey_response.created", 9, Value::Null);
    assert_eq!(created.header("postcall-outcome"), Some("created"));
    test_env.until_it_is("c-1", "delivered");
    let updated = edited("survey_response.updated", 5, json!("an echo at times"));
    assert_eq!(updated.header("postcall-outcome"), Some("updated"));
    test_env.until("both are heard", || test_env.plivo.heard_about("c-1").len() == 2);
    let told = test_env.plivo.heard_about("c-1");
    assert_eq!([&told[0]["rating"], &told[1]["rating"]], [&json!(4.5), &json!(3)]);
    assert_eq!(told[1]["issues"], json!(["ECHO"]));
    test_env.until_it_is("c-1", "delivered");
    assert_eq!(test_env.figures().of("redeliveries_total{survey=\"edits\"}"), 1.0);
}

#[test]
fn a_callback_that_is_replayed_brings_no_earlier_answer_back() {
    let test_env = test_env();
    let caller = test_env.caller("c-1").at("undecided");
    let ratings = || -> Vec<Value> {
        test_env.plivo.heard_about("c-1").iter().map(|told| told["rating"].clone()).collect()
    };
    let first = caller.callback("4");
    assert_eq!(first.send(&test_env).header("postcall-outcome"), Some("created"));
    test_env.until("the first answer is heard", || ratings() == [4]);
    caller.has_pressed("2");
    test_env.until("the second is heard", || ratings() == [4, 2]);
    assert_eq!(first.send(&test_env).header("postcall-outcome"), Some("duplicate"));
    caller.has_pressed("4");
    test_env.until("the caller, not the replay, is heard", || ratings() == [4, 2, 4]);
}

/// Between the last field and the nonce Plivo signs a dot, and so may the field's own value.
#[test]
fn a_value_that_is_moved_into_the_nonce_is_refused_and_no_answer_comes_back() {
    let test_env = test_env();
    let ratings = || -> Vec<Value> {
        test_env.plivo.heard_about("c-1").iter().map(|told| told["rating"].clone()).collect()
    };
    let pressed = |digits: &str| {
        let body = format!("CallUUID=c-1&Digits={digits}&X-PH-Via=sip.example.com");
        Callback::signed("undecided", None, &body, TOKEN)
    };
    let captured = pressed("2");
    assert_eq!(captured.send(&test_env).header("postcall-outcome"), Some("created"));
    test_env.until("the first answer is heard", || ratings() == [2]);
    assert_eq!(pressed("5").send(&test_env).header("postcall-outcome"), Some("updated"));
    test_env.until("the second is heard", || ratings() == [2, 5]);
    for tail in [".com", ".example.com"] {
        let mut moved = pressed("2");
        moved.headers = captured.headers.clone();
        let body = str::from_utf8(&captured.body).unwrap();
        moved.body = body.strip_suffix(tail).unwrap().as_bytes().to_vec();
        let (_, nonce) = moved.headers.last_mut().unwrap();
        *nonce = format!("{}.{nonce}", &tail[1..]);
        let refused = moved.send(&test_env);
        refused.assert_status(401);
        assert!(refused.text.contains("separator"), "{}", refused.text);
    }
    test_env.caller("c-2").at("undecided").has_pressed("5");
    test_env.until_it_is("c-2", "delivered");
    assert_eq!(ratings(), [2, 5]);
    let refused = "webhook_rejections_total{reason=\"signature_id\",source=\"undecided\"}";
    assert_eq!(test_env.figures().of(refused), 2.0);
}

/// Its signature covers the time, and no id.
#[test]
fn a_timed_webhook_that_is_replayed_brings_no_earlier_answer_back() {
    let test_env = test_env();
    let signed = |digits: &str| {
        let body = json!({ "customerData": { "call_uuid": "c-1" }, "digits": digits }).to_string();
        let now = jiff::Timestamp::now().as_second();
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a-made-up-secret").unwrap();
        mac.update(format!("{now}.{body}").as_bytes());
        let signature = format!("t={now},v1={}", HEXLOWER.encode(&mac.finalize().into_bytes()));
        (body, signature)
    };
    let send = |(body, signature): &(String, String)| {
        let headers =
            [("content-type", "application/json"), ("jambonz-signature", signature.as_str())];
        let reply = exchange(
            test_env.public(),
            &request("POST", "/hooks/timed", &headers, body.as_bytes()),
        );
        reply.header("postcall-outcome").map(str::to_owned)
    };
    let outcome = |outcome: &str| Some(outcome.to_owned());
    let (captured, changed) = (signed("2"), signed("4"));
    assert_eq!(send(&captured), outcome("created"));
    assert_eq!(send(&changed), outcome("updated"));
    assert_eq!(send(&captured), outcome("duplicate"));
    let relisted = captured.1.replace(",v1=", ",v1=00,v1=");
    assert_eq!(send(&(captured.0, relisted)), outcome("duplicate"));
}

#[test]
fn what_is_none_of_ours_is_thanked_for_and_kept_nowhere() {
    let test_env = test_env();
    let skipped = post(&test_env, "edits", json!({ "event_type": "unsubscribe.created" }), &[]);
    skipped.assert_status(200);
    assert_eq!(skipped.header("postcall-outcome"), Some("skipped"));
    assert_eq!(skipped.header("postcall-submission"), None);
    assert!(test_env.store.is_empty());
    let figures = test_env.figures();
    assert_eq!(figures.of("webhooks_total{outcome=\"skipped\",source=\"edits\"}"), 1.0);
}

#[test]
fn a_sender_that_posts_one_answer_at_a_time_makes_one_submission() {
    let test_env = test_env();
    let posts = |question: &str, answer: &str| {
        let body = json!({ "callUuid": "c-1", "questionId": question, "answer": answer });
        post(&test_env, "piecemeal", body, &[])
    };
    assert_eq!(posts("problem", "2").header("postcall-outcome"), Some("created"));
    assert_eq!(posts("problem", "2").header("postcall-outcome"), Some("duplicate"));
    assert_eq!(test_env.store.submission("c-1").unwrap().state, "collecting");
    assert_eq!(posts("score", "4").header("postcall-outcome"), Some("updated"));
    test_env.until_it_is("c-1", "delivered");
    let told = test_env.plivo.heard_about("c-1");
    assert_eq!((told.len(), &told[0]["issues"]), (1, &json!(["AUDIO_LAG"])));
}

#[test]
fn a_known_id_is_a_repeat_with_the_same_bytes_and_refused_with_others() {
    let mut test_env = test_env();
    let posts = |test_env: &TestEnv, score: &str| {
        let body =
            json!({ "event_id": "evt-1", "call_uuid": "c-1", "answers": { "score": score } });
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a-made-up-secret").unwrap();
        mac.update(body.to_string().as_bytes());
        let signature = HEXLOWER.encode(&mac.finalize().into_bytes());
        post(test_env, "web", body, &[("x-signature", &signature)])
    };
    assert_eq!(posts(&test_env, "5").header("postcall-outcome"), Some("created"));
    test_env.until_it_is("c-1", "delivered");
    test_env.restart();
    assert_eq!(posts(&test_env, "5").header("postcall-outcome"), Some("duplicate"));
    posts(&test_env, "1").assert_status(401);
    let refused = "webhook_rejections_total{reason=\"signature_reused\",source=\"web\"}";
    assert_eq!(test_env.figures().of(refused), 1.0);
    assert_eq!(test_env.store.count("webhooks"), 1);
}

fn post(test_env: &TestEnv, source: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
    let headers = [&[("content-type", "application/json")], headers].concat();
    let target = format!("/hooks/{source}");
    exchange(test_env.public(), &request("POST", &target, &headers, body.to_string().as_bytes()))
}
