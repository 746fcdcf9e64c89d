use maud::{Markup, html};

use super::super::layout::{said, state, time};
use crate::admin::{RejectionView, SubmissionView};

/// How a source is set up at its sender, as the settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSetup {
    pub source: String,
    /// What its sender calls.
    pub url: String,
    pub account: String,
    pub survey: String,
    /// The signature schemes that it accepts.
    pub schemes: Vec<String>,
    /// The XML that asks its survey on a call and what there is to say of it, or why there is none.
    pub xml: Result<(String, Vec<String>), String>,
}

/// What the page of a source shows.
pub struct Setup<'a> {
    pub setup: &'a SourceSetup,
    /// The last from this source, the latest first.
    pub submissions: &'a [SubmissionView],
    /// The last of this source, the latest first.
    pub rejections: &'a [RejectionView],
}

/// Most rejections of the page.
const REJECTIONS: usize = 5;

/// What the sender has to be given, how to test it, and what has arrived.
pub fn setup(it: &Setup<'_>) -> Markup {
    let setup = it.setup;
    let test = format!("postcall sign {} --test --digits 4 --send", setup.source);
    html! {
        h1 { "Set up " (setup.source) }
        dl.facts {
            div { dt { "Survey" } dd { (setup.survey) } }
            div { dt { "Account" } dd { (setup.account) } }
            div { dt { "Signature" } dd { (setup.schemes.join(", ")) } }
        }
        h2 { "1. What the sender calls" }
        p { code { (setup.url) } " " (copy(&setup.url)) }
        h2 { "2. The answer XML of a call" }
        @match &setup.xml {
            Ok((xml, notes)) => {
                p {
                    "Let the answer URL of your number return this where the survey begins, and add what the caller \
                     hears before and after it. " (copy(xml))
                }
                pre tabindex="0" { (xml) }
                @for note in notes { p.hint { (note) } }
            },
            Err(reason) => { p { "There is none: " (reason) "." } },
        }
        h2 { "3. A signed test" }
        p {
            "It is kept and shown, and never delivered: "
            code { (test) } " " (copy(&test))
        }
        section #arrived data-live aria-labelledby="t-arrived" {
            h2 #t-arrived { "4. What has arrived" }
            @if it.submissions.is_empty() { p { "Nothing yet: this page looks every two seconds." } }
            @else {
                ul {
                    @for submission in it.submissions {
                        li {
                            a href={ "/console/submissions/" (submission.id) } { (time(submission.accepted_at)) }
                            " " (state(submission.state, submission.reason.as_deref()))
                            @if submission.test { " " span.badge { "test" } }
                        }
                    }
                }
            }
            @if !it.rejections.is_empty() {
                h3 { "Rejected" }
                ul {
                    @for rejection in it.rejections.iter().take(REJECTIONS) {
                        li {
                            (time(rejection.at)) " " span.reason { (rejection.reason) } " "
                            (rejection.method) " " (said(&rejection.url))
                        }
                    }
                }
            }
        }
    }
}

fn copy(text: &str) -> Markup {
    html! { button.quiet type="button" hidden data-copy=(text) { "Copy" } }
}
