//! Rows that another program, or a failing disk, has changed: they stop nothing but themselves.

use postcall::store::sqlite::{examine, recover};
use postcall::store::{Received, SubmissionFilter};
use postcall::submission::{Decision, Outcome, Settled, Submission};
use rusqlite::Connection;
use serde_json::json;

use crate::doctor::closed;
use crate::store_contract::Backend;
use crate::store_contract::backend::{Sqlite, TestStore, seal, wanted};
use crate::store_contract::spoken::{accepted, complete, webhook, with_field};
use crate::test_env::TestEnv;

/// One letter of a stored rating flips while the service is down: Plivo must not hear it.
#[test]
fn a_flipped_digit_of_a_stored_answer_is_never_delivered_and_other_calls_are() {
    let mut test_env = TestEnv::new();
    test_env.posted("/accounts/main/pause", &json!({ "reason": "to look at it" }));
    for call in ["c-1", "c-2", "c-3"] {
        test_env.caller(call).has_pressed("5");
    }
    test_env.stop();
    let flip =
        r#"UPDATE submissions SET document = replace(document, '"5"', '"2"') WHERE call = 'c-2'"#;
    change(test_env.store.path(), flip);
    let examined = examine(test_env.store.path()).unwrap();
    assert!(
        examined.findings.iter().any(|it| it.words.contains("does not have its checksum")),
        "{examined:?}"
    );

    test_env.start();
    test_env.posted("/accounts/main/resume", &json!({}));
    test_env.until_it_is("c-1", "delivered");
    test_env.until_it_is("c-3", "delivered");
    test_env.until_it_is("c-2", "dead(corrupt)");
    assert_eq!(test_env.plivo.heard_about("c-2"), Vec::<serde_json::Value>::new());
    assert!(test_env.store.totals().balance(), "{:?}", test_env.store.totals());
    assert_eq!((test_env.store.totals().delivered, test_env.store.totals().dead), (2, 1));
    let listed = test_env.got("/submissions?state=dead&reason=corrupt");
    assert_eq!(listed["submissions"][0]["call"], "c-2", "{listed}");
    let figures = test_env.figures();
    assert_eq!(
        figures.of(r#"submissions_dead_total{reason="corrupt",survey="quick"}"#),
        1.0,
        "it is told once"
    );

    // What a sender says of it is kept, whatever of it is known, and changes nothing.
    let reply = test_env.caller("c-2").presses("2");
    assert_eq!(reply.header("postcall-outcome"), Some("late"));
    let id = test_env.id_of("c-2");
    let webhooks =
        test_env.got(&format!("/submissions/{id}"))["webhooks"].as_array().unwrap().len();
    assert_eq!(webhooks, 2);
    // What would be replayed may be wrong.
    let replayed = test_env.post(&format!("/submissions/{id}/replay"), &json!({}));
    replayed.assert_status(409);
    assert!(replayed.text.contains("changed on disk"), "{}", replayed.text);
    assert_eq!(examine(test_env.store.path()).unwrap().findings, []);
    test_env.posted(&format!("/submissions/{id}/discard"), &json!({ "reason": "asked again" }));
    test_env.until_it_is("c-2", "discarded");
    assert_eq!(examine(test_env.store.path()).unwrap().findings, []);
}

/// The tallies know which values of a field there are, and a claim asks for them.
#[tokio::test]
async fn a_value_of_a_tally_that_is_no_text_stops_no_delivery() {
    for damage in [
        "UPDATE tallies SET value = CAST(x'6f8c' AS TEXT) WHERE field <> ''",
        "UPDATE tallies SET field = CAST(x'ff' AS TEXT) WHERE field <> ''",
        "UPDATE tallies SET survey = CAST(x'8c6f' AS TEXT) WHERE field <> ''",
    ] {
        let store = TestStore::<Sqlite>::new();
        store.receive_one(with_field("queue", "support", complete(0, "c-1"))).await;
        let claim = store.claim_one(100).await;
        store.settle_one(&claim, accepted(101), Decision::Delivered).await;
        let place = closed(store).await;
        change(&place.path(), damage);
        let store = TestStore::on(place);
        store.receive_one(with_field("queue", "sales", complete(0, "c-2"))).await;
        let claim = store.claim_one(100).await;
        assert_eq!(claim.key.call.as_str(), "c-2", "{damage}");
        assert_eq!(
            store.settle_one(&claim, accepted(101), Decision::Delivered).await,
            Settled::Done
        );
    }
}

/// Each change costs its own submission and no other; each is seen before and after it is set aside.
#[tokio::test]
async fn a_corrupt_row_is_set_aside_and_the_rest_of_its_batch_is_claimed() {
    for fault in [
        r#"UPDATE submissions SET document = replace(document, '"4"', '"2"') WHERE seq = @"#,
        "UPDATE submissions SET document = 'no JSON' WHERE seq = @",
        "UPDATE submissions SET document = CAST(x'7b6f8c' AS TEXT) WHERE seq = @",
        "UPDATE submissions SET id = x'5b0a4c5e90d74b2a8c53d1a7f0e92b64' WHERE seq = @",
        "UPDATE submissions SET id = x'00' WHERE seq = @",
        "UPDATE submissions SET call = 'another' WHERE seq = @",
        // By a program that knows of the checksum.
        "UPDATE submissions SET call = 'sealed' WHERE seq = @",
        "UPDATE submissions SET call = 'no call' WHERE seq = @",
        "UPDATE submissions SET survey = 'No Survey' WHERE seq = @",
        "UPDATE submissions SET state = 'bored' WHERE seq = @",
        "UPDATE submissions SET state = 'delivered' WHERE seq = @",
        "UPDATE submissions SET accepted_at = 9223372036854775807 WHERE seq = @",
        "UPDATE submissions SET due_at = -9223372036854775807 WHERE seq = @",
        "UPDATE submissions SET fence = -1 WHERE seq = @",
        "UPDATE submissions SET account = 'No Account' WHERE seq = @",
    ] {
        let mut store = TestStore::<Sqlite>::new();
        for n in 0..4 {
            store.receive_one(complete(n, &format!("c-{n}"))).await;
        }
        store.drop_unclosed();
        // A raw change leaves the indexes as SQL makes them.
        let row = "(SELECT seq FROM submissions ORDER BY seq LIMIT 1 OFFSET 1)";
        change(&store.backend.path(), &fault.replace('@', row));
        if fault.contains("'sealed'") {
            seal(&Connection::open(store.backend.path()).unwrap());
        }
        let reason = "SELECT count(*) FROM submissions WHERE reason = 'corrupt'";
        if !fault.contains("'No Account'") {
            store.reopen();
            let shown = store.submissions().await;
            assert_eq!(shown.len(), 4, "{fault}");
            assert_eq!(corrupt(&shown).len(), 1, "{fault}: {shown:#?}");
        } else {
            // What no account of the settings can ask for is set aside when the store is opened.
            store.reopen();
        }
        let claimed = store.claim(wanted(&[("main", 10)], 1000)).await.unwrap();
        let calls: Vec<_> = claimed.claims.iter().map(|it| it.key.call.as_str()).collect();
        assert_eq!(calls, ["c-0", "c-2", "c-3"], "{fault}");
        assert!(store.is_writable(), "{fault}");
        let set_aside = count(&store.backend.path(), reason);
        assert_eq!(set_aside, 1, "{fault}");
        let shown = store.submissions().await;
        assert_eq!(corrupt(&shown).len(), 1, "{fault}");
        store.check_counts().await;
        let id = corrupt(&shown)[0].id;
        assert!(store.find(id).await.unwrap().is_some(), "{fault}");
        let findings = examine(&store.backend.path()).unwrap().findings;
        assert_eq!(findings, [], "{fault}");
        store.reopen();
        store.check_counts().await;
    }
}

/// A failing disk changes a page of the table, and no index with it.
#[tokio::test]
async fn a_letter_that_flips_in_the_file_itself_stops_nothing_but_its_row() {
    let store = TestStore::<Sqlite>::new();
    for n in 0..3 {
        store.receive_one(complete(0, &format!("c-{n}"))).await;
    }
    store.close().await;
    let place = store.backend;
    let mut bytes = std::fs::read(place.path()).unwrap();
    // Account, survey and call stand side by side in a row, and in no index.
    let row = memchr::memmem::find(&bytes, b"mainqualityc-1").expect("the row of c-1");
    bytes[row] = b'n';
    std::fs::write(place.path(), bytes).unwrap();

    let store = TestStore::on(place);
    let claims = store.claim_due(1000).await;
    let mut claimed: Vec<_> = claims.iter().map(|claim| claim.key.call.as_str()).collect();
    claimed.sort_unstable();
    assert_eq!(claimed, ["c-0", "c-2"]);
    assert_eq!(store.damage().map(|damage| damage.to_string()), None);
    assert_eq!(corrupt(&store.submissions().await).len(), 1);
    assert!(store.counts().await.balance());
    store.close().await;
    assert_eq!(examine(&store.backend.path()).unwrap().findings, []);
}

#[tokio::test]
async fn an_answer_to_a_call_whose_submission_is_corrupt_is_kept_as_late() {
    for fault in [
        "UPDATE submissions SET document = '{' WHERE call = 'c-1'",
        "UPDATE submissions SET state = 'dead', reason = 'bored' WHERE call = 'c-1'",
        r#"UPDATE submissions SET document = replace(document, '"4"', '"2"') WHERE call = 'c-1'"#,
    ] {
        let mut store = TestStore::<Sqlite>::new();
        store.receive_one(complete(0, "c-1")).await;
        store.drop_unclosed();
        change(&store.backend.path(), fault);
        store.reopen();
        let late = webhook(10, "c-1", &[("score", "2")]);
        let Received { outcome, .. } = store.receive_one(late.clone()).await;
        assert_eq!(outcome, Outcome::Late, "{fault}");
        // As from the quarantine of a process that ended before it was removed there.
        assert_eq!(store.receive_one(late).await.outcome, Outcome::Late, "{fault}");
        assert_eq!(store.backend.bodies().len(), 2, "{fault}");
        assert_eq!(corrupt(&store.submissions().await).len(), 1, "{fault}");
        assert_eq!(store.claim_due(1000).await, [], "{fault}");
        store.check_counts().await;
    }
}

/// The document of a corrupt submission is kept as it was found until its submission goes.
#[tokio::test]
async fn a_corrupt_document_is_kept_until_its_submission_is_erased() {
    let mut store = TestStore::<Sqlite>::new();
    store.receive_one(complete(0, "c-1")).await;
    store.drop_unclosed();
    change(&store.backend.path(), "UPDATE submissions SET document = 'all that was said'");
    store.reopen();
    store.claim_due(1000).await;
    let kept =
        "SELECT count(*) FROM corrupt_documents WHERE CAST(document AS TEXT) = 'all that was said'";
    assert_eq!(count(&store.backend.path(), kept), 1);
    let id = store.submissions().await[0].id;
    store.erase(vec![id], crate::store_contract::spoken::at(2000)).await.unwrap();
    assert_eq!(count(&store.backend.path(), "SELECT count(*) FROM corrupt_documents"), 0);
    assert_eq!(examine(&store.backend.path()).unwrap().findings, []);
}

#[tokio::test]
async fn an_account_whose_pause_cannot_be_read_waits_for_an_operator_and_others_do_not() {
    let mut store = TestStore::<Sqlite>::new();
    store.receive_one(complete(0, "c-1")).await;
    let mut other = complete(0, "c-2");
    other.key.account = "other".parse().unwrap();
    store.receive_one(other).await;
    store.drop_unclosed();
    change(&store.backend.path(), "INSERT INTO pauses VALUES ('main', 'in no mood')");
    store.reopen();
    let claimed = store.claim(wanted(&[("main", 10), ("other", 10)], 1000)).await.unwrap();
    let calls: Vec<_> = claimed.claims.iter().map(|it| it.key.call.as_str()).collect();
    assert_eq!(calls, ["c-2"]);
    let pauses = store.pauses().await;
    assert_eq!((pauses.len(), pauses[0].1.cause.label()), (1, "operator"), "{pauses:?}");
    assert!(pauses[0].1.detail.contains("cannot be read"), "{pauses:?}");
    assert_eq!(examine(&store.backend.path()).unwrap().findings, [], "it is written again");
    assert!(
        store
            .resume("main".parse().unwrap(), crate::store_contract::spoken::at(1001))
            .await
            .unwrap()
    );
    assert_eq!(store.claim_due(1002).await.len(), 1);
}

/// What a recovery brings over of a changed row is never sent by a replay.
#[tokio::test]
async fn a_recovery_sets_a_flipped_answer_aside() {
    let mut store = TestStore::<Sqlite>::new();
    for n in 0..3 {
        store.receive_one(complete(n, &format!("c-{n}"))).await;
    }
    store.drop_unclosed();
    let flip =
        r#"UPDATE submissions SET document = replace(document, '"4"', '"2"') WHERE call = 'c-1'"#;
    change(&store.backend.path(), flip);
    let new = store.backend.folder.path().join("new.db");
    let recovered = recover(&store.backend.path(), &new).unwrap();
    assert_eq!((recovered.submissions, recovered.set_aside), (3, 1), "{recovered:?}");
    assert_eq!(examine(&new).unwrap().findings, []);
    std::fs::rename(&new, store.backend.path()).unwrap();
    store.reopen();
    assert_eq!(corrupt(&store.submissions().await).len(), 1);
    assert_eq!(store.claim_due(1000).await.len(), 2);
    let found = store.search(SubmissionFilter::default(), None, 9).await.unwrap();
    assert_eq!(found.submissions.len(), 3);
}

fn corrupt(shown: &[Submission]) -> Vec<&Submission> {
    shown.iter().filter(|it| it.state.reason() == Some("corrupt")).collect()
}

#[track_caller]
fn change(store: &std::path::Path, statement: &str) {
    let changed = Connection::open(store).unwrap().execute(statement, []).unwrap();
    assert_eq!(changed, 1, "{statement}");
}

fn count(store: &std::path::Path, statement: &str) -> u64 {
    Connection::open(store).unwrap().query_row(statement, [], |row| row.get(0)).unwrap()
}
