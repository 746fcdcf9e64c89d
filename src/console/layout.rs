//! What every page has: its head, its navigation, and how times and words of others are written.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use crate::admin::{Role, StateName};

/// What surrounds a page.
pub struct Shell<'a> {
    pub title: &'a str,
    /// The name of the environment, from the settings.
    pub environment: Option<&'a str>,
    /// Who reads it; none before the login.
    pub role: Option<Role>,
    /// There is a session that can be ended.
    pub has_session: bool,
    pub tab: Option<Tab>,
    /// How often, in seconds, the page is asked for again while it is seen.
    pub refresh: Option<u32>,
}

/// A part of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Overview,
    Submissions,
    Insights,
    Accounts,
    Quarantine,
    Playground,
    Audit,
}

const TABS: [(Tab, &str, &str); 7] = [
    (Tab::Overview, "/console/", "Overview"),
    (Tab::Submissions, "/console/submissions", "Submissions"),
    (Tab::Insights, "/console/insights", "Insights"),
    (Tab::Accounts, "/console/accounts", "Accounts"),
    (Tab::Quarantine, "/console/quarantine", "Quarantine"),
    (Tab::Playground, "/console/playground", "Playground"),
    (Tab::Audit, "/console/audit", "Actions"),
];

/// A whole document.
pub fn document(shell: &Shell<'_>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (visible(shell.title)) " · Postcall" }
                link rel="icon" href=(ICON.path());
                link rel="stylesheet" href=(STYLE.path());
                script type="module" src=(SCRIPT.path()) {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.top { (navigation(shell)) }
                main #main tabindex="-1" data-refresh=[shell.refresh] { (content) }
                footer {
                    "Postcall " (env!("CARGO_PKG_VERSION")) " · times are UTC"
                    span #live role="status" {}
                }
            }
        }
    }
}

fn navigation(shell: &Shell<'_>) -> Markup {
    html! {
        a.brand href="/console/" { "Postcall" }
        @if let Some(environment) = shell.environment { span.badge { (environment) } }
        @if let Some(role) = shell.role {
            nav aria-label="Console" {
                @for (tab, path, name) in TABS {
                    a href=(path) aria-current=[(shell.tab == Some(tab)).then_some("page")] { (name) }
                }
            }
            form.find action="/console/calls" method="get" role="search" {
                label for="find" { "Call" }
                input #find name="call" required pattern="[A-Za-z0-9\\-]{1,64}" maxlength="64"
                    autocomplete="off" spellcheck="false" title="1 to 64 letters, digits or hyphens";
                button { "Find" }
            }
            @if role == Role::Viewer { span.badge { "read only" } }
            @if shell.has_session {
                form action="/console/logout" method="post" { button.quiet { "Log out" } }
            }
        }
    }
}

/// Words of a caller, a sender or Plivo: isolated, and without marks that cannot be seen.
pub(super) fn said(text: &str) -> Markup {
    html! { bdi { (visible(text)) } }
}

/// A text with its control characters and its marks of direction written out.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let hides = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || turns_direction(c);
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' => {}
            c if hides(c) => shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A time to the second.
pub(super) fn time(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (at.strftime("%Y-%m-%d %H:%M:%S")) } }
}

/// A span of time in its two largest units.
pub(super) fn span(length: SignedDuration) -> String {
    let milliseconds = length.as_millis().unsigned_abs();
    let seconds = milliseconds / 1000;
    let of = |whole: u128, unit: &str, rest: u128, part: &str| match rest {
        0 => format!("{whole} {unit}"),
        rest => format!("{whole} {unit} {rest} {part}"),
    };
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => of(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => of(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => of(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// A state, by word as much as by colour.
pub(super) fn state(state: StateName, reason: Option<&str>) -> Markup {
    html! {
        span.state data-state=(state.label()) { (state.label()) }
        @if let Some(reason) = reason { " " span.reason { (reason) } }
    }
}

/// What was just done.
pub(super) fn notice(text: Option<&str>) -> Markup {
    html! { @if let Some(text) = text { p.notice role="status" { (text) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sender_says_can_neither_be_markup_nor_turn_the_text_around_it() {
        let text = said("<img src=x onerror=alert(1)> \u{202e}txt.exe\0").into_string();
        assert_eq!(text, "<bdi>&lt;img src=x onerror=alert(1)&gt; ⟨U+202E⟩txt.exe⟨U+0000⟩</bdi>");
    }

    #[test]
    fn a_span_is_said_in_its_two_largest_units() {
        for (milliseconds, expected) in [
            (12, "12 ms"),
            (59_999, "59 s"),
            (120_000, "2 min"),
            (3_660_000, "1 h 1 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(SignedDuration::from_millis(milliseconds)), expected);
        }
    }
}
