//! The histories against services with a flaw each: they have to find every one.
//!
//! `cargo test --features flaws --test sim flaws`

use std::process::{Command, Stdio};

use super::say;

/// Within so many histories each flaw has to be found.
const HISTORIES: u64 = 2000;

/// Flaws that are seeded by the feature `flaws`, as `POSTCALL_FLAW` names them.
const FLAWS: [&str; 8] = [
    "answer_before_commit",
    "check_then_insert",
    "no_record_of_repeats",
    "order_assumed",
    "place_of_a_dropped_future",
    "excess_kept",
    "purge_on_clock_jump",
    "claim_without_check",
];

#[test]
#[cfg_attr(not(feature = "flaws"), ignore = "with `--features flaws`")]
fn histories_find_every_flaw() {
    for flaw in FLAWS {
        let histories = Command::new(std::env::current_exe().unwrap())
            .arg("histories_lose_nothing")
            .env("POSTCALL_FLAW", flaw)
            .env("POSTCALL_HISTORIES", HISTORIES.to_string())
            .env("POSTCALL_SHRINK", "0")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8(histories.stdout).unwrap();
        assert!(!histories.status.success(), "{HISTORIES} histories do not find {flaw}");
        let broken = said
            .lines()
            .find_map(|line| line.strip_prefix("the history of seed ")?.split(" broke").next());
        say(&format!("flaws: {flaw} is found by the history of seed {}", broken.unwrap_or("?")));
    }
}
