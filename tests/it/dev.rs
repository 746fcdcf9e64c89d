//! `postcall serve --dev`: a survey tried on a laptop.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::test_env::{Callback, SETTINGS, TOKEN, TestEnv};
use crate::wire::exchange;

/// A missing line fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Developer {
    test_env: TestEnv,
    process: Child,
    printed: Receiver<String>,
}

impl Developer {
    /// Listens on every address and delays by a minute, as a service would.
    fn start() -> Self {
        Self::start_with(SETTINGS)
    }

    fn start_with(settings: &str) -> Self {
        let test_env = TestEnv::of(settings);
        let settings = settings
            .replace("@folder@", test_env.folder().to_str().unwrap())
            .replace("@plivo@", "https://stats.plivo.com")
            .replace("127.0.0.1:0", "0.0.0.0:0")
            .replace("delay: 0s,", "delay: 60s,");
        let file = test_env.folder().join("dev.yaml");
        fs::write(&file, settings).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_postcall"))
            .args(["serve", "--dev", "--config", file.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (line, printed) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|it| line.send(it)));
        Self { test_env, process, printed }
    }

    /// The next line that holds all of these.
    #[track_caller]
    fn until_it_prints(&self, texts: &[&str]) -> String {
        loop {
            let line = self.printed.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no line with {texts:?}"));
            if texts.iter().all(|text| line.contains(text)) {
                return line;
            }
        }
    }
}

impl Drop for Developer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Without them, what is signed with a placeholder is believed, and nothing else is.
#[test]
fn a_developer_needs_no_secret() {
    let settings = SETTINGS.replace("{ file: \"@folder@/token\" }", "{ env: NOT_SET_TOKEN }");
    assert_ne!(settings, SETTINGS);
    let developer = Developer::start_with(&settings);
    let line = developer.until_it_prints(&["source quick", "http://127.0.0.1:", "/hooks/quick"]);
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let hint = developer.until_it_prints(&["Send an answer: postcall sign"]);
    assert!(hint.contains("--without-secrets --to"), "{hint}");

    let body = "CallUUID=c-1&Digits=4";
    let guessed = Callback::signed("quick", None, body, TOKEN).bytes();
    exchange(address.parse().unwrap(), &guessed).assert_status(401);
    developer.until_it_prints(&["rejected", "quick", "401"]);
    let to = format!("http://{address}");
    let config = developer.test_env.folder().join("dev.yaml");
    let sign = Command::new(env!("CARGO_BIN_EXE_postcall"))
        .args(["sign", "quick", "--call", "c-2", "--digits", "4", "--without-secrets", "--send"])
        .args(["--to", &to, "--config", config.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(sign.status.success(), "{sign:?}");
    developer.until_it_prints(&["delivered", "c-2", "rating=4"]);
}

#[test]
fn a_developer_sees_each_webhook_and_what_became_of_it_and_plivo_hears_nothing() {
    let mut developer = Developer::start();
    let line = developer.until_it_prints(&["source quick", "http://127.0.0.1:", "/hooks/quick"]);
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let send = |call: &str, digits: &str, token: &str| {
        let body = format!("CallUUID={call}&Digits={digits}");
        exchange(address, &Callback::signed("quick", None, &body, token).bytes())
    };
    send("c-1", "2", TOKEN).assert_status(200);
    developer.until_it_prints(&["received", "c-1", "created"]);
    // Not after a minute, and to the simulator.
    developer.until_it_prints(&["delivered", "c-1", "rating=2", "OTHERS"]);
    send("c-2", "7", TOKEN).assert_status(200);
    developer.until_it_prints(&["ignored", "c-2", "invalid_answer"]);
    send("c-3", "4", "another-token").assert_status(401);
    developer.until_it_prints(&["rejected", "quick", "401"]);

    let store = developer.test_env.store.path();
    assert!(!store.exists(), "the store of the settings is not touched");
    let pid = developer.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(developer.process.wait().unwrap().success());
}
