//! Help, completions and manual pages of the command line.

use std::process::{Command, Stdio};

use clap::Parser;
use postcall::cli::{Cli, command};

/// Every command, and its path without the program's name.
fn commands() -> Vec<(String, clap::Command)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), command())];
    while let Some((path, command)) = open.pop() {
        for sub in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            let path = format!("{path} {}", sub.get_name());
            open.push((path.trim_start().to_owned(), sub.clone()));
        }
        found.push((path, command));
    }
    found
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_postcall")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_of_every_command_has_examples_that_the_command_line_accepts() {
    let commands = commands();
    assert!(commands.len() >= 20, "{}", commands.len());
    for (path, command) in &commands {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let (_, rest) =
            help.split_once("Examples:\n").unwrap_or_else(|| panic!("{path}: no example"));
        let examples: Vec<_> = rest.lines().take_while(|line| line.starts_with("  ")).collect();
        let mut own = 0;
        for example in &examples {
            let (_, arguments) = example.split_once("postcall ").expect("it runs the program");
            let arguments = arguments.split(['|', '>']).next().unwrap();
            let words = words(arguments);
            own += usize::from(words.join(" ").starts_with(path));
            if let Err(error) = Cli::try_parse_from([vec!["postcall".to_owned()], words].concat()) {
                panic!("{example}\n{error}");
            }
        }
        assert!(own > 0, "{path}: none of its examples is its own");
    }
}

/// As a shell cuts them, with single quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            1 => words.push(part.to_owned()),
            _ => words.extend(part.split_whitespace().map(str::to_owned)),
        }
    }
    words
}

#[test]
fn help_shows_the_examples() {
    let help = run(&["submissions", "replay", "--help"]);
    assert!(help.contains("Examples:\n  postcall submissions replay --state dead"), "{help}");
    assert!(help.contains("Look first: --dry-run"), "{help}");
}

#[test]
fn completions_of_each_shell_know_every_command() {
    for (shell, head) in
        [("bash", "_postcall()"), ("zsh", "#compdef postcall"), ("fish", "complete -c postcall")]
    {
        let script = run(&["completions", shell]);
        assert!(script.contains(head), "{shell}");
        for (path, _) in commands() {
            let name = path.split(' ').next_back().unwrap();
            assert!(script.contains(name), "{shell} does not know {path}");
        }
    }
    let asks = "source /dev/stdin; COMP_WORDS=(postcall sub); COMP_CWORD=1; _postcall postcall sub postcall; \
                echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash")
        .args(["-c", asks])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("bash can be started");
    let script = run(&["completions", "bash"]);
    std::io::Write::write_all(&mut bash.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "submissions\n");
}

#[test]
fn manual_pages_are_printed_and_written_for_each_command() {
    let page = run(&["man"]);
    assert!(page.contains(".TH postcall 1"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    run(&["man", "--to", folder.path().to_str().unwrap()]);
    for (path, _) in commands() {
        let name = format!("postcall {path}").trim_end().replace(' ', "-");
        let page = std::fs::read_to_string(folder.path().join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}.1: {error}"));
        assert!(page.contains("Examples:"), "{name}.1 has no examples");
    }
}
