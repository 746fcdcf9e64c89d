//! What is promised of the file itself.

use std::path::Path;

use jiff::Timestamp;
use postcall::account::PauseCause;
use postcall::domain::Verdict;
use postcall::store::sqlite::{Options, ReadOnly, SqliteStore};
use postcall::store::{Begun, Decision, Outcome, Search, Settled, StoreError};
use postcall::submission::{DeadReason, IgnoredReason, State, StateCounts};
use rusqlite::Connection;

use super::backend::wanted;
use super::spoken::{at, attempt, complete, hang_up, hook, named, telling};
use super::{Backend, Ledger, Sqlite};

#[tokio::test]
async fn a_second_process_is_told_that_the_ledger_is_in_use() {
    let ledger = Ledger::<Sqlite>::new();
    let second = open(&ledger.backend.path());
    assert!(matches!(second, Err(StoreError::InUse { .. })));
    assert!(ledger.is_writable());
}

#[tokio::test]
async fn a_link_to_a_ledger_is_the_same_ledger() {
    let ledger = Ledger::<Sqlite>::new();
    let link = ledger.backend.folder.path().join("link.db");
    std::os::unix::fs::symlink(ledger.backend.path(), &link).unwrap();
    assert!(matches!(open(&link), Err(StoreError::InUse { .. })));
}

#[tokio::test]
async fn a_closed_ledger_is_free_for_another_process() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.close().await;
    assert!(open(&ledger.backend.path()).is_ok());
}

#[test]
fn another_programs_database_is_not_taken_for_a_ledger() {
    for preparation in [
        "CREATE TABLE theirs (x)",
        "PRAGMA application_id = 7",
        "PRAGMA application_id = 7; CREATE TABLE submissions (x)",
    ] {
        let place = Sqlite::default();
        Connection::open(place.path()).unwrap().execute_batch(preparation).unwrap();
        let before = std::fs::read(place.path()).unwrap();
        assert!(matches!(open(&place.path()), Err(StoreError::Foreign { .. })), "{preparation}");
        assert!(matches!(ReadOnly::open(&place.path()), Err(StoreError::Foreign { .. })));
        assert!(std::fs::read(place.path()).unwrap() == before, "it is left as it was");
    }
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let place = Sqlite::default();
    let letter = "Dear reader, this is not a database. ".repeat(100);
    std::fs::write(place.path(), &letter).unwrap();
    assert!(matches!(open(&place.path()), Err(StoreError::Damaged { .. })));
    assert_eq!(std::fs::read_to_string(place.path()).unwrap(), letter);
}

#[tokio::test]
async fn the_ledger_of_a_newer_release_is_refused() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.close().await;
    let place = ledger.backend;
    let connection = Connection::open(place.path()).unwrap();
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (999, 'of_tomorrow', '2030-01-01T00:00:00Z', '1')";
    connection.execute_batch(newer).unwrap();
    let copy = place.after_a_sudden_end();
    let Err(StoreError::Open { source, .. }) = open(&copy.path()) else { panic!("it was opened") };
    assert!(source.to_string().contains("V999__of_tomorrow"), "{source}");
}

#[tokio::test]
async fn a_ledger_of_the_first_release_is_brought_to_the_present_form() {
    let ledger = Ledger::on(first_release(
        "UPDATE books SET accepted = 1, collecting = 1;
        INSERT INTO submissions (id, account, survey, call, state, accepted_at, due_at)
            VALUES (x'ac3c34e62bb4571f8e742eb6b6b636d5', 'main', 'quality', 'c-1',
                    'collecting', 1000000, 1000000);
        INSERT INTO answers VALUES (1, 'score', '4', zeroblob(16), 1000000, 0);",
    ));
    let heard = ledger.hear(hook(1, "c-1", &[("score", "4")])).await;
    assert_eq!(heard.outcome, Outcome::Repeat);
    assert_eq!(ledger.hear(hang_up(2, "c-1")).await.outcome, Outcome::Added);
    let answers = ledger.lease_one(1000).await.answers;
    let said = answers.recorded().next().unwrap();
    assert_eq!((said.reader.as_str(), said.last_at), ("", said.received_at));
    assert_eq!(answers.hung_up_at(), Some(at(2)));
}

#[test]
fn a_ledger_of_another_release_is_not_looked_at() {
    let place = first_release("");
    let Err(refused) = ReadOnly::open(&place.path()) else { panic!("it was opened") };
    assert!(matches!(refused, StoreError::OtherForm { .. }), "{refused}");
    drop(open(&place.path()).unwrap());
    assert!(ReadOnly::open(&place.path()).is_ok());
}

/// Each column that says where a submission stands, as the first release left it.
#[tokio::test]
async fn what_the_first_release_left_in_any_state_goes_on_from_there() {
    const LEASED: &str = "leased_until = 9000000, fence = 1";
    const TRIED: &str =
        "fence = 1, tries = 1, attempts = 1, first_attempt_at = 1, held_before_us = 0";
    const REACHED: &str = "reached = 1";
    let under_way = [LEASED, "tries = 1, first_attempt_at = 1, begun = 1"].join(", ");
    let settled = "settled_at = 5000000";
    let (waits, unmapped) = (State::Pending, State::Dead(DeadReason::Unmapped));
    let left: Vec<(State, String, Outcome, State)> = [
        (State::Collecting, String::new(), Outcome::Added, waits),
        (waits, String::new(), Outcome::Added, waits),
        (waits, LEASED.to_owned(), Outcome::Added, waits),
        (waits, under_way, Outcome::Late, waits),
        (waits, TRIED.to_owned(), Outcome::Added, waits),
        (waits, [TRIED, REACHED].join(", "), Outcome::Late, waits),
        (
            State::Delivered,
            [TRIED, REACHED, "feedback = '{}'"].join(", "),
            Outcome::Late,
            State::Delivered,
        ),
        (State::Discarded, String::new(), Outcome::Late, State::Discarded),
        (unmapped, "detail = 'gone'".to_owned(), Outcome::Added, waits),
        (State::Dead(DeadReason::TooOld), TRIED.to_owned(), Outcome::Added, waits),
    ]
    .into_iter()
    .chain([DeadReason::Refused, DeadReason::UnknownCall].map(|reason| {
        let state = State::Dead(reason);
        (state, [TRIED, REACHED].join(", "), Outcome::Late, state)
    }))
    .chain(
        [IgnoredReason::NoAnswer, IgnoredReason::InvalidAnswer, IgnoredReason::NoScore]
            .map(|reason| (State::Ignored(reason), settled.to_owned(), Outcome::Added, waits)),
    )
    .collect();
    let mut rows = String::new();
    let mut totals = StateCounts::default();
    for (seq, (state, columns, ..)) in (1..).zip(&left) {
        let key = complete(0, &format!("c-{seq}")).key;
        let id = key.id().0.simple();
        let reason = state.reason().map_or("NULL".to_owned(), |reason| format!("'{reason}'"));
        rows += &format!(
            "INSERT INTO submissions
                    (seq, id, account, survey, call, state, reason, accepted_at, due_at)
                VALUES ({seq}, x'{id}', 'main', 'quality', 'c-{seq}', '{}', {reason}, 0, 1000000);
            INSERT INTO hooks VALUES
                ({seq}, zeroblob(16), 'ivr', 'new', 'POST', NULL, x'00', 0);
            INSERT INTO answers VALUES ({seq}, 'score', '4', zeroblob(16), 0, 0),
                ({seq}, 'problem', '', x'000000000000000000000000000000ff', 1, 1);",
            state.label(),
        );
        if columns.contains("tries") {
            rows += &format!(
                "INSERT INTO attempts (submission, number, version, started_at)
                VALUES ({seq}, 1, 1, 1);"
            );
        }
        if !columns.is_empty() {
            rows += &format!("UPDATE submissions SET {columns} WHERE seq = {seq};");
        }
        totals.accepted += 1;
        *totals.of_mut(*state) += 1;
    }
    let StateCounts { accepted, collecting, pending, delivered, ignored, dead, discarded } = totals;
    rows += &format!(
        "UPDATE books SET accepted = {accepted}, collecting = {collecting}, pending = {pending},
            delivered = {delivered}, ignored = {ignored}, dead = {dead}, discarded = {discarded};"
    );

    let ledger = Ledger::on(first_release(&rows));
    ledger.check_books().await;
    assert_eq!(ledger.totals().await, totals);
    for (seq, (state, _, outcome, then)) in (1..).zip(&left) {
        let call = format!("c-{seq}");
        assert_eq!(ledger.row(&call).await.state, *state, "{call}");
        assert_eq!(ledger.hear(hook(2, &call, &[("score", "4")])).await.outcome, Outcome::Repeat);
        let heard = ledger.hear(hook(3, &call, &[("problem", "1")])).await;
        assert_eq!((heard.outcome, ledger.row(&call).await.state), (*outcome, *then), "{call}");
        ledger.hear(hang_up(4, &call)).await;
        ledger.check_books().await;
    }
    for lease in ledger.lease(wanted(&[("main", 100)], 10_000)).await.unwrap().leases {
        assert_eq!(ledger.begin_one(&lease, 10_000).await, Begun::Started);
        let attempt = attempt(Verdict::Accepted, Some(201), 10_000);
        let delivered = Decision::Delivered { attempt };
        assert_eq!(ledger.settle_one(&lease, delivered, 10_000).await, Settled::Done);
    }
    ledger.check_books().await;
    assert_eq!((ledger.totals().await.collecting, ledger.totals().await.pending), (0, 0));
}

/// A place with a ledger as the first release left it, with these rows.
fn first_release(rows: &str) -> Sqlite {
    let present = Sqlite::default();
    drop(open(&present.path()).unwrap());
    let place = Sqlite::default();
    let first = Connection::open(place.path()).unwrap();
    first
        .execute_batch(include_str!("../../../src/store/sqlite/migrations/V1__ledger.sql"))
        .unwrap();
    first.execute("ATTACH ?1 AS present", [present.path().to_str().unwrap()]).unwrap();
    let history = "SELECT sql FROM present.sqlite_schema WHERE name = 'refinery_schema_history'";
    let history: String = first.query_row(history, [], |row| row.get(0)).unwrap();
    first.execute_batch(&history).unwrap();
    first
        .execute_batch(
            "INSERT INTO refinery_schema_history
                SELECT * FROM present.refinery_schema_history WHERE version = 1;
            DETACH present;
            PRAGMA application_id = 0x706f7374;",
        )
        .unwrap();
    first.execute_batch(rows).unwrap();
    place
}

#[tokio::test]
async fn a_ledger_that_is_served_can_be_read_and_written_by_others() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let looked_at = ReadOnly::open(&ledger.backend.path()).unwrap();
    assert_eq!(looked_at.figures().unwrap(), ledger.figures().await.unwrap());
    ledger.hear(hook(0, "c-2", &[("score", "4")])).await;
    assert_eq!(looked_at.figures().unwrap().totals.accepted, 2, "it sees what came since");
    assert_eq!(looked_at.search(&Search::default(), None, 9).unwrap().rows, ledger.rows().await);

    let window = Connection::open(ledger.backend.path()).unwrap();
    window.execute_batch("PRAGMA user_version = 3").unwrap();
    ledger.hear(hook(0, "c-3", &[("score", "4")])).await;
}

#[tokio::test]
async fn a_ledger_that_nobody_serves_can_be_looked_at() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    ledger.close().await;
    let Ledger { backend, .. } = ledger;
    let looked_at = ReadOnly::open(&backend.path()).unwrap();
    let totals = StateCounts { accepted: 1, collecting: 1, ..StateCounts::default() };
    assert_eq!(looked_at.figures().unwrap().totals, totals);
    assert!(ReadOnly::open(&backend.folder.path().join("none.db")).is_err());
    assert!(!backend.folder.path().join("none.db").exists(), "looking creates nothing");
}

#[tokio::test]
async fn a_ledger_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let ledger = Ledger::<Sqlite>::new();
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    for file in std::fs::read_dir(ledger.backend.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o077, 0, "{:?}", file.path());
    }
}

/// Neither in the file nor in the log beside it, where another program reads it meanwhile.
#[tokio::test]
async fn what_was_erased_is_nowhere_in_the_files() {
    let ledger = Ledger::<Sqlite>::new();
    let tells = |word: &str| any_file_tells(&ledger, word);
    let arrival = |n: usize| {
        let call = format!("call-{n:04}-of-them");
        let mut arrival = telling("campaign", &format!("tells-{n:04}-too"), complete(0, &call));
        // Some bodies need pages of their own.
        let long = if n.is_multiple_of(3) { 9000 } else { 10 };
        arrival.hook.body = format!("{}said-{n:04}-it", "x".repeat(long)).into_bytes();
        named(&format!("name-{n:04}-of-it"), 1, arrival)
    };
    for n in 0..200 {
        ledger.hear(arrival(n)).await;
    }
    let words = |n: usize| ["call", "tells", "said", "name"].map(|word| format!("{word}-{n:04}"));
    assert!((0..200).step_by(50).flat_map(words).all(|word| tells(&word)));
    let reader = Connection::open(ledger.backend.path()).unwrap();
    let erased = (0..200).filter(|n| n % 7 == 0);
    for n in erased.clone() {
        ledger.erase(vec![arrival(n).key.id()], at(1)).await.unwrap();
        let accepted: usize =
            reader.query_row("SELECT accepted FROM books", [], |row| row.get(0)).unwrap();
        assert_eq!(accepted, 200);
    }
    for n in erased {
        for word in words(n) {
            assert!(!tells(&word), "{word}");
        }
    }
    assert!(tells("said-0001"));
}

#[tokio::test]
async fn what_is_rare_among_many_is_found_in_several_pages() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.hear(complete(0, "rare")).await;
    let mut web = complete(1, "web");
    web.source = "web".parse().unwrap();
    ledger.hear(web).await;
    let window = Connection::open(ledger.backend.path()).unwrap();
    // Each settled a second after the one before.
    window
        .execute_batch(
            "WITH RECURSIVE many (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM many WHERE n < 12000)
            INSERT INTO submissions
                    (id, account, survey, call, state, reason, accepted_at, due_at)
                SELECT randomblob(16), 'main', 'quality', 'call-' || n,
                    iif(n % 2, 'delivered', 'ignored'), iif(n % 2, NULL, 'rule'), n * 1000000, 0
                FROM many;",
        )
        .unwrap();
    let walk = async |search: Search| {
        let (mut found, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = ledger.search(search.clone(), after, 50).await.unwrap();
            found.extend(page.rows.into_iter().map(|row| row.key.call.to_string()));
            (pages, after) = (pages + 1, page.next);
            if after.is_none() {
                return (found, pages);
            }
        }
    };
    let any = Search::default;
    let source = Some("web".parse().unwrap());
    let (found, pages) = walk(Search { source, ..any() }).await;
    assert_eq!((found, pages), (vec!["web".to_owned()], 3));
    let (found, pages) = walk(Search { state: Some("pending"), ..any() }).await;
    assert_eq!((found, pages), (vec!["web".to_owned(), "rare".to_owned()], 1), "all that waits");
    let (found, pages) = walk(Search { state: Some("dead"), ..any() }).await;
    assert_eq!((found.len(), pages), (0, 1));
    let reason = Some("no_score".to_owned());
    let (found, pages) = walk(Search { state: Some("ignored"), reason, ..any() }).await;
    assert_eq!((found.len(), pages), (0, 2));
    let (found, _) = walk(any()).await;
    assert_eq!(found.len(), 12_001);
}

#[tokio::test]
async fn what_waits_is_found_in_hand_or_not() {
    let ledger = Ledger::<Sqlite>::new();
    for (second, call) in [(10, "c-1"), (30, "c-3"), (20, "c-2")] {
        ledger.hear(complete(second, call)).await;
    }
    ledger.hear(hook(25, "collecting", &[("score", "4")])).await;
    let leased = ledger.lease(wanted(&[("main", 2)], 85)).await.unwrap().leases;
    assert_eq!(leased.len(), 2);
    let search = Search { state: Some("pending"), ..Search::default() };
    let first = ledger.search(search.clone(), None, 2).await.unwrap();
    let second = ledger.search(search, first.next, 2).await.unwrap();
    let calls = [&first.rows, &second.rows]
        .map(|rows| rows.iter().map(|row| row.key.call.to_string()).collect::<Vec<_>>());
    assert_eq!(calls, [vec!["c-3".to_owned(), "c-2".to_owned()], vec!["c-1".to_owned()]]);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_body_that_was_dropped_is_shown_as_gone_and_one_that_came_since_is_not() {
    let ledger = Ledger::<Sqlite>::new();
    let id = complete(0, "c-1").key.id();
    ledger.hear(complete(0, "c-1")).await;
    let window = Connection::open(ledger.backend.path()).unwrap();
    window.execute_batch("UPDATE hooks SET body = x''; UPDATE submissions SET kept = 1").unwrap();
    let said = async || {
        let hooks = ledger.find(id).await.unwrap().unwrap().hooks;
        hooks.iter().map(|hook| hook.said.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(said().await, [false]);
    ledger.hear(hook(1, "c-1", &[("problem", "2")])).await;
    assert_eq!(said().await, [false, true]);
    let kept = "SELECT kept FROM submissions";
    let kept: u32 = window.query_row(kept, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 2, "there is a body to be dropped again");
}

#[tokio::test]
async fn a_submission_merges_so_many_answers_and_no_more() {
    let ledger = Ledger::<Sqlite>::new();
    let many: Vec<String> = (0..256).map(|n| n.to_string()).collect();
    let answers: Vec<_> = many.iter().map(|text| (text.as_str(), "1")).collect();
    ledger.hear(hook(0, "c-1", &answers)).await;
    let beyond = hook(1, "c-1", &[("score", "4")]);
    assert_eq!(ledger.hear(beyond.clone()).await.outcome, Outcome::Late);
    assert_eq!(ledger.hear(beyond).await.outcome, Outcome::Repeat);
}

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(Options {
        path: path.to_owned(),
        queue: 1,
        lease: std::time::Duration::from_secs(1),
        clock: std::sync::Arc::new(|| Timestamp::UNIX_EPOCH),
        observer: std::sync::Arc::new(()),
    })
}

/// The far side may have named the call when it was held, and repeated what it was told.
#[tokio::test]
async fn why_an_account_is_or_was_held_tells_nothing_of_what_was_erased() {
    let ledger = Ledger::<Sqlite>::new();
    for (call, is_over) in [("call-that-is-over", true), ("call-of-the-hold", false)] {
        ledger.hear(complete(0, call)).await;
        let lease = ledger.attempt_one(100).await;
        let mut attempt = attempt(Verdict::Refused, Some(422), 100);
        attempt.reply.text = format!("{call} has no such notes");
        let held =
            Decision::Hold { attempt, cause: PauseCause::Refusals, probe_at: at(200), at: at(200) };
        ledger.settle_one(&lease, held, 100).await;
        assert!(any_file_tells(&ledger, call));
        if is_over {
            assert!(ledger.resume(lease.key.account.clone(), at(110)).await.unwrap());
        }
        ledger.erase(vec![lease.ticket.submission], at(120)).await.unwrap();
        assert!(!any_file_tells(&ledger, call), "{call}");
        assert_eq!(any_file_tells(&ledger, "has no such notes"), !is_over);
    }
    let holds = ledger.figures().await.unwrap().holds;
    assert_eq!(holds[0].detail, "(erased) has no such notes");
}

fn any_file_tells(ledger: &Ledger<Sqlite>, word: &str) -> bool {
    let mut files = std::fs::read_dir(ledger.backend.folder.path()).unwrap();
    files.any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    })
}
