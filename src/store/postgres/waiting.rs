//! What waits of the accounts that a transaction claims of, read with whatever else it needs.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::limit;
use super::connection::Statement;
use super::error::PgError;
use crate::domain::Name;

/// The first rows of each account that wait, and the last one.
pub(super) const FIRST_AND_LAST: &str =
    "SELECT asked.account, waiting.is_last, waiting.due_at, waiting.seq
    FROM unnest($1::text[], $2::bigint[]) AS asked (account, most),
        LATERAL (
            (SELECT FALSE AS is_last, due_at, seq FROM due
                WHERE account = asked.account AND lease_until IS NULL
                ORDER BY due_at, seq LIMIT asked.most)
            UNION ALL
            (SELECT TRUE, due_at, seq FROM due
                WHERE account = asked.account AND lease_until IS NULL
                ORDER BY due_at DESC, seq DESC LIMIT 1)
        ) AS waiting";

/// When a row is due, and which one it is: in this order they are claimed.
type DueRow = (i64, i64);

/// The rows of one account that wait, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// No row that was not read comes before one of these.
    first: Vec<DueRow>,
    last: Option<DueRow>,
}

/// Reads at most so many of each account.
pub(super) fn read_first(asked: &HashMap<Name, usize>) -> Statement {
    let (accounts, most): (Vec<String>, Vec<i64>) =
        asked.iter().map(|(account, most)| (account.as_str().to_owned(), limit(*most))).unzip();
    Statement::prepared(FIRST_AND_LAST)
        .with(accounts, Type::TEXT_ARRAY)
        .with(most, Type::INT8_ARRAY)
}

/// The rows of [`read_first`], by account.
pub(super) fn read(
    rows: &[Row],
    asked: impl IntoIterator<Item = Name>,
) -> Result<HashMap<Name, Waiting>, PgError> {
    let mut accounts: HashMap<Name, Waiting> =
        asked.into_iter().map(|account| (account, Waiting::default())).collect();
    for row in rows {
        let Some(waiting) = accounts.get_mut(row.try_get::<_, &str>(0)?) else { continue };
        let due = (row.try_get(2)?, row.try_get(3)?);
        match row.try_get(1)? {
            true => waiting.last = Some(due),
            false => waiting.first.push(due),
        }
    }
    // The database need not return them in the order in which it selected them.
    accounts.values_mut().for_each(|waiting| waiting.first.sort_unstable());
    Ok(accounts)
}

impl Waiting {
    /// The first rows that are due after `after` and until `until`; `None` if more has to be read to know.
    pub fn due(&self, after: i64, until: i64, most: usize) -> Option<Vec<DueRow>> {
        let is_meant = |(due_at, _): &&DueRow| (*due_at > after) && (*due_at <= until);
        let due: Vec<DueRow> = self.first.iter().filter(is_meant).take(most).copied().collect();
        let end = self.first.last();
        let is_known = due.len() == most
            || end == self.last.as_ref()
            || end.is_some_and(|(due_at, _)| until < *due_at)
            || self.last.is_some_and(|(due_at, _)| due_at <= after);
        is_known.then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_answers_as_the_table_would_or_not_at_all() {
        let table: Vec<DueRow> = vec![(1, 1), (2, 2), (2, 3), (2, 4), (5, 5), (7, 6)];
        let mut answered = 0;
        for read in 0..=table.len() {
            let waiting = Waiting { first: table[..read].to_vec(), last: table.last().copied() };
            for (after, until) in (0..9).flat_map(|after| (after..9).map(move |it| (after, it))) {
                for most in 0..=table.len() {
                    let is_due = |(at, _): &&DueRow| *at > after && *at <= until;
                    let due: Vec<DueRow> =
                        table.iter().filter(is_due).take(most).copied().collect();
                    let known = waiting.due(after, until, most);
                    answered += usize::from(known.is_some());
                    assert!(
                        known.is_none_or(|known| known == due),
                        "{read} {after} {until} {most}"
                    );
                    assert!(read < table.len() || waiting.due(after, until, most).is_some());
                }
            }
        }
        assert!(answered > 1000, "{answered}");
        assert_eq!(Waiting::default().due(i64::MIN, i64::MAX, 1), Some(Vec::new()));
    }

    #[test]
    fn what_is_due_latest_tells_that_nothing_is_due_later() {
        let waiting = Waiting { first: vec![(1, 1)], last: Some((7, 6)) };
        assert_eq!(waiting.due(7, i64::MAX, 200), Some(Vec::new()));
        assert_eq!(waiting.due(6, i64::MAX, 200), None);
        assert_eq!(waiting.due(i64::MIN, 0, 200), Some(Vec::new()));
        assert_eq!(waiting.due(i64::MIN, 3, 1), Some(vec![(1, 1)]));
        assert_eq!(waiting.due(i64::MIN, 3, 2), None);
    }
}
