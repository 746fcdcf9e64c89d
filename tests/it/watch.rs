//! `postcall explain --watch`: explained again after each change, by a pipe's reader.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::process::{self, Home};
use crate::survey_faults::SETTINGS;

/// A missing line fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Watched {
    process: Child,
    printed: Receiver<String>,
}

impl Watched {
    /// `stdin` is its standard input.
    fn start(arguments: &[&str], settings: &Path, stdin: &str) -> Self {
        let postcall = process::postcall(&[&["explain", "--watch"], arguments].concat(), settings);
        // One pipe for both, which keeps the order of the lines.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" \"$@\" 2>&1"])
            .arg(postcall.get_program())
            .args(postcall.get_args());
        for (removed, _) in postcall.get_envs() {
            command.env_remove(removed);
        }
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("there is a shell");
        process.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (line, printed) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|it| line.send(it)));
        Self { process, printed }
    }

    /// Waits for a line with this text.
    #[track_caller]
    fn until_it_prints(&self, text: &str) {
        let mut all = String::new();
        while !all.contains(text) {
            match self.printed.recv_timeout(PATIENCE) {
                Ok(line) => all.push_str(&format!("{line}\n")),
                Err(_) => panic!("no line has {text:?}:\n{all}"),
            }
        }
    }

    /// Its exit code after a signal, `INT` or `TERM`.
    fn ended_by(mut self, signal: &str) -> Option<i32> {
        let line = format!("kill -{signal} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // It fails only if the process has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn explain_watches_its_settings_and_its_request_until_ctrl_c() {
    let home = Home::new(SETTINGS);
    let settings = home.settings();
    let request = settings.with_file_name("request.http");
    let body = "POST /hooks/ivr?question=score HTTP/1.1\n\
                Content-Type: application/x-www-form-urlencoded\n\nCallUUID=c-1&Digits=Bad";
    fs::write(&request, body).unwrap();
    let watched = Watched::start(&[request.to_str().unwrap()], &settings, "");
    watched.until_it_prints("feedback    {\"issues\":[\"OTHERS\"],\"notes\":\"Bad\",\"rating\":1}");
    watched.until_it_prints("Ctrl-C ends it");

    replace(&settings, "answer: Bad, rating: 1", "answer: Bad, rating: 2");
    watched.until_it_prints("postcall.yaml changed");
    watched.until_it_prints("\"rating\":2}");
    watched.until_it_prints("Ctrl-C ends it");

    replace(&request, "Bad", "Fair");
    watched.until_it_prints("request.http changed");
    watched.until_it_prints("\"rating\":3}");
    watched.until_it_prints("Ctrl-C ends it");

    // A fault is printed, and the next change corrects it.
    replace(&settings, "answer: Fair, rating: 3", "answer: Fair, rating: 9");
    watched.until_it_prints("invalid configuration:");
    watched.until_it_prints("Ctrl-C ends it");
    replace(&settings, "answer: Fair, rating: 9", "answer: Fair, rating: 4");
    watched.until_it_prints("\"rating\":4}");
    watched.until_it_prints("Ctrl-C ends it");
    assert_eq!(watched.ended_by("INT"), Some(0));
}

#[test]
fn explain_watches_its_settings_and_reads_the_standard_input_once() {
    let home = Home::new(SETTINGS);
    let settings = home.settings();
    let arguments = ["--source", "ivr", "--query", "question=score", "-"];
    let watched = Watched::start(&arguments, &settings, "CallUUID=c-1&Digits=Bad");
    watched.until_it_prints("Ctrl-C ends it");
    replace(&settings, "answer: Bad, rating: 1", "answer: Bad, rating: 2");
    watched.until_it_prints("\"rating\":2}");
    assert_eq!(watched.ended_by("TERM"), Some(0));
}
