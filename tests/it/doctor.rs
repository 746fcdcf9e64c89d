//! Ledgers that are damaged: what an examination finds, what a salvage brings over, and what a service
//! does that has such a one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use postcall::account::PauseCause;
use postcall::domain::Verdict;
use postcall::store::sqlite::{Examination, Finding, FindingKind, Salvaged, examine, salvage};
use postcall::store::{Decision, Outcome, StoreError};
use postcall::submission::{DeadReason, IgnoredReason};
use rusqlite::Connection;
use serde_json::Value;

use crate::process::{self, Home, Process};
use crate::store_contract::backend::wanted;
use crate::store_contract::spoken::{
    self, at, attempt, complete, hang_up, hook_for, ignored, telling,
};
use crate::store_contract::{Backend, Ledger, Sqlite};
use crate::world::{SETTINGS, World};

/// Enough that every table has several pages.
const CALLS: i64 = 160;
const SUBMISSIONS: u64 = CALLS as u64 + 2;

const PAGE: usize = 4096;

#[tokio::test]
async fn a_ledger_is_sound_while_it_is_served_after_a_sudden_end_and_closed() {
    let ledger = furnished().await;
    assert_sound(&ledger.backend.path());
    let after = ledger.backend.after_a_sudden_end();
    assert_sound(&after.path());
    ledger.close().await;
    assert_sound(&ledger.backend.path());
}

#[tokio::test]
async fn each_fault_is_found_and_a_salvage_mends_it() {
    let sound = closed(furnished().await).await;
    for (fault, kind, words) in [
        ("UPDATE books SET dead = dead + 1", FindingKind::Books, "do not add up"),
        (
            "UPDATE books SET dead = dead + 1, accepted = accepted + 1",
            FindingKind::Books,
            "a recount comes to",
        ),
        (
            "UPDATE books SET dead = dead + 1, delivered = delivered - 1",
            FindingKind::Books,
            "delivered, a recount comes to",
        ),
        (
            "INSERT INTO dropped VALUES ('lost', 3)",
            FindingKind::Books,
            "\"lost\", which is no state",
        ),
        (
            "DELETE FROM submissions WHERE seq = 3",
            FindingKind::Orphan,
            "hooks belong to no submission, the first to number 3",
        ),
        (
            "INSERT INTO told VALUES (99999, 'hang_up', '', zeroblob(16), '', 0, 0)",
            FindingKind::Orphan,
            "told belong to no submission, the first to number 99999",
        ),
        (
            "UPDATE submissions SET state = 'dead', reason = 'bored' WHERE seq = 5",
            FindingKind::Transition,
            "no such state",
        ),
        (
            "UPDATE submissions SET settled_at = NULL WHERE state = 'delivered'",
            FindingKind::Transition,
            "is settled and does not say when",
        ),
        (
            "UPDATE submissions SET leased_until = 1 WHERE state = 'ignored'",
            FindingKind::Transition,
            "is out to be delivered and not pending",
        ),
        (
            "UPDATE submissions SET kept = 0 WHERE state = 'ignored'",
            FindingKind::Transition,
            "is gone, or is not",
        ),
        (
            "UPDATE submissions SET accepted_at = 9223372036854775807 WHERE seq = 9",
            FindingKind::Transition,
            "cannot be read",
        ),
        (
            "UPDATE attempts SET verdict = 'busy'
                WHERE submission IN (SELECT seq FROM submissions WHERE state = 'delivered')",
            FindingKind::Attempt,
            "is delivered and its last attempt was not accepted",
        ),
        ("UPDATE attempts SET number = number + 7", FindingKind::Attempt, "never counted"),
        ("UPDATE attempts SET verdict = NULL", FindingKind::Attempt, "never ended"),
        ("UPDATE submissions SET told = 0", FindingKind::Attempt, "told more than answers"),
        (
            "UPDATE submissions SET id = randomblob(16) WHERE seq = 7",
            FindingKind::Identity,
            "should be called",
        ),
        (
            "UPDATE submissions SET call = 'another' WHERE seq = 7",
            FindingKind::Identity,
            "should be called",
        ),
        (
            "UPDATE submissions SET account = 'No Account' WHERE seq = 7",
            FindingKind::Identity,
            "there cannot be",
        ),
        (
            "UPDATE attempts SET reply = CAST(x'6f8c' AS TEXT) WHERE submission % 2 = 0",
            FindingKind::File,
            "rows of attempts hold text that cannot be read",
        ),
        (
            "UPDATE submissions SET trace = CAST(x'6f8c' AS TEXT) WHERE seq = 7",
            FindingKind::File,
            "1 rows of submissions hold text that cannot be read",
        ),
        ("UPDATE holds SET cause = 'mood'", FindingKind::Account, "no cause of a hold"),
        ("DELETE FROM asked", FindingKind::Account, "are not found by their ids"),
    ] {
        let place = sound.copy();
        let ledger = Connection::open(place.path()).unwrap();
        ledger.execute_batch(&format!("PRAGMA foreign_keys = OFF; {fault};")).unwrap();
        drop(ledger);
        let examination = examine(&place.path()).unwrap();
        let found =
            examination.findings.iter().any(|it| it.kind == kind && it.words.contains(words));
        assert!(found, "{fault}: {examination:#?}");

        let (new, salvaged) = salvage_of(&place);
        let examination = examine(&new).unwrap();
        // Which of the two is wrong nobody can tell.
        let is_mended = !words.starts_with("is delivered and");
        assert_eq!(examination.findings.is_empty(), is_mended, "{fault}: {examination:#?}");
        assert!(salvaged.submissions >= SUBMISSIONS - 1, "{fault}: {salvaged:?}");
    }
}

#[tokio::test]
async fn what_is_sound_is_brought_over_whole() {
    // Opened once more, so that all leases are void.
    let place = closed(Ledger::on(closed(furnished().await).await)).await;
    let (new, salvaged) = salvage_of(&place);
    assert_eq!((salvaged.submissions, salvaged.put_aside), (SUBMISSIONS, 0));
    assert_eq!((salvaged.lost, salvaged.homeless), (Vec::new(), None));
    assert_sound(&new);
    let rows = |path: &Path| {
        let ledger = Connection::open(path).unwrap();
        let tables =
            ["submissions", "hooks", "answers", "told", "attempts", "holds", "seen", "books"];
        tables.map(|table| all_rows(&ledger, table))
    };
    assert_eq!(rows(&new), rows(&place.path()));
}

#[tokio::test]
async fn the_ledger_of_an_earlier_release_is_brought_over_in_the_present_form() {
    let place = closed(furnished().await).await;
    let ledger = Connection::open(place.path()).unwrap();
    ledger
        .execute_batch(
            "DROP TABLE asked; DROP TABLE dropped; DROP TABLE interventions;
            DROP INDEX submissions_settled; ALTER TABLE submissions DROP COLUMN kept;
            DELETE FROM refinery_schema_history WHERE version > 2;",
        )
        .unwrap();
    drop(ledger);
    assert!(matches!(examine(&place.path()), Err(StoreError::OtherForm { .. })));
    let (new, salvaged) = salvage_of(&place);
    assert_eq!((salvaged.submissions, salvaged.lost), (SUBMISSIONS, Vec::new()));
    assert_sound(&new);
}

#[tokio::test]
async fn what_is_sent_once_more_to_a_salvaged_ledger_is_kept_where_it_was_lost() {
    let place = closed(furnished().await).await;
    let damaged = Connection::open(place.path()).unwrap();
    // A page of a table can be lost without those of what belongs to it.
    damaged.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    damaged.execute("DELETE FROM submissions WHERE call = 'call-2'", []).unwrap();
    let answers = "submission = (SELECT seq FROM submissions WHERE call = 'call-4')";
    damaged.execute(&format!("UPDATE answers SET hook = x'00' WHERE {answers}"), []).unwrap();
    drop(damaged);
    let (new, salvaged) = salvage_of(&place);
    assert_eq!((salvaged.submissions, salvaged.put_aside), (SUBMISSIONS - 1, 1));
    assert_eq!(homeless(&salvaged).len(), 1);
    fs::rename(new, place.path()).unwrap();
    let ledger = Ledger::on(place);
    for (n, outcome) in [(2, Outcome::New), (4, Outcome::Added), (3, Outcome::Repeat)] {
        let call = format!("call-{n}");
        let again = spoken::named(&format!("id-{n}"), 1, complete(200_000, &call));
        assert_eq!(ledger.hear(again).await.outcome, outcome, "{call}");
    }
}

/// Every page in turn is overwritten, with what no page can be.
#[tokio::test]
async fn a_page_that_is_damaged_costs_what_was_on_it_and_no_more() {
    let sound = closed(furnished().await).await;
    let pages = pages(&sound.path());
    let hooks = hooks(&sound.path());
    assert!(pages.len() > 40, "{pages:?}");
    for page in &pages {
        let place = sound.copy();
        overwrite(&place.path(), page.number, |bytes| bytes.fill(0xa5));
        let examination = examine(&place.path()).unwrap();
        assert!(!examination.findings.is_empty(), "{page:?} is missed");

        let (new, salvaged) = salvage_of(&place);
        assert_sound(&new);
        let mut found = self::hooks(&new);
        found.extend(homeless(&salvaged));
        let missing = hooks.difference(&found).count();
        let may_be_missing = match (page.table.as_str(), page.is_leaf) {
            ("hooks", true) => page.cells,
            ("hooks", false) => hooks.len(),
            _ => 0,
        };
        assert!(missing <= may_be_missing, "{page:?} costs {missing} hooks: {salvaged:#?}");
        let homeless = salvaged.homeless.is_some();
        assert_eq!(homeless, page.table == "submissions", "{page:?}: {salvaged:#?}");
        if page.table != "submissions" {
            assert_eq!(salvaged.submissions, SUBMISSIONS, "{page:?}: {salvaged:#?}");
        }
        let is_told = !salvaged.lost.is_empty();
        let loses = ["submissions", "hooks", "answers", "told", "attempts"].contains(&&*page.table);
        // Nobody can tell that the end of a body was another one.
        assert!(is_told || !loses || page.is_overflow, "{page:?}: nothing is said of what is lost");
        let said_is_lost = page.table == "answers" || page.table == "told";
        assert_eq!(salvaged.put_aside > 0, said_is_lost, "{page:?}: {salvaged:#?}");
    }
}

#[tokio::test]
async fn bytes_that_flip_anywhere_are_survived() {
    let sound = closed(furnished().await).await;
    let length = fs::metadata(sound.path()).unwrap().len() as usize;
    let seed = std::env::var("POSTCALL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("repeat with POSTCALL_SEED={seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..60 {
        let place = sound.copy();
        for _ in 0..chance.usize(1..40) {
            let (at, byte) = (chance.usize(..length), chance.u8(..));
            overwrite(&place.path(), at / PAGE + 1, |page| page[at % PAGE] = byte);
        }
        let examined = examine(&place.path());
        assert!(
            matches!(
                examined,
                Ok(_) | Err(StoreError::OtherForm { .. } | StoreError::Foreign { .. })
            ),
            "{examined:?}"
        );
        let new = place.folder.path().join("new.db");
        match salvage(&place.path(), &new) {
            Ok(_) => {
                let findings = examine(&new).unwrap().findings;
                let is_served = |it: &Finding| it.kind == FindingKind::Attempt;
                assert!(findings.iter().all(is_served), "{findings:#?}");
            }
            Err(StoreError::Foreign { .. } | StoreError::Damaged { .. }) => assert!(!new.exists()),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_ledger_whose_beginning_is_gone_is_brought_over() {
    let sound = closed(furnished().await).await;
    for bytes in [1, 100, PAGE] {
        let place = sound.copy();
        overwrite(&place.path(), 1, |page| page[..bytes].fill(0));
        let examination = examine(&place.path()).unwrap();
        assert_eq!(examination.findings[0].kind, FindingKind::File, "{examination:?}");
        let (new, salvaged) = salvage_of(&place);
        assert_eq!((salvaged.submissions, salvaged.lost), (SUBMISSIONS, Vec::new()));
        assert_sound(&new);
    }
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_served_is_salvaged() {
    let ledger = furnished().await;
    let (path, new) = (ledger.backend.path(), ledger.backend.folder.path().join("new.db"));
    assert!(matches!(salvage(&path, &new), Err(StoreError::InUse { .. })));
    assert!(!new.exists());
    let place = closed(ledger).await;
    fs::write(&new, "somebody's").unwrap();
    assert!(matches!(salvage(&place.path(), &new), Err(StoreError::Open { .. })));
    assert_eq!(fs::read(&new).unwrap(), b"somebody's");
}

#[test]
fn a_service_with_a_damaged_ledger_stays_up_and_says_what_to_run() {
    let mut world = World::of(SETTINGS);
    let ledger = world.ledger.path().to_owned();
    fs::write(&ledger, "This was a ledger once. ".repeat(1000)).unwrap();
    world.serve_as_process();
    let advice = format!("postcall doctor --ledger {}", ledger.canonicalize().unwrap().display());
    let said = &world.process().said_first;
    let damaged = said.iter().find(|line| line["level"] == "ERROR").expect("it says so");
    assert!(damaged["message"].as_str().unwrap().ends_with(&format!("run: {advice}")), "{damaged}");

    let reply = world.caller("c-1").presses("4");
    reply.assert_status(503);
    assert!(reply.header("retry-after").is_some());
    let ready = world.ask("/readyz");
    ready.assert_status(503);
    assert_eq!(ready.text, format!("[-]ledger: it is damaged; run: {advice}\n[+]accepting\n"));
    world.ask("/livez").assert_status(200);
    let figures = world.figures();
    assert_eq!((figures.of("ledger_writable"), figures.of("ledger_damaged")), (0.0, 1.0));
    world.process().signal("TERM");
    assert!(world.until_the_process_ends().status.success());
}

#[test]
fn who_asks_a_damaged_ledger_by_hand_is_told_what_to_run() {
    let world = World::of(SETTINGS);
    let ledger = world.ledger.path().to_owned();
    fs::write(&ledger, "This was a ledger once. ".repeat(1000)).unwrap();
    let advice =
        format!("run: postcall doctor --ledger {}", ledger.canonicalize().unwrap().display());
    for asked in [&["submissions"][..], &["accounts", "resume", "main"]] {
        let said = world.postcall(asked).output().unwrap();
        assert_eq!(said.status.code(), Some(1));
        let said = String::from_utf8(said.stderr).unwrap();
        assert!(said.trim_end().ends_with(&advice), "{said}");
    }
}

#[test]
fn a_service_that_meets_with_damage_writes_no_more_and_says_what_to_run() {
    let mut world = World::new();
    world.caller("before").has_pressed("4");
    world.until_it_is("before", "delivered");
    world.stop();
    let ledger = world.ledger.path().to_owned();
    let root = Connection::open(&ledger)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'hooks'", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap();
    overwrite(&ledger, root as usize, |page| page.fill(0xa5));

    world.start();
    assert!(world.is_ready(), "nobody has looked there yet");
    world.caller("c-1").presses("4").assert_status(503);
    let ready = world.ask("/readyz");
    ready.assert_status(503);
    assert!(ready.text.starts_with("[-]ledger: it is damaged; run: postcall doctor --ledger "));
    world.caller("c-2").presses("4").assert_status(503);
    let figures = world.figures();
    assert_eq!((figures.of("ledger_writable"), figures.of("ledger_damaged")), (0.0, 1.0));
    world.stop();

    let new = ledger.with_file_name("new.db");
    let salvaged = salvage(&ledger, &new).unwrap();
    assert_eq!((salvaged.submissions, salvaged.put_aside), (1, 0));
    for suffix in ["-wal", "-shm"] {
        // There may be none.
        let _ = fs::remove_file(format!("{}{suffix}", ledger.display()));
    }
    fs::rename(&new, &ledger).unwrap();
    world.start();
    world.caller("c-1").has_pressed("4");
    world.until_it_is("c-1", "delivered");
    world.until_it_is("before", "delivered");
}

#[test]
fn the_doctor_says_in_words_what_is_wrong_and_ends_accordingly() {
    let home = Home::new(&SETTINGS.replace("store: { url: \"sqlite:@folder@/ledger.db\" }\n", ""));
    let settings = fs::read_to_string(home.settings()).unwrap();
    let settings = settings
        .replace("{ file: \"@folder@/token\" }", "{ value: made-up-auth-token }")
        .replace("@plivo@", "http://127.0.0.1:1");
    fs::write(home.settings(), settings).unwrap();
    Process::start(&home.settings()).kill();

    let run =
        |arguments: &[&str]| process::run(&[&["doctor"], arguments].concat(), &home.settings());
    let sound = run(&[]);
    let text = String::from_utf8(sound.stdout).unwrap();
    assert_eq!(sound.status.code(), Some(0), "{text}");
    assert!(text.ends_with("is sound: 0 submissions, and the books balance\n"), "{text}");

    Connection::open(home.ledger()).unwrap().execute_batch("UPDATE books SET dead = 2").unwrap();
    let wrong = run(&["--output", "json"]);
    assert_eq!(wrong.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!((&said["sound"], &said["findings"][0]["kind"]), (&false.into(), &"books".into()));
    for output in ["text", "json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let arguments = ["doctor", "--output", output];
        let unheard = process::postcall(&arguments, &home.settings()).stdout(writer).status();
        assert_eq!(unheard.unwrap().code(), Some(1), "though nobody reads what");
    }

    let new = home.ledger().with_file_name("new.db");
    let salvaged = run(&["--salvage", new.to_str().unwrap()]);
    let text = String::from_utf8(salvaged.stdout).unwrap();
    assert_eq!(salvaged.status.code(), Some(0), "{text}");
    assert!(text.contains("nothing that can be told to be missing was lost"), "{text}");
    assert_eq!(run(&["--ledger", new.to_str().unwrap()]).status.code(), Some(0));
    let nowhere = run(&["--ledger", "/nowhere/postcall.db"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(nowhere.stdout.is_empty() && !nowhere.stderr.is_empty());
}

/// Submissions in every state that a courier brings about, one account held, one attempt under way.
async fn furnished() -> Ledger<Sqlite> {
    let ledger = Ledger::<Sqlite>::new();
    for n in 0..CALLS {
        let call = format!("call-{n}");
        let begins = if n % 8 == 0 { 100_000 } else { 0 };
        let mut first = spoken::named(&format!("id-{n}"), 1, complete(begins, &call));
        // Some lie on pages of their own.
        first.hook.body = vec![b'x'; if n % 40 == 7 { 9000 } else { 100 }];
        ledger.hear(telling("from", "somebody", first)).await;
        if n % 7 == 0 {
            ledger.hear(hang_up(begins + 1, &call)).await;
        }
        if n % 8 == 0 {
            continue;
        }
        let lease = ledger.lease_one(100).await;
        if n % 8 == 1 {
            ledger.settle_one(&lease, ignored(IgnoredReason::NoAnswer), 101).await;
            continue;
        }
        ledger.begin_one(&lease, 100).await;
        let end = |verdict, status| attempt(verdict, Some(status), 101);
        let decision = match n % 8 {
            2 => {
                Decision::Dead { attempt: end(Verdict::Refused, 422), reason: DeadReason::Refused }
            }
            4 => Decision::Retry { attempt: end(spoken::BUSY, 503), at: at(100_000) },
            _ => Decision::Delivered { attempt: end(Verdict::Accepted, 201) },
        };
        ledger.settle_one(&lease, decision, 101).await;
    }
    for call in ["held", "under-way"] {
        ledger.hear(hook_for("other", 0, call, &[("score", "4")])).await;
    }
    let leases = ledger.lease(wanted(&[("other", 2)], 1000)).await.unwrap().leases;
    for lease in &leases {
        ledger.begin_one(lease, 1000).await;
    }
    let hold = Decision::Hold {
        attempt: attempt(Verdict::Misconfigured, Some(401), 1001),
        cause: PauseCause::Misconfigured,
        probe_at: at(2000),
        at: at(2000),
    };
    ledger.settle_one(&leases[0], hold, 1001).await;
    ledger
}

async fn closed(ledger: Ledger<Sqlite>) -> Sqlite {
    ledger.close().await;
    let Ledger { backend, .. } = ledger;
    backend
}

#[track_caller]
fn assert_sound(ledger: &Path) {
    let Examination { findings, .. } = examine(ledger).unwrap();
    assert_eq!(findings, []);
}

fn salvage_of(place: &Sqlite) -> (PathBuf, Salvaged) {
    let before = fs::read(place.path()).unwrap();
    let new = place.folder.path().join("new.db");
    let salvaged = salvage(&place.path(), &new).unwrap();
    assert!(fs::read(place.path()).unwrap() == before, "the damaged one stays as it is");
    (new, salvaged)
}

#[derive(Debug)]
struct Page {
    table: String,
    number: usize,
    is_leaf: bool,
    is_overflow: bool,
    cells: usize,
}

/// The pages of all tables and indexes but those that SQLite keeps for itself.
fn pages(ledger: &Path) -> Vec<Page> {
    let ledger = Connection::open(ledger).unwrap();
    let mut pages = ledger
        .prepare("SELECT name, pageno, pagetype <> 'internal', pagetype = 'overflow', ncell FROM dbstat WHERE pageno > 1")
        .unwrap();
    let page = |row: &rusqlite::Row<'_>| {
        Ok(Page {
            table: row.get(0)?,
            number: row.get::<_, i64>(1)? as usize,
            is_leaf: row.get(2)?,
            is_overflow: row.get(3)?,
            cells: row.get::<_, i64>(4)?.max(1) as usize,
        })
    };
    pages.query_map([], page).unwrap().map(Result::unwrap).collect()
}

fn overwrite(ledger: &Path, number: usize, change: impl FnOnce(&mut [u8])) {
    let mut bytes = fs::read(ledger).unwrap();
    change(&mut bytes[(number - 1) * PAGE..number * PAGE]);
    fs::write(ledger, bytes).unwrap();
}

fn hooks(ledger: &Path) -> BTreeSet<String> {
    let ledger = Connection::open(ledger).unwrap();
    let mut hooks = ledger.prepare("SELECT lower(hex(id)) FROM hooks").unwrap();
    hooks.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The ids of the hooks that were written down beside the new ledger.
fn homeless(salvaged: &Salvaged) -> BTreeSet<String> {
    let Some(path) = &salvaged.homeless else { return BTreeSet::new() };
    let lines = fs::read_to_string(path).unwrap();
    let id = |line: &str| {
        let hook: Value = serde_json::from_str(line).unwrap();
        assert_eq!(hook["source"], "ivr");
        hook["id"].as_str().unwrap().replace('-', "")
    };
    lines.lines().map(id).collect()
}

fn all_rows(ledger: &Connection, table: &str) -> Vec<Vec<rusqlite::types::Value>> {
    let mut rows = ledger.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
    let columns = rows.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    rows.query_map([], row).unwrap().map(Result::unwrap).collect()
}
