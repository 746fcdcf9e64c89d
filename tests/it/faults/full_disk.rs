use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use postcall::settings::{Environment, Settings};
use serde_json::json;

use super::trouble::written;
use crate::invariant_checker::{self, FarSide, LoadSenders, StoreContents, assert_ended_well};
use crate::process::{Home, Line, Process, Reply};

const WEBHOOKS: usize = 120;
const BEFORE: usize = 40;
const SENDERS: usize = 4;

/// How long a sender waits before it sends again.
const PAUSE: Duration = Duration::from_millis(20);

const DELIVERY: &str = "timeout: 1s, connect_timeout: 1s, \
    retry: { initial_backoff: 20ms, max_backoff: 300ms, not_found_max_age: 1s }";

#[test]
fn with_the_disk_full_webhooks_are_put_off_and_all_goes_on_by_itself_when_space_returns() {
    let mut chance = Rng::with_seed(invariant_checker::seed());
    let mut far_side = FarSide::start();
    let settings = invariant_checker::settings(far_side.address(), "1s", DELIVERY);
    let sources = Settings::from_yaml(&settings, Environment::default()).unwrap().sources;
    let home = Home::new(&settings);
    let (calls, webhooks) = invariant_checker::calls(&sources, WEBHOOKS, &mut chance);
    far_side.be_troublesome(json!([]), &calls);
    let load_senders = Arc::new(LoadSenders::new(webhooks, Some(PAUSE)));
    let senders = LoadSenders::gather(&load_senders, SENDERS);
    let service = Process::start_on_a_small_disk(&home.settings());
    load_senders.send_to(service.public);
    load_senders.wait_for_answers(BEFORE);

    service.leave_room_to(Some(written(&home)));
    let refused =
        "the store refuses writes; until it recovers webhooks are answered 503, or spooled";
    assert_eq!(service.wait_for(refused)["level"], "ERROR");
    load_senders.wait_a_while_for_refusals(SENDERS, Duration::from_secs(30));
    assert!(load_senders.put_off() >= SENDERS, "no webhook is put off");
    let promised = load_senders.answered();
    assert!(promised.len() < WEBHOOKS, "the disk was not full");
    assert_eq!(figure(&service, "postcall_store_writable"), 0.0);
    assert!(figure(&service, "postcall_store_commit_failures_total") > 0.0);
    let put_off = ["quick", "ivr"].map(|source| {
        figure(
            &service,
            &format!("postcall_webhooks_total{{outcome=\"unavailable\",source=\"{source}\"}}"),
        )
    });
    assert!(put_off.iter().sum::<f64>() >= SENDERS as f64, "{put_off:?}");
    let readiness = ask(&service, "/readyz");
    assert_eq!(readiness.status, 503);
    assert!(readiness.body.contains("[-]store"), "{}", readiness.body);
    StoreContents::read(&home.store()).assert_has(&promised);

    service.leave_room_to(None);
    service.wait_for("the store takes writes again");
    assert_eq!(ask(&service, "/readyz").status, 200);
    assert_eq!(figure(&service, "postcall_store_writable"), 1.0);
    load_senders.wait_until_all_are_answered();
    load_senders.dismiss();
    for sender in senders {
        sender.join().unwrap();
    }
    StoreContents::wait_until_nothing_waits(&home.store(), &service);
    service.kill();
    far_side.hear_more();
    let (kept, totals) = (StoreContents::read(&home.store()), StoreContents::totals(&home.store()));
    kept.assert_has(&load_senders.answered());
    kept.assert_counts(totals);
    assert_eq!(totals.accepted as usize, calls.len(), "one submission for each call");
    for (id, call) in &calls {
        assert_ended_well(id, call, &kept.kept[id], far_side.heard(id));
    }
}

fn ask(service: &Process, path: &str) -> Reply {
    Line::open(service.admin).unwrap().get(path).unwrap()
}

fn figure(service: &Process, series: &str) -> f64 {
    let page = ask(service, "/metrics").body;
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {page}")).parse().unwrap()
}
