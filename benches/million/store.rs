//! A store with a history, written past the service: it would take it an hour.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;
use jiff::Timestamp;
use postcall::clock::Clock;
use postcall::domain::{
    Answer, Attempt, AttemptResponse, CallUuid, ExtractedAnswer, Extraction, Name, Verdict,
    WebhookId,
};
use postcall::settings::{Environment, Settings};
use postcall::store::sqlite::{self, SqliteStore};
use postcall::submission::{
    AnswerValidity, Answers, Arrival, ChangedAnswerPolicy, ClaimContext, ClaimOutcome,
    CompletionPolicy, DeadReason, Decision, DueTime, LeaseToken, Settlement, Submission,
    SubmissionId, SubmissionKey,
};
use postcall::survey::SettingsMapper;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Transaction, params, params_from_iter};
use uuid::Uuid;

use crate::settings::SETTINGS;

/// How far back its history goes: nothing of it is old enough to be dropped meanwhile.
const HISTORY: Duration = Duration::from_secs(25 * 24 * 3600);

/// When what waits will be due: no one delivers it meanwhile. It is less than `max_backoff` of the
/// settings: what is due beyond that is brought forward, which would write every such row in the first pair.
const DUE_IN: Duration = Duration::from_secs(30 * 60);

/// Days and campaigns that there are tallies of.
const DAYS: i64 = 90;
const CAMPAIGNS: i64 = 20;

/// How many submissions are shown.
const SHOWN: u32 = 40;

/// With the fields that Plivo sends.
const BODY: &str = "CallUUID=00000000-0000-0000-0000-000000000000&From=15550100001&To=15550100002&\
    CallStatus=in-progress&Direction=inbound&ALegUUID=00000000-0000-0000-0000-000000000000&\
    InputType=dtmf&Digits=4&Speech=&SpeechConfidenceScore=&BillRate=0.0085";

const ACCEPTED: &str = r#"{"api_id":"00000000-0000-0000-0000-000000000000","message":"success"}"#;

const REFUSED: &str = r#"{"api_id":"00000000-0000-0000-0000-000000000000","error":"refused"}"#;

/// What there is to ask for.
pub struct Known {
    /// Of every part of the history.
    pub some: Vec<SubmissionId>,
    call: String,
    middle: Timestamp,
}

impl Known {
    /// A name and the query, for every kind of search.
    pub fn searches(&self) -> Vec<(&'static str, String)> {
        let middle = self.middle;
        vec![
            ("newest", "limit=50".to_owned()),
            ("newest, long pages", "limit=200".to_owned()),
            ("dead", "state=dead&limit=200".to_owned()),
            ("dead for one reason", "state=dead&reason=rejected".to_owned()),
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
            ("low ratings", "rating=1-2".to_owned()),
        ]
    }

    /// Every kind of page of the console, by its path.
    pub fn pages(&self) -> Vec<String> {
        let (id, call) = (self.some[0], &self.call);
        [
            String::new(),
            format!("calls/{call}"),
            "submissions".to_owned(),
            "submissions?state=dead&reason=rejected".to_owned(),
            format!("submissions/{id}"),
            format!("submissions/{id}/replay"),
            "replay?state=dead".to_owned(),
            format!("insights?days={DAYS}&by=campaign"),
            format!("insights.csv?days={DAYS}&by=campaign"),
            "accounts".to_owned(),
            "quarantine".to_owned(),
            "audit".to_owned(),
        ]
        .map(|page| format!("/console/{page}"))
        .to_vec()
    }
}

/// Mostly delivered, as stores are.
pub fn build(path: &Path, submissions: u32) -> anyhow::Result<Known> {
    // It brings the file to the form of this release.
    drop(SqliteStore::open(sqlite::Options {
        path: path.to_owned(),
        write_queue: 1,
        lease: DUE_IN,
        clock: Clock::system(),
        observer: Arc::new(()),
    })?);
    let mut store = Connection::open(path)?;
    store.pragma_update(None, "synchronous", "OFF")?;
    store.pragma_update(None, "cache_size", -400_000)?;
    let transaction = store.transaction()?;
    let mut chance = Rng::with_seed(1);
    let mapper = mapper()?;
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
        let webhook = WebhookId(Uuid::from_u128(chance.u128(..)));
        let past = Past { key, webhook, at, due_at: now + DUE_IN, mapper: &mapper };
        keep(&transaction, &past.submission(Ending::draw(&mut chance)), webhook)?;
    }
    transaction.execute_batch(
        "INSERT OR IGNORE INTO scopes SELECT DISTINCT account, survey FROM submissions;
         UPDATE state_counts SET
            accepted = (SELECT count(*) FROM submissions),
            collecting = (SELECT count(*) FROM submissions WHERE state = 'collecting'),
            pending = (SELECT count(*) FROM submissions WHERE state = 'pending'),
            delivered = (SELECT count(*) FROM submissions WHERE state = 'delivered'),
            ignored = (SELECT count(*) FROM submissions WHERE state = 'ignored'),
            dead = (SELECT count(*) FROM submissions WHERE state = 'dead'),
            discarded = (SELECT count(*) FROM submissions WHERE state = 'discarded');",
    )?;
    tallies(&transaction, now)?;
    transaction.commit()?;
    store.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
    drop(store);
    std::fs::File::open(path)?.sync_all().context("syncing the store")?;
    Ok(known)
}

/// Those of twenty campaigns, whatever the submissions are.
fn tallies(store: &Connection, now: Timestamp) -> anyhow::Result<()> {
    let mut add =
        store.prepare("INSERT INTO tallies VALUES (?, ?, 'quick', 'main', ?, ?, ?, ?, ?, ?, ?)")?;
    let today = now.as_second() / 86_400;
    for day in today - DAYS..=today {
        for campaign in 0..=CAMPAIGNS {
            let (field, value) = match campaign {
                0 => ("", String::new()),
                campaign => ("campaign", format!("campaign {campaign}")),
            };
            for rating in 1..=5 {
                for (issues, origin, n) in [("OTHERS", "default", 10), ("ECHO", "chosen", 20)] {
                    add.execute(params![
                        field,
                        day,
                        value,
                        "delivered",
                        "",
                        rating * 100,
                        issues,
                        origin,
                        n * rating
                    ])?;
                }
            }
            for reason in ["no_answer", "hang_up"] {
                add.execute(params![field, day, value, "ignored", reason, 0, "", "", 9])?;
            }
        }
    }
    Ok(())
}

/// What became of a submission.
enum Ending {
    Collecting,
    Pending,
    Ignored,
    Dead(DeadReason),
    Discarded,
    Delivered,
}

impl Ending {
    fn draw(chance: &mut Rng) -> Self {
        match chance.u32(0..1000) {
            0..5 => Ending::Collecting,
            5..10 => Ending::Pending,
            10..40 => Ending::Ignored,
            40..55 => Ending::Dead(DeadReason::UnknownCall),
            55..60 => Ending::Dead(DeadReason::Rejected),
            60..65 => Ending::Discarded,
            _ => Ending::Delivered,
        }
    }
}

/// One webhook of long ago.
struct Past<'a> {
    key: SubmissionKey,
    webhook: WebhookId,
    at: Timestamp,
    /// When its submission is due, should it still wait.
    due_at: Timestamp,
    mapper: &'a SettingsMapper,
}

impl Past<'_> {
    /// The submission as the service would have it today.
    fn submission(&self, ending: Ending) -> Submission {
        let answer = match ending {
            Ending::Ignored => Answer::Silence,
            _ => Answer::Given("4".to_owned()),
        };
        let (question, reader) = ("score".to_owned(), "form:Digits".to_owned());
        let answers = vec![ExtractedAnswer { question, answer, reader }];
        let extraction = Extraction { answers, ..Extraction::default() };
        let arrival = Arrival {
            id: self.key.id(),
            key: &self.key,
            extraction: &extraction,
            received_at: self.at,
            webhook: self.webhook,
            trace: None,
        };
        let (complete, at) = match ending {
            Ending::Collecting => (false, self.due_at),
            Ending::Pending => (true, self.due_at),
            _ => (true, self.at),
        };
        let mut submission = None;
        Submission::receive(&mut submission, &arrival, &Due(DueTime { complete, at }));
        let mut submission = submission.expect("a webhook starts a submission");
        match ending {
            Ending::Collecting | Ending::Pending => {}
            Ending::Ignored => assert!(self.claim(&mut submission).is_none()),
            Ending::Discarded => {
                submission.discard("a test call", self.at);
            }
            Ending::Dead(reason) => {
                let verdict = match reason {
                    DeadReason::UnknownCall => Verdict::UnknownCall,
                    _ => Verdict::Rejected,
                };
                self.deliver(&mut submission, verdict, Decision::Dead { reason, pause: None });
            }
            Ending::Delivered => {
                self.deliver(&mut submission, Verdict::Accepted, Decision::Delivered);
            }
        }
        submission
    }

    fn claim(&self, submission: &mut Submission) -> Option<LeaseToken> {
        let context = ClaimContext {
            now: self.at,
            lease_until: self.due_at,
            paused_for: None,
            paused_in_all: Duration::ZERO,
            longest_wait: Duration::MAX,
            settings_may_differ: false,
        };
        match submission.claim(&context, self.mapper) {
            ClaimOutcome::Started(claim) => Some(claim.token),
            ClaimOutcome::Unsent => None,
        }
    }

    fn deliver(&self, submission: &mut Submission, verdict: Verdict, decision: Decision) {
        let token = self.claim(submission).expect("there is feedback to send");
        let (status, text) = match verdict {
            Verdict::Accepted => (201, ACCEPTED),
            Verdict::UnknownCall => (404, REFUSED),
            _ => (422, REFUSED),
        };
        let request_id = Some(self.webhook.0.to_string());
        let reply = AttemptResponse {
            status: Some(status),
            request_id,
            error: None,
            text: text.to_owned(),
        };
        let attempt = Attempt { verdict, reply, finished_at: self.at };
        submission.settle(&Settlement { token, attempt, decision });
    }
}

/// A survey whose submissions are due then, whatever is answered.
struct Due(DueTime);

impl CompletionPolicy for Due {
    fn validity(&self, _question: &str, _answer: &Answer) -> AnswerValidity {
        AnswerValidity::InDomain
    }

    fn due(&self, _answers: &Answers) -> DueTime {
        self.0
    }

    fn changed_answers(&self) -> ChangedAnswerPolicy {
        ChangedAnswerPolicy::KeepFirst
    }
}

/// As the service maps that will serve the store.
fn mapper() -> anyhow::Result<Arc<SettingsMapper>> {
    let settings = Settings::from_yaml(SETTINGS, Environment::default())?;
    Ok(postcall::app::mapper(&settings))
}

fn keep(
    store: &Transaction<'_>,
    submission: &Submission,
    webhook: WebhookId,
) -> anyhow::Result<()> {
    let accepted_at = submission.accepted_at.as_microsecond();
    let seq = accepted_at * 1000;
    let number = |number: Option<i64>| number.map_or(ValueRef::Null, ValueRef::Integer);
    let micros = |at: Option<Timestamp>| number(at.map(Timestamp::as_microsecond));
    let text = |text: Option<&'static str>| text.map_or(ValueRef::Null, ValueRef::from);
    let mut document = Vec::new();
    submission.document.write(&mut document);
    let columns = [
        ValueRef::Integer(seq),
        ValueRef::Blob(submission.id.0.as_bytes()),
        submission.account.as_str().into(),
        submission.survey.as_str().into(),
        submission.call.as_ref().map_or(ValueRef::Null, |call| call.as_str().into()),
        text(Some(submission.state.label())),
        text(submission.state.reason()),
        ValueRef::Integer(accepted_at),
        micros(Some(submission.due_at)),
        micros(submission.lease_until),
        ValueRef::Integer(submission.fence.try_into()?),
        micros(submission.due_since),
        micros(submission.settled_at),
        // Everything is kept of what retention may touch.
        number(submission.is_purgeable().then_some(2)),
        micros(submission.purged_at),
        ValueRef::Text(&document),
    ];
    let checksum = ValueRef::Integer(sqlite::checksum(columns));
    store
        .prepare_cached(
            "INSERT INTO submissions (seq, id, account, survey, call, state, reason, accepted_at,
                    due_at, lease_until, fence, due_since, settled_at, retention, purged_at,
                    document, checksum)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )?
        .execute(params_from_iter(columns.into_iter().chain([checksum]).map(ToSqlOutput::Borrowed)))?;
    store
        .prepare_cached(
            "INSERT INTO webhooks (submission, received_at, id, source, outcome, method, body)
                VALUES (?1, ?2, ?3, 'ivr', 'new', 'POST', ?4)",
        )?
        .execute(params![seq, accepted_at, webhook.0.as_bytes(), BODY.as_bytes()])?;
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
