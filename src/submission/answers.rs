use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::microsecond as micros;
use serde::{Deserialize, Serialize};

use crate::domain::{Answer, ExtractedAnswer, Extraction, Name, Question, WebhookId};

/// How many distinct answers, and bytes of text, a submission has from which on nothing more is merged;
/// as much again is recorded as late.
const ANSWERS_MAX: usize = 256;
const TEXT_MAX: usize = 256 * 1024;

/// Validity of an answer for its question; a later variant beats an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnswerValidity {
    Silence,
    OutsideDomain,
    InDomain,
}

/// One distinct answer to one question, and when it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedAnswer {
    pub question: Question,
    pub answer: Answer,
    /// Where in the webhook it was found when it first arrived, such as `form:Digits`.
    pub reader: String,
    /// When it first arrived.
    #[serde(with = "micros::required")]
    pub received_at: Timestamp,
    /// The webhook that first brought it.
    pub webhook: WebhookId,
    /// When it last arrived; never earlier than `received_at`. Only a survey whose last answer counts
    /// looks at it.
    #[serde(with = "micros::required")]
    pub last_at: Timestamp,
}

/// Everything known of one call: the distinct answers of its caller, fields, hang-up and opt-out.
///
/// What follows from it depends on its content and the times of arrival alone, never on the order in
/// which the webhooks were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// In order of arrival: time, then webhook id, then question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recorded: Vec<RecordedAnswer>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<Name, FieldValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hung_up: Option<Fact>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opted_out: Option<Fact>,
}

/// The value of a field, and the first webhook that gave one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldValue {
    pub value: String,
    #[serde(with = "micros::required")]
    pub received_at: Timestamp,
    pub webhook: WebhookId,
}

/// The first webhook that reported something of a call that has no value: a hang-up, an opt-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    #[serde(with = "micros::required")]
    pub received_at: Timestamp,
    pub webhook: WebhookId,
}

/// Result of merging one more answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeResult {
    New,
    /// The same question and answer are known, and arrived neither earlier nor later.
    Duplicate,
    /// Known, but this arrival is the earlier one: its time counts.
    Earlier,
    /// Known; where the last answer counts, this arrival is later.
    Later,
}

/// Which of several different answers in the domain of a question counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChangedAnswerPolicy {
    /// The first that arrived.
    #[default]
    KeepFirst,
    /// The last that arrived before the submission was closed.
    KeepLast,
    /// The last; one that arrives after the delivery is delivered too.
    Redeliver,
}

/// A survey's policy of when a submission is complete and due. It is evaluated at each new answer, inside
/// the transaction that keeps it.
pub trait CompletionPolicy: Send + Sync {
    fn validity(&self, question: &str, answer: &Answer) -> AnswerValidity;

    /// `answers` holds at least one answer, hang-up or opt-out.
    fn due(&self, answers: &Answers) -> DueTime;

    fn changed_answers(&self) -> ChangedAnswerPolicy;
}

/// When a submission may be mapped and sent, given the answers so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueTime {
    /// Every question that applies has an answer in its domain.
    pub complete: bool,
    pub at: Timestamp,
}

impl RecordedAnswer {
    /// An answer as it arrived with a webhook.
    pub fn new(extracted: ExtractedAnswer, received_at: Timestamp, webhook: WebhookId) -> Self {
        let ExtractedAnswer { question, answer, reader } = extracted;
        Self { question, answer, reader, received_at, webhook, last_at: received_at }
    }

    fn content(&self) -> (&str, &Answer) {
        (&self.question, &self.answer)
    }

    /// Answers of one webhook are ordered by the names of their questions.
    fn order(&self) -> (Timestamp, WebhookId, &str) {
        (self.received_at, self.webhook, &self.question)
    }
}

impl ChangedAnswerPolicy {
    pub const ALL: [ChangedAnswerPolicy; 3] = [
        ChangedAnswerPolicy::KeepFirst,
        ChangedAnswerPolicy::KeepLast,
        ChangedAnswerPolicy::Redeliver,
    ];

    pub fn label(self) -> &'static str {
        match self {
            ChangedAnswerPolicy::KeepFirst => "keep_first",
            ChangedAnswerPolicy::KeepLast => "keep_last",
            ChangedAnswerPolicy::Redeliver => "redeliver",
        }
    }

    /// Whether the last answer counts.
    pub fn keeps_last(self) -> bool {
        self != ChangedAnswerPolicy::KeepFirst
    }
}

impl Answers {
    /// Merges one answer, whose last arrival is noted.
    pub fn record(&mut self, answer: RecordedAnswer) -> MergeResult {
        self.record_for(true, answer)
    }

    /// Merges one answer. Where the last answer does not count, only its first arrival is noted.
    fn record_for(&mut self, keeps_last: bool, mut answer: RecordedAnswer) -> MergeResult {
        let known = self.recorded.iter().position(|known| known.content() == answer.content());
        let result = match known {
            None => MergeResult::New,
            Some(at) if answer.order() < self.recorded[at].order() => {
                let known = self.recorded.remove(at);
                if keeps_last {
                    answer.last_at = answer.last_at.max(known.last_at);
                }
                MergeResult::Earlier
            }
            Some(at) if answer.last_at > self.recorded[at].last_at => {
                if keeps_last {
                    self.recorded[at].last_at = answer.last_at;
                }
                return MergeResult::Later;
            }
            Some(_) => return MergeResult::Duplicate,
        };
        let at = self.recorded.partition_point(|known| known.order() < answer.order());
        self.recorded.insert(at, answer);
        result
    }

    /// Sets a field unless an earlier webhook did; returns whether it was set.
    pub fn set_field(&mut self, field: Name, value: FieldValue) -> bool {
        let is_first = self.fields.get(&field).is_none_or(|known| value.order() < known.order());
        if is_first {
            self.fields.insert(field, value);
        }
        is_first
    }

    /// Records that the call ended; returns whether that was unknown, or known to be later.
    pub fn hang_up(&mut self, fact: Fact) -> bool {
        keep_first(&mut self.hung_up, fact)
    }

    /// Records that the caller does not want to be asked; returns as [`hang_up`](Self::hang_up) does.
    pub fn opt_out(&mut self, fact: Fact) -> bool {
        keep_first(&mut self.opted_out, fact)
    }

    /// Merges everything that another value holds.
    pub fn merge(&mut self, other: &Answers, policy: ChangedAnswerPolicy) {
        // Each of the new ones would be compared with all that are known: hundreds, if someone floods a call.
        let known: HashSet<_> = self.recorded.iter().map(RecordedAnswer::content).collect();
        let (known, new): (Vec<_>, Vec<_>) =
            other.recorded.iter().partition(|answer| known.contains(&answer.content()));
        self.recorded.extend(new.into_iter().cloned());
        self.recorded.sort_by(|one, other| one.order().cmp(&other.order()));
        for answer in known {
            self.record_for(policy.keeps_last(), answer.clone());
        }
        for (name, value) in &other.fields {
            self.set_field(name.clone(), value.clone());
        }
        other.hung_up.map(|fact| self.hang_up(fact));
        other.opted_out.map(|fact| self.opt_out(fact));
    }

    /// The answers, in order of arrival.
    pub fn recorded(&self) -> impl Iterator<Item = &RecordedAnswer> {
        self.recorded.iter()
    }

    pub fn len(&self) -> usize {
        self.recorded.len()
    }

    /// Whether there is no answer; there may still be a field, a hang-up or an opt-out.
    pub fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    /// Whether there is nothing at all.
    pub fn is_blank(&self) -> bool {
        self.recorded.is_empty()
            && self.fields.is_empty()
            && self.hung_up.is_none()
            && self.opted_out.is_none()
    }

    /// Whether so much is merged that nothing more is.
    pub fn is_full(&self) -> bool {
        self.len() >= ANSWERS_MAX || self.text_bytes() >= TEXT_MAX
    }

    /// Bytes of text in answers and fields.
    pub fn text_bytes(&self) -> usize {
        let answers = self.recorded.iter().map(|known| known.answer.text().len());
        answers.chain(self.fields.values().map(|field| field.value.len())).sum()
    }

    /// Fields by name.
    pub fn fields(&self) -> impl Iterator<Item = (&Name, &FieldValue)> {
        self.fields.iter()
    }

    /// The values of all fields, by name.
    pub fn field_values(&self) -> BTreeMap<Name, String> {
        self.fields().map(|(name, field)| (name.clone(), field.value.clone())).collect()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|field| field.value.as_str())
    }

    pub fn hung_up(&self) -> Option<Fact> {
        self.hung_up
    }

    pub fn opted_out(&self) -> Option<Fact> {
        self.opted_out
    }

    pub fn hung_up_at(&self) -> Option<Timestamp> {
        self.hung_up.map(|fact| fact.received_at)
    }

    pub fn opted_out_at(&self) -> Option<Timestamp> {
        self.opted_out.map(|fact| fact.received_at)
    }

    /// When the first answer, hang-up or opt-out arrived.
    pub fn first_at(&self) -> Option<Timestamp> {
        let first = self.recorded.first().map(|known| known.received_at);
        [first, self.hung_up_at(), self.opted_out_at()].into_iter().flatten().min()
    }

    /// When the last new answer, hang-up or opt-out arrived.
    pub fn last_new_at(&self) -> Option<Timestamp> {
        let last = self.recorded.last().map(|known| known.received_at);
        [last, self.hung_up_at(), self.opted_out_at()].into_iter().flatten().max()
    }

    /// When the caller last gave something new, or something that counts again.
    pub fn last_heard_at(&self) -> Option<Timestamp> {
        self.recorded.iter().map(|known| known.last_at).max().max(self.last_new_at())
    }

    /// The answer that counts for a question: one in the domain beats one outside it, which beats
    /// silence; among equals the first that arrived, or in the domain the last where `policy` says so.
    pub fn best<'a>(
        &'a self,
        question: &str,
        validity: impl Fn(&Answer) -> AnswerValidity,
        policy: ChangedAnswerPolicy,
    ) -> Option<(&'a RecordedAnswer, AnswerValidity)> {
        let mut best: Option<(&RecordedAnswer, AnswerValidity)> = None;
        for candidate in self.recorded.iter().filter(|known| known.question == question) {
            let validity = validity(&candidate.answer);
            let counts = best.is_none_or(|(best, so_far)| {
                let is_last = policy.keeps_last()
                    && validity == AnswerValidity::InDomain
                    && candidate.last_at >= best.last_at;
                validity > so_far || (validity == so_far && is_last)
            });
            if counts {
                best = Some((candidate, validity));
            }
        }
        best
    }

    /// The answer in the domain that counts for a question.
    pub fn counting(&self, question: &str, policy: &dyn CompletionPolicy) -> Option<&Answer> {
        let validity = |answer: &Answer| policy.validity(question, answer);
        let (best, validity) = self.best(question, validity, policy.changed_answers())?;
        (validity == AnswerValidity::InDomain).then_some(&best.answer)
    }

    /// Whether an answer is a second, different one in the domain of its question: a caller, or a
    /// sender, that changed its mind.
    fn is_changed_by(&self, answer: &RecordedAnswer, policy: &dyn CompletionPolicy) -> bool {
        let is_valid =
            |it: &Answer| policy.validity(&answer.question, it) == AnswerValidity::InDomain;
        let mut others = self
            .recorded
            .iter()
            .filter(|known| known.question == answer.question && known.answer != answer.answer);
        is_valid(&answer.answer) && others.any(|known| is_valid(&known.answer))
    }
}

/// What a webhook brings that was not known of its call.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Answers, fields and facts that were unknown, and answers given again where the last counts.
    pub new: Answers,
    /// What was known, but from later webhooks.
    pub earlier: Answers,
    /// There is something in `new` that counts as new: an answer that is only given again does where
    /// it counts again.
    pub is_any: bool,
    /// There is something in `new` that was unknown.
    pub is_first: bool,
    /// A second, different answer in the domain of a question.
    pub changed: bool,
    /// Where the last answer counts: for some question another answer does than before.
    pub counts: bool,
}

impl News {
    /// Merges an extraction into `known` and returns what was news.
    pub fn merge(
        known: &mut Answers,
        extraction: &Extraction,
        fact: Fact,
        policy: &dyn CompletionPolicy,
    ) -> Self {
        let mut news = Self::default();
        for extracted in &extraction.answers {
            let answer = RecordedAnswer::new(extracted.clone(), fact.received_at, fact.webhook);
            news.merge_answer(known, answer, policy);
        }
        for (name, value) in &extraction.fields {
            let was_known = known.field(name.as_str()) == Some(value);
            let value = FieldValue {
                value: value.clone(),
                received_at: fact.received_at,
                webhook: fact.webhook,
            };
            let is_first = known.set_field(name.clone(), value.clone());
            news.sort_in(is_first, was_known, |to| to.set_field(name.clone(), value.clone()));
        }
        if extraction.hung_up {
            let was_known = known.hung_up.is_some();
            news.sort_in(known.hang_up(fact), was_known, |to| to.hang_up(fact));
        }
        if extraction.opted_out {
            let was_known = known.opted_out.is_some();
            news.sort_in(known.opt_out(fact), was_known, |to| to.opt_out(fact));
        }
        news
    }

    fn merge_answer(
        &mut self,
        known: &mut Answers,
        answer: RecordedAnswer,
        policy: &dyn CompletionPolicy,
    ) {
        let keeps_last = policy.changed_answers().keeps_last();
        let counting = |known: &Answers| known.counting(&answer.question, policy).cloned();
        let before = if keeps_last { counting(known) } else { None };
        let changed = known.is_changed_by(&answer, policy);
        match known.record_for(keeps_last, answer.clone()) {
            MergeResult::New => {
                self.changed |= changed;
                self.is_any = true;
                self.is_first = true;
            }
            MergeResult::Later if keeps_last => {}
            MergeResult::Earlier => {
                self.earlier.record(answer);
                return;
            }
            MergeResult::Later | MergeResult::Duplicate => return,
        }
        self.counts |= keeps_last && counting(known) != before;
        self.is_any |= self.counts;
        self.new.record(answer);
    }

    fn sort_in(&mut self, is_first: bool, was_known: bool, add: impl Fn(&mut Answers) -> bool) {
        match (is_first, was_known) {
            (false, _) => {}
            (true, true) => {
                add(&mut self.earlier);
            }
            (true, false) => {
                add(&mut self.new);
                self.is_any = true;
                self.is_first = true;
            }
        }
    }
}

fn keep_first(known: &mut Option<Fact>, fact: Fact) -> bool {
    let order = |fact: &Fact| (fact.received_at, fact.webhook);
    let is_first = known.as_ref().is_none_or(|known| order(&fact) < order(known));
    if is_first {
        *known = Some(fact);
    }
    is_first
}

impl FieldValue {
    fn order(&self) -> (Timestamp, WebhookId) {
        (self.received_at, self.webhook)
    }
}

impl FromIterator<RecordedAnswer> for Answers {
    /// As if each had been recorded, in whatever order.
    fn from_iter<I: IntoIterator<Item = RecordedAnswer>>(iter: I) -> Self {
        let mut answers = Answers::default();
        for answer in iter {
            answers.record(answer);
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn said(second: i64, webhook: u128, text: &str) -> RecordedAnswer {
        RecordedAnswer {
            question: "score".into(),
            answer: if text.is_empty() { Answer::Silence } else { Answer::Given(text.into()) },
            reader: "form:Digits".into(),
            received_at: Timestamp::from_second(second).unwrap(),
            webhook: WebhookId(Uuid::from_u128(webhook)),
            last_at: Timestamp::from_second(second).unwrap(),
        }
    }

    fn one_to_five(answer: &Answer) -> AnswerValidity {
        match answer {
            Answer::Silence => AnswerValidity::Silence,
            Answer::Given(text) if matches!(text.as_str(), "1" | "2" | "3" | "4" | "5") => {
                AnswerValidity::InDomain
            }
            Answer::Given(_) => AnswerValidity::OutsideDomain,
        }
    }

    #[test]
    fn an_answer_in_the_domain_beats_silence_and_one_outside_it() {
        let answers: Answers = [said(1, 1, ""), said(2, 2, "7"), said(3, 3, "4"), said(4, 4, "2")]
            .into_iter()
            .collect();
        let (best, standing) =
            answers.best("score", one_to_five, ChangedAnswerPolicy::KeepFirst).unwrap();
        assert_eq!(
            (best.answer.clone(), standing),
            (Answer::Given("4".into()), AnswerValidity::InDomain)
        );
    }

    #[test]
    fn a_duplicate_moves_nothing() {
        let mut answers: Answers = [said(1, 1, "4")].into_iter().collect();
        assert_eq!(answers.record(said(1, 1, "4")), MergeResult::Duplicate);
        assert_eq!(answers.record(said(9, 9, "4")), MergeResult::Later);
        assert_eq!(answers.last_new_at(), Timestamp::from_second(1).ok());
    }

    #[test]
    fn going_back_to_the_first_answer_makes_it_the_last() {
        let answers: Answers = [said(1, 1, "4"), said(2, 2, "2"), said(3, 3, "4"), said(4, 4, "7")]
            .into_iter()
            .collect();
        for (changes, expected) in [
            (ChangedAnswerPolicy::KeepFirst, "4"),
            (ChangedAnswerPolicy::KeepLast, "4"),
            (ChangedAnswerPolicy::Redeliver, "4"),
        ] {
            let (best, _) = answers.best("score", one_to_five, changes).unwrap();
            assert_eq!(best.answer, Answer::Given(expected.into()), "{changes:?}");
        }
        let answers: Answers = [said(1, 1, "4"), said(2, 2, "2")].into_iter().collect();
        let (best, _) = answers.best("score", one_to_five, ChangedAnswerPolicy::KeepLast).unwrap();
        assert_eq!(best.answer, Answer::Given("2".into()));
    }

    #[test]
    fn the_first_webhook_with_a_field_decides_it() {
        let value = |second, value: &str| FieldValue {
            value: value.to_owned(),
            received_at: Timestamp::from_second(second).unwrap(),
            webhook: WebhookId(Uuid::from_u128(second as u128)),
        };
        let field: Name = "campaign".parse().unwrap();
        let mut answers = Answers::default();
        assert!(answers.set_field(field.clone(), value(2, "second")));
        assert!(answers.set_field(field.clone(), value(1, "first")));
        assert!(!answers.set_field(field, value(3, "third")));
        assert_eq!(answers.field("campaign"), Some("first"));
    }

    proptest! {
        #[test]
        fn the_order_of_merging_changes_no_answer(
            spoken in prop::collection::vec((0i64..5, prop::sample::select(vec!["", "1", "4", "7", "9"])), 1..12)
                .prop_flat_map(|spoken| (Just(spoken.clone()), Just(spoken).prop_shuffle())),
        ) {
            // A webhook's id goes with its time and text, whatever the order in which it is kept.
            let keep = |spoken: &[(i64, &str)]| -> Answers {
                let id = |second: i64, text: &str| {
                    second as u128 * 256 + u128::from(text.bytes().next().unwrap_or_default())
                };
                spoken.iter().map(|(second, text)| said(*second, id(*second, text), text)).collect()
            };
            let (in_order, shuffled) = (keep(&spoken.0), keep(&spoken.1));
            prop_assert_eq!(in_order.last_new_at(), shuffled.last_new_at());
            for changes in ChangedAnswerPolicy::ALL {
                let best = |answers: &Answers| {
                    let best = answers.best("score", one_to_five, changes);
                    best.map(|(said, standing)| (said.clone(), standing))
                };
                prop_assert_eq!(best(&in_order), best(&shuffled));
            }
        }
    }
}
