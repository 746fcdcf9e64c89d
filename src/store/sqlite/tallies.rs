//! SQL of the tallies.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Result, Row, params, params_from_iter};

use super::columns::parsed;
use crate::domain::Name;
use crate::store::model::{Tally, TallyFilter, TallyKey};
use crate::submission::{Cell, FieldValues, State, Tallies};

const ADD: &str = "INSERT INTO tallies
        (field, day, survey, account, value, state, reason, rating, issues, origin, n)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT DO UPDATE SET n = n + excluded.n";

/// Nothing is kept of a cell without submissions, such as a value that only an erased one had.
const REMOVE_EMPTY: &str = "DELETE FROM tallies WHERE field = ?1 AND day = ?2 AND n = 0";

/// Added up here: SQLite would sort what it groups, in a file if it is much.
pub(super) const BY_DAY: &str =
    "SELECT day, value, state, reason, rating, issues, origin, n FROM tallies
    WHERE field = ?1 AND day >= ?2 AND day < ?3
        AND (?4 IS NULL OR survey = ?4) AND (?5 IS NULL OR account = ?5)";

pub(super) fn add(connection: &Connection, tallies: &Tallies) -> Result<()> {
    for (cell, n) in tallies.iter() {
        let Cell { field, day, survey, account, value, .. } = cell;
        let Cell { state, reason, rating, issues, origin, .. } = cell;
        connection.prepare_cached(ADD)?.execute(params![
            field, day, survey, account, value, state, reason, rating, issues, origin, n
        ])?;
        if n < 0 {
            connection.prepare_cached(REMOVE_EMPTY)?.execute(params![field, day])?;
        }
    }
    Ok(())
}

/// Everything of a tally but its number, in the order of the columns.
type Key = (i64, Arc<str>, &'static str, Option<&'static str>, i64, Arc<str>, Arc<str>);

pub(super) fn find(connection: &Connection, filter: &TallyFilter) -> Result<Vec<Tally>> {
    let name = |name: &Option<Name>| name.as_ref().map(|name| name.as_str().to_owned());
    let mut tallies = connection.prepare_cached(BY_DAY)?;
    let field = name(&filter.field).unwrap_or_default();
    let (survey, account) = (name(&filter.survey), name(&filter.account));
    let TallyFilter { days, by, limit, .. } = filter;
    let mut rows = tallies.query(params![field, days.start, days.end, survey, account])?;
    let mut texts = HashSet::new();
    let mut sums: BTreeMap<Key, i64> = BTreeMap::new();
    let mut unreadable = 0;
    while let Some(row) = rows.next()?
        && sums.len() < *limit
    {
        match read(row, *by, &mut texts) {
            Ok((key, n)) => *sums.entry(key).or_default() += n,
            Err(_) => unreadable += 1,
        }
    }
    // The others are still right.
    Tally::warn_of_unreadable(unreadable);
    Ok(sums.into_iter().filter_map(|(key, n)| tally(key, n)).collect())
}

fn read(row: &Row<'_>, by: TallyKey, texts: &mut HashSet<Arc<str>>) -> Result<(Key, i64)> {
    // Few texts are in many rows.
    let mut text = |column: usize, is_key: bool| -> Result<Arc<str>> {
        let text = if is_key { row.get_ref(column)?.as_str()? } else { "" };
        if let Some(known) = texts.get(text) {
            return Ok(known.clone());
        }
        let text = Arc::<str>::from(text);
        texts.insert(text.clone());
        Ok(text)
    };
    let (label, reason) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
    let state = State::from_labels(label, (!reason.is_empty()).then_some(reason));
    let state = parsed(2, Type::Text, state)?;
    let key = (
        if by.day { row.get(0)? } else { 0 },
        text(1, by.value)?,
        state.label(),
        state.reason(),
        row.get(4)?,
        text(5, by.issues)?,
        text(6, by.issues)?,
    );
    Ok((key, row.get(7)?))
}

/// None where nothing is left of it.
fn tally((day, value, label, reason, rating, issues, origin): Key, n: i64) -> Option<Tally> {
    let n = u64::try_from(n).ok().filter(|n| *n > 0)?;
    let state = State::from_labels(label, reason).ok()?;
    Some(Tally { day, value, state, rating, issues, origin, n })
}

/// One after the other: reading all rows of each value would hold up the claim that asks for them. A comparison
/// of all three columns at once would begin at the first row of the value that is known, and read the others.
pub(super) const NEXT_FIELD: &str = "SELECT min(field) FROM tallies WHERE field > CAST(?1 AS TEXT)";
pub(super) const NEXT_SURVEY: &str = "SELECT min(survey) FROM tallies
    WHERE field = CAST(?1 AS TEXT) AND survey > CAST(?2 AS TEXT)";
pub(super) const NEXT_VALUE: &str = "SELECT min(value) FROM tallies
    WHERE field = CAST(?1 AS TEXT) AND survey = CAST(?2 AS TEXT) AND value > CAST(?3 AS TEXT)";

/// One that the disk has changed, so that it is no text, is no reason to claim nothing.
pub(super) fn field_values(connection: &Connection) -> Result<FieldValues> {
    let mut values = FieldValues::default();
    let next = |statement: &str, after: &[&[u8]]| -> Result<Option<Vec<u8>>> {
        let mut statement = connection.prepare_cached(statement)?;
        statement.query_row(params_from_iter(after), |row| match row.get_ref(0)? {
            ValueRef::Text(text) => Ok(Some(text.to_owned())),
            _ => Ok(None),
        })
    };
    let mut field = Vec::new();
    while let Some(found) = next(NEXT_FIELD, &[&field])? {
        field = found;
        let mut survey = Vec::new();
        while let Some(found) = next(NEXT_SURVEY, &[&field, &survey])? {
            survey = found;
            let mut value = Vec::new();
            while let Some(found) = next(NEXT_VALUE, &[&field, &survey, &value])? {
                value = found;
                if let [Ok(survey), Ok(field), Ok(value)] =
                    [&survey, &field, &value].map(|text| std::str::from_utf8(text))
                {
                    values.add(survey, field, value);
                }
            }
        }
    }
    Ok(values)
}

/// All of them, for a comparison with a recount.
pub(super) const ALL: &str = "SELECT field, day, survey, account, value, state, reason, rating, issues, origin, n FROM tallies";

/// A row of [`ALL`].
pub(super) fn cell(row: &Row<'_>) -> Result<(Cell, i64)> {
    let cell = Cell {
        field: row.get(0)?,
        day: row.get(1)?,
        survey: row.get(2)?,
        account: row.get(3)?,
        value: row.get(4)?,
        state: row.get(5)?,
        reason: row.get(6)?,
        rating: row.get(7)?,
        issues: row.get(8)?,
        origin: row.get(9)?,
    };
    Ok((cell, row.get(10)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    #[test]
    fn a_tally_that_the_disk_has_changed_leaves_the_others() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::runner().run(&mut connection).unwrap();
        let mut tallies = connection
            .prepare(
                "INSERT INTO tallies VALUES ('', ?1, 'quick', ?2, '', ?3, '', 500, '', '', ?4)",
            )
            .unwrap();
        for (day, account, state, n) in
            [(7, "main", "delivered", 3), (7, "other", "delivered", 1), (8, "main", "deliwered", 5)]
        {
            tallies.execute(params![day, account, state, n]).unwrap();
        }
        let (field, survey, account, by) = (None, None, None, TallyKey::DAY);
        let all = TallyFilter { field, survey, account, days: 0..9, by, limit: 10 };
        let found = find(&connection, &all).unwrap();
        assert_eq!(found.iter().map(|it| (it.day, it.n)).collect::<Vec<_>>(), [(7, 4)]);
    }

    /// A container whose root is read-only has no folder for files that are not the store's.
    #[test]
    fn what_is_sorted_stays_in_memory() {
        let connection = Connection::open_in_memory().unwrap();
        let mut options = connection.prepare("PRAGMA compile_options").unwrap();
        let options: Result<Vec<String>> =
            options.query_map([], |row| row.get(0)).unwrap().collect();
        assert!(options.unwrap().iter().any(|it| it == "TEMP_STORE=2"));
    }
}
