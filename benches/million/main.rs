//! What a million submissions in the store cost: the same service, as it is shipped, on a store
//! that holds them and on one that is empty, in one run.
//!
//! One line for each promise, with its bound; it fails beyond any of them.
//!
//! `cargo bench --bench million`, on two quiet cores. The store it builds takes about a gigabyte.

#[path = "../load/driver.rs"]
mod driver;
#[path = "../load/listeners.rs"]
mod listeners;
#[path = "../load/message.rs"]
mod message;
mod promise;
#[path = "../load/requests.rs"]
mod requests;
mod service;
#[path = "../load/settings.rs"]
mod settings;
mod store;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Parser;

use self::driver::Answered;
use self::promise::{Promises, typical, worst};
use self::requests::Requests;
use self::service::Service;
use self::store::Known;

/// From the start of the process until it says that it is ready.
const START_MAX: Duration = Duration::from_secs(2);

/// The most memory that the process ever held.
const MEMORY_MAX_MB: f64 = 60.0;

const LIST_MAX: Duration = Duration::from_millis(100);
const SHOW_MAX: Duration = Duration::from_millis(100);
const PAGE_MAX: Duration = Duration::from_millis(100);
const SCRAPE_MAX: Duration = Duration::from_millis(20);

/// What of an empty store's webhooks a second has to be reached.
const HOOKS_MIN: f64 = 0.9;

/// How often each question is asked.
const TIMES: usize = 40;

/// How often the two services take turns; the ratio is the median.
const PAIRS: usize = 5;

#[derive(Parser)]
struct Million {
    #[arg(long, default_value = "1000000")]
    submissions: u32,
    /// Webhooks in each half of a pair
    #[arg(long, default_value = "10000")]
    webhooks: usize,
    #[arg(long, default_value = "64")]
    connections: usize,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let million = Million::parse();
    let folder = tempfile::Builder::new().prefix("million-").tempdir_in(settings::FOLDER)?;
    let full = folder.path().join("full.db");
    let began = Instant::now();
    let known = store::build(&full, million.submissions)?;
    let size = std::fs::metadata(&full)?.len() / 1_000_000;
    println!("{} submissions, {size} MB, built in {:.0?}", million.submissions, began.elapsed());

    let mut promises = Promises::default();
    store::forget_in_memory(&full);
    let began = Instant::now();
    let busy = Service::start(&full)?;
    promises.time("start, nothing cached", began.elapsed(), START_MAX);
    ask(&busy, &known, &mut promises)?;

    let empty = Service::start(&folder.path().join("empty.db"))?;
    let mut ratios = Vec::new();
    for pair in 1..=PAIRS {
        let run = |service: &Service| {
            let requests = Requests::prepare(million.webhooks)?;
            let answered =
                driver::run(&[service.public], requests.all(), million.connections, None)?;
            ensure!(
                answered.durable == million.webhooks,
                "answered without a promise: {answered:?}"
            );
            service.wait_until_delivered()?;
            Ok((answered.per_second(), describe(&answered)))
        };
        // Each goes first in turn: what the one leaves for its checkpoint to do, the other one waits for.
        let mut turns = [&busy, &empty];
        if pair % 2 == 0 {
            turns.reverse();
        }
        let mut figures = turns.map(run);
        if pair % 2 == 0 {
            figures.reverse();
        }
        let [of_busy, of_empty] = figures;
        let ((of_busy, busy_figures), (of_empty, empty_figures)) = (of_busy?, of_empty?);
        println!("  pair {pair}: {busy_figures}; with an empty store {empty_figures}");
        ratios.push(of_busy / of_empty);
    }
    promises.at_least("hooks/s of an empty store's", typical(&ratios), HOOKS_MIN);
    promises.at_most("memory, the most ever, MB", busy.memory_mb()?, MEMORY_MAX_MB);
    println!("  (an empty store's process: {:.0} MB)", empty.memory_mb()?);
    Ok(if promises.are_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The figures of a run whose last delivery has just come.
fn describe(answered: &Answered) -> String {
    let delivered = answered.count as f64 / answered.began.elapsed().as_secs_f64();
    let (rate, p99) = (answered.per_second(), answered.latency_ms(0.99));
    format!("{rate:.0} hooks/s, p99 {p99:.1} ms, {delivered:.0}/s end to end")
}

/// Every question is judged by the slowest but two of its answers: one pause of a machine that does
/// something else is not the store's.
fn ask(service: &Service, known: &Known, promises: &mut Promises) -> anyhow::Result<()> {
    let mut slowest_list = (Duration::ZERO, "");
    for (name, query) in known.searches() {
        let took = service.time(TIMES, &format!("/api/v1/submissions?{query}"))?;
        println!("  list {name}: {:.1?}, {:.1?} at worst", typical(&took), worst(&took));
        slowest_list = slowest_list.max((worst(&took), name));
    }
    promises.time(&format!("list ({})", slowest_list.1), slowest_list.0, LIST_MAX);
    let mut shown = Vec::new();
    for id in &known.some {
        shown.extend(service.time(1, &format!("/api/v1/submissions/{id}"))?);
    }
    promises.time("show", worst(&shown), SHOW_MAX);
    let mut slowest_page = (Duration::ZERO, String::new());
    for page in known.pages() {
        let took = service.time(TIMES, &page)?;
        println!("  page {page}: {:.1?}, {:.1?} at worst", typical(&took), worst(&took));
        slowest_page = slowest_page.max((worst(&took), page));
    }
    promises.time(&format!("page ({})", slowest_page.1), slowest_page.0, PAGE_MAX);
    promises.time("scrape", worst(&service.time(TIMES, "/metrics")?), SCRAPE_MAX);
    Ok(())
}
