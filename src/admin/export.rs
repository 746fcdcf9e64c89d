use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::api::AdminApi;
use super::error::Result;
use super::masking::Mask;
use super::query::{PAGE_MAX, Paging, SubmissionQuery};
use super::surveys::SurveyList;
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
    is_masked: bool,
    /// Of CSV, once the first page is read.
    columns: Vec<Column>,
    /// The next page; `None` after the last.
    paging: Option<Paging>,
}

impl Export {
    pub fn new(format: ExportFormat, query: SubmissionQuery) -> Self {
        let columns = Vec::new();
        Self {
            format,
            query,
            is_masked: false,
            columns,
            paging: Some(Paging { cursor: None, limit: Some(PAGE_MAX) }),
        }
    }

    /// With long numbers masked.
    #[must_use]
    pub fn masked(self) -> Self {
        Self { is_masked: true, ..self }
    }

    /// The next part of its text; `None` at the end.
    ///
    /// # Errors
    /// The page cannot be listed; the text so far is not the whole then.
    pub async fn next(&mut self, api: &dyn AdminApi) -> Result<Option<Vec<u8>>> {
        let Some(paging) = &self.paging else { return Ok(None) };
        let mut text = Vec::new();
        if paging.cursor.is_none() && self.format == ExportFormat::Csv {
            self.columns = columns(&api.surveys().await?);
            text.extend(record(self.columns.iter().map(|column| &column.name)));
        }
        let mut page = api.list(&self.query, paging).await?;
        if self.is_masked {
            page.mask();
        }
        for submission in &page.submissions {
            text.extend(self.line(submission));
        }
        self.paging =
            page.next_cursor.map(|cursor| Paging { cursor: Some(cursor), limit: Some(PAGE_MAX) });
        Ok(Some(text))
    }

    /// One submission, with the end of its line.
    fn line(&self, submission: &SubmissionView) -> Vec<u8> {
        match self.format {
            ExportFormat::Jsonl => {
                let mut line = serde_json::to_vec(submission).expect("its parts are JSON");
                line.push(b'\n');
                line
            }
            ExportFormat::Csv => {
                let json = serde_json::to_value(submission).expect("its parts are JSON");
                let values = self.columns.iter().map(|column| json.pointer(&column.pointer));
                record(values.map(|value| harmless(text(value))))
            }
        }
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
}

/// A column of CSV.
struct Column {
    name: String,
    /// Into the JSON of a submission.
    pointer: String,
}

/// All columns: those of every submission, then the questions and then the fields of the surveys, by
/// the name of the survey and in the order in which it declares them. What two surveys share is one
/// column.
fn columns(surveys: &SurveyList) -> Vec<Column> {
    let of_all = COLUMNS.map(|pointer| {
        let name = pointer.rsplit('/').next().unwrap_or_default().to_owned();
        Column { name, pointer: pointer.to_owned() }
    });
    let surveys = || surveys.surveys.iter();
    let questions = surveys().flat_map(|survey| &survey.questions);
    let questions = questions.map(|name| ("answer", "answered", name));
    let fields = surveys().flat_map(|survey| &survey.fields).map(|name| ("field", "fields", name));
    let mut columns = Vec::from(of_all);
    for (prefix, object, name) in questions.chain(fields) {
        let column = format!("{prefix}_{name}");
        if columns.iter().all(|known| known.name != column) {
            // Names have neither `~` nor `/`, which a pointer would escape.
            columns.push(Column { name: column, pointer: format!("/{object}/{name}") });
        }
    }
    columns
}

/// Columns of every submission: pointers, each of which ends in the column's name.
const COLUMNS: [&str; 19] = [
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
    "/purged_at",
    "/attempts",
    "/last_attempt/verdict",
    "/last_attempt/status",
    "/last_attempt/api_id",
    "/feedback/rating",
    "/feedback/issues",
    "/feedback/notes",
    "/test",
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
pub(super) fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn record(columns: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns).expect("memory takes every record");
    writer.into_inner().expect("memory takes every record")
}
