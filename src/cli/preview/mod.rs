//! A preview of what the service does with webhooks: verified, extracted, merged, mapped, all in
//! memory, by the transitions of [`submission`](crate::submission). No store, no network, and no clock
//! but that of the webhooks.

mod previewed;
mod rejection;
mod reply;

use jiff::Timestamp;
use uuid::Uuid;

use super::payload::Payload;
use crate::domain::{CallUuid, Extraction, IdempotencyKey, Name, Webhook, WebhookId};
use crate::settings::Settings;
use crate::source::{Rejection, Source, SourceReply, VerifiedWebhook};
use crate::submission::{Answers, Outcome, SubmissionKey};

pub(super) use previewed::Previewed;
pub(super) use rejection::PreviewRejection;
pub(super) use reply::Reply;

/// Webhooks that arrive one after another, none before the last one, and their submissions.
pub(super) struct Preview<'a> {
    settings: &'a Settings,
    /// In the order in which they were started.
    submissions: Vec<Previewed>,
    /// What senders called their webhooks, by source.
    known: Vec<(Name, IdempotencyKey)>,
    arrived: u128,
}

/// Whose webhooks are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Verified, as the service does.
    Signed,
    /// Not verified: a signature error is shown, and the webhook is mapped all the same.
    Anybody,
}

/// What became of one webhook.
pub(super) struct Received {
    /// Why the service does not believe its sender; it may have been read all the same.
    pub disbelieved: Option<Rejection>,
    /// What was read, or why nothing could be.
    pub understood: Result<Understood, PreviewRejection>,
    /// What its sender hears if it is believed, or not asked to be.
    pub reply: Reply,
    /// What its sender hears from the service, where that does not believe it.
    pub reply_in_earnest: Option<Reply>,
}

/// What a webhook was found to say.
pub(super) enum Understood {
    /// It is none of the source's business.
    Skipped,
    Kept(Kept),
}

/// A webhook that belongs to a submission.
pub(super) struct Kept {
    pub call: CallUuid,
    pub report: Extraction,
    /// What its sender calls it.
    pub id: Option<String>,
    pub outcome: Outcome,
    /// Of [`Preview::submissions`].
    pub submission: usize,
}

impl<'a> Preview<'a> {
    pub fn of(settings: &'a Settings) -> Self {
        Self { settings, submissions: Vec::new(), known: Vec::new(), arrived: 0 }
    }

    pub fn submissions(&self) -> &[Previewed] {
        &self.submissions
    }

    /// Lets a webhook arrive. What was due before is mapped first, and whatever comes of it is
    /// delivered at once.
    pub fn receive(
        &mut self,
        source: &Source,
        payload: &Payload,
        at: Timestamp,
        trust: Trust,
    ) -> Received {
        self.until(at);
        self.arrived += 1;
        let webhook = payload.webhook(WebhookId(Uuid::from_u128(self.arrived)), at);
        let (verified, disbelieved) = believed(source, webhook, trust);
        let understood = verified.and_then(|webhook| self.understand(source, &webhook));
        let to_rejected = |refusal: &PreviewRejection| {
            Reply::to_rejected(source.on_reject, &self.said(source, None), refusal)
        };
        let reply = match &understood {
            Ok(understood) => self.reply(source, understood),
            Err(refusal) => to_rejected(refusal),
        };
        let reply_in_earnest =
            disbelieved.clone().map(|rejected| to_rejected(&PreviewRejection::Source(rejected)));
        Received { disbelieved, understood, reply, reply_in_earnest }
    }

    /// Lets the time pass up to, not including, that moment.
    pub fn until(&mut self, now: Timestamp) {
        for submission in &mut self.submissions {
            submission.settle_before(now, self.settings);
        }
    }

    /// Lets all the time pass that anything waits for.
    pub fn finish(&mut self) {
        for submission in &mut self.submissions {
            submission.settle(self.settings);
        }
    }

    fn understand(
        &mut self,
        source: &Source,
        webhook: &VerifiedWebhook,
    ) -> Result<Understood, PreviewRejection> {
        let survey = &self.settings.surveys[&source.survey];
        let Some(reading) = source.read(webhook)? else { return Ok(Understood::Skipped) };
        let (call, identity) = (reading.call.clone(), reading.identity.clone());
        let report = reading.into_report(survey.first_question());
        let key = SubmissionKey {
            account: source.account.name.clone(),
            survey: source.survey.clone(),
            call: call.clone(),
        };
        let position = self.submissions.iter().position(|known| known.key == key);
        let submission = position.unwrap_or_else(|| {
            self.submissions.push(Previewed::new(key, survey.clone()));
            self.submissions.len() - 1
        });
        let outcome = if self.is_known(source, identity.as_ref())? {
            Outcome::Duplicate
        } else {
            self.submissions[submission].receive(&report, webhook.webhook())
        };
        let id = identity.map(|identity| identity.id);
        Ok(Understood::Kept(Kept { call, report, id, outcome, submission }))
    }

    /// Whether its sender has sent it before.
    fn is_known(
        &mut self,
        source: &Source,
        identity: Option<&IdempotencyKey>,
    ) -> Result<bool, PreviewRejection> {
        let Some(identity) = identity else { return Ok(false) };
        let known =
            self.known.iter().find(|(by, known)| *by == source.name && known.id == identity.id);
        match known {
            Some((_, known)) if known.digest == identity.digest => Ok(true),
            Some(_) => Err(PreviewRejection::Reused),
            None => {
                self.known.push((source.name.clone(), identity.clone()));
                Ok(false)
            }
        }
    }

    fn reply(&self, source: &Source, understood: &Understood) -> Reply {
        match understood {
            Understood::Skipped => Reply::to_skipped(&self.said(source, None)),
            Understood::Kept(kept) => {
                let submission = &self.submissions[kept.submission];
                let known = submission.submission.as_ref();
                let answers = known.map(|it| it.document.all_answers()).unwrap_or_default();
                let reply = self.said(source, Some(&answers));
                Reply::to_kept(&reply, submission, kept.outcome)
            }
        }
    }

    /// As the ingest says it: by what was answered so far, where the source has replies.
    fn said(&self, source: &Source, answers: Option<&Answers>) -> SourceReply {
        let spoken = self.settings.replies.get(&source.name).map(|replies| {
            let url = source.address();
            answers.map_or_else(|| replies.last(&url), |answers| replies.answer(answers, &url))
        });
        source.reply_with(spoken)
    }
}

/// The webhook with its sender believed, and why the service would not.
fn believed(
    source: &Source,
    webhook: Webhook,
    trust: Trust,
) -> (Result<VerifiedWebhook, PreviewRejection>, Option<Rejection>) {
    if webhook.headers.values("content-encoding").next().is_some() {
        return (Err(PreviewRejection::Encoded), None);
    }
    if webhook.body.len() > Webhook::BODY_MAX {
        return (Err(PreviewRejection::TooLarge), None);
    }
    match source.verify(webhook.clone()) {
        Ok(verified) => (Ok(verified), None),
        Err(rejected @ Rejection::Signature(_)) if trust == Trust::Anybody => {
            (source.believe(webhook).map_err(PreviewRejection::from), Some(rejected))
        }
        Err(rejected) => (Err(rejected.into()), None),
    }
}
