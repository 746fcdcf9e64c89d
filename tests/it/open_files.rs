//! Open files, of which a process has only so many.

use crate::process::{Home, Process, refused_with_open_files};
use crate::test_env::{Figures, SETTINGS, TestEnv};
use crate::wire::{Connection, exchange, request};

const SETTINGS_OF_A_PROCESS: &str = r#"
public: { listen: "127.0.0.1:0", url: "https://surveys.example.com" }
admin: { listen: "127.0.0.1:0" }
accounts: { main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: the-token-that-plivo-knows } } }
sources: { quick: { preset: plivo, account: main, survey: quick } }
surveys: { quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score } } }
"#;

#[test]
fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let home = Home::new(SETTINGS_OF_A_PROCESS);
    let process = Process::start_with_open_files(&home.settings(), 256, 4096);
    let page = exchange(process.admin, &request("GET", "/metrics", &[], b""));
    let limit = page.text.lines().find_map(|line| line.strip_prefix("process_max_fds "));
    assert_eq!(limit, Some("4096"));
}

#[test]
fn connections_that_leave_no_open_files_for_the_rest_are_refused() {
    let home = Home::new(SETTINGS_OF_A_PROCESS);
    let ended = refused_with_open_files(&home.settings(), 256, 1024);
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(
        said.contains("set public.connections to at most 824, or raise the hard limit"),
        "{said}"
    );
}

#[test]
fn a_lack_of_open_files_is_not_taken_for_a_destination_that_cannot_be_reached() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.set(&[("DELIVERY__RETRY__MAX_BACKOFF", "100ms")]);
    test_env.serve_as_process();
    let mut public = Connection::open(test_env.public());
    let mut admin = Connection::open(test_env.private());
    for connection in [&mut public, &mut admin] {
        connection.send(&request("GET", "/", &[], b""));
        connection.reply().expect("an answer");
    }
    let mut figures = || {
        admin.send(&request("GET", "/metrics", &[], b""));
        Figures::read(&admin.reply().expect("an answer").text)
    };

    test_env.process().limit_open_files(8);
    for call in 0..8 {
        public.send(&test_env.caller(&format!("c-{call}")).callback("4").bytes());
        public.reply().expect("an answer").assert_status(200);
    }
    let attempts = "attempts_total{account=\"main\",verdict=\"local_error\"}";
    test_env.until("many attempts found no open file", || figures().of(attempts) > 20.0);
    assert!(test_env.store.pauses().is_empty(), "{:?}", test_env.store.pauses());
    let unreachable = "attempts_total{account=\"main\",verdict=\"unreachable\"}";
    assert_eq!(figures().of(unreachable), 0.0);
    test_env.process().wait_for(
        "no socket can be opened for deliveries, the process has no open file left: raise its limit \
         or lower public.connections; deliveries continue when a file is free",
    );

    test_env.process().limit_open_files(4096);
    for call in 0..8 {
        test_env.until_it_is(&format!("c-{call}"), "delivered");
    }
}
