use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::{Answer, ExtractedAnswer, Name, Question, WebhookId};

/// How an answer counts for its question; a later variant beats an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnswerValidity {
    Silence,
    OutsideDomain,
    InDomain,
}

/// One distinct thing a caller said about one question, and when it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAnswer {
    pub question: Question,
    pub answer: Answer,
    /// Where it was found when it was first heard.
    pub reader: String,
    /// When it was first heard.
    pub received_at: Timestamp,
    /// The hook that first brought it.
    pub hook: WebhookId,
    /// When it was last heard; only a survey whose last answer counts looks at it.
    pub last_at: Timestamp,
}

/// All that is known of one call: the distinct things that its caller said, and what its hooks told
/// beside. What follows from it depends on nothing but its content and the times of arrival, never
/// on the order in which it was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// In order of arrival: time, then hook id, then question.
    said: Vec<RecordedAnswer>,
    fields: BTreeMap<Name, FieldValue>,
    hung_up_at: Option<Timestamp>,
    opted_out_at: Option<Timestamp>,
}

/// The value of a field, and the first hook that gave one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    pub value: String,
    pub received_at: Timestamp,
    pub hook: WebhookId,
}

/// What hearing one more answer meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeResult {
    New,
    /// The same question and answer were heard before, and neither earlier nor later than now.
    Repeat,
    /// Known, but this arrival is the earlier one: its time is the one that counts.
    EarlierRepeat,
    /// Known; where the last answer counts, this one is later.
    LaterRepeat,
}

/// Which of several different answers in the domain of a question counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChangedAnswerPolicy {
    /// The first that arrived.
    #[default]
    KeepFirst,
    /// The last that arrived before the submission was closed.
    KeepLast,
    /// The last; one that comes after the delivery is delivered too.
    Redeliver,
}

/// When a submission is ready to be mapped, as its survey sees it. The store asks this at each
/// new answer, inside its transaction.
pub trait CompletionPolicy: Send + Sync {
    fn validity(&self, question: &str, answer: &Answer) -> AnswerValidity;

    /// `answers` holds at least one thing that was heard.
    fn due(&self, answers: &Answers) -> DueTime;

    /// Which of several answers counts.
    fn changed_answers(&self) -> ChangedAnswerPolicy;
}

/// When a submission may be mapped and sent, given what was said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueTime {
    /// Every question has an answer in its domain.
    pub complete: bool,
    pub at: Timestamp,
}

impl RecordedAnswer {
    /// An answer as it arrived with a webhook.
    pub fn new(extracted: ExtractedAnswer, received_at: Timestamp, webhook: WebhookId) -> Self {
        let ExtractedAnswer { question, answer, reader } = extracted;
        Self { question, answer, reader, received_at, hook: webhook, last_at: received_at }
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
            ChangedAnswerPolicy::KeepFirst => "first",
            ChangedAnswerPolicy::KeepLast => "last",
            ChangedAnswerPolicy::Redeliver => "resend",
        }
    }
}

impl Answers {
    pub fn hear(&mut self, mut said: RecordedAnswer) -> MergeResult {
        let known = self
            .said
            .iter()
            .position(|known| known.question == said.question && known.answer == said.answer);
        let heard = match known {
            None => MergeResult::New,
            Some(at) if said.order() < self.said[at].order() => {
                let known = self.said.remove(at);
                said.last_at = said.last_at.max(known.last_at);
                MergeResult::EarlierRepeat
            }
            Some(at) if said.last_at > self.said[at].last_at => {
                self.said[at].last_at = said.last_at;
                return MergeResult::LaterRepeat;
            }
            Some(_) => return MergeResult::Repeat,
        };
        let at = self.said.partition_point(|known| known.order() < said.order());
        self.said.insert(at, said);
        heard
    }

    /// The first hook that has a value for a field gives it; answers whether this one does.
    pub fn tell(&mut self, field: Name, told: FieldValue) -> bool {
        let is_first = self.fields.get(&field).is_none_or(|known| told.order() < known.order());
        if is_first {
            self.fields.insert(field, told);
        }
        is_first
    }

    /// The call ended; answers whether that was not known, or known to be later.
    pub fn hang_up(&mut self, at: Timestamp) -> bool {
        note_first(&mut self.hung_up_at, at)
    }

    /// The caller does not want to be asked; answers as [`hang_up`](Self::hang_up) does.
    pub fn opt_out(&mut self, at: Timestamp) -> bool {
        note_first(&mut self.opted_out_at, at)
    }

    /// In order of arrival.
    pub fn recorded(&self) -> impl Iterator<Item = &RecordedAnswer> {
        self.said.iter()
    }

    pub fn len(&self) -> usize {
        self.said.len()
    }

    /// Whether nothing was said; something may still have been told.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// By name.
    pub fn fields(&self) -> impl Iterator<Item = (&Name, &FieldValue)> {
        self.fields.iter()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|told| told.value.as_str())
    }

    pub fn hung_up_at(&self) -> Option<Timestamp> {
        self.hung_up_at
    }

    pub fn opted_out_at(&self) -> Option<Timestamp> {
        self.opted_out_at
    }

    /// When anything was first heard of the call.
    pub fn first_at(&self) -> Option<Timestamp> {
        let said = self.said.first().map(|said| said.received_at);
        [said, self.hung_up_at, self.opted_out_at].into_iter().flatten().min()
    }

    /// When something was last heard that had not been heard before.
    pub fn last_new_at(&self) -> Option<Timestamp> {
        let said = self.said.last().map(|said| said.received_at);
        [said, self.hung_up_at, self.opted_out_at].into_iter().flatten().max()
    }

    /// The answer that counts for a question: one in the domain beats one outside it, which beats
    /// silence; among equals the first that arrived, or in the domain the last where `changes` says
    /// so.
    pub fn best<'a>(
        &'a self,
        question: &str,
        standing: impl Fn(&Answer) -> AnswerValidity,
        changes: ChangedAnswerPolicy,
    ) -> Option<(&'a RecordedAnswer, AnswerValidity)> {
        let mut best: Option<(&RecordedAnswer, AnswerValidity)> = None;
        for said in self.said.iter().filter(|said| said.question == question) {
            let standing = standing(&said.answer);
            let counts = best.is_none_or(|(best, so_far)| {
                let is_last = changes != ChangedAnswerPolicy::KeepFirst
                    && standing == AnswerValidity::InDomain
                    && said.last_at >= best.last_at;
                standing > so_far || (standing == so_far && is_last)
            });
            if counts {
                best = Some((said, standing));
            }
        }
        best
    }

    /// Whether `said` is a second, different answer in the domain of its question: a caller, or a
    /// sender, that changed its mind.
    pub fn is_changed_by(&self, said: &RecordedAnswer, completion: &dyn CompletionPolicy) -> bool {
        let counts = |answer: &Answer| {
            completion.validity(&said.question, answer) == AnswerValidity::InDomain
        };
        counts(&said.answer)
            && self.said.iter().any(|known| {
                known.question == said.question
                    && known.answer != said.answer
                    && counts(&known.answer)
            })
    }
}

fn note_first(known: &mut Option<Timestamp>, at: Timestamp) -> bool {
    let is_first = known.is_none_or(|known| at < known);
    if is_first {
        *known = Some(at);
    }
    is_first
}

impl FieldValue {
    fn order(&self) -> (Timestamp, WebhookId) {
        (self.received_at, self.hook)
    }
}

impl RecordedAnswer {
    fn thing(&self) -> (&str, &Answer) {
        (&self.question, &self.answer)
    }

    /// What one hook said of several questions stands in the order of their names.
    fn order(&self) -> (Timestamp, WebhookId, &str) {
        (self.received_at, self.hook, &self.question)
    }
}

impl FromIterator<RecordedAnswer> for Answers {
    /// As if each had been heard, in whatever order. Late answers have no bound, so they are not
    /// compared each with each.
    fn from_iter<I: IntoIterator<Item = RecordedAnswer>>(iter: I) -> Self {
        let mut said = Vec::from_iter(iter);
        said.sort_by(|a, b| (a.thing(), a.order()).cmp(&(b.thing(), b.order())));
        said.dedup_by(|repeat, first| {
            let is_repeat = repeat.thing() == first.thing();
            if is_repeat {
                first.last_at = first.last_at.max(repeat.last_at);
            }
            is_repeat
        });
        said.sort_by(|a, b| a.order().cmp(&b.order()));
        Answers { said, ..Answers::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn said(second: i64, hook: u128, text: &str) -> RecordedAnswer {
        RecordedAnswer {
            question: "score".into(),
            answer: if text.is_empty() { Answer::Silence } else { Answer::Given(text.into()) },
            reader: "form:Digits".into(),
            received_at: Timestamp::from_second(second).unwrap(),
            hook: WebhookId(Uuid::from_u128(hook)),
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
    fn a_caller_who_is_silent_then_wrong_then_right_has_answered() {
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
    fn a_repeat_moves_nothing() {
        let mut answers: Answers = [said(1, 1, "4")].into_iter().collect();
        assert_eq!(answers.hear(said(1, 1, "4")), MergeResult::Repeat);
        assert_eq!(answers.hear(said(9, 9, "4")), MergeResult::LaterRepeat);
        assert_eq!(answers.last_new_at(), Timestamp::from_second(1).ok());
    }

    #[test]
    fn who_goes_back_to_the_first_answer_has_said_it_last() {
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
    fn the_first_hook_that_tells_a_field_decides_it() {
        let told = |second, value: &str| FieldValue {
            value: value.to_owned(),
            received_at: Timestamp::from_second(second).unwrap(),
            hook: WebhookId(Uuid::from_u128(second as u128)),
        };
        let field: Name = "campaign".parse().unwrap();
        let mut answers = Answers::default();
        assert!(answers.tell(field.clone(), told(2, "second")));
        assert!(answers.tell(field.clone(), told(1, "first")));
        assert!(!answers.tell(field, told(3, "third")));
        assert_eq!(answers.field("campaign"), Some("first"));
    }

    proptest! {
        #[test]
        fn what_is_read_together_is_what_was_heard_one_by_one(
            spoken in prop::collection::vec(
                (0i64..5, 0u128..3, prop::sample::select(vec!["", "1", "4"]), 0i64..9), 0..12,
            ),
        ) {
            let spoken: Vec<RecordedAnswer> = spoken
                .into_iter()
                .enumerate()
                .map(|(n, (second, hook, text, again))| {
                    let said = said(second, hook * 100 + n as u128, text);
                    let again = Timestamp::from_second(again).unwrap();
                    RecordedAnswer { last_at: said.received_at.max(again), ..said }
                })
                .collect();
            let mut one_by_one = Answers::default();
            for said in spoken.clone() {
                one_by_one.hear(said);
            }
            prop_assert_eq!(Answers::from_iter(spoken), one_by_one);
        }

        #[test]
        fn the_order_in_which_hooks_are_kept_changes_nothing(
            spoken in prop::collection::vec((0i64..5, prop::sample::select(vec!["", "1", "4", "7", "9"])), 1..12)
                .prop_flat_map(|spoken| (Just(spoken.clone()), Just(spoken).prop_shuffle())),
        ) {
            // A hook's id goes with its time and text, whatever the order in which it is kept.
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
