//! The suite against stores with a flaw each: it has to find every one of them.
//!
//! `cargo test --features flaws --test it flaws`

use std::process::{Command, Stdio};

use crate::invariant_checker::say;

/// What of the suite is asked: the promises of a store, and the process on a full disk. The flaws are in what
/// all backends share, and one of them is enough to find them.
const SUITE: [&str; 2] = ["store_contract::on_sqlite::", "faults::full_disk::"];

#[test]
fn a_store_that_answers_before_the_commit_is_found() {
    let found_by =
        "with_the_disk_full_webhooks_are_put_off_and_all_goes_on_by_itself_when_space_returns";
    assert_found("answer_before_commit", found_by);
}

#[test]
fn a_store_that_checks_and_then_inserts_is_found() {
    let found_by = "webhooks_of_one_call_that_wait_together_are_all_kept";
    assert_found("check_then_insert", found_by);
}

#[test]
fn a_store_without_a_record_of_repeats_is_found() {
    assert_found("no_record_of_repeats", "a_duplicate_moves_nothing_and_is_not_stored_again");
}

#[test]
fn a_store_that_assumes_an_order_is_found() {
    assert_found("order_assumed", "the_order_in_which_webhooks_are_kept_changes_nothing");
}

#[test]
fn a_store_that_settles_without_fencing_is_found() {
    assert_found("settle_without_fence", "a_lost_lease_overwrites_nothing");
}

/// By this test at least, which speaks of it.
fn assert_found(flaw: &str, by: &str) {
    let suite = Command::new(std::env::current_exe().unwrap())
        .args(SUITE)
        .env("POSTCALL_FLAW", flaw)
        // A property that fails has found it; the smallest example is of no use here.
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(suite.stdout).unwrap();
    let failed =
        |line: &str| line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::to_owned);
    let failed: Vec<String> = said.lines().filter_map(failed).collect();
    say(&format!("flaws: {flaw} is found by {} tests: {}", failed.len(), failed.join(", ")));
    assert!(!suite.status.success() && failed.iter().any(|test| test.ends_with(by)), "{said}");
}
