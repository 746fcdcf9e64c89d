//! What commands do on a terminal, which `script` (util-linux) is to them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process::Home;
use crate::test_env::TestEnv;

/// What a terminal of so many columns shows of a command that ends by itself.
fn shown_on(columns: u32, arguments: &str) -> String {
    let command =
        format!("stty rows 40 cols {columns}; {} {arguments}", env!("CARGO_BIN_EXE_postcall"));
    let output = Command::new("timeout")
        .args(["--foreground", "60", "script", "--quiet", "--return", "--flush", "--command"])
        .args([&command, "/dev/null"])
        .env_remove("POSTCALL_CONFIG")
        .env("SHELL", "/bin/sh")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("coreutils are there");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    shown.replace('\r', "")
}

#[test]
fn show_and_accounts_fit_the_terminal_and_say_how_long_ago_it_was() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let url = format!("http://{}", test_env.private());
    let paused = test_env
        .postcall(&["accounts", "pause", "other", "--comment", &"because ".repeat(20)])
        .args(["--admin-url", &url])
        .output()
        .unwrap();
    assert!(paused.status.success(), "{paused:?}");
    for (arguments, row) in [("submissions show c-1", "form:Digits"), ("accounts", "other")] {
        let shown = shown_on(70, &format!("{arguments} --admin-url {url}"));
        assert!(shown.contains(row), "{shown}");
        for line in shown.lines() {
            assert!(line.chars().count() <= 70, "{line}\n{shown}");
        }
        assert!(shown.contains(" ago") || shown.contains("now"), "{shown}");
        assert!(shown.lines().any(|line| line.ends_with('…')), "{shown}");
        let in_utc = shown_on(70, &format!("{arguments} --utc --admin-url {url}"));
        assert!(!in_utc.contains(" ago"), "{in_utc}");
        let in_full = test_env
            .postcall(&arguments.split(' ').collect::<Vec<_>>())
            .args(["--admin-url", &url])
            .output()
            .unwrap();
        let in_full = String::from_utf8(in_full.stdout).unwrap();
        assert!(!in_full.contains('…') && !in_full.contains(" ago"), "{in_full}");
    }
}

/// A command on a terminal. What is written to it is typed, and its output is what the screen shows.
///
/// `script` has a shell start it. `exec` puts it in the place of that shell: a shell beside it gets
/// Ctrl-C as well, and dash ends by it before the command has ended. `timeout` ends what hangs.
fn on_a_terminal(arguments: &str, folder: &Path) -> Child {
    Command::new("timeout")
        .args(["--foreground", "60", "script"])
        .args(["--quiet", "--return", "--flush", "--command"])
        .arg(format!("exec {} {arguments}", env!("CARGO_BIN_EXE_postcall")))
        .arg("/dev/null")
        .current_dir(folder)
        .env_remove("POSTCALL_CONFIG")
        .env("SHELL", "/bin/sh")
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("coreutils are there")
}

const SETTINGS: &str = r#"
public: { listen: 127.0.0.1:0, url: https://surveys.example.com }
admin: { listen: 127.0.0.1:0 }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: a-made-up-auth-token } }
sources:
  ivr: { preset: plivo, account: main, survey: quick }
surveys:
  quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score } }
shutdown: { drain_delay: 0s }
"#;

#[test]
fn serve_prints_its_urls_and_readable_logs_on_a_terminal_and_stops_by_ctrl_c() {
    let home = Home::new(SETTINGS);
    let mut service = on_a_terminal("serve", home.settings().parent().unwrap());
    let mut screen = BufReader::new(service.stdout.take().unwrap());
    let mut shown = String::new();
    while !shown.contains(" serving ") {
        assert!(screen.read_line(&mut shown).unwrap() > 0, "it ended: {shown}");
    }
    for line in [
        "  source   ivr  https://surveys.example.com/hooks/ivr\r\n",
        "  public   http://127.0.0.1:",
        "  admin    http://127.0.0.1:",
        " INFO postcall::cli::serve: settings loaded file=postcall.yaml",
    ] {
        assert!(shown.contains(line), "{shown}\nhas not {line:?}");
    }
    // As a person types it.
    service.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    std::io::copy(&mut screen, &mut std::io::sink()).unwrap();
    assert!(service.wait().unwrap().success());
}

#[test]
fn init_asks_on_a_terminal_for_what_is_not_given() {
    let folder = tempfile::Builder::new().prefix("postcall-test-").tempdir().unwrap();
    let mut init = on_a_terminal("init --scale yes-no", folder.path());
    init.stdin.as_mut().unwrap().write_all(b"nobody\ntwilio\nhappy\n").unwrap();
    let screen = init.wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&screen.stdout).into_owned();
    assert!(screen.status.success(), "{shown}");
    assert!(shown.contains("expected one of plivo, plivo-phlo, twilio"), "{shown}");
    let written = std::fs::read_to_string(folder.path().join("postcall.yaml")).unwrap();
    assert!(
        written.starts_with(
            "# Settings of Postcall: postcall init --preset twilio --scale yes-no --survey happy\n"
        ),
        "{written}"
    );
}
