//! `playground`: the child process in which the console tries rules out. It reads one request as JSON from
//! standard input and prints one result, by the code of `check`, `test` and `explain`.
//!
//! It bounds itself before it reads anything, opens no file, and its parent ends it after two seconds.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::Failure;
use super::check::{decision_table, proof_notes};
use super::explain::{Arrived, Explained, Message};
use super::preview::{Preview, Previewed, Trust};
use super::test::{ending_lines, fault_of_webhook, parse_webhooks, source_of};
use crate::admin::{
    After, DecisionTable, PlaygroundFault, PlaygroundPart, PlaygroundRequest, PlaygroundResult,
    PlaygroundStep, StoredCall,
};
use crate::app;
use crate::http::this_program;
use crate::settings::{Context, Cursor, Diagnostic, Environment, Settings, SettingsError};
use crate::submission::{Mapper, SubmissionKey};

#[derive(Debug, Args)]
pub(super) struct Playground {
    /// It is bounded already
    #[arg(long)]
    bounded: bool,
}

/// Longest request that is read, in bytes: 200 submissions with their answers, and the rules.
const REQUEST_MAX: u64 = 64 * 1024 * 1024;

/// Most memory and processor time of the process.
const MEMORY_MAX: u64 = 256 * 1024 * 1024;
const CPU_SECONDS_MAX: u64 = 2;

impl Playground {
    pub(super) fn run(self) -> Result<(), Failure> {
        if !self.bounded {
            bound().map_err(io::Error::from)?;
            // The allocator has reserved more by now than may be used: it has to start within the bounds.
            let program = this_program()?;
            return Err(Command::new(program).args(["playground", "--bounded"]).exec().into());
        }
        let mut text = Vec::new();
        io::stdin().take(REQUEST_MAX).read_to_end(&mut text)?;
        let request: PlaygroundRequest =
            serde_json::from_slice(&text).map_err(anyhow::Error::from)?;
        #[cfg(feature = "flaws")]
        misbehave(&request.rules);
        let result = tried(&request)
            .unwrap_or_else(|faults| PlaygroundResult { faults, ..PlaygroundResult::default() });
        let result = serde_json::to_string(&result).map_err(anyhow::Error::from)?;
        Ok(writeln!(io::stdout(), "{result}")?)
    }
}

fn bound() -> rustix::io::Result<()> {
    let limit = |most, maximum| Rlimit { current: Some(most), maximum: Some(maximum) };
    // macOS has no such bound.
    if cfg!(target_os = "linux") {
        setrlimit(Resource::As, limit(MEMORY_MAX, MEMORY_MAX))?;
    }
    // The first bound ends it by SIGXCPU, which says why.
    setrlimit(Resource::Cpu, limit(CPU_SECONDS_MAX, CPU_SECONDS_MAX + 1))?;
    setrlimit(Resource::Core, limit(0, 0))
}

/// What rules cannot do, and the service has to survive all the same.
#[cfg(feature = "flaws")]
fn misbehave(rules: &str) {
    match rules.trim() {
        "flaw: endless" => loop {
            std::hint::spin_loop();
        },
        "flaw: asleep" => std::thread::sleep(std::time::Duration::from_secs(3600)),
        "flaw: panic" => panic!("as the test asks"),
        "flaw: memory" => {
            let mut all = Vec::new();
            loop {
                all.push(std::hint::black_box(vec![1u8; 1024 * 1024]));
            }
        }
        "flaw: output" => loop {
            let _ = io::stdout().write_all(&[b' '; 4096]);
        },
        _ => {}
    }
}

fn tried(request: &PlaygroundRequest) -> Result<PlaygroundResult, Vec<PlaygroundFault>> {
    let settings = settings(request)?;
    let tables = settings.surveys.iter().map(|(name, survey)| {
        let proof = survey.proof();
        let (head, rows) = decision_table(proof).into_parts();
        let notes = proof_notes(proof).collect();
        let survey = name.to_string();
        DecisionTable { survey, head, rows, more_rows: proof.more_rows, notes }
    });
    let (steps, case) = steps(&settings, &request.webhooks)?;
    Ok(PlaygroundResult {
        faults: Vec::new(),
        tables: tables.collect(),
        steps,
        case,
        calls: after(&settings, &request.calls),
    })
}

/// The rules with the sections that they need behind them, so that each line keeps its number.
fn settings(request: &PlaygroundRequest) -> Result<Settings, Vec<PlaygroundFault>> {
    let rules = &request.rules;
    let faults = |found: Vec<Diagnostic>| faults(PlaygroundPart::Rules, rules, found);
    let context = Context::of(None, Environment::default());
    if let Some(root) = context.parse(rules) {
        let cursor = Cursor::free(&root, &context);
        match cursor.table_of(&["surveys"]) {
            Some(_) if rules.trim_start().starts_with('{') => {
                cursor.fault::<()>("begin with a line `surveys:`");
            }
            Some(table) => {
                table.need("surveys", "the surveys to try out, by name");
            }
            None => {}
        }
    }
    let found = context.into_sorted();
    if !found.is_empty() {
        return Err(faults(found));
    }
    let first = rules.lines().find(|line| line.trim_start().starts_with("surveys"));
    let indent = first.map_or(0, |line| line.len() - line.trim_start().len());
    let mut text = rules.clone();
    for (section, value) in request.sections.as_object().into_iter().flatten() {
        text.push_str(&format!("\n{:indent$}{section}: {value}", ""));
    }
    let environment = Environment::default().without_secrets();
    Settings::from_yaml(&text, environment).map_err(|error| match error {
        SettingsError::Faults(found) => faults(found),
        other => vec![PlaygroundFault {
            part: PlaygroundPart::Rules,
            place: None,
            message: other.to_string(),
        }],
    })
}

/// What becomes of the webhooks, and the case of `postcall test` that says so.
fn steps(
    settings: &Settings,
    text: &str,
) -> Result<(Vec<PlaygroundStep>, Option<String>), Vec<PlaygroundFault>> {
    if text.trim().is_empty() {
        return Ok((Vec::new(), None));
    }
    let faults = |found| faults(PlaygroundPart::Webhooks, text, found);
    let webhooks = parse_webhooks(text).map_err(faults)?;
    let mut preview = Preview::of(settings);
    let mut explained = Explained::default();
    for step in &webhooks {
        let source = source_of(step, settings).map_err(|advice| {
            faults(fault_of_webhook(text, &format!("{}.source", step.path), advice))
        })?;
        let payload = step.payload(source.name.as_str());
        let received = preview.receive(source, &payload, step.at, Trust::Anybody);
        let message = &Message { payload, notes: Vec::new() };
        let from = String::new();
        let arrived = Arrived { from, source, message, at: step.at, tried: None };
        explained.webhook(arrived, &received, &preview);
    }
    explained.submissions(&mut preview, settings);
    let step = |(step, subject, text): (&str, String, String)| PlaygroundStep {
        step: step.to_owned(),
        subject,
        text,
    };
    let steps = explained.steps().into_iter().map(step).collect();
    Ok((steps, case(text, preview.submissions())))
}

/// The webhooks as a case, with what has just come of them.
fn case(webhooks: &str, submissions: &[Previewed]) -> Option<String> {
    let indented = |text: &str, by: &str| -> String {
        text.lines().map(|line| format!("{by}{line}\n")).collect()
    };
    let is_one = submissions.len() == 1;
    let expected = submissions.iter().map(|it| {
        let lines = ending_lines(it);
        match is_one {
            true => indented(&lines.join("\n"), "      "),
            false => {
                let lines = indented(&lines.join("\n"), "        ");
                format!("      - call: {}\n{lines}", it.key.call)
            }
        }
    });
    let expected: String = expected.collect();
    let webhooks = indented(webhooks.trim_end(), "      ");
    (!submissions.is_empty()).then(|| {
        format!(
            "cases:\n  - name: from the playground\n    webhooks:\n{webhooks}    expect:\n{expected}"
        )
    })
}

fn after(settings: &Settings, calls: &[StoredCall]) -> Vec<After> {
    let mapper = app::mapper(settings);
    let after = |it: &StoredCall| {
        let call = it.call.parse().ok()?;
        let key = SubmissionKey { account: it.account.clone(), survey: it.survey.clone(), call };
        Some(After::from(mapper.map(&key, &it.answers, None).mapping))
    };
    calls.iter().filter_map(after).collect()
}

/// Without a place if it is not in the text: then the other sections do not fit the rules.
fn faults(part: PlaygroundPart, text: &str, found: Vec<Diagnostic>) -> Vec<PlaygroundFault> {
    let lines = text.lines().count();
    let fault = |diagnostic: Diagnostic| {
        let place = diagnostic.location.as_ref().map(|it| (it.line, it.column));
        PlaygroundFault {
            part,
            place: place.filter(|(line, _)| *line <= lines),
            message: Diagnostic { location: None, ..diagnostic }.to_string(),
        }
    };
    found.into_iter().map(fault).collect()
}
