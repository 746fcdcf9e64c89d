use maud::{Markup, html};

use super::super::layout::visible;
use super::bulk_replay::table as differences;
use crate::admin::{
    DecisionTable, Difference, PlaygroundFault, PlaygroundPart, PlaygroundResult, PlaygroundStep,
    Role,
};

/// What the page of the playground shows.
pub struct Playground<'a> {
    pub rules: &'a str,
    pub webhooks: &'a str,
    /// What came of them, if they were tried.
    pub result: Option<PlaygroundResult>,
    /// Why nothing came of them.
    pub warning: Option<String>,
    /// What stored submissions would come to, if that was asked.
    pub differences: Option<Vec<Difference>>,
    /// Who looks at it: only an operator may ask for stored submissions.
    pub role: Role,
}

impl<'a> Playground<'a> {
    /// Rules and webhooks that are still to be tried.
    pub fn untried(rules: &'a str, webhooks: &'a str, role: Role) -> Self {
        Self { rules, webhooks, result: None, warning: None, differences: None, role }
    }
}

/// Rules and webhooks, and what comes of them.
pub fn playground(it: &Playground<'_>) -> Markup {
    html! {
        h1 { "Playground" }
        p.hint {
            "Nothing here is kept, sent or put in force. Rules are the section " code { "surveys:" } " of the settings; "
            "webhooks are those of a case of " code { "postcall test" } ", believed without a signature."
        }
        form #playground action="/console/playground#result" method="post" {
            div.sides {
                (side("rules", "Rules", it.rules))
                (side("webhooks", "Webhooks", it.webhooks))
            }
            div.actions {
                button { "Try" }
                @if it.role == Role::Operator {
                    button.quiet name="calls" value="true" { "What would the last 200 calls become?" }
                }
                a href="/console/playground" { "Reset" }
                button.quiet type="button" hidden data-copy="" data-copy-from="rules" { "Copy rules" }
                @if let Some(case) = it.result.as_ref().and_then(|it| it.case.as_ref()) {
                    button.quiet type="button" hidden data-copy=(case) { "Copy test case" }
                }
            }
        }
        section #result aria-label="Result" {
            @if let Some(warning) = &it.warning { p.warning role="alert" { "Nothing came of it: " (warning) "." } }
            @if let Some(result) = &it.result { (self::result(result)) }
            @if let Some(found) = &it.differences { (stored(found)) }
        }
    }
}

/// One text. The line break before it is not part of it: a browser takes the first one away.
fn side(id: &str, name: &str, text: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (name) }
            textarea id=(id) name=(id) rows="18" spellcheck="false" autocomplete="off" dir="ltr" { "\n" (text) }
        }
    }
}

fn result(result: &PlaygroundResult) -> Markup {
    html! {
        @if !result.faults.is_empty() { (faults(&result.faults)) }
        @if !result.steps.is_empty() {
            h2 { "Steps" }
            ol.steps { @for step in &result.steps { (self::step(step)) } }
        }
        @for table in &result.tables { (decisions(table)) }
    }
}

fn faults(faults: &[PlaygroundFault]) -> Markup {
    html! {
        h2 { "Invalid" }
        div role="alert" {
            ul {
                @for fault in faults {
                    @let part = match fault.part {
                        PlaygroundPart::Rules => "rules",
                        PlaygroundPart::Webhooks => "webhooks",
                    };
                    li {
                        @match fault.place {
                            Some((line, column)) => {
                                a href={ "#" (part) } data-line=(line) data-column=(column) { (part) ", line " (line) }
                            },
                            None => { (part) },
                        }
                        ": " (visible(&fault.message))
                    }
                }
            }
        }
    }
}

fn step(step: &PlaygroundStep) -> Markup {
    html! {
        li {
            strong { (step.step) } " " span.reason { (visible(&step.subject)) }
            pre tabindex="0" { (visible(&step.text)) }
        }
    }
}

fn decisions(table: &DecisionTable) -> Markup {
    html! {
        h2 { "Survey " (table.survey) }
        div.scroll tabindex="0" role="region" aria-label={ "Decision table of " (table.survey) } {
            table data-survey=(table.survey) {
                thead { tr { @for cell in &table.head { th scope="col" { (visible(cell)) } } } }
                tbody {
                    @for row in &table.rows { tr { @for cell in row { td { (visible(cell)) } } } }
                }
            }
        }
        @if table.more_rows > 0 { p.hint { "… and " (table.more_rows) " more rows" } }
        @if !table.notes.is_empty() { ul.hint { @for note in &table.notes { li { (visible(note)) } } } }
    }
}

fn stored(found: &[Difference]) -> Markup {
    let changed: Vec<_> = found.iter().filter(|it| it.changed).cloned().collect();
    html! {
        h2 #calls { "The last calls" }
        p {
            "Of the last " (found.len()) " calls whose answers are stored, " strong { (changed.len()) }
            " would come to something else."
        }
        @if !changed.is_empty() { (differences(&changed)) }
    }
}
