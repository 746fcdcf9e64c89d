//! What hooks told beside answers.

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, Result, params};

use super::columns::{hook_id, micros, parsed, text, timestamp};
use crate::domain::{Extraction, Name, WebhookId};
use crate::store::by_hand::KeptAnswer;
use crate::submission::{Answers, FieldValue};

/// One thing that a hook told.
#[derive(Clone)]
pub(super) struct Fact {
    kind: Kind,
    received_at: Timestamp,
    hook: WebhookId,
}

#[derive(Clone)]
enum Kind {
    Field(Name, String),
    HungUp,
    OptedOut,
}

/// What a fact was to those who knew some.
pub(super) enum Hearing {
    New,
    /// Known, and told no later than now.
    Known,
    /// Known, but from a later hook.
    Earlier,
}

/// The row names no kind of fact.
#[derive(Debug, thiserror::Error)]
#[error("not a kind of what is told")]
struct UnknownKind;

impl Fact {
    pub fn all_of(
        report: &Extraction,
        received_at: Timestamp,
        hook: WebhookId,
    ) -> impl Iterator<Item = Fact> + '_ {
        let fields =
            report.fields.iter().map(|(name, value)| Kind::Field(name.clone(), value.clone()));
        let hung_up = report.hung_up.then_some(Kind::HungUp);
        let opted_out = report.opted_out.then_some(Kind::OptedOut);
        fields.chain(hung_up).chain(opted_out).map(move |kind| Fact { kind, received_at, hook })
    }

    /// Adds this to what is known.
    pub fn tell(&self, answers: &mut Answers) -> Hearing {
        let at = self.received_at;
        let (was_known, is_first) = match &self.kind {
            Kind::Field(name, value) => {
                let was_known = answers.field(name.as_str()) == Some(value);
                let told = FieldValue { value: value.clone(), received_at: at, hook: self.hook };
                (was_known, answers.tell(name.clone(), told))
            }
            Kind::HungUp => (answers.hung_up_at().is_some(), answers.hang_up(at)),
            Kind::OptedOut => (answers.opted_out_at().is_some(), answers.opt_out(at)),
        };
        match (is_first, was_known) {
            (false, _) => Hearing::Known,
            (true, true) => Hearing::Earlier,
            (true, false) => Hearing::New,
        }
    }

    pub fn keep(&self, connection: &Connection, seq: i64, late: bool) -> Result<()> {
        let (kind, name, value) = match &self.kind {
            Kind::Field(name, value) => (Kind::FIELD, name.as_str(), value.as_str()),
            Kind::HungUp => (Kind::HUNG_UP, "", ""),
            Kind::OptedOut => (Kind::OPTED_OUT, "", ""),
        };
        connection
            .prepare_cached(
                "INSERT INTO told (submission, kind, name, hook, value, received_at, late)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                seq,
                kind,
                name,
                self.hook.0.as_bytes(),
                value,
                micros(self.received_at),
                late,
            ])?;
        Ok(())
    }
}

impl Kind {
    const FIELD: &str = "field";
    const HUNG_UP: &str = "hang_up";
    const OPTED_OUT: &str = "opt_out";
    const ALL: [&str; 3] = [Kind::FIELD, Kind::HUNG_UP, Kind::OPTED_OUT];
}

/// Adds what was told of a submission to what was said.
pub(super) fn add_to(
    answers: &mut Answers,
    connection: &Connection,
    seq: i64,
    late_too: bool,
) -> Result<()> {
    let mut facts = connection.prepare_cached(
        "SELECT kind, name, value, received_at, hook FROM told
            WHERE submission = ?1 AND late <= ?2",
    )?;
    let mut rows = facts.query(params![seq, late_too])?;
    while let Some(row) = rows.next()? {
        let kind = match row.get_ref(0)?.as_str()? {
            Kind::FIELD => Kind::Field(text(row, 1)?, row.get(2)?),
            Kind::HUNG_UP => Kind::HungUp,
            Kind::OPTED_OUT => Kind::OptedOut,
            _ => return parsed(0, Type::Text, Err(UnknownKind)),
        };
        Fact { kind, received_at: timestamp(row, 3)?, hook: hook_id(row, 4)? }.tell(answers);
    }
    Ok(())
}

/// All that was told of a submission, one by one.
pub(super) fn kept(connection: &Connection, seq: i64) -> Result<Vec<KeptAnswer>> {
    connection
        .prepare_cached(
            "SELECT kind, name, value, hook, received_at, late FROM told WHERE submission = ?1",
        )?
        .query_map([seq], |row| {
            let kind = row.get_ref(0)?.as_str()?;
            let known = Kind::ALL.into_iter().find(|known| *known == kind);
            let kind = parsed(0, Type::Text, known.ok_or(UnknownKind))?;
            Ok(KeptAnswer {
                kind,
                name: row.get(1)?,
                value: if kind == Kind::FIELD { Some(row.get(2)?) } else { None },
                hook: hook_id(row, 3)?,
                received_at: timestamp(row, 4)?,
                late: row.get(5)?,
            })
        })?
        .collect()
}

/// Lets what was told late count after all; answers how much there was.
pub(super) fn readmit(connection: &Connection, seq: i64) -> Result<usize> {
    connection
        .prepare_cached("UPDATE told SET late = 0 WHERE submission = ?1 AND late = 1")?
        .execute([seq])
}
