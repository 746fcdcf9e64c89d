//! A rolling restart of replicas behind HAProxy, with the configuration that users get.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;
use tempfile::TempDir;

use crate::invariant_checker::{self, LoadSenders, ReplicaOptions, Replicas, Tally};
use crate::postgres::{TestDatabase, is_available};
use crate::process::Process;

/// More than are sent until every replica was restarted.
const WEBHOOKS: usize = 2_500;

const SENDERS: usize = 4;

/// Of each sender, between two webhooks.
const REST: Duration = Duration::from_millis(40);

/// A balancer that does not see a replica fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(50);

#[test]
fn rolling_restart_of_replicas_behind_haproxy_refuses_no_webhook() {
    if !is_available() || !HaProxy::is_available() {
        return;
    }
    let seed = invariant_checker::seed();
    let database = TestDatabase::new();
    // Of this process alone, so that a replica has the same address again.
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = |n: usize| format!("127.{}.{low}.{}", 64 + high % 128, n + 1);
    let options = ReplicaOptions {
        store: &|_| format!("url: \"{}\"", database.url()),
        rewrite: &|n, settings| {
            let listening = settings
                .replace(
                    r#"public: { listen: "127.0.0.1:0""#,
                    &format!(r#"public: {{ listen: "{}:8080""#, host(n)),
                )
                .replace(
                    r#"admin: { listen: "127.0.0.1:0""#,
                    &format!(r#"admin: {{ listen: "{}:9090""#, host(n)),
                )
                .replace("shutdown: { drain_delay: 0s, deadline: 5s }", "");
            assert!(!listening.contains(":0\"") && !listening.contains("drain_delay"));
            listening
        },
        variables: Default::default(),
        webhooks: WEBHOOKS,
        groups: 1,
        pause: None,
    };
    let mut replicas = Replicas::start(options, &mut Rng::with_seed(seed));
    replicas.far_side.be_troublesome(json!([]), &replicas.calls);
    let haproxy = HaProxy::start(host);
    Replicas::NAMES.iter().for_each(|name| haproxy.wait_until(name, "UP"));

    let senders = replicas.senders[0].clone();
    senders.rest_for(REST);
    let threads = LoadSenders::gather(&senders, SENDERS);
    senders.send_to(format!("{}:8080", host(9)).parse().unwrap());
    senders.wait_for_answers(SENDERS);
    let began = Instant::now();
    for (n, name) in Replicas::NAMES.into_iter().enumerate() {
        replicas.start_again(n, |process: Process| {
            process.signal("TERM");
            haproxy.wait_until(name, "DOWN");
            let listens = TcpStream::connect(process.public).is_ok();
            assert!(
                listens,
                "it still takes what HAProxy sends before it has seen that {name} is red"
            );
            let ended = process.ended();
            assert!(ended.status.success(), "{:?}: {}", ended.status, ended.stdout);
        });
        haproxy.wait_until(name, "UP");
        if senders.unanswered() < WEBHOOKS / 2 {
            // The machine is slow: some have to be left for the next restart.
            senders.rest_for(REST * 4);
        }
        assert_eq!(replicas.sent_in_vain(), (0, 0), "refused, unanswered; {}", haproxy.log());
    }
    let (took, answered) = (began.elapsed().as_secs(), senders.answered().len());
    assert!(senders.unanswered() > 0, "all was sent before every replica was restarted");
    senders.rest_for(Duration::ZERO);
    replicas.wait_until_all_are_answered();
    assert_eq!(replicas.sent_in_vain(), (0, 0), "refused, unanswered; {}", haproxy.log());
    senders.dismiss();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let tally = replicas.end(&database.config(), Tally::default());
    assert_eq!(tally.delivered_again, 0);
    invariant_checker::say(&format!(
        "rolling restart: seed {seed}, {answered} webhooks in {took} s, each answered 200 at once{tally}"
    ));
}

/// HAProxy before three replicas, until it is dropped.
struct HaProxy {
    process: Child,
    folder: TempDir,
}

impl HaProxy {
    /// In CI there has to be one.
    fn is_available() -> bool {
        let is_available = command().arg("-v").output().is_ok();
        assert!(is_available || std::env::var_os("CI").is_none(), "HAProxy is not installed");
        if !is_available {
            eprintln!("skipped: HAProxy is not installed");
        }
        is_available
    }

    /// With the configuration of `deploy`, but for the addresses: that of the ninth host is its own.
    fn start(host: impl Fn(usize) -> String) -> Self {
        let folder = TempDir::new().unwrap();
        let mut text = fs::read_to_string("deploy/haproxy.cfg").unwrap();
        let servers = (0..Replicas::COUNT)
            .map(|n| (format!(" 10.0.0.{}:8080 port", n + 1), format!(" {}:8080 port", host(n))));
        for (address, real) in
            servers.chain([(" :8080 ".to_owned(), format!(" {}:8080 ", host(9)))])
        {
            assert!(text.contains(&address), "deploy/haproxy.cfg has no {address}");
            text = text.replace(&address, &real);
        }
        let (config, control) = (folder.path().join("haproxy.cfg"), folder.path().join("control"));
        fs::write(&config, text).unwrap();
        let socket = folder.path().join("control.cfg");
        fs::write(&socket, format!("global\n    stats socket {}\n", control.display())).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = command()
            .args(["-db", "-f"])
            .arg(&config)
            .arg("-f")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, folder }
    }

    /// Until it has seen that a replica is so.
    fn wait_until(&self, replica: &str, status: &str) {
        let began = Instant::now();
        while self.status(replica).as_deref() != Some(status) {
            assert!(began.elapsed() < PATIENCE, "{replica} is not {status}; {}", self.log());
            thread::sleep(LOOK_EVERY);
        }
    }

    fn status(&self, replica: &str) -> Option<String> {
        let mut control = UnixStream::connect(self.folder.path().join("control")).ok()?;
        control.write_all(b"show stat\n").ok()?;
        let mut table = String::new();
        control.read_to_string(&mut table).ok()?;
        let mut lines = table.lines();
        let column = lines.next()?.split(',').position(|name| name == "status")?;
        let row = lines.find(|line| line.starts_with(&format!("postcall,{replica},")))?;
        row.split(',').nth(column).map(str::to_owned)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Debian has it where only root looks.
fn command() -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("haproxy");
    command.env("PATH", format!("{path}:/usr/sbin"));
    command
}
