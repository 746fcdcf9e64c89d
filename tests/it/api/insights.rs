//! What callers say, as figures.

use serde_json::{Value, json};

use crate::console::insights::with_calls;
use crate::console::page;

fn near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
}

#[test]
fn insights_of_the_api_are_those_of_the_page_and_its_csv() {
    let test_env = with_calls();
    let found = test_env.got("/insights?survey=quick&by=campaign&days=7");
    assert_eq!((&found["settled"], &found["waiting"]), (&json!(5), &json!(0)));
    assert_eq!((&found["rated"]["k"], &found["rated"]["n"]), (&json!(4), &json!(5)));
    assert_eq!((&found["low"]["k"], &found["low"]["n"]), (&json!(2), &json!(4)));
    near(&found["low"]["share"], 0.5);
    // Wilson's, of 2 of 4.
    near(&found["low"]["interval"]["low"], 0.15004);
    near(&found["low"]["interval"]["high"], 0.84996);
    assert_eq!(found["low_before"]["share"], Value::Null, "of none");
    assert_eq!((&found["change"], &found["mean"]), (&Value::Null, &Value::Null), "of too few");
    let days = found["days"].as_array().unwrap();
    assert_eq!(days.len(), 7);
    assert_eq!((&days[0]["day"], &days[6]["day"]), (&found["from"], &found["to"]));
    assert_eq!(days[6]["low"], found["low"]);
    assert_eq!(found["fields"], json!(["campaign"]));
    let issues = found["issues"].as_array().unwrap();
    assert_eq!(issues.len(), 1);
    assert_eq!((&issues[0]["issue"], &issues[0]["origin"]), (&json!("OTHERS"), &json!("default")));
    assert_eq!((&issues[0]["share"]["k"], &issues[0]["share"]["n"]), (&json!(3), &json!(4)));
    let values: Vec<_> = found["values"].as_array().unwrap().iter().collect();
    let of = |at: usize| (&values[at]["value"], &values[at]["low"]["k"], &values[at]["low"]["n"]);
    assert_eq!(of(0), (&json!("autumn"), &json!(2), &json!(3)));
    assert_eq!(of(1), (&json!("spring"), &json!(0), &json!(1)));
    assert_eq!(found["other_values"]["values"], json!(0));

    let csv = page(&test_env, "/console/insights.csv?survey=quick&by=campaign&days=7", "").text;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = found["tallies"].as_array().unwrap().iter().map(|it| {
        let issues: Vec<_> = it["issues"].as_array().unwrap().iter().map(text).collect();
        let rating = it["rating"].as_f64().map(|rating| rating.to_string()).unwrap_or_default();
        let (day, value, state) = (text(&it["day"]), text(&it["value"]), text(&it["state"]));
        let (reason, origin) = (text(&it["reason"]), text(&it["origin"]));
        let issues = issues.join(" ");
        format!("{day},{value},{state},{reason},{rating},{issues},{origin},{}", it["n"])
    });
    assert_eq!(lines.collect::<Vec<_>>(), csv.lines().skip(1).collect::<Vec<_>>());
    let all = test_env.got("/insights");
    assert_eq!((&all["settled"], &all["tallies"][0]["value"]), (&json!(6), &Value::Null));
    assert_eq!(all["days"].as_array().unwrap().len(), 30);
}

#[test]
fn insights_of_the_api_name_the_changes_of_the_rules() {
    let mut test_env = with_calls();
    let recorded = |test_env: &crate::test_env::TestEnv, revisions: u64| {
        test_env.until("it is recorded", || test_env.store.count("survey_revisions") == revisions);
    };
    recorded(&test_env, 2);
    assert_eq!(test_env.got("/insights")["changes"], json!([]));
    test_env.operator_rewrites(|settings| settings.replace("answers: 1-3", "answers: 1-4"));
    test_env.reload();
    recorded(&test_env, 3);
    let changes = &test_env.got("/insights")["changes"];
    assert_eq!((changes.as_array().unwrap().len(), &changes[0]["survey"]), (1, &json!("quality")));
    assert_eq!(test_env.got("/insights?survey=quick")["changes"], json!([]));
}

#[test]
fn insights_that_are_asked_of_the_api_wrongly_are_refused() {
    let test_env = with_calls();
    for wrong in
        ["days=0", "days=401", "days=%2B7", "days=x", "days=", "survey=", "survey=A", "by=a%20b"]
    {
        test_env.get(&format!("/insights?{wrong}")).assert_status(400);
    }
    let unknown = test_env.get("/insights?since=24h");
    unknown.assert_status(400);
    assert!(unknown.text.contains("known here: survey, account, by, days"), "{}", unknown.text);
    let unknown = test_env.get("/insights?by=queue");
    unknown.assert_status(404);
    assert!(unknown.text.contains("by queue; there are: campaign"), "{}", unknown.text);
    assert_eq!(test_env.got("/insights?survey=of-another-release")["settled"], json!(0));
    assert_eq!(test_env.got("/insights?days=400")["days"].as_array().unwrap().len(), 400);
}
