//! What is said of a survey that does not come out: one slip of every kind, as an operator makes
//! it in the settings.

use std::fmt::Write as _;

use postcall::settings::{Environment, Settings, SettingsError};

const SETTINGS: &str = r#"
public: { url: https://surveys.example.com }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: made-up-auth-token } }
sources:
  ivr: { preset: plivo, account: main, survey: quality, extract: { fields: { campaign: query:campaign } } }
surveys:
  quality:
    fields: [campaign]
    questions:
      - { name: score, choices: [Good, Fair, Bad] }
      - { name: problem, answers: 1-3, multiple: true, ask_when: "score != 'Good'" }
      - { name: solved, yes_no: { yes: ["1"], no: ["2"] }, opt_out: ["9"] }
      - { name: nps, number: [0, 10], optional: true }
      - { name: comment, text: 500, optional: true }
    rating:
      question: score
      table:
        - { answer: Good, rating: 5 }
        - { answer: Fair, rating: 3 }
        - { answer: Bad, rating: 1 }
    issues:
      question: problem
      choices:
        - { answer: 1, issue: ECHO }
        - { answer: 2, issue: ONE_WAY_AUDIO }
        - { question: comment, keywords: [echo, "hear myself"], issue: ECHO }
      default: [OTHERS]
    rules:
      - { when: "campaign == 'test'", ignore: "test call" }
      - { when: "score == 'Bad' and solved == 'no'", rating: 1, issues: [CALL_DROPPED] }
      - { when: "nps >= 9 and score == 'Fair'", rating: 4.5, notes: "a promoter: {{ nps }}" }
    notes: "{{ score }}{% if problem %}, problem {{ problem }}{% endif %}"
    complete: { timeout: 90s, hangup_timeout: 5s, deadline: 12h, on_incomplete: send }
    on_changed_answer: keep_last
    on_no_rating: { opt_out: dead }
"#;

#[test]
fn a_survey_with_everything_loads() {
    load(SETTINGS).unwrap();
}

#[test]
fn an_answer_without_a_rating_or_with_two_is_told() {
    let row = "- { answer: Bad, rating: 1 }";
    insta::assert_snapshot!(told([
        (row, "# a gap"),
        (row, "- { answer: good, rating: 1 }\n        - { answer: Bad, rating: 2 }"),
        (row, "- { answer: Bad, rating: 1 }\n        - { answer: Worse, rating: 1 }"),
        (row, "- { answer: Bad, rating: 0 }"),
        ("{ answer: Good, rating: 5 }", "{ answer: Good, rating: 2 }"),
    ]));
}

#[test]
fn an_issue_that_is_wrong_or_missing_is_told() {
    insta::assert_snapshot!(told([
        ("issue: ONE_WAY_AUDIO", "issue: ONE_WAY"),
        ("default: [OTHERS]", "default: []"),
        ("rating: 1, issues: [CALL_DROPPED]", "rating: 1, issues: []"),
        ("{ answer: 2, issue", "{ answer: 1, issue"),
        ("{ answer: 2, issue", "{ answer: 4, issue"),
        ("[echo, \"hear myself\"]", "[\"…\"]"),
        ("question: comment, keywords", "question: coment, keywords"),
        ("keywords: [echo, \"hear myself\"]", "answer: echo"),
        ("keywords: [echo", "answer: 1, keywords: [echo"),
    ]));
}

#[test]
fn a_rule_that_says_nothing_or_is_never_heard_is_told() {
    let rule = "rating: 1, issues: [CALL_DROPPED] }";
    let twice =
        format!("{rule}\n      - {{ when: \"solved == 'no' and score == 'Bad'\", rating: 2 }}");
    insta::assert_snapshot!(told([
        (rule, twice.as_str()),
        ("nps >= 9 and", "nps > 10 and"),
        ("ignore: \"test call\"", "ignore: \"test call\", rating: 5"),
        (", ignore: \"test call\"", ""),
        ("when: \"campaign == 'test'\", ", ""),
        ("rating: 4.5", "rating: 5.5"),
        ("score != 'Good'", "score == 'good'"),
        ("score != 'Good'", "score == 'Good' and score == 'Bad'"),
    ]));
}

#[test]
fn an_expression_that_is_wrong_is_told() {
    let condition = "score == 'Bad' and solved == 'no'";
    insta::assert_snapshot!(told([
        (condition, "scroe == 'Bad'"),
        (condition, "score = 'Bad'"),
        (condition, "score == 'Bad' and"),
        (condition, "answered.campaign"),
        (condition, "10 / nps > 3"),
        (condition, "campaign | int > 3"),
        ("score != 'Good'", "1 in problem"),
        ("promoter: {{ nps }}", "promoter: {{ npss }}"),
        ("promoter: {{ nps }}", "promoter: {{ 1 / (nps - 10) }}"),
        ("{{ score }}{%", "{{ score }{%"),
    ]));
}

#[test]
fn a_question_that_nobody_can_answer_is_told() {
    let nps = "number: [0, 10]";
    insta::assert_snapshot!(told([
        (nps, "number: [10, 0]"),
        (nps, "number: [0, 10], answers: 1-5"),
        ("number: [0, 10], ", ""),
        (nps, "number: 10"),
        (nps, "number: [0, 1000000]"),
        (nps, "number: [0, 10], multiple: true"),
        (nps, "text: 0"),
        ("answers: 1-3, multiple: true", "answers: 1-11, multiple: true"),
        ("choices: [Good, Fair, Bad]", "choices: [Good, good., Bad]"),
        ("yes_no: { yes: [\"1\"], no: [\"2\"] }", "yes_no: { yes: [\"1\"], no: [\"1\"] }"),
        ("yes_no: { yes: [\"1\"], no: [\"2\"] }", "yes_no: false"),
        ("opt_out: [\"9\"]", "opt_out: [\"1\"]"),
        ("name: nps", "name: answered"),
        ("fields: [campaign]", "fields: [campaign, score]"),
        ("on_changed_answer: keep_last", "on_changed_answer: never"),
        ("opt_out: dead", "opt_outs: dead"),
    ]));
}

fn load(text: &str) -> Result<Settings, SettingsError> {
    Settings::from_yaml(text, Environment::default())
}

/// The settings, wrong in one place, and what is said of it.
fn told<'a>(wrongs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut told = String::new();
    for (right, wrong) in wrongs {
        assert!(SETTINGS.contains(right), "{right}");
        let faults = match load(&SETTINGS.replacen(right, wrong, 1)) {
            Err(error @ SettingsError::Faults(_)) => error.to_string(),
            other => panic!("faults were expected of {wrong}\n{other:?}"),
        };
        writeln!(told, "{right} → {wrong}\n    {}", faults.replace('\n', "\n    ")).unwrap();
    }
    told
}
