use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{IntoParams, ToSchema};

use super::error::{AdminError, Result};
use super::views::{StateName, SubmissionView};
use crate::domain::{Issue, Name, Rating};
use crate::store::{Cursor, SubmissionFilter};
use crate::submission::{DeadReason, IgnoredReason, InsightFilter, IssueOrigin, State};

/// Which submissions are looked for: every condition that is given has to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
#[schema(as = SubmissionFilter)]
pub struct SubmissionQuery {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub state: Option<StateName>,
    /// Why it is ignored or dead, such as `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = reasons_or_null)]
    #[param(schema_with = reasons)]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9]+([_-][a-z0-9]+)*$", max_length = 63)]
    #[param(pattern = "^[a-z0-9]+([_-][a-z0-9]+)*$", max_length = 63)]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9]+([_-][a-z0-9]+)*$", max_length = 63)]
    #[param(pattern = "^[a-z0-9]+([_-][a-z0-9]+)*$", max_length = 63)]
    pub survey: Option<String>,
    /// One of its webhooks came from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9]+([_-][a-z0-9]+)*$", max_length = 63)]
    #[param(pattern = "^[a-z0-9]+([_-][a-z0-9]+)*$", max_length = 63)]
    pub source: Option<String>,
    /// The call that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Za-z0-9-]{1,64}$")]
    #[param(pattern = "^[A-Za-z0-9-]{1,64}$")]
    pub call: Option<String>,
    /// Accepted then or later, such as `2026-11-20T00:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    #[param(format = DateTime)]
    pub since: Option<String>,
    /// Accepted before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    #[param(format = DateTime)]
    pub until: Option<String>,
    /// `counted`: only settled ones that insights count, not those of tests or that were purged. The
    /// conditions below say so too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^counted$")]
    #[param(pattern = "^counted$")]
    pub insights: Option<String>,
    /// A rating, or the least and the greatest in either order, such as `1-2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        pattern = "^([1-4](\\.[0-9]{1,2})?|5(\\.0{1,2})?)(-([1-4](\\.[0-9]{1,2})?|5(\\.0{1,2})?))?$"
    )]
    #[param(
        pattern = "^([1-4](\\.[0-9]{1,2})?|5(\\.0{1,2})?)(-([1-4](\\.[0-9]{1,2})?|5(\\.0{1,2})?))?$"
    )]
    pub rating: Option<String>,
    /// One of its issues, such as `ECHO`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = issues_or_null)]
    #[param(schema_with = issues)]
    pub issue: Option<String>,
    /// Where its issues come from: `chosen`, `default` or `rule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^(chosen|default|rule)$")]
    #[param(pattern = "^(chosen|default|rule)$")]
    pub origin: Option<String>,
    /// A field that its survey has insights of, and its value, such as `campaign:autumn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[a-z0-9]+([_-][a-z0-9]+)*:[^\\x00-\\x1f]{1,64}$")]
    #[param(pattern = "^[a-z0-9]+([_-][a-z0-9]+)*:[^\\x00-\\x1f]{1,64}$")]
    pub field: Option<String>,
}

/// Which part of what is found is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// The `next_cursor` of the page before; without it, the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{1,18}-[0-9]{1,18}$")]
    #[param(pattern = "^[0-9]{1,18}-[0-9]{1,18}$")]
    pub cursor: Option<String>,
    /// At most so many; 50 where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 200)]
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// A part of what was found, the latest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Page)]
pub struct SubmissionPage {
    pub submissions: Vec<SubmissionView>,
    /// The cursor of the next page; none at the end. A page may have fewer submissions than `limit`,
    /// even none, and still have a next page.
    pub next_cursor: Option<String>,
}

/// Until which acceptance a search has looked back that continues with this cursor.
pub fn cursor_time(cursor: &str) -> Option<Timestamp> {
    cursor.parse().ok().map(|cursor: Cursor| cursor.accepted_at())
}

/// Most submissions of a page.
pub const PAGE_MAX: u32 = 200;

/// Submissions of a page that says no limit.
pub const PAGE: u32 = 50;

impl SubmissionQuery {
    /// Keys of a query string.
    pub const KEYS: [&'static str; 13] = [
        "state", "reason", "account", "survey", "source", "call", "since", "until", "insights",
        "rating", "issue", "origin", "field",
    ];

    /// Those of [`KEYS`](Self::KEYS) that only insights ask for.
    pub const OF_INSIGHTS: [&'static str; 5] = ["insights", "rating", "issue", "origin", "field"];

    /// The state whose submissions a replay of what is found replays: dead, if neither a state nor a reason that
    /// only ignored ones have says otherwise.
    pub fn replayed_state(&self) -> StateName {
        let is_of =
            |state: StateName| State::from_labels(state.label(), self.reason.as_deref()).is_ok();
        self.state.unwrap_or(match is_of(StateName::Ignored) && !is_of(StateName::Dead) {
            true => StateName::Ignored,
            false => StateName::Dead,
        })
    }

    /// # Errors
    /// A value is invalid for its key.
    pub(super) fn filter(&self) -> Result<SubmissionFilter> {
        Ok(SubmissionFilter {
            state: self.state.map(StateName::label),
            reason: self.reason.as_deref().map(reason).transpose()?,
            account: parsed("account", self.account.as_deref())?,
            survey: parsed("survey", self.survey.as_deref())?,
            source: parsed("source", self.source.as_deref())?,
            call: parsed("call", self.call.as_deref())?,
            since: time("since", self.since.as_deref())?,
            until: time("until", self.until.as_deref())?,
            insight: self.insight()?,
        })
    }

    fn insight(&self) -> Result<Option<InsightFilter>> {
        if self.insights.as_deref().is_some_and(|text| text != "counted") {
            return Err(AdminError::invalid("insights", "expected counted"));
        }
        let origins = IssueOrigin::ALL.map(IssueOrigin::label).join(", ");
        let origin = |text: &str| {
            let found = IssueOrigin::ALL.into_iter().find(|it| it.label() == text);
            found.ok_or_else(|| AdminError::invalid("origin", format!("expected one of {origins}")))
        };
        let filter = InsightFilter {
            rating: self.rating.as_deref().map(ratings).transpose()?,
            issue: parsed("issue", self.issue.as_deref())?,
            origin: self.origin.as_deref().map(origin).transpose()?,
            field: self.field.as_deref().map(field).transpose()?,
        };
        let is_given = self.insights.is_some() || filter != InsightFilter::default();
        Ok(is_given.then_some(filter))
    }
}

impl Paging {
    /// Keys of a query string.
    pub const KEYS: [&'static str; 2] = ["cursor", "limit"];

    pub(super) fn after(&self) -> Result<Option<Cursor>> {
        parsed("cursor", self.cursor.as_deref())
    }

    /// # Errors
    /// Zero, or more than [`PAGE_MAX`].
    pub(super) fn limit_or(&self, default: u32) -> Result<usize> {
        match self.limit.unwrap_or(default) {
            limit @ 1..=PAGE_MAX => Ok(limit as usize),
            _ => Err(AdminError::invalid("limit", format!("expected 1 to {PAGE_MAX}"))),
        }
    }
}

fn parsed<T: FromStr<Err: Display>>(key: &'static str, text: Option<&str>) -> Result<Option<T>> {
    text.map(|text| text.parse().map_err(|error| AdminError::invalid(key, error))).transpose()
}

fn time(key: &str, text: Option<&str>) -> Result<Option<jiff::Timestamp>> {
    let read = |text: &str| {
        text.parse()
            .map_err(|_| AdminError::invalid(key, "expected a time such as 2026-11-20T00:00:00Z"))
    };
    text.map(read).transpose()
}

fn ratings(text: &str) -> Result<(u16, u16)> {
    let hundredths = |text: &str| {
        let rating = text.parse().ok().and_then(|number| Rating::new(number).ok());
        rating.map(|rating| (rating.value() * 100.0).round() as u16)
    };
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let range = hundredths(least).zip(hundredths(most));
    let range = range.map(|(one, other)| (one.min(other), one.max(other)));
    range.ok_or_else(|| AdminError::invalid("rating", "expected a rating such as 4, or 1-2"))
}

fn field(text: &str) -> Result<(Name, String)> {
    let named = text.split_once(':').and_then(|(name, value)| Some((name.parse().ok()?, value)));
    let (name, value) = named.ok_or_else(|| {
        AdminError::invalid("field", "expected a field and its value, such as campaign:autumn")
    })?;
    Ok((name, value.to_owned()))
}

fn reason(text: &str) -> Result<String> {
    let known = reason_labels();
    if known.contains(text) {
        return Ok(text.to_owned());
    }
    let known = Vec::from_iter(known).join(", ");
    Err(AdminError::invalid("reason", format!("expected one of {known}")))
}

/// Reasons of ignored and of dead submissions.
pub fn reason_labels() -> BTreeSet<&'static str> {
    let ignored = IgnoredReason::ALL.map(IgnoredReason::label);
    ignored.into_iter().chain(DeadReason::ALL.map(DeadReason::label)).collect()
}

fn reasons() -> Schema {
    one_of(reason_labels())
}

fn reasons_or_null() -> Schema {
    one_of_or_null(reason_labels())
}

fn issues() -> Schema {
    one_of(Issue::ALL.map(Issue::name))
}

fn issues_or_null() -> Schema {
    one_of_or_null(Issue::ALL.map(Issue::name))
}

fn one_of(labels: impl IntoIterator<Item = &'static str>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(labels)).build().into()
}

fn one_of_or_null(labels: impl IntoIterator<Item = &'static str>) -> Schema {
    let labels = labels.into_iter().map(Value::from).chain([Value::Null]);
    let kinds = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(kinds).enum_values(Some(labels)).build().into()
}

/// Schema of a [`SubmissionQuery`] that says a state.
pub(super) fn with_a_state() -> Schema {
    let state = ObjectBuilder::new()
        .property("state", Ref::from_schema_name(StateName::name()))
        .required("state");
    AllOfBuilder::new()
        .item(Ref::from_schema_name(SubmissionQuery::name()))
        .item(state)
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_of_dead_submissions_unless_a_state_or_a_reason_says_otherwise() {
        let state = |state, reason: Option<&str>| {
            let reason = reason.map(str::to_owned);
            SubmissionQuery { state, reason, ..SubmissionQuery::default() }.replayed_state()
        };
        assert_eq!(state(None, None), StateName::Dead);
        assert_eq!(state(None, Some("rejected")), StateName::Dead);
        assert_eq!(state(None, Some("incomplete")), StateName::Dead);
        assert_eq!(state(None, Some("no_answer")), StateName::Ignored);
        assert_eq!(state(Some(StateName::Delivered), None), StateName::Delivered);
    }
}
