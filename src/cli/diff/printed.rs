use std::io::{self, Write};

use super::compared::SurveyChange;
use super::report::OutcomeChanges;
use super::stored::{ChangedSubmission, Stored};
use crate::cli::table::{Table, plain};
use crate::survey::{ChangedAskWhen, ChangedRow, SurveyDifference};

/// Most rows of a survey that are printed; `--output json` has all of them.
const ROWS_MAX: usize = 100;

const REMOVED: &str = "removed; what is not delivered yet becomes dead as unmapped";

pub(super) fn text(out: &mut impl Write, report: &OutcomeChanges) -> io::Result<()> {
    for (name, change) in &report.compared.surveys {
        match change {
            SurveyChange::Added => writeln!(out, "survey {name}: added")?,
            SurveyChange::Removed => writeln!(out, "survey {name}: {REMOVED}")?,
            SurveyChange::Changed(difference) => {
                writeln!(out, "survey {name}: {}", summary(difference))?;
                let mut table = Table::with_head(["ANSWERS", "BEFORE", "AFTER"]);
                let rows = difference.rows.iter().take(ROWS_MAX);
                rows.for_each(|row| {
                    table.add(vec![answers(row), row.before.clone(), row.after.clone()]);
                });
                if !difference.rows.is_empty() {
                    table.to_string().lines().try_for_each(|line| writeln!(out, "  {line}"))?;
                }
                for remark in remarks(difference) {
                    writeln!(out, "  {remark}")?;
                }
            }
        }
    }
    for other in &report.compared.others {
        writeln!(out, "{other}")?;
    }
    if let Some(stored) = &report.store {
        writeln!(out, "store: {}", stored_summary(stored))?;
        let mut table = Table::with_head(["SUBMISSION", "SURVEY", "BEFORE", "AFTER"]);
        for it in &stored.examples {
            let (before, after) = (it.before.to_string(), outcome_after(it));
            table.add(vec![it.id.clone(), it.survey.to_string(), before, after]);
        }
        if !stored.examples.is_empty() {
            table.to_string().lines().try_for_each(|line| writeln!(out, "  {line}"))?;
        }
    }
    if !report.differs {
        writeln!(out, "no outcome changes")?;
    }
    Ok(())
}

pub(super) fn markdown(out: &mut impl Write, report: &OutcomeChanges) -> io::Result<()> {
    writeln!(out, "### What answers come to\n")?;
    if !report.differs {
        writeln!(out, "Every answer comes to the same.")?;
    }
    for (name, change) in &report.compared.surveys {
        match change {
            SurveyChange::Added => writeln!(out, "**Survey `{name}`**: added\n")?,
            SurveyChange::Removed => writeln!(out, "**Survey `{name}`**: {REMOVED}\n")?,
            SurveyChange::Changed(difference) => {
                writeln!(out, "**Survey `{name}`**: {}\n", summary(difference))?;
                if !difference.rows.is_empty() {
                    writeln!(out, "| answers | before | after |\n|---|---|---|")?;
                }
                for row in difference.rows.iter().take(ROWS_MAX) {
                    let cells = [answers(row), row.before.clone(), row.after.clone()];
                    writeln!(out, "| {} |", cells.map(|it| cell(&it)).join(" | "))?;
                }
                for remark in remarks(difference) {
                    writeln!(out, "\n{}", cell(&remark))?;
                }
                writeln!(out)?;
            }
        }
    }
    for other in &report.compared.others {
        writeln!(out, "- {other}")?;
    }
    if let Some(stored) = &report.store {
        writeln!(out, "\n**Stored submissions**: {}", stored_summary(stored))?;
        if !stored.examples.is_empty() {
            writeln!(out, "\n| submission | survey | before | after |\n|---|---|---|---|")?;
        }
        for it in &stored.examples {
            let outcomes = [it.before.to_string(), outcome_after(it)].map(|it| cell(&it));
            writeln!(out, "| `{}` | {} | {} |", it.id, it.survey, outcomes.join(" | "))?;
        }
    }
    Ok(())
}

fn summary(difference: &SurveyDifference) -> String {
    let SurveyDifference { changed, compared, added_questions, removed_questions, .. } = difference;
    let mut summary = format!("{changed} of {compared} combinations of answers change");
    for (what, names) in [("asks", added_questions), ("no longer asks", removed_questions)] {
        if !names.is_empty() {
            summary.push_str(&format!("; it {what} {}", names.join(", ")));
        }
    }
    summary
}

fn remarks(difference: &SurveyDifference) -> Vec<String> {
    let mut remarks = Vec::new();
    for ChangedAskWhen { question, before, after } in &difference.changed_ask_when {
        let when = |condition: &Option<String>| {
            condition.as_ref().map_or("always asked".to_owned(), |it| format!("asked if {it}"))
        };
        remarks.push(format!("question {question}: {} → {}", when(before), when(after)));
    }
    if let more @ 1.. = difference.rows.len().saturating_sub(ROWS_MAX) {
        remarks.push(format!("… and {more} more rows: --output json has all"));
    }
    if !difference.not_compared.is_empty() {
        let names = difference.not_compared.join(", ");
        remarks.push(format!("too many combinations: compared without an answer to {names}"));
    }
    if !difference.sampled.is_empty() {
        remarks.push(format!("compared with samples of text: {}", difference.sampled.join(", ")));
    }
    remarks
}

fn answers(row: &ChangedRow) -> String {
    let given: Vec<String> =
        row.answers.iter().map(|given| format!("{} = {}", given.name, given.is)).collect();
    if given.is_empty() { "whatever is answered".to_owned() } else { given.join("; ") }
}

fn outcome_after(changed: &ChangedSubmission) -> String {
    let other_notes = if changed.other_notes { ", other notes" } else { "" };
    format!("{}{other_notes}", changed.after)
}

fn stored_summary(stored: &Stored) -> String {
    let Stored { compared, changed, by_survey, purged, examples } = stored;
    let mut summary = format!("{changed} of {compared} submissions come to something else");
    let counts: Vec<String> = by_survey.iter().map(|(name, it)| format!("{name} {it}")).collect();
    if !counts.is_empty() {
        summary.push_str(&format!(" ({})", counts.join(", ")));
    }
    if *purged > 0 {
        summary.push_str(&format!("; {purged} more have no answers any more"));
    }
    if *changed > examples.len() as u64 {
        summary.push_str(&format!("; the latest {}:", examples.len()));
    }
    summary
}

/// A stored note may hold what a caller said: it must not break out of its cell.
fn cell(text: &str) -> String {
    plain(text).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace('`', "\\`")
}
