//! What it costs to make feedback of one call's answers: conditions, rules, mentions and notes
//! included. The store's thread does it for every submission, within the transaction that starts its attempt.
//!
//! `cargo bench --bench mapping` prints the median of many rounds, and fails above the bound.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use postcall::domain::{Answer, ExtractedAnswer, WebhookId};
use postcall::settings::{Environment, Settings};
use postcall::submission::{Answers, FieldValue, Mapping, RecordedAnswer};
use postcall::survey::Survey;
use uuid::Uuid;

/// What one mapping may cost at the median.
const BOUND: Duration = Duration::from_micros(20);
const ROUNDS: usize = 500;
const MAPPINGS_PER_ROUND: u32 = 200;

const SETTINGS: &str = r#"
public: { url: https://surveys.example.com }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: made-up-auth-token } }
sources:
  ivr:
    preset: plivo
    account: main
    survey: quality
    extract: { fields: { from: form:From, campaign: query:campaign } }
surveys:
  quality:
    fields: [from, campaign]
    questions:
      - { name: score, answers: 1-5 }
      - { name: problem, answers: 1-5, multiple: true, ask_when: "score < 5" }
      - { name: solved, yes_no: { yes: ["1"], no: ["2"] }, optional: true }
      - { name: comment, text: 1000, optional: true }
    rating: { question: score }
    issues:
      question: problem
      choices:
        - { answer: 1, issue: ECHO }
        - { answer: 2, issue: ONE_WAY_AUDIO }
        - { answer: 3, issue: CALL_DROPPED }
        - { question: comment, keywords: [echo, "hear myself"], issue: ECHO }
        - { question: comment, keywords: [robot, robotic, metallic], issue: ROBOTIC_AUDIO }
      default: [OTHERS]
    rules:
      - { when: "campaign == 'test' or from in ['+10000000001', '+10000000002']", ignore: "test call" }
      - { when: "score <= 2 and solved == 'no' and problem == [3]", rating: 1, issues: [CALL_DROPPED] }
      - { when: "not answered.score and solved == 'no'", rating: 2 }
    notes: "IVR survey: {{ score }} of 5{% if comment %}, \"{{ comment }}\"{% endif %} from {{ from }}"
"#;

fn main() -> anyhow::Result<ExitCode> {
    let settings = Settings::from_yaml(SETTINGS, Environment::default())?;
    let survey = settings.surveys.get("quality").context("the survey is there")?;
    let answers = answers()?;
    let mapped = survey.map(&answers);
    ensure!(matches!(mapped.mapping, Mapping::Feedback(_)), "{:?}", mapped.mapping);
    print!("{}", mapped.trace);

    let mut rounds: Vec<Duration> = (0..ROUNDS).map(|_| round(survey, &answers)).collect();
    rounds.sort_unstable();
    let median = rounds[ROUNDS / 2];
    println!("one mapping: {median:?} at the median, {:?} at the slowest", rounds[ROUNDS - 1]);
    if median > BOUND {
        println!("that is more than {BOUND:?}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// What one mapping takes, over a round.
fn round(survey: &Survey, answers: &Answers) -> Duration {
    let begun = Instant::now();
    for _ in 0..MAPPINGS_PER_ROUND {
        black_box(survey.map(black_box(answers)));
    }
    begun.elapsed() / MAPPINGS_PER_ROUND
}

/// A caller who was first silent, pressed two keys for what was wrong, and told of it.
fn answers() -> anyhow::Result<Answers> {
    let mut answers = Answers::default();
    for (second, question, answer) in [
        (1, "score", None),
        (2, "score", Some("2")),
        (3, "problem", Some("31")),
        (4, "solved", Some("2")),
        (5, "comment", Some("There was an echo, and after ten minutes the line went dead.")),
    ] {
        let extracted = ExtractedAnswer {
            question: question.to_owned(),
            answer: answer.map_or(Answer::Silence, |answer| Answer::Given(answer.to_owned())),
            reader: "form:Digits".to_owned(),
        };
        answers.record(RecordedAnswer::new(
            extracted,
            Timestamp::from_second(second)?,
            WebhookId(Uuid::nil()),
        ));
    }
    for (field, value) in [("from", "+491701234567"), ("campaign", "spring")] {
        let received_at = Timestamp::from_second(1)?;
        let webhook = WebhookId(Uuid::nil());
        let value = FieldValue { value: value.to_owned(), received_at, webhook };
        answers.set_field(field.parse()?, value);
    }
    Ok(answers)
}
