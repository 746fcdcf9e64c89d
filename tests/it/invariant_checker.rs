//! Who knows what must have become of every webhook, without asking the service: what callers said and
//! were promised, what lies on the disk, and what the far side heard.

mod cast;
mod ending;
mod far_side;
mod load_senders;
mod replicas;
mod rounds;
mod store_contents;
mod tally;

use std::io::Write;
use std::net::SocketAddr;

pub use self::cast::{Call, calls};
pub use self::ending::assert_ended_well;
pub use self::far_side::FarSide;
pub use self::load_senders::LoadSenders;
pub use self::replicas::{ReplicaOptions, Replicas};
pub use self::rounds::play_rounds;
pub use self::store_contents::StoreContents;
pub use self::tally::Tally;

/// Who delivers to `far_side`: two surveys that wait for their last answer for `after`. `delivery`
/// is the rest of its section.
pub fn settings(far_side: SocketAddr, after: &str, delivery: &str) -> String {
    SETTINGS
        .replace("FAR_SIDE", &far_side.to_string())
        .replace("AFTER", after)
        .replace("DELIVERY", delivery)
}

const SETTINGS: &str = r#"
public: { listen: "127.0.0.1:0", url: https://surveys.example.com }
admin: { listen: "127.0.0.1:0" }
accounts:
  main:
    auth_id: MACRASHCRASHCRASH000
    auth_token: { value: "made-up-token-of-the-crash-test" }
    api: http://FAR_SIDE
sources:
  quick: { preset: plivo, account: main, survey: quick }
  ivr: { preset: plivo, account: main, survey: quality }
surveys:
  quick:
    questions: [{ name: score, answers: 1-5 }]
    rating: { question: score }
    notes: "{{ score }} of 5"
    complete: { timeout: AFTER }
  quality:
    questions:
      - { name: score, answers: 1-5 }
      - { name: problem, answers: 1-3 }
    rating: { question: score }
    issues:
      question: problem
      choices:
        - { answer: 1, issue: ECHO }
        - { answer: 2, issue: ONE_WAY_AUDIO }
        - { answer: 3, issue: CALL_DROPPED }
    notes: "{{ score }} of 5"
    complete: { timeout: AFTER }
delivery: { delay: 0s, rate: 5000, DELIVERY }
shutdown: { drain_delay: 0s, deadline: 5s }
logs: { filter: "warn,postcall::app=info,postcall::delivery=debug,postcall::store=info" }
"#;

/// `POSTCALL_SEED`, or one that no one has tried.
pub fn seed() -> u64 {
    number("POSTCALL_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000))
}

/// A variable of whoever runs the tests.
pub fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Past the test harness, which keeps what a test that passes prints.
pub fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
