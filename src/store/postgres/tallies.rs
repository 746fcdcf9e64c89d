//! SQL of the tallies: each is the sum of what each replica has counted, so that no two of them wait for
//! one row.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::connection::Statement;
use super::error::PgError;
use super::queries::Reading;
use crate::domain::Name;
use crate::store::model::{Tally, TallyFilter};
use crate::submission::{Cell, FieldValues, State, Tallies};

const ADD: &str = "INSERT INTO tallies AS t
        (slot, field, day, survey, account, value, state, reason, rating, issues, origin, n)
    SELECT $12, * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[],
        $6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::bigint[])
    ON CONFLICT (slot, field, day, survey, account, value, state, reason, rating, issues, origin)
        DO UPDATE SET n = t.n + excluded.n";

/// Nothing is kept of a cell without submissions. What another replica has counted is not locked: the
/// two add up to zero until one takes over from the other.
const REMOVE_EMPTY: &str = "DELETE FROM tallies WHERE slot = $3 AND n = 0
    AND (field, day) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))";

/// How many counts are folded in one transaction, which other replicas and webhooks wait for.
const FOLDED_MAX: i64 = 2000;

/// Some counts of a replica that has gone become those of this one.
const FOLD: &str = "WITH gone AS (DELETE FROM tallies
        WHERE slot = $1
            AND (field, day, survey, account, value, state, reason, rating, issues, origin) <=
            (SELECT field, day, survey, account, value, state, reason, rating, issues, origin FROM
                (SELECT * FROM tallies WHERE slot = $1
                ORDER BY field, day, survey, account, value, state, reason, rating, issues, origin
                LIMIT $3) AS page
            ORDER BY field DESC, day DESC, survey DESC, account DESC, value DESC, state DESC,
                reason DESC, rating DESC, issues DESC, origin DESC
            LIMIT 1)
        RETURNING *)
    INSERT INTO tallies AS t
        (slot, field, day, survey, account, value, state, reason, rating, issues, origin, n)
    SELECT $2, field, day, survey, account, value, state, reason, rating, issues, origin, n
        FROM gone
        ORDER BY field, day, survey, account, value, state, reason, rating, issues, origin
    ON CONFLICT (slot, field, day, survey, account, value, state, reason, rating, issues, origin)
        DO UPDATE SET n = t.n + excluded.n";

pub(super) const BY_DAY: &str =
    "SELECT CASE WHEN $6 THEN day ELSE 0 END, CASE WHEN $7 THEN value ELSE '' END, state, reason,
        rating, CASE WHEN $8 THEN issues ELSE '' END, CASE WHEN $8 THEN origin ELSE '' END,
        sum(n)::bigint FROM tallies
    WHERE field = $1 AND day >= $2 AND day < $3
        AND ($4::text IS NULL OR survey = $4) AND ($5::text IS NULL OR account = $5)
    GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(n) > 0
    ORDER BY 1, 2, 3, 4, 5, 6, 7 LIMIT $9";

const ALL: &str =
    "SELECT field, day, survey, account, value, state, reason, rating, issues, origin,
        sum(n)::bigint FROM tallies
    GROUP BY field, day, survey, account, value, state, reason, rating, issues, origin
    HAVING sum(n) <> 0";

/// One value after the other by the index: reading all rows of each would hold up the claim that asks for them.
const FIELD_VALUES: &str = "WITH RECURSIVE known AS (
        (SELECT field, survey, value FROM tallies WHERE field > ''
            ORDER BY field, survey, value LIMIT 1)
        UNION ALL
        SELECT next.* FROM known, LATERAL (SELECT field, survey, value FROM tallies
            WHERE (field, survey, value) > (known.field, known.survey, known.value)
            ORDER BY field, survey, value LIMIT 1) AS next)
    SELECT survey, field, value FROM known";

/// Adds to the tallies of a replica.
pub(super) fn add(tallies: &Tallies, slot: i64) -> Vec<Statement> {
    let text = |of: fn(&Cell) -> &String| -> Vec<String> {
        tallies.iter().map(|(cell, _)| of(cell).clone()).collect()
    };
    let number =
        |of: fn(&Cell) -> i64| -> Vec<i64> { tallies.iter().map(|(cell, _)| of(cell)).collect() };
    let added: Vec<i64> = tallies.iter().map(|(_, n)| n).collect();
    let is_less = added.iter().any(|n| *n < 0);
    let add = Statement::prepared(ADD)
        .with(text(|it| &it.field), Type::TEXT_ARRAY)
        .with(number(|it| it.day), Type::INT8_ARRAY)
        .with(text(|it| &it.survey), Type::TEXT_ARRAY)
        .with(text(|it| &it.account), Type::TEXT_ARRAY)
        .with(text(|it| &it.value), Type::TEXT_ARRAY)
        .with(text(|it| &it.state), Type::TEXT_ARRAY)
        .with(text(|it| &it.reason), Type::TEXT_ARRAY)
        .with(number(|it| it.rating), Type::INT8_ARRAY)
        .with(text(|it| &it.issues), Type::TEXT_ARRAY)
        .with(text(|it| &it.origin), Type::TEXT_ARRAY)
        .with(added, Type::INT8_ARRAY)
        .with(slot, Type::INT8);
    let remove = is_less.then(|| {
        Statement::new(REMOVE_EMPTY)
            .with(text(|it| &it.field), Type::TEXT_ARRAY)
            .with(number(|it| it.day), Type::INT8_ARRAY)
            .with(slot, Type::INT8)
    });
    std::iter::once(add).chain(remove).collect()
}

/// Adds some of what a slot has counted to this one's; the last statement finds something if there is more.
pub(super) fn fold(gone: i64, slot: i64) -> Vec<Statement> {
    let fold = Statement::new(FOLD).with(gone, Type::INT8).with(slot, Type::INT8);
    let left = Statement::new("SELECT 1 FROM tallies WHERE slot = $1 LIMIT 1");
    vec![fold.with(FOLDED_MAX, Type::INT8), left.with(gone, Type::INT8)]
}

/// Removes what two replicas have counted and adds up to zero.
pub(super) fn remove_empty(slot: i64) -> Statement {
    Statement::new("DELETE FROM tallies WHERE slot = $1 AND n = 0").with(slot, Type::INT8)
}

pub(super) fn field_values() -> Statement {
    Statement::new(FIELD_VALUES)
}

pub(super) fn read_field_values(rows: &[Row]) -> Result<FieldValues, PgError> {
    let mut values = FieldValues::default();
    for row in rows {
        values.add(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    Ok(values)
}

pub(super) async fn find(
    reading: &Reading<'_>,
    filter: &TallyFilter,
) -> Result<Vec<Tally>, PgError> {
    let name = |name: &Option<Name>| name.as_ref().map(|name| name.as_str().to_owned());
    let statement = Statement::new(BY_DAY)
        .with(name(&filter.field).unwrap_or_default(), Type::TEXT)
        .with(filter.days.start, Type::INT8)
        .with(filter.days.end, Type::INT8)
        .with(name(&filter.survey), Type::TEXT)
        .with(name(&filter.account), Type::TEXT)
        .with(filter.by.day, Type::BOOL)
        .with(filter.by.value, Type::BOOL)
        .with(filter.by.issues, Type::BOOL)
        .with(i64::try_from(filter.limit).unwrap_or(i64::MAX), Type::INT8);
    let rows = reading.rows(statement).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let (state, reason): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
        let state = State::from_labels(state, (!reason.is_empty()).then_some(reason));
        let Ok(state) = state else { continue };
        found.push(Tally {
            day: row.try_get(0)?,
            value: row.try_get::<_, &str>(1)?.into(),
            state,
            rating: row.try_get(4)?,
            issues: row.try_get::<_, &str>(5)?.into(),
            origin: row.try_get::<_, &str>(6)?.into(),
            n: row.try_get::<_, i64>(7)?.unsigned_abs(),
        });
    }
    Tally::warn_of_unreadable(rows.len() - found.len());
    Ok(found)
}

/// All of them, for a comparison with a recount.
pub(super) fn all() -> Statement {
    Statement::new(ALL)
}

pub(super) fn read_all(rows: &[Row]) -> Result<Tallies, PgError> {
    let mut tallies = Tallies::default();
    for row in rows {
        let cell = Cell {
            field: row.try_get(0)?,
            day: row.try_get(1)?,
            survey: row.try_get(2)?,
            account: row.try_get(3)?,
            value: row.try_get(4)?,
            state: row.try_get(5)?,
            reason: row.try_get(6)?,
            rating: row.try_get(7)?,
            issues: row.try_get(8)?,
            origin: row.try_get(9)?,
        };
        tallies.add(cell, row.try_get(10)?);
    }
    Ok(tallies)
}
