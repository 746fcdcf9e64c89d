use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{Attempt, AttemptResponse, Extraction, Verdict, Webhook};
use crate::settings::Settings;
use crate::submission::{
    Arrival, ClaimContext, ClaimOutcome, CompletionPolicy, Decision, DueTime, Outcome, Settlement,
    State, Submission, SubmissionKey,
};
use crate::survey::{Mapped, Survey};

/// A submission in memory, and what became of it where every attempt succeeds at once.
pub(in crate::cli) struct Previewed {
    pub key: SubmissionKey,
    pub survey: Arc<Survey>,
    /// `None` before the first webhook.
    pub submission: Option<Submission>,
    /// How it was mapped when it was last due.
    pub mapped: Option<Mapped>,
}

impl Previewed {
    pub(super) fn new(key: SubmissionKey, survey: Arc<Survey>) -> Self {
        Self { key, survey, submission: None, mapped: None }
    }

    pub(super) fn receive(&mut self, extraction: &Extraction, webhook: &Webhook) -> Outcome {
        let arrival = Arrival {
            id: self.key.id(),
            key: &self.key,
            extraction,
            received_at: webhook.received_at,
            webhook: webhook.id,
            trace: None,
        };
        Submission::receive(&mut self.submission, &arrival, &*self.survey).outcome
    }

    /// Delivers it if it is due before `now`.
    pub(super) fn settle_before(&mut self, now: Timestamp, settings: &Settings) {
        if self.submission.as_ref().is_some_and(|it| it.due_at < now) {
            self.settle(settings);
        }
    }

    /// Claims it, whenever it is due, and takes what is sent for delivered.
    pub(super) fn settle(&mut self, settings: &Settings) {
        let Some(submission) = self.submission.as_mut().filter(|it| it.state.is_waiting()) else {
            return;
        };
        let Mapped { mapping, trace } = self.survey.map(submission.answers());
        self.mapped = Some(Mapped { mapping: mapping.about(&self.key.call), trace });
        let at = submission.due_at;
        let context = ClaimContext {
            now: at,
            lease_until: Timestamp::MAX,
            paused_for: None,
            paused_in_all: std::time::Duration::ZERO,
            longest_wait: std::time::Duration::MAX,
            settings_may_differ: false,
        };
        let claimed = submission.claim(&context, &*crate::app::mapper(settings));
        if let ClaimOutcome::Started(claim) = claimed {
            let reply = AttemptResponse::default();
            let attempt = Attempt { verdict: Verdict::Accepted, reply, finished_at: at };
            let decision = Decision::Delivered;
            submission.settle(&Settlement { token: claim.token, attempt, decision });
        }
    }

    pub fn state(&self) -> State {
        self.submission.as_ref().map_or(State::Collecting, |it| it.state)
    }

    /// When it is due by the answers that count; `None` where nothing can be waited for.
    pub fn due(&self) -> Option<DueTime> {
        let answers = self.submission.as_ref()?.answers();
        answers.first_at()?;
        Some(self.survey.due(answers))
    }

    /// The answer that counts for a question as it was given; empty for silence.
    pub fn answer(&self, question: &str) -> Option<&str> {
        let answers = self.submission.as_ref()?.answers();
        let validity = |answer: &_| self.survey.validity(question, answer);
        let (best, _) = answers.best(question, validity, self.survey.changed_answers())?;
        Some(best.answer.text())
    }
}
