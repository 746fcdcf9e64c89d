use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::api::AdminApi;
use super::error::Result;
use super::query::{PAGE_MAX, Paging, SubmissionQuery};
use super::views::SubmissionView;

/// How what is found is written out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
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
pub struct ExportOptions {
    #[param(inline)]
    pub format: ExportFormat,
}

/// An export of everything that is found, the latest first, read page by page.
pub struct Export {
    format: ExportFormat,
    query: SubmissionQuery,
    /// The next page; `None` after the last.
    paging: Option<Paging>,
}

impl Export {
    pub fn new(format: ExportFormat, query: SubmissionQuery) -> Self {
        Self { format, query, paging: Some(Paging { cursor: None, limit: Some(PAGE_MAX) }) }
    }

    /// The next part of its text; `None` at the end.
    ///
    /// # Errors
    /// The page cannot be listed; the text so far is not the whole then.
    pub async fn next(&mut self, api: &dyn AdminApi) -> Result<Option<Vec<u8>>> {
        let Some(paging) = &self.paging else { return Ok(None) };
        let page = api.list(&self.query, paging).await?;
        let mut text = if paging.cursor.is_none() { self.format.head() } else { Vec::new() };
        for submission in &page.submissions {
            text.extend(self.format.line(submission));
        }
        self.paging =
            page.next_cursor.map(|cursor| Paging { cursor: Some(cursor), limit: Some(PAGE_MAX) });
        Ok(Some(text))
    }
}

impl ExportOptions {
    /// Keys of a query string.
    pub const KEYS: [&'static str; 1] = ["format"];
}

impl ExportFormat {
    pub fn content_type(self) -> &'static str {
        match self {
            ExportFormat::Jsonl => "application/jsonl",
            ExportFormat::Csv => "text/csv; charset=utf-8",
        }
    }

    /// Text before the first submission.
    fn head(self) -> Vec<u8> {
        match self {
            ExportFormat::Jsonl => Vec::new(),
            ExportFormat::Csv => {
                record(COLUMNS.map(|column| column.rsplit('/').next().unwrap_or_default()))
            }
        }
    }

    /// One submission, with the end of its line.
    fn line(self, submission: &SubmissionView) -> Vec<u8> {
        match self {
            ExportFormat::Jsonl => {
                let mut line = serde_json::to_vec(submission).expect("its parts are JSON");
                line.push(b'\n');
                line
            }
            ExportFormat::Csv => {
                let json = serde_json::to_value(submission).expect("its parts are JSON");
                record(COLUMNS.map(|column| harmless(text(json.pointer(column)))))
            }
        }
    }
}

/// Columns of CSV: pointers into the JSON of a submission, each of which ends in the column's name.
const COLUMNS: [&str; 18] = [
    "/id",
    "/account",
    "/survey",
    "/call",
    "/state",
    "/reason",
    "/detail",
    "/accepted_at",
    "/due_at",
    "/settled_at",
    "/gone_at",
    "/attempts",
    "/last_attempt/verdict",
    "/last_attempt/status",
    "/last_attempt/api_id",
    "/feedback/rating",
    "/feedback/issues",
    "/feedback/notes",
];

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            Vec::from_iter(parts.iter().filter_map(Value::as_str)).join(" ")
        }
        Some(other) => other.to_string(),
    }
}

/// A spreadsheet takes text that begins so for a formula, and a caller's own words may be in it.
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn record(columns: [impl AsRef<[u8]>; COLUMNS.len()]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns).expect("memory takes every record");
    writer.into_inner().expect("memory takes every record")
}
