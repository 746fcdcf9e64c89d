use maud::{Markup, html};

/// The question whether everything that was said on a call is forgotten, which is final.
pub fn erase(call: &str, warning: Option<&str>) -> Markup {
    html! {
        h1 { "Erase call " code { (call) } }
        @if let Some(warning) = warning { p.warning role="alert" { (warning) } }
        p {
            "All that was said on it is forgotten, whatever became of it: answers, notes, webhooks, also those in \
             quarantine. The ids and the outcomes of its submissions stay. What Plivo has accepted stays at Plivo. \
             This is final."
        }
        form.confirm action={ "/console/calls/" (call) "/erase" } method="post" {
            div.field {
                label for="confirmation" { "Type the id of the call to erase it" }
                input #confirmation name="confirmation" required maxlength="64" autocomplete="off"
                    spellcheck="false";
            }
            button { "Erase" }
            " " a href={ "/console/calls/" (call) } { "Cancel" }
        }
    }
}
