//! Metrics of what callers answered: each declared answer, and ratings by the fields of a survey.

use postcall::settings::{Environment, Settings};

use crate::settings::AS_WRITTEN;
use crate::test_env::{Callback, SETTINGS, TOKEN, TestEnv};

/// `quick` is counted by its queue, and its rating has halves.
fn with_labels(settings: &str) -> String {
    settings
        .replace(
            "quick: { preset: plivo, account: main, survey: quick }",
            "quick: { preset: plivo, account: main, survey: quick, extract: { fields: { queue: \"query:queue\" } } }",
        )
        .replace(
            "quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score },",
            "quick: { questions: [{ name: score, answers: 1-9 }], fields: [queue], labels: [queue],
      rating: { question: score, scale: { from: [1, 9] } },",
        )
}

fn presses(test_env: &TestEnv, call: &str, digits: &str, queue: &str) {
    let body = format!("CallUUID={call}&Digits={digits}");
    let query = format!("queue={queue}");
    Callback::signed("quick", Some(&query), &body, TOKEN).send(test_env).assert_status(200);
}

#[test]
fn an_answer_is_counted_once_for_its_submission_and_a_changed_one_too() {
    let test_env = TestEnv::new();
    let ivr = test_env.caller("c-1").at("ivr");
    for digits in ["", "9", "2", "2", "3", "2"] {
        ivr.has_pressed(digits);
    }
    ivr.clone().asked("problem").has_pressed("1");
    test_env.until_it_is("c-1", "delivered");
    ivr.has_pressed("5");
    let figures = test_env.figures();
    for (question, answer, count) in [
        ("score", "1", 0.0),
        ("score", "2", 1.0),
        ("score", "3", 1.0),
        ("score", "5", 0.0),
        ("problem", "1", 1.0),
    ] {
        let series = format!(
            "answers_total{{answer=\"{answer}\",question=\"{question}\",survey=\"quality\"}}"
        );
        assert_eq!(figures.of(&series), count, "{series}");
    }
    assert_eq!(figures.of("answers_changed_total{survey=\"quality\"}"), 1.0);
    assert!(!test_env.ask("/metrics").text.contains("answer=\"9\""), "only declared answers");
}

#[test]
fn ratings_and_issues_are_counted_by_the_labels_of_their_survey() {
    let mut test_env = TestEnv::of(&with_labels(SETTINGS));
    test_env.start();
    presses(&test_env, "c-1", "2", "north");
    presses(&test_env, "c-2", "9", "south");
    test_env.until_it_is("c-1", "delivered");
    test_env.until_it_is("c-2", "delivered");
    let figures = test_env.figures();
    for (series, count) in [
        ("rating_bucket{queue=\"north\",survey=\"quick\",le=\"1\"}", 0.0),
        ("rating_bucket{queue=\"north\",survey=\"quick\",le=\"1.5\"}", 1.0),
        ("rating_sum{queue=\"south\",survey=\"quick\"}", 5.0),
        ("rating_count{queue=\"\",survey=\"quality\"}", 0.0),
        ("issues_total{issue=\"OTHERS\",queue=\"north\",survey=\"quick\"}", 1.0),
    ] {
        assert_eq!(figures.of(series), count, "{series}");
    }
}

#[test]
fn labels_that_change_while_it_runs_are_in_force_at_once() {
    let mut test_env = TestEnv::new();
    presses(&test_env, "c-1", "4", "north");
    test_env.until_it_is("c-1", "delivered");
    assert_eq!(test_env.figures().of("rating_count{survey=\"quick\"}"), 1.0);

    test_env.operator_rewrites(with_labels);
    test_env.reload();
    let figures = test_env.figures();
    assert_eq!(figures.of("settings_reloads_total{result=\"applied\"}"), 1.0);
    assert_eq!(figures.of("rating_count{queue=\"\",survey=\"quick\"}"), 0.0);
    presses(&test_env, "c-2", "7", "north");
    test_env.until_it_is("c-2", "delivered");
    assert_eq!(test_env.figures().of("rating_count{queue=\"north\",survey=\"quick\"}"), 1.0);
}

#[test]
fn labels_that_metrics_cannot_have_are_refused_with_their_line() {
    let settings = AS_WRITTEN.replace(
        "    questions:",
        "    fields: [queue, survey]\n    labels: [queue, qeue, survey]\n    questions:",
    );
    let environment: Environment = [("PLIVO_AUTH_TOKEN", "a token")].into_iter().collect();
    let error = Settings::from_yaml(&settings, environment).unwrap_err();
    insta::assert_snapshot!(error);
}
