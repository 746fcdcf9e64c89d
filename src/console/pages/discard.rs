use maud::{Markup, html};

use super::super::layout::state;
use crate::admin::SubmissionView;

/// The question whether a submission is given up, which is final.
pub fn discard(submission: &SubmissionView) -> Markup {
    let base = format!("/console/submissions/{}", submission.id);
    html! {
        h1 { "Discard " code { (submission.id) } }
        p {
            "It is " (state(submission.state, submission.reason.as_deref()))
            ". Discarding is final: nothing of it will be sent, and it cannot be replayed."
        }
        form.confirm action={ (base) "/discard" } method="post" {
            div.field {
                label for="reason" { "Reason, shown in the audit entry" }
                input #reason name="reason" required maxlength="500" autocomplete="off";
            }
            button { "Discard" }
            " " a href=(base) { "Cancel" }
        }
    }
}
