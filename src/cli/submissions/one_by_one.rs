use std::io::{self, Write};

use serde_json::json;

use super::output::Output;
use crate::cli::desk::DeskError;
use crate::cli::failure::Failure;
use crate::submission::SubmissionId;

/// What is said of one with which it was done: to a person, and to a script.
pub(super) type Outcome = (&'static str, &'static str);

/// Does it with each, and says of each whether it was done.
pub(super) async fn one_by_one(
    ids: &[SubmissionId],
    output: Output,
    (told, label): Outcome,
    mut one: impl AsyncFnMut(SubmissionId) -> Result<(), OneError>,
) -> Result<(), Failure> {
    let mut is_well = true;
    let mut told_all = Ok(());
    for id in ids {
        let refusal = match one(*id).await {
            Ok(()) => None,
            Err(OneError::Desk(DeskError::Refused(why))) => Some(why),
            Err(OneError::Desk(error)) => return Err(error.into()),
            Err(OneError::Told(failure)) => return Err(failure),
        };
        is_well &= refusal.is_none();
        let line = match output {
            Output::Json => {
                let outcome = refusal.is_none().then_some(label);
                json!({ "id": id.to_string(), "outcome": outcome, "why_not": refusal }).to_string()
            }
            Output::Table => format!("{id}: {}", refusal.as_deref().unwrap_or(told)),
        };
        // Whoever read it may be gone: the rest is done all the same.
        told_all = told_all.and_then(|()| writeln!(io::stdout(), "{line}"));
    }
    if is_well { Ok(told_all?) } else { Err(Failure::Told) }
}

/// Why one was not done, or not told.
pub(super) enum OneError {
    Desk(DeskError),
    Told(Failure),
}

impl From<DeskError> for OneError {
    fn from(error: DeskError) -> Self {
        OneError::Desk(error)
    }
}

impl From<Failure> for OneError {
    fn from(failure: Failure) -> Self {
        OneError::Told(failure)
    }
}

/// Reads an id from the command line.
pub(super) fn id(text: &str) -> Result<SubmissionId, &'static str> {
    text.parse().map(SubmissionId).map_err(|_| "expected an id as `list` prints it")
}
