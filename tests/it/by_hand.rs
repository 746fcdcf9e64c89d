//! What a person finds and does at the command line, at a service that runs and at the ledger of one
//! that does not.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::world::World;

/// Where a person asks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    Service,
    Ledger,
}

const BOTH: [At; 2] = [At::Service, At::Ledger];

/// A service whose Plivo refuses what is about the calls `bad-…`, and a person beside it.
struct Desk {
    world: World,
    at: At,
}

impl Desk {
    /// Three calls are dead and one is delivered.
    fn after_a_bad_friday(at: At) -> Self {
        Self::with_settings(at, crate::world::SETTINGS)
    }

    fn with_settings(at: At, settings: &str) -> Self {
        let mut world = World::of(settings);
        world.start();
        world.caller("good").has_pressed("5");
        world.until_it_is("good", "delivered");
        for call in ["bad-1", "bad-2", "bad-3"] {
            world.plivo.fails(json!([{"status": 422, "times": 1}]));
            world.caller(call).has_pressed("2");
            world.until_it_is(call, "dead(refused)");
        }
        let mut desk = Self { world, at };
        desk.is_asked_there();
        desk
    }

    /// A service that runs is told by its address; else it is stopped.
    fn is_asked_there(&mut self) {
        if self.at == At::Ledger {
            self.world.stop();
        }
    }

    /// What was done at a stopped one's ledger is delivered when it starts.
    fn until_the_service_runs(&mut self) {
        if self.at == At::Ledger {
            self.world.start();
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.postcall(arguments);
        if self.at == At::Service {
            command.arg("--service").arg(format!("http://{}", self.world.private()));
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
fn what_is_found_is_the_same_at_the_service_and_in_its_ledger() {
    let mut desk = Desk::after_a_bad_friday(At::Service);
    let id = desk.id("bad-2");
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
    let at_the_service = questions.map(|question| desk.does(question));
    desk.at = At::Ledger;
    let while_it_is_served = questions.map(|question| desk.does(question));
    assert_eq!(at_the_service, while_it_is_served);
    desk.is_asked_there();
    let while_it_is_not = questions.map(|question| desk.does(question));
    assert_eq!(at_the_service, while_it_is_not);
}

#[test]
fn submissions_are_found_by_what_is_known_of_them() {
    for at in BOTH {
        let desk = Desk::after_a_bad_friday(at);
        assert_eq!(desk.calls(&[]), ["bad-3", "bad-2", "bad-1", "good"]);
        assert_eq!(desk.calls(&["--state", "delivered"]), ["good"]);
        assert_eq!(desk.calls(&["--reason", "refused", "--limit", "2"]), ["bad-3", "bad-2"]);
        assert_eq!(desk.calls(&["--call", "bad-1"]), ["bad-1"]);
        assert_eq!(desk.calls(&["--account", "other"]), [""; 0]);
        assert_eq!(desk.calls(&["--source", "ivr"]), [""; 0]);
        assert_eq!(desk.calls(&["--survey", "quick", "--since", "1h"]).len(), 4);
        assert_eq!(desk.calls(&["--until", "1h"]), [""; 0]);

        let table = desk.does(&["submissions", "--limit", "3"]);
        assert!(table.contains("dead (refused)"), "{table}");
        let books =
            "3 shown; 4 accepted = 0 collecting + 0 pending + 1 delivered + 0 ignored + 3 dead";
        assert!(table.contains(books), "{table}");
        let (_, cursor) = table.split_once("there may be more: --cursor ").unwrap();
        let cursor = cursor.split_whitespace().next().unwrap();
        assert_eq!(desk.calls(&["--cursor", cursor]), ["good"]);
    }
}

#[test]
fn all_that_is_known_of_one_is_shown() {
    for at in BOTH {
        let desk = Desk::after_a_bad_friday(at);
        let shown = desk.does(&["submissions", "show", &desk.id("bad-1")]);
        for part in [
            "call        bad-1\n",
            "state       dead (refused)\n",
            "POST CallUUID=bad-1&From=14155550123",
            "answer  score  2",
            "score: 2 (form:Digits)",
            "refused  422",
            "2 OTHERS",
        ] {
            assert!(shown.contains(part), "{part:?} is missing:\n{shown}");
        }
        let nobody = "00000000-0000-4000-8000-000000000000";
        let said = desk.says(&["submissions", "show", nobody]).failed();
        assert!(said.contains("no such submission"), "{said}");
    }
}

#[test]
fn what_is_dead_is_offered_again() {
    for at in BOTH {
        let mut desk = Desk::after_a_bad_friday(at);
        desk.world.plivo.is_well();
        let one = desk.id("bad-1");
        let said = desk.tells(&["submissions", "replay", &one]);
        assert_eq!(said, [json!({ "id": one, "outcome": "replayed", "why_not": null })]);
        let said = desk.does(&["submissions", "replay", "--reason", "refused"]);
        assert_eq!(said, "2 due again\n");
        desk.until_the_service_runs();
        desk.world.until("all are delivered", || desk.world.ledger.totals().delivered == 4);
        let shown = desk.tells(&["submissions", "show", &one]);
        assert_eq!(shown[0]["interventions"][0]["action"], "replay");
    }
}

#[test]
fn what_plivo_has_accepted_is_left_out_unless_it_is_asked_for() {
    for at in BOTH {
        let mut desk = Desk::after_a_bad_friday(at);
        desk.world.plivo.is_well();
        let one = desk.id("good");
        let said = desk.says(&["submissions", "replay", &one]).failed();
        assert_eq!(said, format!("{one}: Plivo has accepted it\n"));
        let all = ["submissions", "replay", "--state", "delivered"];
        let said = desk.says(&all);
        assert!(said.stderr.contains("--accepted"), "{}", said.stderr);
        assert_eq!(said.well(), "0 due again, 1 left out (1 accepted)\n");
        let sum = desk.tells(&[&all[..], &["--accepted"]].concat());
        assert_eq!(sum, [json!({ "replayed": 1, "left_out": {}, "next_cursor": null })]);
        desk.until_the_service_runs();
        let world = &desk.world;
        world.until("it is told again", || world.plivo.heard_about("good").len() == 2);
    }
}

#[test]
fn a_dry_run_shows_what_mended_rules_would_change_and_changes_nothing() {
    for at in BOTH {
        let mut desk = Desk::after_a_bad_friday(at);
        desk.world.operator_rewrites(|settings| {
            let mended = r#"rating: { of: score, scale: { from: [5, 1] } }, notes: "turned round""#;
            settings.replacen("rating: { of: score }", mended, 1)
        });
        if at == At::Service {
            desk.world.reload();
        }
        let replay = ["submissions", "replay", "--state", "dead"];
        let said = desk.does(&[&replay[..], &["--dry-run"]].concat());
        assert!(said.contains("bad-1  quick   dead (refused), 2 OTHERS"), "{said}");
        assert!(said.contains("4 OTHERS: turned round"), "{said}");
        assert!(
            said.ends_with(
                "3 would be offered again; 3 would come to something else than before\n"
            ),
            "{said}"
        );
        let as_was = desk.tells(&[&replay[..], &["--dry-run", "--as-was"]].concat());
        assert_eq!(as_was.len(), 4);
        assert_eq!(as_was[0]["changed"], false);
        assert_eq!(as_was[3]["would_be_replayed"], 3);
        assert_eq!(desk.calls(&["--state", "dead"]).len(), 3);

        desk.world.plivo.is_well();
        desk.does(&replay);
        desk.until_the_service_runs();
        desk.world.until("all are delivered", || desk.world.ledger.totals().delivered == 4);
        assert_eq!(desk.world.plivo.heard_about("bad-1")[0]["notes"], "turned round");
    }
}

#[test]
fn only_what_mended_rules_change_is_told_to_plivo_again() {
    for at in BOTH {
        let mut world = World::new();
        for (call, digits) in [("one", "1"), ("two", "2"), ("three", "3"), ("five", "5")] {
            world.caller(call).has_pressed(digits);
            world.until_it_is(call, "delivered");
        }
        world.operator_rewrites(|settings| {
            let mended = "rating: { of: score }, rules: [{ when: score <= 2, rating: 1 }]";
            settings.replacen("rating: { of: score }", mended, 1)
        });
        match at {
            At::Service => world.reload(),
            At::Ledger => world.stop(),
        }
        let mut desk = Desk { world, at };
        let replay = ["submissions", "replay", "--state", "delivered", "--accepted", "--changed"];
        let shown = desk.does(&[&replay[..], &["--dry-run"]].concat());
        assert!(shown.contains("two   quick   delivered, 2 OTHERS  1 OTHERS\n"), "{shown}");
        assert!(
            shown.contains("1 would be offered again, 3 left out (3 unchanged); 1 would"),
            "{shown}"
        );
        assert_eq!(desk.does(&replay), "1 due again, 3 left out (3 unchanged)\n");
        desk.until_the_service_runs();
        let heard = |call: &str| desk.world.plivo.heard_about(call).len();
        desk.world.until("the changed one is told again", || heard("two") == 2);
        assert_eq!(desk.world.plivo.heard_about("two")[1]["rating"], 1);
        assert_eq!(desk.world.plivo.requests(), 5);
    }
}

#[test]
fn what_is_given_up_says_why_and_is_final() {
    for at in BOTH {
        let desk = Desk::after_a_bad_friday(at);
        let one = desk.id("bad-1");
        let because = ["--because", "a test call"];
        let discard = [&["submissions", "discard", &one], &because[..]].concat();
        assert_eq!(desk.does(&discard), format!("{one}: discarded\n"));
        assert!(desk.says(&discard).failed().contains("final"));
        let shown = desk.does(&["submissions", "show", &one]);
        assert!(shown.contains("state       discarded\nwhy         a test call\n"), "{shown}");

        let all = ["submissions", "discard", "--state", "dead"];
        assert_eq!(desk.says(&all).code, Some(2), "nobody said why");
        assert_eq!(desk.does(&[&all[..], &because].concat()), "2 discarded\n");
        assert!(desk.says(&["submissions", "replay", &one]).failed().contains("final"));
        assert_eq!(desk.world.ledger.totals().discarded, 3);
        assert!(desk.world.ledger.totals().balance());
    }
}

#[test]
fn an_account_is_held_and_resumed_by_hand() {
    for at in BOTH {
        let mut desk = Desk::after_a_bad_friday(at);
        let said = desk.does(&["accounts", "hold", "other", "--because", "the contract ends"]);
        assert!(said.contains("the contract ends"), "{said}");
        desk.until_the_service_runs();
        desk.world.caller("waits").at("tenant").has_pressed("4");
        desk.world.caller("does-not").has_pressed("4");
        desk.world.plivo.is_well();
        desk.world.until_it_is("does-not", "delivered");
        assert_eq!(desk.world.ledger.submission("waits").unwrap().attempts, [""; 0]);
        desk.is_asked_there();
        let accounts = desk.tells(&["accounts"]);
        let other = accounts.iter().find(|it| it["account"] == "other").unwrap();
        assert_eq!(
            (&other["hold"]["cause"], &other["waiting"]),
            (&json!("operator"), &json!(true))
        );
        let listed = desk.does(&["submissions"]);
        assert!(listed.contains("account other is held since"), "{listed}");

        assert_eq!(desk.does(&["accounts", "resume", "other"]), "other is resumed\n");
        assert_eq!(desk.does(&["accounts", "resume", "other"]), "other was not held\n");
        desk.until_the_service_runs();
        desk.world.until_it_is("waits", "delivered");
    }
}

#[test]
fn what_cannot_be_asked_so_is_told_before_anything_is_asked() {
    let desk = Desk::after_a_bad_friday(At::Ledger);
    for wrong in [
        &["submissions", "replay"][..],
        &["submissions", "replay", "not-an-id"],
        &["submissions", "discard", "--because", "of nothing"],
        &["submissions", "list", "--since", "yesterday"],
        &["submissions", "erase"],
        &["accounts", "hold", "main"],
    ] {
        assert_eq!(desk.says(wrong).code, Some(2), "{wrong:?}");
    }
    let missing =
        desk.says(&["submissions", "replay", "--state", "dead", "--ledger", "no/such.db"]);
    assert!(missing.failed().contains("no/such.db"));
}

#[test]
fn a_spreadsheet_or_a_script_gets_what_is_found() {
    for at in BOTH {
        let desk = Desk::after_a_bad_friday(at);
        let csv = desk.does(&["submissions", "export", "--format", "csv", "--state", "dead"]);
        assert_eq!(csv.lines().count(), 4, "{csv}");
        assert!(csv.starts_with("id,account,survey,call,state,reason"), "{csv}");
        let file = desk.world.folder().join("export.jsonl");
        let into_file = ["submissions", "export", "--to", file.to_str().unwrap()];
        assert_eq!(desk.does(&into_file), "");
        let lines = std::fs::read_to_string(&file).unwrap();
        let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert_eq!((lines.lines().count(), &first["call"]), (4, &json!("bad-3")));
        assert!(desk.says(&into_file).failed().contains("export.jsonl"), "nothing is overwritten");
    }
}

#[test]
fn a_replay_is_stopped_between_two_pages_and_goes_on_where_it_was() {
    const ONE_PAGE: usize = 200;
    let world = World::new();
    for n in 0..ONE_PAGE + 10 {
        world.caller(&format!("c-{n}")).asked("typo").has_pressed("4");
    }
    let dead = || world.ledger.totals().dead as usize;
    world.until("all are dead", || dead() == ONE_PAGE + 10);
    let desk = Desk { world, at: At::Service };
    let replay = ["submissions", "replay", "--state", "dead"];

    let stopped_after_a_page = |stdout: Stdio| {
        let mut command = desk.command(&replay);
        let mut running = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(running.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, "200 due again; going on\n");
        interrupt(running.id());
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        let ended = running.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(1), "{rest}");
        let (_, cursor) =
            rest.split_once("stopped; to go on, say the same with --cursor ").expect(&rest);
        (String::from_utf8(ended.stdout).unwrap(), cursor.to_owned())
    };
    let (said, cursor) = stopped_after_a_page(Stdio::piped());
    assert_eq!(said, "200 due again\n");

    let rest = [&replay[..], &["--cursor", cursor.trim()]].concat();
    assert_eq!(desk.does(&rest), "10 due again\n");
    desk.world.until("none waits", || desk.world.ledger.totals().waiting() == 0);
    assert_eq!(desk.world.ledger.audit_entries(), ONE_PAGE + 10);

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // What reads it ends by the same Ctrl-C.
    stopped_after_a_page(writer.into());
}

#[test]
fn a_service_is_found_by_its_settings_and_let_in_by_its_token() {
    let mut world = World::of(crate::world::SETTINGS);
    let token = world.folder().join("desk-token");
    std::fs::write(&token, "the-token-of-the-desk\n").unwrap();
    let with_token = format!(r#"token: {{ file: "{}" }}"#, token.display());
    // A port that was free a moment ago, which the person's window can know.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    world.operator_rewrites(|settings| {
        settings.replace(
            r#"private: { listen: "127.0.0.1:0" }"#,
            &format!(r#"private: {{ listen: "0.0.0.0:{port}", {with_token} }}"#),
        )
    });
    world.start();
    let desk = Desk { world, at: At::Ledger };
    assert!(desk.does(&["accounts", "hold", "other", "--because", "to see it"]).contains("to see"));
    assert!(desk.does(&["accounts"]).contains("to see it"));

    let door = format!("http://127.0.0.1:{port}");
    let stranger = |token: &str| {
        let file = desk.world.folder().join("another-token");
        std::fs::write(&file, token).unwrap();
        let file = file.to_str().unwrap();
        desk.says(&["accounts", "resume", "other", "--service", &door, "--token-file", file])
    };
    let refused = stranger("not-the-token-of-the-desk").failed();
    assert!(refused.contains("--token-file"), "{refused}");
    assert!(!refused.contains("the-token-of-the-desk"), "{refused}");
    assert_eq!(stranger("the-token-of-the-desk").well(), "other is resumed\n");
}

#[test]
fn a_service_without_an_api_is_looked_into_and_says_what_it_wants() {
    let mut world = World::of(crate::world::SETTINGS);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    world.operator_rewrites(|settings| {
        settings.replace(
            "private: { listen: \"127.0.0.1:0\" }",
            &format!("private: {{ listen: \"0.0.0.0:{port}\" }}"),
        )
    });
    world.start();
    world.caller("c-1").has_pressed("5");
    world.until_it_is("c-1", "delivered");
    let desk = Desk { world, at: At::Ledger };
    assert_eq!(desk.calls(&["--state", "delivered"]), ["c-1"]);
    let said = desk.says(&["submissions", "replay", "--state", "dead"]).failed();
    assert!(said.contains("its API is off") && said.contains("private.token"), "{said}");
    let door = format!("http://127.0.0.1:{port}");
    let said = desk.says(&["accounts", "--service", &door]).failed();
    assert!(said.contains("private.token"), "{said}");
}

#[test]
fn a_service_that_is_named_is_asked_though_this_shell_has_not_its_variables() {
    let desk = Desk::after_a_bad_friday(At::Service);
    let settings = "accounts: { main: { auth_id: MAX, auth_token: { env: NOBODY_SET_THIS } } }";
    let file = desk.world.folder().join("another.yaml");
    std::fs::write(&file, settings).unwrap();
    let door = format!("http://{}", desk.world.private());
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    command.args(["submissions", "--service", &door]).env("POSTCALL_CONFIG", file);
    let said = Said::of(command.output().unwrap()).well();
    assert!(said.contains("bad-1"), "{said}");
}

#[test]
fn who_asks_while_the_ledger_is_not_written_hears_why() {
    let desk = Desk::after_a_bad_friday(At::Service);
    desk.world.ledger.refuses_writes();
    let said = desk.says(&["submissions", "erase", "bad-1"]).failed();
    assert!(said.contains("writing to the store: "), "{said}");
}

#[test]
fn who_forgets_the_settings_is_told_how_to_name_them() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    let output = command.arg("accounts").env_remove("POSTCALL_CONFIG").output().unwrap();
    let said = Said::of(output);
    assert_eq!(said.code, Some(78));
    assert!(said.stderr.contains("--config FILE"), "{}", said.stderr);
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
        let desk = Desk::after_a_bad_friday(at);
        let ids = ["bad-1", "bad-2", "bad-3"].map(|call| desk.id(call));
        let [one, two, three] = &ids;
        let without_reader = |arguments: &[&str]| {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            desk.command(arguments).stdout(writer).status().unwrap()
        };
        let discard = ["submissions", "discard", one, two, three, "--because", "tests"];
        assert!(without_reader(&discard).success());
        assert_eq!(desk.world.ledger.totals().discarded, 3);
        assert_eq!(without_reader(&discard).code(), Some(1), "that is final");

        assert!(without_reader(&["submissions", "erase", "bad-1", "bad-2", "bad-3"]).success());
        for call in ["bad-1", "bad-2", "bad-3"] {
            assert_eq!(desk.calls(&["--call", call]), [""; 0]);
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
        let mut desk = Desk::after_a_bad_friday(at);
        let one = desk.id("bad-1");
        assert_eq!(desk.does(&["submissions", "erase", "bad-1"]), "bad-1: 1 erased\n");
        let again = desk.does(&["submissions", "erase", "bad-1"]);
        assert_eq!(again, "bad-1: nothing is known of it, or not any more\n");
        assert_eq!(desk.calls(&["--call", "bad-1"]), [""; 0]);
        let shown = desk.does(&["submissions", "show", &one]);
        assert!(shown.contains("call        not kept any more\n"), "{shown}");
        assert!(!shown.contains("hooks") && !shown.contains("bad-1"), "{shown}");
        assert!(desk.says(&["submissions", "replay", &one]).failed().contains("final"));
        assert!(desk.world.ledger.totals().balance());

        desk.until_the_service_runs();
        let comes_again = desk.world.caller("bad-1").presses("2");
        comes_again.assert_status(200);
        assert_eq!(comes_again.header("postcall-outcome"), Some("gone"));
        assert_eq!(comes_again.header("postcall-submission"), None);
    }
}
