//! Rules that are tried out in a child process.

use std::fs;

use serde_json::Value;

use super::{TOKEN, VIEWER, log_in, page, send};
use crate::test_env::{FROM, SETTINGS, TestEnv};
use crate::wire::Reply;

/// A service whose child processes are this program.
fn service() -> TestEnv {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.serve_as_process();
    test_env
}

/// The surveys of the settings.
fn rules() -> String {
    let (_, rest) = SETTINGS.split_once("surveys:\n").unwrap();
    let (surveys, _) = rest.split_once("delivery:").unwrap();
    format!("surveys:\n{surveys}")
}

const WEBHOOKS: &str = "\
- { source: ivr, form: \"CallUUID=c-1&Digits=2\", query: \"question=score\" }
- { source: ivr, form: \"CallUUID=c-1&Digits=1\", query: \"question=problem\", at: 10s }
";

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What comes of rules that end by themselves. A machine that does much else may need more than the time
/// of one try.
#[track_caller]
fn attempt(test_env: &TestEnv, rules: &str, webhooks: &str, more: &str) -> Reply {
    attempt_in_time(test_env, "", rules, webhooks, more)
}

#[track_caller]
fn attempt_in_time(
    test_env: &TestEnv,
    cookie: &str,
    rules: &str,
    webhooks: &str,
    more: &str,
) -> Reply {
    for _ in 0..30 {
        let reply = attempt_as(test_env, cookie, rules, webhooks, more);
        if !reply.text.contains(TOO_LONG) {
            return reply;
        }
    }
    panic!("it never ends in time");
}

const TOO_LONG: &str = "it took longer than 2 seconds";

fn attempt_as(test_env: &TestEnv, cookie: &str, rules: &str, webhooks: &str, more: &str) -> Reply {
    let body = format!("rules={}&webhooks={}{more}", encoded(rules), encoded(webhooks));
    send(test_env, "/console/playground", cookie, &body)
}

/// The text of a page without its marks of HTML.
fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The cells of the table of a survey, row by row.
fn cells(page: &str, survey: &str) -> Vec<Vec<String>> {
    let (_, table) = page.split_once(&format!("data-survey=\"{survey}\"")).expect("its table");
    let (table, _) = table.split_once("</table>").unwrap();
    let cell = |cell: &str| unescaped(cell.split("</td>").next().unwrap());
    let row = |row: &str| row.split("<td>").skip(1).map(cell).collect();
    table.split("<tr>").skip(2).map(row).collect()
}

#[test]
fn playground_shows_each_step_of_the_webhooks() {
    let test_env = service();
    let first = page(&test_env, "/console/playground", "");
    first.assert_status(200);
    assert!(unescaped(&first.text).contains(rules().trim_end()), "{}", first.text);
    let text = unescaped(&attempt(&test_env, &rules(), WEBHOOKS, "").text);
    let mut rest = text.as_str();
    for part in [
        "<strong>extract</strong> <span class=\"reason\">webhook 1",
        "score = \"2\" (in the domain)",
        "<strong>extract</strong> <span class=\"reason\">webhook 2",
        "<strong>merge</strong> <span class=\"reason\">call c-1",
        "complete",
        "<strong>map</strong>",
        "{\"issues\":[\"ECHO\"],\"notes\":\"IVR survey: 2 of 5\",\"rating\":2}",
        "<strong>request</strong>",
        "/v1/Call/c-1/Feedback/",
        "<strong>reply</strong>",
        "<Response><Speak>Thank you.</Speak></Response>",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part} is not next in {rest}"));
        rest = &rest[at + part.len()..];
    }
    assert!(test_env.store.submission("c-1").is_none());
}

#[test]
fn a_call_is_tried_in_the_playground_by_an_operator() {
    let test_env = service();
    // With digits that could be those of a telephone.
    let call = "4f0c5c1e-8d21-4123-8123-512345678901";
    test_env.caller(call).at("ivr").asked("score").has_pressed("2");
    test_env.caller(call).at("ivr").asked("problem").has_pressed("1");
    test_env.until_it_is(call, "delivered");
    let link = format!("/console/playground?call={call}");
    let page_of_call = page(&test_env, &format!("/console/calls/{call}"), "");
    assert!(page_of_call.text.contains(&format!("href=\"{link}\"")));
    let shown = page(&test_env, &link, "");
    shown.assert_status(200);
    assert!(!shown.text.contains(FROM) && shown.text.contains(call), "{}", shown.text);
    let (_, webhooks) = shown.text.split_once("name=\"webhooks\"").unwrap();
    let (_, webhooks) = webhooks.split_once(">\n").unwrap();
    let webhooks = unescaped(webhooks.split_once("</textarea>").unwrap().0);
    // What came of it comes of it again, and something else by other rules.
    let tried = unescaped(&attempt(&test_env, &rules(), &webhooks, "").text);
    assert!(
        tried.contains("{\"issues\":[\"ECHO\"],\"notes\":\"IVR survey: 2 of 5\",\"rating\":2}"),
        "{tried}"
    );
    let other = rules().replace("answer: 1, issue: ECHO", "answer: 1, issue: CALL_DROPPED");
    let tried = unescaped(&attempt(&test_env, &other, &webhooks, "").text);
    assert!(tried.contains("{\"issues\":[\"CALL_DROPPED\"]"), "{tried}");
    page(&test_env, "/console/playground?call=c-2", "").assert_status(404);
    page(&test_env, "/console/playground?call=c%20d", "").assert_status(404);
}

#[test]
fn playground_has_the_decision_tables_of_check() {
    let test_env = service();
    let checked = test_env.postcall(&["check", "--output", "json"]).output().unwrap();
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let text = attempt(&test_env, &rules(), "", "").text;
    for (survey, proof) in checked["surveys"].as_object().unwrap() {
        let (rows, shown) = (proof["rows"].as_array().unwrap(), cells(&text, survey));
        assert_eq!(shown.len(), rows.len(), "{survey}");
        for (row, shown) in rows.iter().zip(shown) {
            let given = row["answers"].as_array().unwrap();
            let mut given = given.iter().map(|it| it["is"].as_str().unwrap().to_owned());
            assert!(given.all(|is| shown.contains(&is)), "{row} is not {shown:?}");
            let outcome = shown.last().unwrap();
            let is_same = match &row["outcome"] {
                Value::Object(it) if let Some(feedback) = it.get("feedback") => {
                    outcome.starts_with(&format!("rating {}", feedback["from"]))
                }
                Value::Object(it) if it.contains_key("no_rating") => {
                    outcome.starts_with("no rating")
                }
                other => panic!("{other}"),
            };
            assert!(is_same, "{row} is not {shown:?}");
        }
        for proved in proof["proved"].as_array().unwrap() {
            let proved = format!("proved: {}", proved.as_str().unwrap());
            assert!(unescaped(&text).contains(&proved), "{proved}");
        }
    }
}

#[test]
fn playground_writes_a_case_that_passes() {
    let test_env = service();
    for webhooks in [
        WEBHOOKS.to_owned(),
        format!("{WEBHOOKS}- {{ source: quick, form: \"CallUUID=c-2&Digits=9\", at: 20s }}\n"),
    ] {
        let text = unescaped(&attempt(&test_env, &rules(), &webhooks, "").text);
        let (before, _) = text.split_once(">Copy test case<").expect("the button is there");
        let (_, case) = before.rsplit_once("data-copy=\"").unwrap();
        let file = test_env.folder().join("playground.test.yaml");
        fs::write(&file, case.strip_suffix('"').unwrap()).unwrap();
        let ended = test_env.postcall(&["test", file.to_str().unwrap()]).output().unwrap();
        assert!(ended.status.success(), "{}\n{case}", String::from_utf8_lossy(&ended.stdout));
    }
}

#[test]
fn playground_shows_what_is_wrong_with_its_line() {
    let test_env = service();
    let wrong = rules().replace("question: problem", "question: problme");
    let text = unescaped(&attempt(&test_env, &wrong, WEBHOOKS, "").text);
    let line = wrong.lines().position(|line| line.contains("problme")).unwrap() + 1;
    let link = format!("<a href=\"#rules\" data-line=\"{line}\" data-column=\"");
    assert!(text.contains(&link) && text.contains("did you mean `problem`?"), "{text}");
    assert!(!text.contains("<h2>Steps</h2>"), "{text}");

    let webhooks = WEBHOOKS.replace("at: 10s", "at: soon");
    let text = attempt(&test_env, &rules(), &webhooks, "").text;
    assert!(text.contains("<a href=\"#webhooks\" data-line=\"2\""), "{text}");
    let webhooks = "- { form: \"a=b\" }\n- { source: irv, form: \"a=b\" }\n";
    let text = unescaped(&attempt(&test_env, &rules(), webhooks, "").text);
    assert!(text.contains("missing: expected one of ivr, polite, quick, tenant"), "{text}");
    let text = attempt(&test_env, "surveys: [\n", "", "").text;
    assert!(text.contains("<h2>Invalid</h2>"), "{text}");
}

#[test]
fn playground_takes_surveys_alone_and_reads_neither_a_file_nor_a_variable() {
    let test_env = service();
    let refused = |rules: &str, said: &str| {
        let text = unescaped(&attempt(&test_env, rules, WEBHOOKS, "").text);
        assert!(text.contains("<h2>Invalid</h2>") && text.contains(said), "{rules}: {text}");
        assert!(!text.contains("<h2>Steps</h2>") && !text.contains("root:x:"), "{text}");
    };
    for reference in ["{ file: /etc/passwd }", "{ env: PATH }"] {
        let notes = "\"IVR survey: {{ score }} of 5\"";
        refused(&rules().replace(notes, reference), "notes: expected");
        refused(&format!("surveys: {reference}\n"), "surveys.");
    }
    refused(&format!("{}admin: {{ token: {{ file: /etc/passwd }} }}\n", rules()), "admin: unknown");
    refused(&format!("{}accounts: {{}}\n", rules()), "accounts: unknown");
    refused("{ surveys: {} }", "begin with a line");
    refused("", "surveys");
}

#[test]
fn playground_shows_what_the_last_calls_would_become() {
    let test_env = service();
    for (call, digits) in [("c-1", "4"), ("c-2", "2"), ("c-3", "3")] {
        test_env.caller(call).has_pressed(digits);
        test_env.until_it_is(call, "delivered");
    }
    let other = rules().replace(
        "rating: { question: score }, complete: { timeout: 0s }",
        "rating: { question: score, scale: { from: [5, 1] } }, complete: { timeout: 0s }, \
         notes: \"+14155550123 said so\", mask_phone_numbers: false",
    );
    let text = attempt(&test_env, &other, "", "&calls=true").text;
    assert!(text.contains("Of the last 3 calls"), "{text}");
    let (_, found) = text.split_once("id=\"calls\"").unwrap();
    assert!(found.contains("rating, notes") && found.contains("c-1"), "{found}");
    assert!(!found.contains("4155550123") && !found.contains(FROM), "{found}");
    // It waits for its second answer.
    test_env.caller("c-waits").at("ivr").asked("score").has_pressed("2");
    let same = attempt(&test_env, &rules(), "", "&calls=true").text;
    assert!(!same.contains("c-waits"), "{same}");
    assert!(same.contains("<strong>0</strong> would come to something else"), "{same}");
}

#[test]
fn playground_is_for_viewers_too_and_shows_no_secret() {
    let tokens = format!("token: {{ value: {TOKEN} }}, viewer_token: {{ value: {VIEWER} }}");
    let admin = format!(r#"admin: {{ listen: "127.0.0.1:0", {tokens} }}"#);
    let mut test_env =
        TestEnv::of(&SETTINGS.replace(r#"admin: { listen: "127.0.0.1:0" }"#, &admin));
    test_env.serve_as_process();
    let cookie = log_in(&test_env, VIEWER);
    let reply = attempt_in_time(&test_env, &cookie, &rules(), WEBHOOKS, "&calls=true");
    reply.assert_status(200);
    assert!(reply.text.contains("<h2>Steps</h2>"), "{}", reply.text);
    // Rules of one's own could spell a caller's number out.
    assert!(!reply.text.contains("id=\"calls\"") && !reply.text.contains("last 200 calls"));
    for secret in [crate::test_env::TOKEN, TOKEN, VIEWER] {
        assert!(!reply.text.contains(secret));
    }
    let long = "x".repeat(300 * 1024);
    attempt_as(&test_env, &cookie, &long, "", "").assert_status(413);
}

/// What rules cannot do.
#[cfg(feature = "flaws")]
mod flaws {
    use std::thread;

    use super::*;

    #[test]
    fn playground_ends_a_child_that_does_not_and_the_service_stays_up() {
        let test_env = service();
        for (rules, said) in [
            ("flaw: endless", TOO_LONG),
            ("flaw: asleep", TOO_LONG),
            ("flaw: panic", "it failed"),
            ("flaw: memory", "it failed"),
            ("flaw: output", "it came to more than"),
        ] {
            let reply = match said {
                TOO_LONG => attempt_as(&test_env, "", rules, "", ""),
                _ => attempt(&test_env, rules, "", ""),
            };
            reply.assert_status(422);
            assert!(reply.text.contains("Nothing came of it") && reply.text.contains(said));
            assert!(test_env.is_ready(), "{rules}");
        }
        let text = attempt(&test_env, &rules(), WEBHOOKS, "").text;
        assert!(text.contains("<h2>Steps</h2>"), "{text}");
    }

    #[test]
    fn playground_tries_one_at_a_time() {
        let test_env = service();
        let is_busy = || attempt_as(&test_env, "", "flaw: asleep", "", "").status == 503;
        thread::scope(|scope| {
            let others: Vec<_> = (0..4).map(|_| scope.spawn(is_busy)).collect();
            let busy = others.into_iter().map(|it| it.join().unwrap()).filter(|busy| *busy).count();
            assert!((1..4).contains(&busy), "{busy}");
        });
    }
}
