//! What a person finds and does at the command line, at a service that runs and at the store of one
//! that does not.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::test_env::TestEnv;

/// Where a person asks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Service,
    StoreContents,
}

const BOTH: [At; 2] = [At::Service, At::StoreContents];

/// A service whose Plivo refuses what is about the calls `bad-…`, and a person beside it.
struct Operator {
    test_env: TestEnv,
    at: At,
}

impl Operator {
    /// Three calls are dead and one is delivered.
    fn after_a_bad_friday(at: At) -> Self {
        Self::with_settings(at, crate::test_env::SETTINGS)
    }

    fn with_settings(at: At, settings: &str) -> Self {
        let mut test_env = TestEnv::of(settings);
        test_env.start();
        test_env.caller("good").has_pressed("5");
        test_env.until_it_is("good", "delivered");
        for call in ["bad-1", "bad-2", "bad-3"] {
            test_env.plivo.fails(json!([{"status": 422, "times": 1}]));
            test_env.caller(call).has_pressed("2");
            test_env.until_it_is(call, "dead(rejected)");
        }
        let mut operator = Self { test_env, at };
        operator.is_asked_there();
        operator
    }

    /// A service that runs is told by its address; else it is stopped.
    fn is_asked_there(&mut self) {
        if self.at == At::StoreContents {
            self.test_env.stop();
        }
    }

    /// What was done at a stopped one's store is delivered when it starts.
    fn until_the_service_runs(&mut self) {
        if self.at == At::StoreContents {
            self.test_env.start();
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.test_env.postcall(arguments);
        if self.at == At::Service {
            command.arg("--admin-url").arg(format!("http://{}", self.test_env.private()));
        }
        command
    }

    fn says(&self, arguments: &[&str]) -> Said {
        Said::of(self.command(arguments).output().unwrap())
    }

    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        self.says(arguments).well()
    }

    /// The JSON objects, one a line.
    #[track_caller]
    fn tells(&self, arguments: &[&str]) -> Vec<Value> {
        let said = self.does(&[arguments, &["--output", "json"]].concat());
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    fn calls(&self, conditions: &[&str]) -> Vec<String> {
        let found = self.tells(&[&["submissions", "list"], conditions].concat());
        found.iter().map(|row| row["call"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn id(&self, call: &str) -> String {
        let found = self.tells(&["submissions", "list", "--call", call]);
        found[0]["id"].as_str().unwrap().to_owned()
    }
}

struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    #[track_caller]
    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    #[track_caller]
    fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        format!("{}{}", self.stdout, self.stderr)
    }
}

#[test]
fn what_is_found_is_the_same_at_the_service_and_in_its_store() {
    let mut operator = Operator::after_a_bad_friday(At::Service);
    let id = operator.id("bad-2");
    let questions: [&[&str]; 10] = [
        &["submissions", "list", "--output", "json"],
        &["submissions", "list", "--trace"],
        &["submissions", "list", "--state", "dead", "--limit", "2"],
        &["submissions", "show", &id],
        &["submissions", "show", &id, "--output", "json"],
        &["submissions", "export"],
        &["submissions", "export", "--format", "csv", "--survey", "quick"],
        &["submissions", "replay", "--state", "dead", "--dry-run"],
        &["accounts"],
        &["accounts", "list", "--output", "json"],
    ];
    let at_the_service = questions.map(|question| operator.does(question));
    operator.at = At::StoreContents;
    let while_it_is_served = questions.map(|question| operator.does(question));
    assert_eq!(at_the_service, while_it_is_served);
    operator.is_asked_there();
    let while_it_is_not = questions.map(|question| operator.does(question));
    assert_eq!(at_the_service, while_it_is_not);
}

#[test]
fn submissions_are_found_by_what_is_known_of_them() {
    for at in BOTH {
        let operator = Operator::after_a_bad_friday(at);
        assert_eq!(operator.calls(&[]), ["bad-3", "bad-2", "bad-1", "good"]);
        assert_eq!(operator.calls(&["--state", "delivered"]), ["good"]);
        assert_eq!(operator.calls(&["--reason", "rejected", "--limit", "2"]), ["bad-3", "bad-2"]);
        assert_eq!(operator.calls(&["--call", "bad-1"]), ["bad-1"]);
        assert_eq!(operator.calls(&["--account", "other"]), [""; 0]);
        assert_eq!(operator.calls(&["--source", "ivr"]), [""; 0]);
        assert_eq!(operator.calls(&["--survey", "quick", "--since", "1h"]).len(), 4);
        assert_eq!(operator.calls(&["--until", "1h"]), [""; 0]);

        let table = operator.does(&["submissions", "--limit", "3"]);
        assert!(table.contains("dead (rejected)"), "{table}");
        let books =
            "3 shown; 4 accepted = 0 collecting + 0 pending + 1 delivered + 0 ignored + 3 dead";
        assert!(table.contains(books), "{table}");
        let (_, cursor) = table.split_once("there may be more: --cursor ").unwrap();
        let cursor = cursor.split_whitespace().next().unwrap();
        assert_eq!(operator.calls(&["--cursor", cursor]), ["good"]);
    }
}

#[test]
fn all_that_is_known_of_one_is_shown() {
    for at in BOTH {
        let operator = Operator::after_a_bad_friday(at);
        let shown = operator.does(&["submissions", "show", &operator.id("bad-1")]);
        for part in [
            "call        bad-1\n",
            "state       dead (rejected)\n",
            "POST CallUUID=bad-1&From=14155550123",
            "answer  score  2",
            "score: 2 (form:Digits)",
            "rejected  422",
            "2 OTHERS",
        ] {
            assert!(shown.contains(part), "{part:?} is missing:\n{shown}");
        }
        let nobody = "00000000-0000-4000-8000-000000000000";
        let said = operator.says(&["submissions", "show", nobody]).failed();
        assert!(said.contains("no such submission"), "{said}");
    }
}

#[test]
fn what_is_dead_is_offered_again() {
    for at in BOTH {
        let mut operator = Operator::after_a_bad_friday(at);
        operator.test_env.plivo.is_well();
        let one = operator.id("bad-1");
        let said = operator.tells(&["submissions", "replay", &one]);
        assert_eq!(said, [json!({ "id": one, "outcome": "replayed", "why_not": null })]);
        let said = operator.does(&["submissions", "replay", "--reason", "rejected"]);
        assert_eq!(said, "2 due again\n");
        operator.until_the_service_runs();
        operator
            .test_env
            .until("all are delivered", || operator.test_env.store.totals().delivered == 4);
        let shown = operator.tells(&["submissions", "show", &one]);
        assert_eq!(shown[0]["interventions"][0]["action"], "replay");
    }
}

#[test]
fn what_plivo_has_accepted_is_left_out_unless_it_is_asked_for() {
    for at in BOTH {
        let mut operator = Operator::after_a_bad_friday(at);
        operator.test_env.plivo.is_well();
        let one = operator.id("good");
        let said = operator.says(&["submissions", "replay", &one]).failed();
        assert_eq!(said, format!("{one}: Plivo has accepted it\n"));
        let all = ["submissions", "replay", "--state", "delivered"];
        let said = operator.says(&all);
        assert!(said.stderr.contains("--include-delivered"), "{}", said.stderr);
        assert_eq!(said.well(), "0 due again, 1 left out (1 accepted)\n");
        let sum = operator.tells(&[&all[..], &["--include-delivered"]].concat());
        assert_eq!(sum, [json!({ "replayed": 1, "skipped": {}, "next_cursor": null })]);
        operator.until_the_service_runs();
        let test_env = &operator.test_env;
        test_env.until("it is told again", || test_env.plivo.heard_about("good").len() == 2);
    }
}

#[test]
fn a_dry_run_shows_what_mended_rules_would_change_and_changes_nothing() {
    for at in BOTH {
        let mut operator = Operator::after_a_bad_friday(at);
        operator.test_env.operator_rewrites(|settings| {
            let mended =
                r#"rating: { question: score, scale: { from: [5, 1] } }, notes: "turned round""#;
            settings.replacen("rating: { question: score }", mended, 1)
        });
        if at == At::Service {
            operator.test_env.reload();
        }
        let replay = ["submissions", "replay", "--state", "dead"];
        let said = operator.does(&[&replay[..], &["--dry-run"]].concat());
        assert!(said.contains("bad-1  quick   dead (rejected), 2 OTHERS"), "{said}");
        assert!(said.contains("4 OTHERS: turned round"), "{said}");
        assert!(
            said.ends_with(
                "3 would be offered again; 3 would come to something else than before\n"
            ),
            "{said}"
        );
        let same_payload =
            operator.tells(&[&replay[..], &["--dry-run", "--same-payload"]].concat());
        assert_eq!(same_payload.len(), 4);
        assert_eq!(same_payload[0]["changed"], false);
        assert_eq!(same_payload[3]["would_be_replayed"], 3);
        assert_eq!(operator.calls(&["--state", "dead"]).len(), 3);

        operator.test_env.plivo.is_well();
        operator.does(&replay);
        operator.until_the_service_runs();
        operator
            .test_env
            .until("all are delivered", || operator.test_env.store.totals().delivered == 4);
        assert_eq!(operator.test_env.plivo.heard_about("bad-1")[0]["notes"], "turned round");
    }
}

#[test]
fn only_what_mended_rules_change_is_told_to_plivo_again() {
    for at in BOTH {
        let mut test_env = TestEnv::new();
        for (call, digits) in [("one", "1"), ("two", "2"), ("three", "3"), ("five", "5")] {
            test_env.caller(call).has_pressed(digits);
            test_env.until_it_is(call, "delivered");
        }
        test_env.operator_rewrites(|settings| {
            let mended = "rating: { question: score }, rules: [{ when: score <= 2, rating: 1 }]";
            settings.replacen("rating: { question: score }", mended, 1)
        });
        match at {
            At::Service => test_env.reload(),
            At::StoreContents => test_env.stop(),
        }
        let mut operator = Operator { test_env, at };
        let replay = [
            "submissions",
            "replay",
            "--state",
            "delivered",
            "--include-delivered",
            "--only-changed",
        ];
        let shown = operator.does(&[&replay[..], &["--dry-run"]].concat());
        assert!(shown.contains("two   quick   delivered, 2 OTHERS  1 OTHERS\n"), "{shown}");
        assert!(
            shown.contains("1 would be offered again, 3 left out (3 unchanged); 1 would"),
            "{shown}"
        );
        assert_eq!(operator.does(&replay), "1 due again, 3 left out (3 unchanged)\n");
        operator.until_the_service_runs();
        let heard = |call: &str| operator.test_env.plivo.heard_about(call).len();
        operator.test_env.until("the changed one is told again", || heard("two") == 2);
        assert_eq!(operator.test_env.plivo.heard_about("two")[1]["rating"], 1);
        assert_eq!(operator.test_env.plivo.requests(), 5);
    }
}

#[test]
fn what_is_given_up_says_why_and_is_final() {
    for at in BOTH {
        let operator = Operator::after_a_bad_friday(at);
        let one = operator.id("bad-1");
        let because = ["--comment", "a test call"];
        let discard = [&["submissions", "discard", &one], &because[..]].concat();
        assert_eq!(operator.does(&discard), format!("{one}: discarded\n"));
        assert!(operator.says(&discard).failed().contains("final"));
        let shown = operator.does(&["submissions", "show", &one]);
        assert!(shown.contains("state       discarded\nwhy         a test call\n"), "{shown}");

        let all = ["submissions", "discard", "--state", "dead"];
        assert_eq!(operator.says(&all).code, Some(2), "no one said why");
        assert_eq!(operator.does(&[&all[..], &because].concat()), "2 discarded\n");
        assert!(operator.says(&["submissions", "replay", &one]).failed().contains("final"));
        assert_eq!(operator.test_env.store.totals().discarded, 3);
        assert!(operator.test_env.store.totals().balance());
    }
}

#[test]
fn an_account_is_held_and_resumed_by_hand() {
    for at in BOTH {
        let mut operator = Operator::after_a_bad_friday(at);
        let said = operator.does(&["accounts", "pause", "other", "--comment", "the contract ends"]);
        assert!(said.contains("the contract ends"), "{said}");
        operator.until_the_service_runs();
        operator.test_env.caller("waits").at("tenant").has_pressed("4");
        operator.test_env.caller("does-not").has_pressed("4");
        operator.test_env.plivo.is_well();
        operator.test_env.until_it_is("does-not", "delivered");
        assert_eq!(operator.test_env.store.submission("waits").unwrap().attempts, [""; 0]);
        operator.is_asked_there();
        let accounts = operator.tells(&["accounts"]);
        let other = accounts.iter().find(|it| it["account"] == "other").unwrap();
        assert_eq!(
            (&other["pause"]["cause"], &other["waiting"]),
            (&json!("operator"), &json!(true))
        );
        let listed = operator.does(&["submissions"]);
        assert!(listed.contains("account other is paused since"), "{listed}");

        assert_eq!(operator.does(&["accounts", "resume", "other"]), "other is resumed\n");
        assert_eq!(operator.does(&["accounts", "resume", "other"]), "other was not paused\n");
        operator.until_the_service_runs();
        operator.test_env.until_it_is("waits", "delivered");
    }
}

#[test]
fn what_cannot_be_asked_so_is_told_before_anything_is_asked() {
    let operator = Operator::after_a_bad_friday(At::StoreContents);
    for wrong in [
        &["submissions", "replay"][..],
        &["submissions", "replay", "not_an_id"],
        &["submissions", "discard", "--comment", "of nothing"],
        &["submissions", "list", "--since", "yesterday"],
        &["submissions", "erase"],
        &["accounts", "pause", "main"],
    ] {
        assert_eq!(operator.says(wrong).code, Some(2), "{wrong:?}");
    }
    let missing =
        operator.says(&["submissions", "replay", "--state", "dead", "--store", "no/such.db"]);
    assert!(missing.failed().contains("no/such.db"));
}

#[test]
fn a_spreadsheet_or_a_script_gets_what_is_found() {
    for at in BOTH {
        let operator = Operator::after_a_bad_friday(at);
        let csv = operator.does(&["submissions", "export", "--format", "csv", "--state", "dead"]);
        assert_eq!(csv.lines().count(), 4, "{csv}");
        assert!(csv.starts_with("id,account,survey,call,state,reason"), "{csv}");
        let file = operator.test_env.folder().join("export.jsonl");
        let into_file = ["submissions", "export", "--to", file.to_str().unwrap()];
        assert_eq!(operator.does(&into_file), "");
        let lines = std::fs::read_to_string(&file).unwrap();
        let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!((lines.lines().count(), &first["call"]), (4, &json!("bad-3")));
        assert!(
            operator.says(&into_file).failed().contains("export.jsonl"),
            "nothing is overwritten"
        );
    }
}

#[test]
fn a_replay_is_stopped_between_two_pages_and_goes_on_where_it_was() {
    const ONE_PAGE: usize = 200;
    let test_env = TestEnv::new();
    for n in 0..ONE_PAGE + 10 {
        test_env.caller(&format!("c-{n}")).asked("typo").has_pressed("4");
    }
    let dead = || test_env.store.totals().dead as usize;
    test_env.until("all are dead", || dead() == ONE_PAGE + 10);
    let operator = Operator { test_env, at: At::Service };
    let replay = ["submissions", "replay", "--state", "dead"];

    let stopped_after_a_page = |stdout: Stdio| {
        let mut command = operator.command(&replay);
        let mut running = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(running.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, "200 due again; continuing\n");
        interrupt(running.id());
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        let ended = running.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{rest}");
        let (_, cursor) = rest
            .split_once("stopped; to continue, run the same command with --cursor ")
            .expect(&rest);
        (String::from_utf8(ended.stdout).unwrap(), cursor.to_owned())
    };
    let (said, cursor) = stopped_after_a_page(Stdio::piped());
    assert_eq!(said, "200 due again\n");

    let rest = [&replay[..], &["--cursor", cursor.trim()]].concat();
    assert_eq!(operator.does(&rest), "10 due again\n");
    operator.test_env.until("none waits", || operator.test_env.store.totals().waiting() == 0);
    assert_eq!(operator.test_env.store.audit_entries(), ONE_PAGE + 10);

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // What reads it ends by the same Ctrl-C.
    stopped_after_a_page(writer.into());
}

#[test]
fn a_service_is_found_by_its_settings_and_let_in_by_its_token() {
    let mut test_env = TestEnv::of(crate::test_env::SETTINGS);
    let token = test_env.folder().join("desk-token");
    std::fs::write(&token, "the-token-of-the-desk\n").unwrap();
    let with_token = format!(r#"token: {{ file: "{}" }}"#, token.display());
    // A port that was free a moment ago, which the person's window can know.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    test_env.operator_rewrites(|settings| {
        settings.replace(
            r#"admin: { listen: "127.0.0.1:0" }"#,
            &format!(r#"admin: {{ listen: "0.0.0.0:{port}", {with_token} }}"#),
        )
    });
    test_env.start();
    let operator = Operator { test_env, at: At::StoreContents };
    assert!(
        operator.does(&["accounts", "pause", "other", "--comment", "to see it"]).contains("to see")
    );
    assert!(operator.does(&["accounts"]).contains("to see it"));

    let door = format!("http://127.0.0.1:{port}");
    let stranger = |token: &str| {
        let file = operator.test_env.folder().join("another-token");
        std::fs::write(&file, token).unwrap();
        let file = file.to_str().unwrap();
        operator.says(&["accounts", "resume", "other", "--admin-url", &door, "--token-file", file])
    };
    let refused = stranger("not-the-token-of-the-desk").failed();
    assert!(refused.contains("--token-file"), "{refused}");
    assert!(!refused.contains("the-token-of-the-desk"), "{refused}");
    assert_eq!(stranger("the-token-of-the-desk").well(), "other is resumed\n");
}

#[test]
fn a_service_without_an_api_is_looked_into_and_says_what_it_wants() {
    let mut test_env = TestEnv::of(crate::test_env::SETTINGS);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    test_env.operator_rewrites(|settings| {
        settings.replace(
            "admin: { listen: \"127.0.0.1:0\" }",
            &format!("admin: {{ listen: \"0.0.0.0:{port}\" }}"),
        )
    });
    test_env.start();
    test_env.caller("c-1").has_pressed("5");
    test_env.until_it_is("c-1", "delivered");
    let operator = Operator { test_env, at: At::StoreContents };
    assert_eq!(operator.calls(&["--state", "delivered"]), ["c-1"]);
    let said = operator.says(&["submissions", "replay", "--state", "dead"]).failed();
    assert!(said.contains("its API is off") && said.contains("admin.token"), "{said}");
    let door = format!("http://127.0.0.1:{port}");
    let said = operator.says(&["accounts", "--admin-url", &door]).failed();
    assert!(said.contains("admin.token"), "{said}");
}

#[test]
fn a_service_that_is_named_is_asked_though_this_shell_has_not_its_variables() {
    let operator = Operator::after_a_bad_friday(At::Service);
    let settings = "accounts: { main: { auth_id: MAX, auth_token: { env: NOBODY_SET_THIS } } }";
    let file = operator.test_env.folder().join("another.yaml");
    std::fs::write(&file, settings).unwrap();
    let door = format!("http://{}", operator.test_env.private());
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    command.args(["submissions", "--admin-url", &door]).env("POSTCALL_CONFIG", file);
    let said = Said::of(command.output().unwrap());
    assert_eq!(said.code, Some(0));
    assert!(said.stdout.contains("bad-1"), "{}", said.stdout);
    assert!(said.stderr.starts_with("WARNING: the token of the settings is not used"));
    let invalid = operator.test_env.folder().join("invalid.yaml");
    std::fs::write(&invalid, "accounts: [").unwrap();
    let invalid = invalid.to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    command.args(["submissions", "--admin-url", &door, "--config", invalid]);
    let said = Said::of(command.output().unwrap());
    assert_eq!(said.code, Some(78));
    assert!(said.stderr.contains("invalid.yaml"), "{}", said.stderr);
}

#[test]
fn a_service_that_is_named_is_asked_with_the_token_of_the_settings_that_are_found() {
    let mut test_env = TestEnv::of(crate::test_env::SETTINGS);
    let token = "admin: { listen: \"127.0.0.1:0\", token: { value: the-token-of-the-desk } }";
    test_env.operator_rewrites(|it| it.replace(r#"admin: { listen: "127.0.0.1:0" }"#, token));
    test_env.start();
    let accounts = |settings: Option<&str>| {
        let folder = tempfile::tempdir().unwrap();
        if let Some(settings) = settings {
            std::fs::write(folder.path().join("postcall.yaml"), settings).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
        command.args(["accounts", "--admin-url", &format!("http://{}", test_env.private())]);
        command.env_remove("POSTCALL_CONFIG").current_dir(folder.path());
        Said::of(command.output().unwrap())
    };
    // Those of the service, as its file has them.
    drop(test_env.postcall(&[]));
    let settings = std::fs::read_to_string(test_env.folder().join("settings.yaml")).unwrap();
    assert!(accounts(Some(&settings)).well().contains("main"));
    assert!(accounts(None).failed().contains("--token-file"));
}

#[test]
fn who_asks_while_the_store_is_not_written_hears_why() {
    let operator = Operator::after_a_bad_friday(At::Service);
    operator.test_env.store.refuses_writes();
    let said = operator.says(&["submissions", "erase", "bad-1"]).failed();
    assert!(said.contains("writing to the store: "), "{said}");
}

#[test]
fn who_forgets_the_settings_is_told_how_to_name_them() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    let output = command.arg("accounts").env_remove("POSTCALL_CONFIG").output().unwrap();
    let said = Said::of(output);
    assert_eq!(said.code, Some(78));
    assert!(said.stderr.contains("neither --config nor POSTCALL_CONFIG"), "{}", said.stderr);
}

#[test]
fn the_api_is_described_for_other_programs() {
    let output = Command::new(env!("CARGO_BIN_EXE_postcall")).arg("openapi").output().unwrap();
    let described: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(described["paths"]["/api/v1/submissions/{id}/replay"]["post"].is_object());
}

#[test]
fn what_is_asked_for_is_done_though_nobody_reads_of_it() {
    for at in BOTH {
        let operator = Operator::after_a_bad_friday(at);
        let ids = ["bad-1", "bad-2", "bad-3"].map(|call| operator.id(call));
        let [one, two, three] = &ids;
        let without_reader = |arguments: &[&str]| {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            operator.command(arguments).stdout(writer).status().unwrap()
        };
        let discard = ["submissions", "discard", one, two, three, "--comment", "tests"];
        assert!(without_reader(&discard).success());
        assert_eq!(operator.test_env.store.totals().discarded, 3);
        assert_eq!(without_reader(&discard).code(), Some(1), "that is final");

        assert!(without_reader(&["submissions", "erase", "bad-1", "bad-2", "bad-3"]).success());
        for call in ["bad-1", "bad-2", "bad-3"] {
            assert_eq!(operator.calls(&["--call", call]), [""; 0]);
        }
    }
}

fn interrupt(process: u32) {
    let line = format!("kill -INT {process}");
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
}

#[test]
fn a_caller_who_asks_for_it_is_forgotten() {
    for at in BOTH {
        let mut operator = Operator::after_a_bad_friday(at);
        let one = operator.id("bad-1");
        let erased = operator.does(&["submissions", "erase", "bad-1"]);
        assert_eq!(erased, "bad-1: 1 submission erased\n");
        let again = operator.says(&["submissions", "erase", "bad-1", "bad-2"]);
        assert_eq!(again.code, Some(1), "nothing is found about one of them");
        assert_eq!(
            again.stdout,
            "bad-1: nothing is stored about this call, or it is erased already\n\
             bad-2: 1 submission erased\n"
        );
        assert_eq!(operator.calls(&["--call", "bad-1"]), [""; 0]);
        let shown = operator.does(&["submissions", "show", &one]);
        assert!(shown.contains("call        not kept any more\n"), "{shown}");
        assert!(!shown.contains("webhooks") && !shown.contains("bad-1"), "{shown}");
        assert!(operator.says(&["submissions", "replay", &one]).failed().contains("final"));
        assert!(operator.test_env.store.totals().balance());

        operator.until_the_service_runs();
        let comes_again = operator.test_env.caller("bad-1").presses("2");
        comes_again.assert_status(200);
        assert_eq!(comes_again.header("postcall-outcome"), Some("purged"));
        assert_eq!(comes_again.header("postcall-submission"), None);
    }
}
