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
use crate::store::{Cursor, SubmissionFilter};
use crate::submission::{DeadReason, IgnoredReason};

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
    pub const KEYS: [&'static str; 8] =
        ["state", "reason", "account", "survey", "source", "call", "since", "until"];

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
        })
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
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(reason_labels())).build().into()
}

fn reasons_or_null() -> Schema {
    let labels = reason_labels().into_iter().map(Value::from).chain([Value::Null]);
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
