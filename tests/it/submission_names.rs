//! A submission is named by its id, the beginning of its id, or the id of its call, wherever an id is
//! taken.

use std::process::Output;

use serde_json::json;

use crate::test_env::TestEnv;

/// Two calls, of which `c-2` answered two surveys.
fn test_env() -> TestEnv {
    let test_env = TestEnv::new();
    test_env.plivo.fails(json!([{"status": 422, "times": 1}]));
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "dead(rejected)");
    test_env.caller("c-2").has_pressed("4");
    test_env.until_it_is("c-2", "delivered");
    test_env.caller("c-2").at("ivr").has_pressed("3");
    test_env
}

fn says(test_env: &TestEnv, arguments: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("http://{}", test_env.private());
    let mut command = test_env.postcall(&[&["submissions"], arguments].concat());
    let Output { status, stdout, stderr } = command.args(["--admin-url", &url]).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (status.code(), stdout, stderr)
}

#[test]
fn a_submission_is_named_by_its_id_its_beginning_or_its_call() {
    let test_env = TestEnv::new();
    test_env.plivo.fails(json!([{"status": 422, "times": 1}]));
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "dead(rejected)");
    let id = test_env.store.submissions()[0].id.to_string();
    for name in [&*id, &id[..8], &id[..8].to_uppercase(), "c-1"] {
        let (code, stdout, stderr) = says(&test_env, &["show", name]);
        assert_eq!((code, &*stderr), (Some(0), ""), "{name}");
        assert!(stdout.contains(&id), "{name}: {stdout}");
    }
    let (code, stdout, stderr) = says(&test_env, &["replay", &id[..8]]);
    assert_eq!((code, &*stderr), (Some(0), ""));
    assert_eq!(stdout, format!("{id}: due again\n"));
    test_env.until_it_is("c-1", "delivered");
}

/// A sender gets the id of a submission with the response, and may report a call with that name.
#[test]
fn an_id_names_its_submission_although_a_call_has_that_name() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let id = test_env.store.submissions()[0].id.to_string();
    test_env.caller(&id).has_pressed("1");
    let (code, stdout, stderr) = says(&test_env, &["show", &id]);
    assert_eq!((code, &*stderr), (Some(0), ""));
    let call = stdout.lines().find_map(|line| line.trim_start().strip_prefix("call "));
    assert_eq!(call.map(str::trim), Some("c-1"), "{stdout}");
}

#[test]
fn a_name_of_several_submissions_or_of_none_is_refused_with_the_candidates() {
    let test_env = test_env();
    let (code, _, stderr) = says(&test_env, &["show", "c-2"]);
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines[0], "error: \"c-2\" means 2 submissions; say the id of one:");
    assert!(lines[1].ends_with("c-2  main/quality  collecting"), "{stderr}");
    assert!(lines[2].ends_with("c-2  main/quick  delivered"), "{stderr}");

    // Nothing is done if one of several names is wrong.
    let (code, stdout, stderr) = says(&test_env, &["discard", "c-1", "abcdef99", "--comment", "x"]);
    assert_eq!((code, &*stdout), (Some(1), ""));
    assert!(stderr.starts_with("error: no submission \"abcdef99\": expected its id"), "{stderr}");
    assert_eq!(test_env.store.totals().discarded, 0);
    let (code, ..) = says(&test_env, &["show", "no id of anything"]);
    assert_eq!(code, Some(2));
}
