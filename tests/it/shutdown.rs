//! How the program ends, and what it says to whoever started it.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use postcall::simulator::{Options, Simulator};
use postcall::store::SubmissionFilter;
use postcall::store::sqlite::ReadOnly;
use postcall::submission::State;
use serde_json::Value;

use crate::process::{Home, Line, Process, Reply, postcall, run};

/// More than one test needs, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn it_turns_unready_then_deaf_then_finishes_what_is_in_flight() {
    let far_side = Simulator::start(([127, 0, 0, 1], 0).into(), Options::default()).unwrap();
    // Its answer comes when the public listener is closed already.
    let plan = r#"{"faults":[{"delay_ms":4000,"times":1}]}"#;
    let put = format!(
        "PUT /simulator/faults HTTP/1.1\r\nhost: far.side\r\ncontent-length: {}\r\n\r\n{plan}",
        plan.len()
    );
    let mut control = Line::open(far_side.addr()).unwrap();
    assert_eq!(control.exchange(put.as_bytes()).unwrap().status, 204);
    let home = home(&format!("http://{}", far_side.addr()), "2s");
    let service = Process::start(&home.settings());
    assert_eq!(readiness(&service), 200);
    let first = send(&service, &home, "in-flight");
    assert_eq!(first.header("postcall-outcome"), Some("created"));
    assert_eq!(first.header("connection"), None, "the connection can be used again");
    let heard = |control: &mut Line| -> Value {
        serde_json::from_str(&control.get("/simulator/summary").unwrap().body).unwrap()
    };
    let began = Instant::now();
    while heard(&mut control)["accepted"] != 1 {
        assert!(began.elapsed() < PATIENCE, "nothing is delivered");
    }

    service.signal("TERM");
    service.wait_for("going down: not ready any more, webhooks are still taken");
    assert_eq!(readiness(&service), 503);
    let last = send(&service, &home, "while-going-down");
    assert_eq!((last.status, last.header("postcall-outcome")), (200, Some("created")));
    assert_eq!(last.header("connection"), Some("close"), "its sender makes another one elsewhere");
    service.wait_for("public listener closed");
    assert!(TcpStream::connect(service.public).is_err(), "the public listener is still open");
    service.wait_for("the store is closed");
    assert_eq!(service.ended().status.code(), Some(0));

    let counts = ReadOnly::open(&home.store()).unwrap().statistics().unwrap().counts;
    assert_eq!((counts.accepted, counts.delivered), (2, 2));
    assert_eq!(heard(&mut control)["accepted"], 2);
}

/// As by SIGSTOP, or while a virtual machine moves: longer than an exchange may take, and longer than a
/// claim holds.
#[test]
fn a_reply_that_came_while_the_process_was_paused_is_used() {
    let far_side = Simulator::start(([127, 0, 0, 1], 0).into(), Options::default()).unwrap();
    let plan = r#"{"faults":[{"delay_ms":500,"times":1}]}"#;
    let put = format!(
        "PUT /simulator/faults HTTP/1.1\r\nhost: far.side\r\ncontent-length: {}\r\n\r\n{plan}",
        plan.len()
    );
    let mut control = Line::open(far_side.addr()).unwrap();
    assert_eq!(control.exchange(put.as_bytes()).unwrap().status, 204);
    let home = home_with(
        &format!("http://{}", far_side.addr()),
        "0s",
        "delay: 0s, timeout: 1s, connect_timeout: 1s, lease: 6001ms, probe_interval: 1s",
    );
    let service = Process::start(&home.settings());
    assert_eq!(send(&service, &home, "in-flight").header("postcall-outcome"), Some("created"));
    let mut heard = || -> Value {
        serde_json::from_str(&control.get("/simulator/summary").unwrap().body).unwrap()
    };
    let began = Instant::now();
    while heard()["accepted"] != 1 {
        assert!(began.elapsed() < PATIENCE, "nothing is delivered");
    }
    service.signal("STOP");
    // The pause is what is tried.
    std::thread::sleep(Duration::from_millis(7500));
    service.signal("CONT");

    let store = ReadOnly::open(&home.store()).unwrap();
    let submission = || store.search(&SubmissionFilter::default(), None, 1).unwrap().submissions;
    let began = Instant::now();
    while submission()[0].document.attempts.iter().any(|attempt| attempt.response.is_none()) {
        assert!(began.elapsed() < PATIENCE, "the attempt does not end");
    }
    let submission = submission().remove(0);
    let responses: Vec<_> =
        submission.document.attempts.iter().map(|it| it.response.clone().unwrap()).collect();
    assert_eq!(responses.len(), 1, "{responses:?}");
    assert_eq!(responses[0].verdict.label(), "accepted", "{responses:?}");
    assert_eq!(submission.state, State::Delivered);
    assert_eq!(heard()["accepted"], 1);
}

#[test]
fn signal_drains_the_service_and_another_one_a_second_later_ends_it_at_once() {
    for signal in ["TERM", "INT"] {
        let home_in_no_hurry = home("http://127.0.0.1:9", "60s");
        let mut service = Process::start(&home_in_no_hurry.settings());
        let started = Instant::now();
        // Terminals and orchestrators send some signals twice, which is no order to end at once.
        while service.is_running() {
            assert!(started.elapsed() < PATIENCE, "a second signal by {signal} ends it");
            service.signal(signal);
            thread::sleep(Duration::from_millis(50));
        }
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(1), "signals within a second are one, took {took:?}");
        assert_eq!(service.ended().status.code(), Some(1), "a second signal by {signal}");

        let home_in_a_hurry = home("http://127.0.0.1:9", "0s");
        let service = Process::start(&home_in_a_hurry.settings());
        service.signal(signal);
        assert_eq!(service.ended().status.code(), Some(0), "one signal by {signal}");
    }
}

#[test]
fn bad_settings_end_with_78_and_bad_usage_with_2() {
    let home = Home::new("publick: {}");
    for verb in ["serve", "check"] {
        let output = run(&[verb], &home.settings());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("publick"), "{said}");
    }
    for usage in [&["serves"][..], &["serve", "--loudly"], &["sign", "ivr"]] {
        assert_eq!(run(usage, &home.settings()).status.code(), Some(2), "{usage:?}");
    }
}

/// Settings and secrets are mounted one after the other.
#[test]
fn settings_whose_secret_is_mounted_later_come_into_force_then() {
    let home = home("http://127.0.0.1:9", "0s");
    let token = home.settings().with_file_name("token");
    let service = Process::start(&home.settings());
    home.settings_of("postcall", |settings| {
        settings.replace(
            r#"{ value: "a made-up 'token'" }"#,
            &format!("[{{ file: \"{}\" }}, {{ value: \"a made-up 'token'\" }}]", token.display()),
        )
    });
    service.wait_for("the settings were not reloaded, the old ones stay in force");
    std::fs::write(&token, "another made-up token").unwrap();
    service.wait_for("the settings were reloaded");
}

#[test]
fn a_store_is_served_by_one_process() {
    let home = home("http://127.0.0.1:9", "0s");
    let first = Process::start(&home.settings());
    let second = run(&["serve"], &home.settings());
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    let expected = format!("the store {} is in use by another process", home.store().display());
    assert!(said.contains(&expected), "{said}");
    assert_eq!(readiness(&first), 200);
    first.kill();
    Process::start(&home.settings());
}

#[test]
fn submissions_are_listed_while_it_serves_and_afterwards() {
    // No one listens there.
    let home = home("http://127.0.0.1:9", "0s");
    let service = Process::start(&home.settings());
    let calls = ["call-1", "call-2", "call-3"];
    for call in calls {
        assert_eq!(send(&service, &home, call).status, 200);
    }
    assert_eq!(listed(&home.settings()), ["call-3", "call-2", "call-1"]);
    service.kill();
    assert_eq!(listed(&home.settings()), ["call-3", "call-2", "call-1"]);
}

/// The first process of a container never sees a signal that it does not listen to.
#[test]
fn signal_while_the_store_opens_stops_the_service_as_soon_as_it_is_open() {
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://postcall@{}/postcall", database.local_addr().unwrap());
    let home = home("http://127.0.0.1:9", "0s");
    let file = format!("sqlite:{}", home.store().display());
    let settings = home.settings_of("postgres", |settings| settings.replace(&file, &url));
    let mut service = postcall(&["serve"], &settings).stdout(Stdio::null()).spawn().unwrap();
    // The database takes the connection and says nothing, until it goes.
    let connection = database.accept().unwrap();
    let signal = format!("kill -TERM {}", service.id());
    assert!(Command::new("sh").args(["-c", &signal]).status().unwrap().success());
    drop((connection, database));
    assert_eq!(service.wait().unwrap().code(), Some(0));
}

/// A service that delivers to `api`.
fn home(api: &str, announce: &str) -> Home {
    home_with(api, announce, "delay: 0s")
}

fn home_with(api: &str, announce: &str, delivery: &str) -> Home {
    Home::new(&format!(
        r#"
public: {{ listen: "127.0.0.1:0", url: https://surveys.example.com }}
admin: {{ listen: "127.0.0.1:0" }}
accounts:
  main: {{ auth_id: MASTOPSTOPSTOPSTOP00, auth_token: {{ value: "a made-up 'token'" }}, api: "{api}" }}
sources:
  ivr: {{ preset: plivo, account: main, survey: quick }}
surveys:
  quick: {{ questions: [{{ name: score, answers: 1-5 }}], rating: {{ question: score }} }}
delivery: {{ {delivery} }}
shutdown: {{ drain_delay: {announce} }}
"#
    ))
}

/// Sends what `postcall sign` prints, as a shell understands it.
fn send(service: &Process, home: &Home, call: &str) -> Reply {
    let to = format!("http://{}", service.public);
    let sign = ["sign", "ivr", "--call", call, "--digits", "4", "--to", &to];
    let signed = run(&sign, &home.settings());
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    let line = String::from_utf8(signed.stdout).unwrap();
    let shown = Command::new("sh")
        .args(["-c", &format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{line}")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let mut words = shown.lines();
    let (mut method, mut headers, mut body, mut target) = ("", String::new(), "", "");
    while let Some(word) = words.next() {
        match word {
            "-X" => method = words.next().unwrap(),
            "-H" => headers.push_str(&format!("{}\r\n", words.next().unwrap())),
            "--data" => body = words.next().unwrap(),
            "-sS" | "-i" => {}
            url => target = url.strip_prefix(&to).expect("the address it was told"),
        }
    }
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: any.host\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    Line::open(service.public).unwrap().exchange(request.as_bytes()).unwrap()
}

fn readiness(service: &Process) -> u16 {
    Line::open(service.admin).unwrap().get("/readyz").unwrap().status
}

/// The calls that `postcall submissions` lists.
fn listed(settings: &Path) -> Vec<String> {
    let output = run(&["submissions", "--output", "json"], settings);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let call = |line: &str| -> String {
        let row: Value = serde_json::from_str(line).unwrap();
        row["call"].as_str().unwrap().to_owned()
    };
    lines.lines().map(call).collect()
}
