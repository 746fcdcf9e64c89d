//! SQL of the tallies.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result, Row, params, params_from_iter};

use super::columns::parsed;
use crate::domain::Name;
use crate::store::model::{Tally, TallyFilter};
use crate::submission::{Cell, FieldValues, State, Tallies};

const ADD: &str = "INSERT INTO tallies
        (field, day, survey, account, value, state, reason, rating, issues, origin, n)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT DO UPDATE SET n = n + excluded.n";

/// Nothing is kept of a cell without submissions, such as a value that only an erased one had.
const REMOVE_EMPTY: &str = "DELETE FROM tallies WHERE field = ?1 AND day = ?2 AND n = 0";

pub(super) const BY_DAY: &str =
    "SELECT iif(?6, day, 0), iif(?7, value, ''), state, reason, rating, iif(?8, issues, ''),
        iif(?8, origin, ''), sum(n) FROM tallies
    WHERE field = ?1 AND day >= ?2 AND day < ?3
        AND (?4 IS NULL OR survey = ?4) AND (?5 IS NULL OR account = ?5)
    GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(n) > 0 LIMIT ?9";

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

pub(super) fn find(connection: &Connection, filter: &TallyFilter) -> Result<Vec<Tally>> {
    let name = |name: &Option<Name>| name.as_ref().map(|name| name.as_str().to_owned());
    let mut tallies = connection.prepare_cached(BY_DAY)?;
    let field = name(&filter.field).unwrap_or_default();
    let (survey, account) = (name(&filter.survey), name(&filter.account));
    let TallyFilter { days, by, limit, .. } = filter;
    let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
    let values =
        params![field, days.start, days.end, survey, account, by.day, by.value, by.issues, limit];
    tallies.query_map(values, tally)?.collect()
}

fn tally(row: &Row<'_>) -> Result<Tally> {
    let (state, reason): (String, String) = (row.get(2)?, row.get(3)?);
    let reason = (!reason.is_empty()).then_some(reason.as_str());
    let state = State::from_labels(&state, reason);
    Ok(Tally {
        day: row.get(0)?,
        value: row.get(1)?,
        state: parsed(2, rusqlite::types::Type::Text, state)?,
        rating: row.get(4)?,
        issues: row.get(5)?,
        origin: row.get(6)?,
        n: row.get(7)?,
    })
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
