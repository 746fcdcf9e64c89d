use maud::{Markup, html};

/// Why a page cannot be shown, and what would be right.
pub fn problem(title: &str, detail: &str) -> Markup {
    html! {
        h1 { (title) }
        p.warning { (detail) }
        p { a href="/console/" { "To the overview" } }
    }
}
