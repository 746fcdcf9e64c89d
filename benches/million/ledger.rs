//! A ledger with a history, written past the service: it would take it an hour.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;
use jiff::Timestamp;
use postcall::domain::{CallUuid, Name};
use postcall::store::sqlite::{self, SqliteStore};
use postcall::submission::{SubmissionId, SubmissionKey};
use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

/// How far back its history goes: nothing of it is old enough to be dropped meanwhile.
const HISTORY: Duration = Duration::from_secs(25 * 24 * 3600);

/// When what waits will be due: nobody delivers it meanwhile.
const DUE_IN: Duration = Duration::from_secs(24 * 3600);

/// How many submissions are shown.
const SHOWN: u32 = 40;

/// With the fields that Plivo sends.
const BODY: &str = "CallUUID=00000000-0000-0000-0000-000000000000&From=15550100001&To=15550100002&\
    CallStatus=in-progress&Direction=inbound&ALegUUID=00000000-0000-0000-0000-000000000000&\
    InputType=dtmf&Digits=4&Speech=&SpeechConfidenceScore=&BillRate=0.0085";

const TRACE: &str = r#"{"answers":[{"question":"score","reader":"form:Digits","answer":"4","role":"rates"}],"rating":{"from":"score","scale":"as it is","gives":4},"issues":[{"issue":"OTHERS","from":"otherwise"}]}"#;

const FEEDBACK: &str = r#"{"rating":4,"issues":["OTHERS"]}"#;

const REPLY: &str = r#"{"api_id":"00000000-0000-0000-0000-000000000000","message":"success"}"#;

/// What there is to ask for.
pub struct Known {
    /// Of every part of the history.
    pub some: Vec<SubmissionId>,
    call: String,
    middle: Timestamp,
}

impl Known {
    /// A name and the query, for every way in which a person looks.
    pub fn searches(&self) -> Vec<(&'static str, String)> {
        let middle = self.middle;
        vec![
            ("newest", "limit=50".to_owned()),
            ("newest, long pages", "limit=200".to_owned()),
            ("dead", "state=dead&limit=200".to_owned()),
            ("dead for one reason", "state=dead&reason=refused".to_owned()),
            ("delivered", "state=delivered&limit=200".to_owned()),
            ("waiting", "state=pending".to_owned()),
            ("one account", "account=other&limit=200".to_owned()),
            ("an account that has none", "account=third".to_owned()),
            ("one source", "source=ivr&limit=200".to_owned()),
            ("a source that sent none", "source=third".to_owned()),
            ("one survey", "survey=quick&limit=200".to_owned()),
            ("long ago", format!("until={middle}&limit=200")),
            ("dead long ago", format!("state=dead&until={middle}&limit=200")),
            ("one call", format!("call={}", self.call)),
        ]
    }
}

/// Mostly delivered, as ledgers are.
pub fn build(path: &Path, submissions: u32) -> anyhow::Result<Known> {
    // It brings the file to the form of this release.
    drop(SqliteStore::open(sqlite::Options {
        path: path.to_owned(),
        queue: 1,
        lease: DUE_IN,
        clock: Arc::new(Timestamp::now),
        observer: Arc::new(()),
    })?);
    let mut ledger = Connection::open(path)?;
    ledger.pragma_update(None, "synchronous", "OFF")?;
    ledger.pragma_update(None, "cache_size", -400_000)?;
    let transaction = ledger.transaction()?;
    let mut chance = Rng::with_seed(1);
    let now = Timestamp::now();
    let step = HISTORY / submissions;
    let mut known = Known { some: Vec::new(), call: String::new(), middle: now - HISTORY / 2 };
    for number in 0..submissions {
        let at = now - step * (submissions - number);
        let key = SubmissionKey {
            account: name(if chance.u8(0..10) == 0 { "other" } else { "main" }),
            survey: name("quick"),
            call: Uuid::from_u128(chance.u128(..)).to_string().parse::<CallUuid>()?,
        };
        if number.is_multiple_of((submissions / SHOWN).max(1)) {
            known.some.push(key.id());
            key.call.as_str().clone_into(&mut known.call);
        }
        keep(&transaction, number, &key, at, now, &mut chance)?;
    }
    transaction.execute_batch(
        "INSERT OR IGNORE INTO asked SELECT DISTINCT account, survey FROM submissions;
         UPDATE books SET
            accepted = (SELECT count(*) FROM submissions),
            collecting = (SELECT count(*) FROM submissions WHERE state = 'collecting'),
            pending = (SELECT count(*) FROM submissions WHERE state = 'pending'),
            delivered = (SELECT count(*) FROM submissions WHERE state = 'delivered'),
            ignored = (SELECT count(*) FROM submissions WHERE state = 'ignored'),
            dead = (SELECT count(*) FROM submissions WHERE state = 'dead'),
            discarded = (SELECT count(*) FROM submissions WHERE state = 'discarded');",
    )?;
    transaction.commit()?;
    ledger.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
    drop(ledger);
    std::fs::File::open(path)?.sync_all().context("syncing the ledger")?;
    Ok(known)
}

fn keep(
    ledger: &Transaction<'_>,
    number: u32,
    key: &SubmissionKey,
    at: Timestamp,
    now: Timestamp,
    chance: &mut Rng,
) -> anyhow::Result<()> {
    let (state, reason) = match chance.u32(0..1000) {
        0..5 => ("collecting", None),
        5..10 => ("pending", None),
        10..40 => ("ignored", Some("no_answer")),
        40..55 => ("dead", Some("unknown_call")),
        55..60 => ("dead", Some("refused")),
        60..65 => ("discarded", None),
        _ => ("delivered", None),
    };
    let waits = reason.is_none() && matches!(state, "collecting" | "pending");
    let attempted = matches!(state, "delivered" | "dead");
    let (seq, at) = (i64::from(number) + 1, at.as_microsecond());
    let due_at = if waits { (now + DUE_IN).as_microsecond() } else { at };
    ledger
        .prepare_cached(
            "INSERT INTO submissions (seq, id, account, survey, call, state, reason, accepted_at,
                    due_at, settled_at, fence, tries, attempts, first_attempt_at, held_before_us,
                    reached, feedback, trace)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?11, ?12, ?13, ?11, ?14,
                    ?15)",
        )?
        .execute(params![
            seq,
            key.id().0.as_bytes(),
            key.account.as_str(),
            key.survey.as_str(),
            key.call.as_str(),
            state,
            reason,
            at,
            due_at,
            (!waits).then_some(at),
            attempted,
            attempted.then_some(at),
            attempted.then_some(0),
            (state == "delivered").then_some(FEEDBACK),
            (!waits).then_some(TRACE),
        ])?;
    let hook = Uuid::from_u128(chance.u128(..));
    ledger
        .prepare_cached(
            "INSERT INTO hooks (id, submission, source, outcome, method, query, body, received_at)
                VALUES (?1, ?2, 'ivr', 'new', 'POST', NULL, ?3, ?4)",
        )?
        .execute(params![hook.as_bytes(), seq, BODY.as_bytes(), at])?;
    ledger
        .prepare_cached(
            "INSERT INTO answers (submission, question, answer, hook, received_at, late, reader)
                VALUES (?1, 'score', '4', ?2, ?3, 0, 'form:Digits')",
        )?
        .execute(params![seq, hook.as_bytes(), at])?;
    if attempted {
        let (verdict, status) =
            if state == "delivered" { ("accepted", 201) } else { ("refused", 422) };
        ledger
            .prepare_cached(
                "INSERT INTO attempts (submission, number, version, started_at, finished_at,
                        verdict, status, api_id, reply, feedback)
                    VALUES (?1, 1, 1, ?2, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![seq, at, verdict, status, hook.to_string(), REPLY, FEEDBACK])?;
    }
    Ok(())
}

/// As after a start of the machine, where it can be had: `dd` asks the system to drop what it holds
/// of the file.
pub fn forget_in_memory(path: &Path) {
    let dropped = Command::new("dd")
        .arg(format!("if={}", path.display()))
        .args(["iflag=nocache", "count=0"])
        .stderr(Stdio::null())
        .status();
    if !dropped.is_ok_and(|status| status.success()) {
        println!("  (the file stays cached: there is no dd that drops it)");
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}
