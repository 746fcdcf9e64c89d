//! Stores of every release, opened by this one: whole, whatever moment of that the process is killed at.
//!
//! `POSTCALL_ROWS=100000 POSTCALL_KILLS=100 cargo test --test it upgrade` makes them large. A migration joins the
//! list in `upgrade/release.rs`.

mod every_state;
mod release;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use postcall::clock::Clock;
use postcall::store::sqlite::{Options, SqliteStore, examine};
use rusqlite::Connection;
use tempfile::TempDir;

use self::release::{RELEASES, Row, rows};
use crate::invariant_checker::{FarSide, StoreContents, number, say, seed};
use crate::power_cut::recorder::Recording;
use crate::process::{self, Home, Process};

/// Submissions of a store, unless `POSTCALL_ROWS` says otherwise.
const ROWS: u64 = 4_000;

/// Kills of a process that opens it, unless `POSTCALL_KILLS` says otherwise: so many at calls of the file system,
/// and as many of the program itself at moments of its start.
const KILLS: u64 = 8;

/// The dumps are old.
const KEPT: &str = "{ bodies: 3650d, submissions: 3650d, outcomes: 3650d }";

/// Where the store is that a process of this test opens, and the call that it is killed at.
const STORE: &str = "POSTCALL_STORE_TO_OPEN";
const KILL_AT: &str = "POSTCALL_KILL_AT";

#[test]
fn a_store_of_every_release_survives_kills_while_it_is_opened_and_is_delivered_once() {
    let seed = seed();
    let rows = number("POSTCALL_ROWS").unwrap_or(ROWS);
    let kills = number("POSTCALL_KILLS").unwrap_or(KILLS);
    say(&format!("upgrade: POSTCALL_SEED={seed} POSTCALL_ROWS={rows} POSTCALL_KILLS={kills}"));
    for release in RELEASES {
        let mut far_side = FarSide::start();
        let home = Home::new(&every_state::settings(&format!("http://{}", far_side.address())));
        let settings = std::fs::read_to_string(home.settings()).unwrap();
        let settings = settings.replace("store: {", &format!("store: {{ retention: {KEPT},"));
        std::fs::write(home.settings(), settings).unwrap();
        let before = release.furnish(&home.store(), rows);
        let mut chance = Rng::with_seed(seed);
        let calls = calls_of_opening(&home.store());
        let mut moments: Vec<_> = (0..kills).map(|_| chance.usize(..calls)).collect();
        // What one of them has done, the next need not do.
        moments.sort_unstable();
        let killed = moments.iter().filter(|it| is_killed_opening(&home.store(), **it)).count();
        assert!(killed > 0, "none of the processes was killed");
        let mut excuses = BTreeMap::new();
        let opening = Instant::now();
        Process::start(&home.settings()).kill();
        let opening = opening.elapsed();
        note_under_way(&home.store(), &mut excuses);
        for _ in 0..kills {
            start_and_kill(&home.settings(), opening.mul_f64(chance.f64()));
            note_under_way(&home.store(), &mut excuses);
        }
        let service = Process::start(&home.settings());
        let admin = format!("http://{}", service.admin);
        let resume = ["accounts", "resume", "other", "--admin-url", &admin];
        let resumed = process::run(&resume, &home.settings());
        assert!(resumed.status.success(), "{resumed:?}");
        StoreContents::wait_until_nothing_waits(&home.store(), &service);
        service.kill();
        far_side.hear_more();
        assert_kept_and_delivered_once(&before, &home.store(), &far_side, &excuses);
        let waiting = before.values().filter(|row| row.waits()).count();
        say(&format!(
            "upgrade: schema {}: {} submissions, killed at {killed} of the {calls} calls of the file system while they \
             were opened, and {kills} times while `serve` started: all there, and the {waiting} that waited delivered \
             once; {} attempts had been begun at a kill",
            release.0,
            before.len(),
            excuses.len(),
        ));
    }
}

#[test]
fn a_new_store_survives_a_kill_at_any_call_of_its_first_migration() {
    let folder = TempDir::new().unwrap();
    let calls = calls_of_opening(&folder.path().join("postcall.db"));
    let seed = seed();
    let kills = number("POSTCALL_KILLS").unwrap_or(4 * KILLS);
    let mut moments: Vec<usize> = (0..calls).collect();
    Rng::with_seed(seed).shuffle(&mut moments);
    moments.truncate(kills as usize);
    say(&format!(
        "upgrade: a new store is opened with {calls} calls of the file system, and the process killed at {} of them \
         (POSTCALL_SEED={seed} POSTCALL_KILLS={kills})",
        moments.len()
    ));
    for moment in moments {
        let folder = TempDir::new().unwrap();
        let store = folder.path().join("postcall.db");
        assert!(is_killed_opening(&store, moment), "at call {moment}");
        drop(open(&store));
        assert_eq!(examine(&store).unwrap().findings, [], "after a kill at call {moment}");
    }
}

/// Every row is there: what was settled as it was, and what waited delivered, to a destination that heard it once.
fn assert_kept_and_delivered_once(
    before: &BTreeMap<i64, Row>,
    store: &Path,
    far_side: &FarSide,
    excuses: &BTreeMap<String, usize>,
) {
    assert_eq!(examine(store).unwrap().findings, []);
    let after = rows(&Connection::open(store).unwrap());
    assert_eq!(after.len(), before.len(), "submissions");
    for (number, was) in before {
        let is = after.get(number).unwrap_or_else(|| panic!("row {number} is lost: {was:?}"));
        assert_eq!(is.webhooks, was.webhooks, "webhooks of row {number}");
        if !was.waits() {
            assert_eq!(is, was, "row {number}");
        }
        let Some(call) = &was.call else { continue };
        let heard = far_side.heard(call);
        if !was.waits() {
            assert_eq!(heard, [], "{call} was {} already", was.state);
            continue;
        }
        assert_eq!(is.state, "delivered", "{call}");
        let most = 1 + excuses.get(call).copied().unwrap_or(0);
        assert!((1..=most).contains(&heard.len()), "{call} was heard {} times", heard.len());
        let rating = call.chars().next_back().and_then(|digit| digit.to_digit(10));
        assert_eq!(Some(heard[0].rating), rating.map(u64::from), "{call}");
    }
}

/// At a kill, what was in flight may have been delivered.
fn note_under_way(store: &Path, excuses: &mut BTreeMap<String, usize>) {
    let leased = "SELECT call FROM submissions WHERE lease_until IS NOT NULL AND call IS NOT NULL";
    let store = Connection::open(store).unwrap();
    let mut statement = store.prepare(leased).unwrap();
    for call in statement.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        *excuses.entry(call.unwrap()).or_default() += 1;
    }
}

/// How often a process asks the file system while it opens a copy of a store, which may not be there.
fn calls_of_opening(store: &Path) -> usize {
    let copy = TempDir::new().unwrap();
    for suffix in ["", "-wal"] {
        let file = PathBuf::from(format!("{}{suffix}", store.display()));
        if file.exists() {
            std::fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
        }
    }
    let opened = open_until(&copy.path().join(store.file_name().unwrap()), usize::MAX);
    assert!(opened.status.success(), "{opened:?}");
    let printed = String::from_utf8(opened.stdout).unwrap();
    let calls = printed.lines().find_map(|line| line.strip_suffix(CALLS));
    calls.expect("it says how many").trim().parse().unwrap()
}

/// What follows the number of calls in the output of [`a_process_opens_a_store_until_it_is_killed`].
const CALLS: &str = " calls of the file system";

/// Opens the store in a process of its own, which is killed at that call.
fn open_until(store: &Path, moment: usize) -> Output {
    process::test_alone("upgrade::a_process_opens_a_store_until_it_is_killed")
        .env(STORE, store)
        .env(KILL_AT, moment.to_string())
        .output()
        .unwrap()
}

/// Whether another process that opens the store is killed at that call: after an earlier kill there may be less
/// to do.
fn is_killed_opening(store: &Path, moment: usize) -> bool {
    let opened = open_until(store, moment);
    let is_killed = opened.status.signal() == Some(9);
    assert!(is_killed || opened.status.success(), "at call {moment}: {opened:?}");
    is_killed
}

/// What [`is_killed_opening`] runs; nothing of its own.
#[test]
fn a_process_opens_a_store_until_it_is_killed() {
    let (Some(store), Some(moment)) = (std::env::var_os(STORE), number(KILL_AT)) else { return };
    let store = PathBuf::from(store);
    let recording = Recording::counting(store.parent().unwrap());
    recording.kill_at(moment as usize);
    drop(open(&store));
    recording.end();
    // Behind what the test harness has begun a line with.
    println!("\n{}{CALLS}", recording.calls());
}

/// The program is started and killed after a while.
fn start_and_kill(settings: &Path, after: Duration) {
    let mut service = process::postcall(&["serve"], settings);
    let mut service = service.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Nothing is awaited by it: it is what happens.
    std::thread::sleep(after);
    service.kill().unwrap();
    service.wait().unwrap();
}

fn open(store: &Path) -> SqliteStore {
    SqliteStore::open(Options {
        path: store.to_owned(),
        write_queue: 64,
        lease: Duration::from_secs(30),
        clock: Clock::system(),
        observer: Arc::new(()),
    })
    .unwrap_or_else(|error| panic!("{error}: {error:?}"))
}
