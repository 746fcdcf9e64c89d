use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::submission::Submission;

/// How what is found is written out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One submission as JSON a line.
    #[default]
    Jsonl,
    /// With a head, for a spreadsheet.
    Csv,
}

/// How it is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Exporting {
    #[param(inline)]
    pub format: Format,
}

impl Exporting {
    /// By which keys a query asks.
    pub const KEYS: [&'static str; 1] = ["format"];
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Jsonl => "application/jsonl",
            Format::Csv => "text/csv; charset=utf-8",
        }
    }

    /// What stands before the first submission.
    pub fn head(self) -> Vec<u8> {
        match self {
            Format::Jsonl => Vec::new(),
            Format::Csv => record(&COLUMNS.map(|(name, _)| name.to_owned())),
        }
    }

    /// One submission, with the end of its line.
    pub fn line(self, submission: &Submission) -> Vec<u8> {
        match self {
            Format::Jsonl => {
                let mut line = serde_json::to_vec(submission).expect("its parts are JSON");
                line.push(b'\n');
                line
            }
            Format::Csv => record(&COLUMNS.map(|(_, of)| harmless(of(submission)))),
        }
    }
}

type Column = (&'static str, fn(&Submission) -> String);

const COLUMNS: [Column; 18] = [
    ("id", |s| s.id.clone()),
    ("account", |s| s.account.clone()),
    ("survey", |s| s.survey.clone()),
    ("call", |s| s.call.clone().unwrap_or_default()),
    ("state", |s| s.state.label().to_owned()),
    ("reason", |s| s.reason.clone().unwrap_or_default()),
    ("detail", |s| s.detail.clone().unwrap_or_default()),
    ("accepted_at", |s| s.accepted_at.to_string()),
    ("due_at", |s| s.due_at.to_string()),
    ("settled_at", |s| s.settled_at.map(|at| at.to_string()).unwrap_or_default()),
    ("gone_at", |s| s.gone_at.map(|at| at.to_string()).unwrap_or_default()),
    ("attempts", |s| s.attempts.to_string()),
    ("verdict", |s| {
        s.last_attempt.as_ref().and_then(|last| last.verdict.clone()).unwrap_or_default()
    }),
    ("status", |s| {
        let status = s.last_attempt.as_ref().and_then(|last| last.status);
        status.map(|status| status.to_string()).unwrap_or_default()
    }),
    ("api_id", |s| {
        s.last_attempt.as_ref().and_then(|last| last.api_id.clone()).unwrap_or_default()
    }),
    ("rating", |s| {
        s.feedback.as_ref().map(|feedback| feedback.rating.to_string()).unwrap_or_default()
    }),
    ("issues", |s| {
        s.feedback.as_ref().map(|feedback| feedback.issues.join(" ")).unwrap_or_default()
    }),
    ("notes", |s| {
        s.feedback.as_ref().and_then(|feedback| feedback.notes.clone()).unwrap_or_default()
    }),
];

/// A spreadsheet takes text that begins so for a formula, and a caller's own words may be in it.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn record(columns: &[String]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns).expect("memory takes every record");
    writer.into_inner().expect("memory takes every record")
}
