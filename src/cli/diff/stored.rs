use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::app;
use crate::cli::failure::Failure;
use crate::domain::Name;
use crate::settings::Settings;
use crate::store::sqlite::SqliteStore;
use crate::store::{Reader, SubmissionFilter};
use crate::submission::{Mapper, Submission};
use crate::survey::{MapOutcome, SettingsMapper};

/// What two settings make of the submissions of a store. What was delivered counts too: it says what
/// callers answer.
#[derive(Debug, Default, Serialize)]
pub(super) struct Stored {
    pub compared: u64,
    pub changed: u64,
    /// By survey, of those that changed.
    pub by_survey: BTreeMap<Name, u64>,
    /// Without answers any more: erased, or removed by retention.
    pub purged: u64,
    /// The latest that changed, at most [`EXAMPLES_MAX`].
    pub examples: Vec<ChangedSubmission>,
}

#[derive(Debug, Serialize)]
pub(super) struct ChangedSubmission {
    pub id: String,
    pub survey: Name,
    pub accepted_at: Timestamp,
    /// Without notes, which may say what a caller said.
    pub before: MapOutcome,
    pub after: MapOutcome,
    /// Only the notes are different.
    pub other_notes: bool,
}

const EXAMPLES_MAX: usize = 10;

/// How many submissions are read at once.
const PAGE: usize = 500;

/// # Errors
/// The store cannot be read.
pub(super) async fn compare(
    path: &Path,
    since: Option<Timestamp>,
    old: &Settings,
    new: &Settings,
) -> Result<Stored, Failure> {
    let store = SqliteStore::open_read_only(path).map_err(anyhow::Error::from)?;
    let mappers = [old, new].map(app::mapper);
    let filter = SubmissionFilter { since, ..SubmissionFilter::default() };
    let (mut stored, mut after) = (Stored::default(), None);
    loop {
        let page = store.search(filter.clone(), after, PAGE).await.map_err(anyhow::Error::from)?;
        page.submissions.iter().for_each(|it| stored.add(it, &mappers[0], &mappers[1]));
        after = page.next;
        if after.is_none() {
            return Ok(stored);
        }
    }
}

impl Stored {
    fn add(&mut self, submission: &Submission, old: &SettingsMapper, new: &SettingsMapper) {
        let Some(key) = submission.key().filter(|_| !submission.is_purged()) else {
            self.purged += 1;
            return;
        };
        // It is ignored whatever it maps to.
        if key.call.is_test() {
            return;
        }
        self.compared += 1;
        let answers = &submission.document.answers;
        let [before, after] =
            [old, new].map(|mapper| MapOutcome::of(mapper.map(&key, answers, None).mapping));
        if before == after {
            return;
        }
        self.changed += 1;
        *self.by_survey.entry(submission.survey.clone()).or_default() += 1;
        if self.examples.len() < EXAMPLES_MAX {
            let [before, after] = [before, after].map(MapOutcome::without_notes);
            self.examples.push(ChangedSubmission {
                id: submission.id.to_string(),
                survey: submission.survey.clone(),
                accepted_at: submission.accepted_at,
                other_notes: before == after,
                before,
                after,
            });
        }
    }
}
