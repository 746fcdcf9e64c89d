use std::io::{self, Write};

use serde_json::json;

use super::output::Output;
use crate::admin::{self, AdminError};
use crate::cli::failure::Failure;
use crate::submission::SubmissionId;

/// What is printed of a submission after the action: as text, and for a script.
pub(super) type Outcome = (&'static str, &'static str);

/// Runs an action on each submission, and prints of each whether it was done.
pub(super) async fn one_by_one<T>(
    ids: &[SubmissionId],
    output: Output,
    (done, label): Outcome,
    mut act: impl AsyncFnMut(SubmissionId) -> admin::Result<T>,
    mut show: impl FnMut(&T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut all_done = true;
    let mut printed = Ok(());
    for id in ids {
        let refusal = match act(*id).await {
            Ok(result) => {
                show(&result)?;
                None
            }
            Err(AdminError::NotFound(why) | AdminError::Conflict(why)) => Some(why),
            Err(error) => return Err(error.into()),
        };
        all_done &= refusal.is_none();
        let line = match output {
            Output::Json => {
                let outcome = refusal.is_none().then_some(label);
                json!({ "id": id.to_string(), "outcome": outcome, "why_not": refusal }).to_string()
            }
            Output::Table => format!("{id}: {}", refusal.as_deref().unwrap_or(done)),
        };
        // The reader may be gone: the action is run on the rest all the same.
        printed = printed.and_then(|()| writeln!(io::stdout(), "{line}"));
    }
    if all_done { Ok(printed?) } else { Err(Failure::Printed(1)) }
}
