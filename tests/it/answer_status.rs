//! Which answers of a submission count, as `submissions show` and the API say it.

use serde_json::Value;

use crate::test_env::TestEnv;

#[test]
fn an_answer_counts_only_if_its_question_has_it_and_no_other_counts() {
    let test_env = TestEnv::new();
    let caller = || test_env.caller("c-1").at("ivr").asked("score");
    caller().is_silent();
    caller().has_pressed("9");
    caller().has_pressed("2");
    caller().has_pressed("3");
    test_env.caller("c-1").at("ivr").asked("scroe").has_pressed("1");
    test_env.until_it_is("c-1", "collecting");
    let admin = format!("http://{}", test_env.private());
    let show = |more: &[&str]| {
        let mut command = test_env.postcall(&["submissions", "show", "c-1", "--admin-url", &admin]);
        let output = command.args(more).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&show(&["--output", "json"])).unwrap();
    let statuses = json["answers"].as_array().unwrap().iter().map(|answer| {
        let [name, status] = ["name", "status"].map(|key| answer[key].as_str().unwrap());
        (name, answer["value"].as_str().unwrap_or_default(), status)
    });
    let statuses: Vec<_> = statuses.collect();
    assert_eq!(
        statuses,
        [
            ("score", "", "silence"),
            ("score", "9", "outside_domain"),
            ("score", "2", "counts"),
            ("score", "3", "another_counts"),
            ("scroe", "1", "outside_domain"),
        ]
    );
    let table = show(&[]);
    for row in [
        "score  (silence)  no, it is silence",
        "score  9          no, the question does not have it",
        "score  2          yes",
        "score  3          no, another answer counts",
        "scroe  1          no, the question does not have it",
    ] {
        assert!(table.contains(row), "{table}\nhas not {row:?}");
    }
}
