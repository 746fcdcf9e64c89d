use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::environment::StoreSummary;
use super::scenarios::{Ending, Scenario};
use crate::cli::table::Table;
use crate::submission::{State, StateCounts};

/// What became of every call, as the store has it and as the simulator received it.
pub(super) struct DemoSummary {
    lines: Vec<Line>,
    webhooks: usize,
    totals: StateCounts,
    settled: bool,
}

struct Line {
    call: String,
    caller: String,
    answers: String,
    store: String,
    received: String,
    ok: bool,
}

impl DemoSummary {
    /// `received` holds what the simulator accepted, by call.
    pub fn new(
        scenarios: Vec<Scenario>,
        answers: Vec<Vec<String>>,
        store: StoreSummary,
        received: BTreeMap<String, Vec<Value>>,
        settled: bool,
    ) -> Self {
        let webhooks = answers.iter().map(Vec::len).sum();
        let lines = scenarios
            .into_iter()
            .zip(answers)
            .map(|(scenario, answers)| {
                let received = received.get(&scenario.call).map(Vec::as_slice).unwrap_or_default();
                line(&scenario, &answers, &store, received)
            })
            .collect();
        Self { lines, webhooks, totals: store.totals, settled }
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What is not as it should be; nothing where all is ok.
    pub fn open(&self) -> Vec<String> {
        let calls = self.lines.iter().filter(|line| !line.ok);
        let mut open: Vec<String> =
            calls.map(|line| format!("{} ({})", line.call, line.store)).collect();
        if !self.settled {
            open.push(format!("{} submissions are not settled", self.totals.waiting()));
        }
        if !self.totals.balance() {
            open.push("the state counts do not balance".to_owned());
        }
        open
    }
}

fn line(scenario: &Scenario, answers: &[String], store: &StoreSummary, received: &[Value]) -> Line {
    let row = store
        .rows
        .iter()
        .find(|row| row.call.as_ref().is_some_and(|call| call.as_str() == scenario.call));
    let kept: Option<Value> =
        row.and_then(|row| serde_json::from_str(row.document.delivered.as_ref()?.as_str()).ok());
    let last = match received {
        [] => None,
        [once] => Some(once),
        _ => received.last(),
    };
    let ended_ok = match (&scenario.ending, row.map(|row| row.state), &kept, last) {
        (Ending::Rejected, None, None, None) => true,
        (Ending::Ignored(reason), Some(State::Ignored(why)), None, None) => why.label() == *reason,
        (Ending::Delivered { rating, issues }, Some(State::Delivered), Some(kept), Some(last)) => {
            let same = ["rating", "issues", "notes"].into_iter().all(|key| alike(kept, last, key));
            same && received.len() == 1
                && last["rating"] == *rating
                && list(&last["issues"]) == *issues
        }
        _ => false,
    };
    Line {
        call: scenario.call.clone(),
        caller: scenario.caller.clone(),
        answers: answers.join(", "),
        store: row.map_or("nothing".to_owned(), |row| match row.state.reason() {
            None => row.state.label().to_owned(),
            Some(reason) => format!("{}: {reason}", row.state.label()),
        }),
        received: last.map_or("nothing".to_owned(), |last| {
            format!("{} {}", last["rating"], list(&last["issues"]).join(" "))
        }),
        ok: ended_ok && is_as_asked(scenario, answers),
    }
}

/// A key that is left out, empty or null says the same.
fn alike(kept: &Value, last: &Value, key: &str) -> bool {
    let plain = |value: &Value| match &value[key] {
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::String(text) if text.is_empty() => Value::Null,
        other => other.clone(),
    };
    plain(kept) == plain(last)
}

fn list(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .map(|items| items.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

impl fmt::Display for DemoSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["CALL", "THE CALLER", "ANSWERED", "STORED", "AT PLIVO", ""];
        let mut table = Table::with_head(head);
        for Line { call, caller, answers, store, received, ok } in &self.lines {
            let ok = if *ok { "ok" } else { "NOT SO" }.to_owned();
            let cells = [call, caller, answers, store, received].map(String::clone);
            table.add(cells.into_iter().chain([ok]).collect());
        }
        table.to_string().lines().try_for_each(|line| writeln!(f, "  {line}"))?;
        let StateCounts { accepted, collecting, pending, delivered, ignored, dead, discarded } =
            self.totals;
        writeln!(
            f,
            "\n{} calls, {} webhooks. {accepted} accepted = {collecting} collecting + {pending} pending + \
             {delivered} delivered + {ignored} ignored + {dead} dead + {discarded} discarded: {}",
            self.lines.len(),
            self.webhooks,
            if self.totals.balance() {
                "the state counts balance."
            } else {
                "the state counts do NOT balance."
            }
        )
    }
}

/// Whether what the sender received is what the scene asks for.
fn is_as_asked(scenario: &Scenario, answers: &[String]) -> bool {
    scenario.steps.iter().map(|step| step.answer).eq(answers.iter().map(String::as_str))
}
