//! Feedback, and what a replay would change.

use maud::{Markup, html};

use super::super::layout::{said, state};
use crate::admin::{After, Difference, FeedbackView, StateName};

/// A rating, its issues and its notes.
pub(super) fn feedback(feedback: &FeedbackView) -> Markup {
    html! {
        strong { (feedback.rating) }
        @for issue in &feedback.issues { " " code { (issue) } }
        @if let Some(notes) = &feedback.notes { " “" (said(notes)) "”" }
    }
}

/// What a submission has come to.
pub(super) fn before(difference: &Difference) -> Markup {
    let before = &difference.before;
    html! {
        (state(before.state, before.reason.as_deref()))
        @if let Some(it) = &before.feedback { " " (feedback(it)) }
    }
}

/// What it would come to.
pub(super) fn after(after: &After) -> Markup {
    html! {
        @match after {
            After::Feedback { feedback: it } => { "feedback " (feedback(it)) },
            After::Ignored { ignored, detail } => {
                (state(StateName::Ignored, Some(ignored)))
                @if let Some(detail) = detail { " " (said(detail)) }
            },
            After::Dead { dead, detail } => {
                (state(StateName::Dead, Some(dead)))
                @if let Some(detail) = detail { " " (said(detail)) }
            },
        }
    }
}

/// What would be another: the outcome as a whole, or parts of the feedback.
pub(super) fn change(difference: &Difference) -> String {
    if !difference.changed {
        return "unchanged".to_owned();
    }
    match (&difference.before.feedback, &difference.after) {
        (None, After::Feedback { .. }) => "+ feedback".to_owned(),
        (Some(was), After::Feedback { feedback: is }) => {
            let parts = [
                ("rating", was.rating != is.rating),
                ("issues", was.issues != is.issues),
                ("notes", was.notes != is.notes),
            ];
            let parts: Vec<_> =
                parts.iter().filter(|(_, differs)| *differs).map(|(part, _)| *part).collect();
            parts.join(", ")
        }
        (Some(_), _) => "− feedback".to_owned(),
        (None, _) => "another reason".to_owned(),
    }
}
