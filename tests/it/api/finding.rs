//! Lists, searches, shows, exports and counts.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::test_env::TestEnv;

fn calls(listed: &Value) -> Vec<String> {
    let submissions = listed["submissions"].as_array().unwrap();
    submissions.iter().map(|found| found["call"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn found(test_env: &TestEnv, query: &str) -> Vec<String> {
    calls(&test_env.got(&format!("/submissions?{query}")))
}

/// Two delivered, one of them for another account, one ignored, one dead, one that collects.
fn various() -> TestEnv {
    let test_env = TestEnv::new();
    test_env.caller("good").has_pressed("5");
    test_env.until_it_is("good", "delivered");
    test_env.caller("tenant").at("tenant").has_pressed("4");
    test_env.until_it_is("tenant", "delivered");
    test_env.caller("silent").is_silent();
    test_env.until_it_is("silent", "ignored(no_answer)");
    test_env.caller("typo").asked("scoer").has_pressed("3");
    test_env.until_it_is("typo", "dead(unmapped)");
    test_env.caller("open").at("ivr").has_pressed("5");
    test_env
}

#[test]
fn submissions_are_found_by_what_they_are() {
    let test_env = various();
    assert_eq!(found(&test_env, ""), ["open", "typo", "silent", "tenant", "good"]);
    assert_eq!(found(&test_env, "state=dead"), ["typo"]);
    assert_eq!(found(&test_env, "state=delivered"), ["tenant", "good"]);
    assert_eq!(found(&test_env, "reason=no_answer"), ["silent"]);
    assert_eq!(found(&test_env, "account=other"), ["tenant"]);
    assert_eq!(found(&test_env, "survey=quality"), ["open"]);
    assert_eq!(found(&test_env, "source=ivr"), ["open"]);
    assert_eq!(found(&test_env, "call=good"), ["good"]);
    assert_eq!(found(&test_env, "call=nobody"), Vec::<String>::new());
    assert_eq!(found(&test_env, "state=delivered&account=main"), ["good"]);
    let at = test_env.got("/submissions?call=silent")["submissions"][0]["accepted_at"].clone();
    let at = at.as_str().unwrap();
    assert_eq!(found(&test_env, &format!("since={at}")), ["open", "typo", "silent"]);
    assert_eq!(found(&test_env, &format!("until={at}")), ["tenant", "good"]);
}

#[test]
fn pages_follow_each_other_and_end() {
    let test_env = various();
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = test_env.got(&format!("/submissions?limit=2{cursor}"));
        assert!(calls(&page).len() <= 2);
        pages.extend(calls(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, ["open", "typo", "silent", "tenant", "good"]);
}

#[test]
fn what_is_asked_wrongly_is_refused_by_its_name() {
    let test_env = TestEnv::new();
    for (query, said) in [
        ("stat=dead", "unknown parameter \"stat\"; known here: state,"),
        ("state=dead&state=dead", "state is given twice"),
        ("state=deaf", "unknown variant `deaf`, expected one of `collecting`"),
        ("reason=bored", "reason: expected one of corrupt, hang_up,"),
        ("account=MAIN", "account: not a name"),
        ("call=a/b", "call: a call id is"),
        ("since=yesterday", "since: expected a time such as"),
        ("cursor=here", "cursor: not a cursor"),
        ("limit=0", "limit: expected 1 to 200"),
        ("limit=201", "limit: expected 1 to 200"),
        ("limit=many", "limit: expected a whole number"),
    ] {
        let reply = test_env.get(&format!("/submissions?{query}"));
        reply.assert_status(400);
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(detail.starts_with(said), "{query}: {detail}");
    }
}

#[test]
fn one_submission_is_shown_with_all_that_came_and_went() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").at("ivr").has_pressed("2");
    test_env.caller("c-1").at("ivr").asked("problem").has_pressed("1");
    test_env.until_it_is("c-1", "delivered");
    test_env.caller("c-1").at("ivr").asked("problem").has_pressed("2");

    let shown = test_env.got(&format!("/submissions/{}", test_env.id_of("c-1")));
    assert_eq!(shown["call"], "c-1");
    assert_eq!((&shown["account"], &shown["survey"]), (&"main".into(), &"quality".into()));
    assert_eq!(shown["feedback"]["rating"], 2);
    assert_eq!(shown["feedback"]["issues"][0], "ECHO");
    assert_eq!(shown["trace"]["rating"]["by"], "rating.scale");
    let webhooks = shown["webhooks"].as_array().unwrap();
    let outcomes: Vec<_> = webhooks.iter().map(|webhook| &webhook["outcome"]).collect();
    assert_eq!(outcomes, ["created", "updated", "late"]);
    assert!(webhooks[0]["body"].as_str().unwrap().contains("Digits=2"));
    assert_eq!(webhooks[1]["query"], "question=problem");
    let answers = shown["answers"].as_array().unwrap();
    let answers: Vec<_> = answers
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), &it["value"], &it["late"]))
        .collect();
    assert!(answers.contains(&("score", &"2".into(), &false.into())), "{answers:?}");
    assert!(answers.contains(&("problem", &"2".into(), &true.into())), "{answers:?}");
    let attempts = shown["attempts_made"].as_array().unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(
        (&attempts[0]["verdict"], &attempts[0]["status"]),
        (&"accepted".into(), &201.into())
    );
    assert_eq!(attempts[0]["feedback"], shown["feedback"]);
    assert_eq!(shown["interventions"], Value::Array(vec![]));
}

#[test]
fn a_submission_that_is_not_there_is_not_shown() {
    let test_env = TestEnv::new();
    test_env.get("/submissions/ac3c34e6-2bb4-571f-8e74-2eb6b6b636d5").assert_status(404);
    test_env.get("/submissions/c-1").assert_status(404);
}

#[test]
fn everything_found_is_exported_as_json_lines() {
    let test_env = various();
    let reply = test_env.get("/export");
    reply.assert_status(200);
    assert_eq!(reply.header("content-type"), Some("application/jsonl"));
    let lines: Vec<Value> =
        reply.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listed = test_env.got("/submissions");
    assert_eq!(Value::from(lines), listed["submissions"]);
}

#[test]
fn an_export_goes_over_many_pages() {
    let test_env = TestEnv::new();
    for call in 0..205 {
        test_env.caller(&format!("c-{call}")).asked("scoer").has_pressed("3");
    }
    let text = test_env.get("/export").text;
    let calls: BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["call"].to_string())
        .collect();
    assert_eq!((text.lines().count(), calls.len()), (205, 205));
}

#[test]
fn a_spreadsheet_reads_what_is_exported_and_runs_nothing_of_it() {
    let test_env = TestEnv::of(&crate::test_env::SETTINGS.replace(
        r#"notes: "IVR survey: {{ score }} of 5""#,
        r#"notes: "={{ score }}*2, \"it\" said""#,
    ));
    let mut test_env = test_env;
    test_env.start();
    test_env.caller("c-1").at("ivr").has_pressed("2");
    test_env.caller("c-1").at("ivr").asked("problem").has_pressed("1");
    test_env.until_it_is("c-1", "delivered");
    test_env.caller("c-2").at("quick").has_pressed("5");
    test_env.until_it_is("c-2", "delivered");

    let reply = test_env.get("/export?format=csv&call=c-1");
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<&str> = reply.text.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("id,account,survey,call,state,reason,"), "{}", lines[0]);
    assert!(lines[0].ends_with(",notes,test,answer_score,answer_problem"), "{}", lines[0]);
    assert!(lines[1].ends_with(r#",2,ECHO,"'=2*2, ""it"" said",false,2,1"#), "{}", lines[1]);
    test_env.get("/export?format=xml").assert_status(400);
    test_env.get("/export?limit=3").assert_status(400);
}

#[test]
fn the_totals_are_those_of_the_books() {
    let test_env = various();
    let totals = test_env.got("/totals");
    let states = ["collecting", "pending", "delivered", "ignored", "dead", "discarded"];
    let counts = states.map(|state| totals[state].as_u64().unwrap());
    assert_eq!(counts, [1, 0, 2, 1, 1, 0]);
    assert_eq!(totals["accepted"], 5);
}

#[test]
fn accounts_are_those_of_the_settings_and_of_the_store() {
    let test_env = various();
    let accounts = test_env.got("/accounts");
    let shown = accounts["accounts"].as_array().unwrap();
    assert_eq!(shown.len(), 2);
    assert_eq!((&shown[0]["account"], &shown[1]["account"]), (&"main".into(), &"other".into()));
    assert!(shown.iter().all(|account| account["in_settings"] == true));
    assert!(shown.iter().all(|account| account["pause"].is_null()));
    assert_eq!((&shown[0]["waiting"], &shown[1]["waiting"]), (&true.into(), &false.into()));
}
