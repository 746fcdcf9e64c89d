//! Handing out what is due: lease, begin, release, and what becomes of a lease nobody settled.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::answers::{self, Which};
use super::columns::{
    between, bound, duration_micros, micros, optional_timestamp, submission_id, text,
};
use super::dossier;
#[cfg(feature = "flaws")]
use super::flaws;
use super::holds::{self, Standing};
use super::writer::Work;
use crate::account::PauseCause;
use crate::domain::{Name, Verdict};
use crate::store::contract::{Begun, Lease, LeaseRequest, Leased, Offer, Ticket};
use crate::submission::SubmissionKey;

/// `clock` is the ledger's own time, by which leases expire.
pub(super) fn lease(
    work: &mut Work<'_>,
    request: &LeaseRequest,
    turns: &mut Turns,
    clock: Timestamp,
    lease_for: Duration,
) -> Result<Leased> {
    void(work, Void::Expired(clock))?;
    let mut leased = Leased::default();
    for (account, wanted) in &request.wanted {
        let hold = holds::of_account(work.connection, account)?;
        let standing = hold.as_ref().map_or(Standing::Free, holds::Known::standing);
        let (limit, probe) = match standing {
            Standing::Free => (*wanted, false),
            Standing::Held { probe_at } => {
                ((*wanted).min(usize::from(is_due(probe_at, request))), true)
            }
            Standing::HeldByHand => continue,
        };
        let rows = match probe {
            true => probes(work, account, request.now, limit)?,
            false => turns.share(work, account, request.now, limit)?,
        };
        let found = rows.len();
        if probe && found > 0 {
            holds::probe_from(work.connection, account, request.now + request.probe_every)?;
        }
        let held_for = hold.as_ref().and_then(holds::Known::held_for);
        let held = hold.map(|hold| hold.held_in_all(request.now)).unwrap_or_default();
        for row in rows {
            leased.leases.push(row.lease(work, request.now, held, clock + lease_for, held_for)?);
        }
        if found == *wanted {
            continue;
        }
        let next = next_due(work.connection, account)?.map(|due| match standing {
            Standing::Held { probe_at } if found == 0 => due.max(probe_at),
            Standing::Held { .. } => due.max(request.now + request.probe_every),
            _ => due,
        });
        leased.next_due_at = leased.next_due_at.into_iter().chain(next).min();
    }
    Ok(leased)
}

/// No probe is put off for longer than from one to the next: what lies farther ahead does so by a
/// clock that was put back since. (Decisions are made a little later than leases are asked for.)
fn is_due(probe_at: Timestamp, request: &LeaseRequest) -> bool {
    probe_at <= request.now || probe_at > request.now + 2 * request.probe_every
}

/// `until` is when the lease of an attempt that begins now runs out: the whole exchange has time.
pub(super) fn begin(
    work: &mut Work<'_>,
    offer: &Offer,
    now: Timestamp,
    until: Timestamp,
) -> Result<Begun> {
    let ticket = &offer.ticket;
    let Some(held) = Held::find(work, ticket)?.filter(|held| !held.begun) else {
        return Ok(Begun::LeaseLost);
    };
    if held.version != ticket.version {
        give_back(work, ticket)?;
        return Ok(Begun::NewerAnswers);
    }
    let held_so_far = holds::of_account(work.connection, &held.account)?
        .map(|hold| hold.held_in_all(now))
        .unwrap_or_default();
    work.connection
        .prepare_cached(
            "UPDATE submissions
                SET begun = 1, tries = tries + 1, leased_until = ?4,
                    first_attempt_at = coalesce(first_attempt_at, ?2),
                    held_before_us = coalesce(held_before_us, ?3)
                WHERE seq = ?1",
        )?
        .execute(params![held.seq, micros(now), duration_micros(held_so_far), micros(until)])?;
    work.connection
        .prepare_cached(
            "INSERT INTO attempts (submission, number, version, started_at, feedback)
                VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![held.seq, held.tries + 1, held.version, micros(now), offer.feedback])?;
    Ok(Begun::Started)
}

/// Frees a lease of which no attempt began; a lost one is left alone.
pub(super) fn give_back(work: &mut Work<'_>, ticket: &Ticket) -> Result<()> {
    let freed = work
        .connection
        .prepare_cached(
            "UPDATE submissions SET leased_until = NULL
                WHERE id = ?1 AND fence = ?2 AND leased_until IS NOT NULL AND begun = 0
                RETURNING account, probe",
        )?
        .query_row(params![ticket.submission.0.as_bytes(), ticket.fence], |row| {
            Ok((text(row, 0)?, row.get(1)?))
        })
        .optional()?;
    match freed {
        Some((account, true)) => holds::probe_again(work.connection, &account),
        Some((_, false)) | None => Ok(()),
    }
}

/// Which leases are void.
pub(super) enum Void {
    /// Those that ran out by the ledger's clock.
    Expired(Timestamp),
    /// All: whoever held them is gone, because one process serves a ledger and it has just begun.
    All,
}

pub(super) const ANY_VOID: &str = "SELECT 1 FROM submissions WHERE leased_until <= ?1 LIMIT 1";

pub(super) const FREE_VOID: &str = "UPDATE submissions
    SET leased_until = NULL, reached = (reached OR begun) AND resend_at IS NULL,
        attempts = attempts + begun, begun = 0, version = version + (resend_at IS NOT NULL),
        due_at = max(due_at, coalesce(resend_at, due_at)), as_was = as_was AND resend_at IS NULL,
        resend_at = NULL
    WHERE leased_until <= ?1";

/// What was said during attempts that are void, where it has to be sent as well.
pub(super) const RESENT: &str =
    "SELECT seq FROM submissions WHERE leased_until <= ?1 AND resend_at IS NOT NULL";

/// Frees leases whose holder did not settle. An attempt that was under way may have arrived: it is
/// written down as an unknown result, spent, and closes its submission, unless something was said
/// meanwhile that has to be sent as well.
pub(super) fn void(work: &mut Work<'_>, void: Void) -> Result<usize> {
    let until = match void {
        Void::Expired(clock) => micros(clock),
        Void::All => i64::MAX,
    };
    let freed = work.connection.prepare_cached(ANY_VOID)?.exists([until])?;
    if !freed {
        return Ok(0);
    }
    work.connection
        .prepare_cached(
            "UPDATE attempts SET verdict = 'unknown_result', reply = 'nobody waited for the answer'
                WHERE verdict IS NULL AND submission IN
                    (SELECT seq FROM submissions WHERE leased_until <= ?1 AND begun = 1)",
        )?
        .execute([until])?;
    for table in ["answers", "told"] {
        let readmit =
            format!("UPDATE {table} SET late = 0 WHERE late = 1 AND submission IN ({RESENT})");
        work.connection.prepare_cached(&readmit)?.execute([until])?;
    }
    work.connection.prepare_cached(FREE_VOID)?.execute([until])
}

/// The submission of a ticket, while its holder still has it; it is pending, for the lease made it
/// so.
pub(super) struct Held {
    pub seq: i64,
    pub account: Name,
    pub version: u64,
    pub tries: u32,
    pub begun: bool,
    /// An earlier attempt may have arrived.
    pub reached: bool,
    /// When what was said during the attempt is due, where it has to be sent as well.
    pub resend_at: Option<i64>,
    pub told: bool,
}

const HELD: &str = "SELECT seq, account, version, tries, begun, reached, resend_at, told
    FROM submissions WHERE id = ?1 AND fence = ?2 AND leased_until IS NOT NULL";

impl Held {
    pub fn find(work: &Work<'_>, ticket: &Ticket) -> Result<Option<Self>> {
        let statement = HELD;
        #[cfg(feature = "flaws")]
        let statement = &flaws::without_fence(statement);
        work.connection
            .prepare_cached(statement)?
            .query_row(params![ticket.submission.0.as_bytes(), ticket.fence], |row| {
                Ok(Self {
                    seq: row.get(0)?,
                    account: text(row, 1)?,
                    version: row.get(2)?,
                    tries: row.get(3)?,
                    begun: row.get(4)?,
                    reached: row.get(5)?,
                    resend_at: row.get(6)?,
                    told: row.get(7)?,
                })
            })
            .optional()
    }
}

/// What was due for longer than that is of another age than what came since: a backlog, which may
/// be long, and before it what an hour of trouble left behind.
const AGES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(3600)];

/// Whose turn it is, of what is due for an account for long, for less long, and since just now,
/// where there is more of it than is wanted. The turn goes on from one lease to the next, so that
/// each age gets its share even where one submission is wanted at a time.
#[derive(Default)]
pub(super) struct Turns(HashMap<Name, usize>);

impl Turns {
    /// Within an age the oldest comes first; what one cannot use the others get.
    fn share(
        &mut self,
        work: &Work<'_>,
        account: &Name,
        now: Timestamp,
        wanted: usize,
    ) -> Result<Vec<DueRow>> {
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let now = micros(now);
        // Most of the time there is enough for all, and nobody has to take turns.
        let oldest = due(work, DUE, account, (i64::MIN, now), wanted.saturating_add(1))?;
        if oldest.len() <= wanted {
            return Ok(oldest);
        }
        let [minute, hour] = AGES.map(|age| now.saturating_sub(duration_micros(age)));
        let mut ages = Vec::new();
        for age in [(minute, now), (hour, minute), (i64::MIN, hour)] {
            ages.push(VecDeque::from(due(work, DUE, account, age, wanted)?));
        }
        let turn = self.0.entry(account.clone()).or_default();
        let mut share = Vec::new();
        while share.len() < wanted && ages.iter().any(|age| !age.is_empty()) {
            share.extend(ages[*turn].pop_front());
            *turn = (*turn + 1) % ages.len();
        }
        Ok(share)
    }
}

/// A submission that is due.
struct DueRow {
    seq: i64,
    ticket: Ticket,
    key: SubmissionKey,
    was_collecting: bool,
    attempts: u32,
    first_attempt_at: Option<Timestamp>,
    held_before: Duration,
    told: bool,
    again: bool,
    rejections: u32,
    as_was: bool,
    reached: bool,
}

macro_rules! due_of {
    ($source:literal) => {
        concat!(
            "SELECT seq, id, fence, version, account, survey, call, state = 'collecting',
                attempts, first_attempt_at, coalesce(held_before_us, 0), told,
                feedback IS NOT NULL, rejections, as_was, reached
            FROM ",
            $source,
            " LIMIT ?4"
        )
    };
}

/// What is due for an account. Like all statements of the courier it finds its rows by an index
/// that holds only what is waiting, however many submissions were ever kept.
pub(super) const DUE: &str = due_of!(
    "submissions
        WHERE account = ?1 AND due_at > ?2 AND due_at <= ?3
            AND state IN ('collecting', 'pending') AND leased_until IS NULL
        ORDER BY due_at"
);

/// Of a held account, what was handed out least often comes first, of the thousand that were due
/// longest: a submission that is never let in would otherwise probe for all others for ever, and
/// hooks would wait while all of a backlog was looked at.
pub(super) const PROBE: &str = due_of!(
    "(SELECT * FROM submissions
        WHERE account = ?1 AND due_at > ?2 AND due_at <= ?3
            AND state IN ('collecting', 'pending') AND leased_until IS NULL
        ORDER BY due_at LIMIT 1000)
        ORDER BY fence, due_at"
);

pub(super) const NEXT_DUE: &str = "SELECT min(due_at) FROM submissions
    WHERE account = ?1 AND state IN ('collecting', 'pending') AND leased_until IS NULL";

/// Whether the last attempt came to that.
const LAST_IS_UNKNOWN: &str = "SELECT 1 FROM submissions JOIN attempts ON submission = seq
    WHERE seq = ?1 AND number = tries AND verdict = ?2";

fn probes(work: &Work<'_>, account: &Name, now: Timestamp, limit: usize) -> Result<Vec<DueRow>> {
    due(work, PROBE, account, (i64::MIN, micros(now)), limit)
}

/// What is due after the one and until the other time.
fn due(
    work: &Work<'_>,
    statement: &str,
    account: &Name,
    (after, until): (i64, i64),
    limit: usize,
) -> Result<Vec<DueRow>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    work.connection
        .prepare_cached(statement)?
        .query_map(params![account.as_str(), after, until, bound(limit)], DueRow::from_row)?
        .collect()
}

/// When the next submission of the account that nobody has in hand is due.
pub(super) fn next_due(connection: &Connection, account: &Name) -> Result<Option<Timestamp>> {
    connection
        .prepare_cached(NEXT_DUE)?
        .query_row([account.as_str()], |row| optional_timestamp(row, 0))
}

impl DueRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            ticket: Ticket {
                submission: submission_id(row, 1)?,
                fence: row.get::<_, u64>(2)? + 1,
                version: row.get(3)?,
            },
            key: SubmissionKey {
                account: text(row, 4)?,
                survey: text(row, 5)?,
                call: text(row, 6)?,
            },
            was_collecting: row.get(7)?,
            attempts: row.get(8)?,
            first_attempt_at: optional_timestamp(row, 9)?,
            held_before: Duration::from_micros(row.get(10)?),
            told: row.get(11)?,
            again: row.get(12)?,
            rejections: row.get(13)?,
            as_was: row.get(14)?,
            reached: row.get(15)?,
        })
    }

    fn lease(
        self,
        work: &mut Work<'_>,
        now: Timestamp,
        held_in_all: Duration,
        until: Timestamp,
        held_for: Option<PauseCause>,
    ) -> Result<Lease> {
        let probe = held_for.is_some();
        work.connection
            .prepare_cached(
                "UPDATE submissions SET fence = ?2, leased_until = ?3, probe = ?4 WHERE seq = ?1",
            )?
            .execute(params![self.seq, self.ticket.fence, micros(until), probe])?;
        // Most are pending already, and writing the same state again would have every index that
        // holds only some states looked at.
        if self.was_collecting {
            work.connection
                .prepare_cached("UPDATE submissions SET state = 'pending' WHERE seq = ?1")?
                .execute([self.seq])?;
            work.totals.collecting -= 1;
            work.totals.pending += 1;
        }
        let answers = answers::heard(work.connection, self.seq, self.told, Which::InTime)?;
        let as_was = if self.as_was { dossier::offered(work.connection, self.seq)? } else { None };
        let may_have_arrived = self.reached
            && self.attempts > 0
            && work
                .connection
                .prepare_cached(LAST_IS_UNKNOWN)?
                .exists(params![self.seq, Verdict::UnknownResult.label()])?;
        let last_said_at = answers.recorded().map(|said| said.last_at).max();
        let waited = self.first_attempt_at.map_or(Duration::ZERO, |first| between(first, now));
        Ok(Lease {
            ticket: self.ticket,
            key: self.key,
            attempts: self.attempts,
            age: waited.saturating_sub(held_in_all.saturating_sub(self.held_before)),
            last_answer_at: last_said_at.max(answers.last_new_at()).unwrap_or(now),
            answers,
            again: self.again,
            may_have_arrived,
            probe,
            held_for,
            rejections: self.rejections,
            as_was,
        })
    }
}
