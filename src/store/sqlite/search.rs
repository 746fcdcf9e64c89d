//! Looking for submissions, a page at a time.

use rusqlite::{Connection, OptionalExtension, Result, Row, named_params};

use super::columns::micros;
use super::{asked, books, rows};
use crate::domain::CallUuid;
use crate::store::by_hand::{Cursor, Page, Search};

/// Most submissions that one page looks at: what is rare among many is found in several pages,
/// each of some ten milliseconds, even where each submission has to be fetched from the disk.
const SCAN_MAX: usize = 5000;

/// Where, and whether: a look at one submission.
macro_rules! look {
    ($condition:literal) => {
        look!("submissions", $condition)
    };
    ($source:literal, $condition:literal) => {
        concat!(
            "SELECT accepted_at, seq,
                    (:state IS NULL OR state = :state)
                    AND (:reason IS NULL OR reason IS :reason)
                    AND (:account IS NULL OR account = :account)
                    AND (:survey IS NULL OR survey = :survey)
                    AND (:source IS NULL OR EXISTS
                        (SELECT 1 FROM hooks WHERE submission = seq AND source = :source))
                FROM ",
            $source,
            " WHERE ",
            $condition,
            " AND accepted_at >= :since AND (accepted_at, seq) < (:before, :before_seq)"
        )
    };
}

macro_rules! latest_first {
    ($($looks:expr),+) => { concat!($($looks),+, " ORDER BY accepted_at DESC, seq DESC") };
}

pub(super) const BY_AGE: &str = latest_first!(look!("TRUE"));

/// As the index of them wants to be asked.
pub(super) const UNLUCKY: &str = latest_first!(look!(
    "(state = 'ignored' OR state = 'dead' OR state = 'discarded') AND state = :state"
));

/// All that is waiting, in hand or not, by the indexes that hold nothing else: all of it is put
/// in order first.
pub(super) const WAITING: &str = latest_first!(
    look!(
        "submissions INDEXED BY submissions_due",
        "state IN ('collecting', 'pending') AND leased_until IS NULL"
    ),
    " UNION ALL ",
    look!("submissions INDEXED BY submissions_leased", "leased_until IS NOT NULL")
);

pub(super) const ONE: &str = look!("id = :id AND gone_at IS NULL");

pub(super) fn search(
    connection: &Connection,
    search: &Search,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page> {
    if limit == 0 {
        return Ok(Page::default());
    }
    let bounds = Bounds::of(search, after);
    let (found, next) = match &search.call {
        Some(call) => about(connection, call, search, &bounds, limit)?,
        None => scan(connection, search, &bounds, limit)?,
    };
    let rows = found.into_iter().map(|place| rows::by_seq(connection, place.seq));
    Ok(Page { rows: rows.collect::<Result<_>>()?, next })
}

/// Between when and where, by age.
struct Bounds {
    since: i64,
    /// Below this place: one bound, so that a later page starts where the one before ended.
    before: Cursor,
}

impl Bounds {
    fn of(search: &Search, after: Option<Cursor>) -> Self {
        let until = search.until.map(|at| Cursor { accepted_at: micros(at), seq: i64::MIN });
        let end = Cursor { accepted_at: i64::MAX, seq: i64::MAX };
        Self {
            since: search.since.map_or(i64::MIN, micros),
            before: after.into_iter().chain(until).min().unwrap_or(end),
        }
    }
}

type Places = (Vec<Cursor>, Option<Cursor>);

fn scan(connection: &Connection, search: &Search, bounds: &Bounds, limit: usize) -> Result<Places> {
    let statement = match search.state {
        Some("ignored" | "dead" | "discarded") => UNLUCKY,
        Some("collecting" | "pending") if few_wait(connection)? => WAITING,
        _ => BY_AGE,
    };
    let mut looks = connection.prepare_cached(statement)?;
    let mut rows = looks.query(named_params! {
        ":state": search.state,
        ":reason": search.reason,
        ":account": search.account.as_ref().map(|name| name.as_str()),
        ":survey": search.survey.as_ref().map(|name| name.as_str()),
        ":source": search.source.as_ref().map(|name| name.as_str()),
        ":since": bounds.since,
        ":before": bounds.before.accepted_at,
        ":before_seq": bounds.before.seq,
    })?;
    let mut found = Vec::new();
    let mut looked_at = 0;
    while let Some(row) = rows.next()? {
        let (place, is_wanted) = look(row)?;
        looked_at += 1;
        if is_wanted {
            found.push(place);
        }
        if found.len() == limit || looked_at == SCAN_MAX {
            let more = rows.next()?.map(|_| place);
            return Ok((found, more));
        }
    }
    Ok((found, None))
}

/// Whether all that is waiting is no more than a page looks at.
fn few_wait(connection: &Connection) -> Result<bool> {
    Ok(books::read(connection)?.waiting() <= SCAN_MAX as u64)
}

fn about(
    connection: &Connection,
    call: &CallUuid,
    search: &Search,
    bounds: &Bounds,
    limit: usize,
) -> Result<Places> {
    let mut found = Vec::new();
    for id in asked::possible(connection, call)? {
        let looked = connection
            .prepare_cached(ONE)?
            .query_row(
                named_params! {
                    ":state": search.state,
                    ":reason": search.reason,
                    ":account": search.account.as_ref().map(|name| name.as_str()),
                    ":survey": search.survey.as_ref().map(|name| name.as_str()),
                    ":source": search.source.as_ref().map(|name| name.as_str()),
                    ":since": bounds.since,
                    ":before": bounds.before.accepted_at,
                    ":before_seq": bounds.before.seq,
                    ":id": id.0.as_bytes(),
                },
                look,
            )
            .optional()?;
        found.extend(looked.filter(|(_, is_wanted)| *is_wanted).map(|(place, _)| place));
    }
    found.sort_by(|a, b| b.cmp(a));
    let next = (found.len() > limit).then(|| found[limit - 1]);
    found.truncate(limit);
    Ok((found, next))
}

fn look(row: &Row<'_>) -> Result<(Cursor, bool)> {
    Ok((Cursor { accepted_at: row.get(0)?, seq: row.get(1)? }, row.get(2)?))
}
