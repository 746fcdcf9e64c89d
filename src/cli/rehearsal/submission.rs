use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{Extraction, Feedback, Webhook};
use crate::store::Outcome;
use crate::submission::{
    AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DueTime, FieldValue,
    MergeResult, RecordedAnswer, State, SubmissionKey,
};
use crate::survey::{Mapped, Mapping, Survey};

/// All that one caller answered to one survey about one call, and what became of it.
pub(in crate::cli) struct Submission {
    pub key: SubmissionKey,
    pub survey: Arc<Survey>,
    /// What counts.
    pub answers: Answers,
    /// With what came late.
    pub heard: Answers,
    pub state: State,
    /// `None` before anything was heard.
    pub due: Option<DueTime>,
    /// How it was mapped when it was last due.
    pub mapped: Option<Mapped>,
    /// What the destination was told, each time.
    pub told: Vec<Feedback>,
}

impl Submission {
    pub(super) fn new(key: SubmissionKey, survey: Arc<Survey>) -> Self {
        Self {
            key,
            survey,
            answers: Answers::default(),
            heard: Answers::default(),
            state: State::Collecting,
            due: None,
            mapped: None,
            told: Vec::new(),
        }
    }

    /// As the ledger does it, where every attempt succeeds at once.
    pub(super) fn hear(&mut self, report: &Extraction, hook: &Webhook) -> Outcome {
        let changes = self.survey.changed_answers();
        let before = self.heard.clone();
        let mut is_new = merge(&mut self.heard, report, hook);
        let counts =
            changes != ChangedAnswerPolicy::KeepFirst && self.counts_otherwise(&before, report);
        is_new |= counts;
        let is_closed = self.state == State::Delivered;
        if is_closed && !(changes == ChangedAnswerPolicy::Redeliver && counts) {
            return if is_new { Outcome::Late } else { Outcome::Repeat };
        }
        // What came late counts after all once something is sent again.
        self.answers = self.heard.clone();
        let is_first = self.due.is_none();
        if is_new || self.state.is_waiting() {
            let due = self.due_by(hook);
            self.due = Some(due);
            let is_told = !self.told.is_empty();
            self.state = if due.complete || is_told { State::Pending } else { State::Collecting };
        }
        match (is_first, is_new) {
            (true, _) => Outcome::New,
            (false, true) => Outcome::Added,
            (false, false) => Outcome::Repeat,
        }
    }

    /// What only gives values to fields says nothing that could be waited for.
    fn due_by(&self, hook: &Webhook) -> DueTime {
        match self.answers.first_at() {
            Some(_) => self.survey.due(&self.answers),
            None => DueTime { complete: false, at: hook.received_at },
        }
    }

    pub(super) fn settle_before(&mut self, now: Timestamp) {
        if self.due.is_some_and(|due| due.at < now) {
            self.settle();
        }
    }

    /// Maps what waits; feedback is taken for delivered.
    pub(super) fn settle(&mut self) {
        if !self.state.is_waiting() {
            return;
        }
        let mapped = self.survey.map(&self.answers);
        self.state = match &mapped.mapping {
            Mapping::Feedback(feedback) => {
                self.told.push(feedback.clone());
                State::Delivered
            }
            Mapping::Ignore { reason, .. } => State::Ignored(*reason),
            Mapping::Dead { reason, .. } => State::Dead(*reason),
        };
        self.mapped = Some(mapped);
    }

    /// The answer that counts for a question as it was given; empty for silence.
    pub fn answer(&self, question: &str) -> Option<&str> {
        self.counting(&self.answers, question).map(|(text, _)| text)
    }

    /// Whether another answer in the domain of a question counts than before.
    fn counts_otherwise(&self, before: &Answers, report: &Extraction) -> bool {
        let in_domain =
            |(_, standing): &(&str, AnswerValidity)| *standing == AnswerValidity::InDomain;
        report.answers.iter().any(|reported| {
            let counting = |answers| self.counting(answers, &reported.question).filter(in_domain);
            counting(&self.heard) != counting(before)
        })
    }

    fn counting<'a>(
        &self,
        answers: &'a Answers,
        question: &str,
    ) -> Option<(&'a str, AnswerValidity)> {
        let standing = |answer: &_| self.survey.validity(question, answer);
        let (said, standing) = answers.best(question, standing, self.survey.changed_answers())?;
        Some((super::text(&said.answer), standing))
    }
}

/// Answers whether anything of it was not heard before.
fn merge(answers: &mut Answers, report: &Extraction, hook: &Webhook) -> bool {
    let (at, id) = (hook.received_at, hook.id);
    let mut is_new = false;
    for reported in &report.answers {
        is_new |= answers.hear(RecordedAnswer::new(reported.clone(), at, id)) == MergeResult::New;
    }
    for (name, value) in &report.fields {
        let told = FieldValue { value: value.clone(), received_at: at, hook: id };
        is_new |= answers.tell(name.clone(), told);
    }
    if report.hung_up {
        is_new |= answers.hang_up(at);
    }
    if report.opted_out {
        is_new |= answers.opt_out(at);
    }
    is_new
}
