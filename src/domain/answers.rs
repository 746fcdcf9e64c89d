use jiff::Timestamp;

use super::HookId;

/// The name of a question as a hook gave it; it may be one that the survey does not have.
pub type Question = String;

/// What a caller answered, as the text that was produced; never a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// No answer is an answer: the caller was asked and said nothing.
    Silence,
    Given(String),
}

/// How an answer counts for its question; a later variant beats an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    Silence,
    OutsideDomain,
    InDomain,
}

/// One distinct thing a caller said about one question, and when it was first heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub question: Question,
    pub answer: Answer,
    pub received_at: Timestamp,
    pub hook: HookId,
}

/// All distinct things that one caller said about one call. What follows from them depends on
/// nothing but their content and the times of arrival, never on the order in which they were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    /// In order of arrival: time, then hook id.
    said: Vec<Said>,
}

/// What hearing one more answer meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    New,
    /// The same question and answer were heard before.
    Repeat,
    /// Heard before, but this arrival is the earlier one: its time is the one that counts.
    EarlierRepeat,
}

/// When a submission is ready to be mapped, as its survey sees it. The store asks this at each
/// new answer, inside its transaction.
pub trait Completion: Send + Sync {
    fn standing(&self, question: &str, answer: &Answer) -> Standing;

    /// `answers` holds at least one.
    fn due(&self, answers: &Answers) -> Due;
}

/// When a submission may be mapped and sent, given what was said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Every question has an answer in its domain.
    pub complete: bool,
    pub at: Timestamp,
}

impl Answers {
    pub fn hear(&mut self, said: Said) -> Heard {
        let known = self
            .said
            .iter()
            .position(|known| known.question == said.question && known.answer == said.answer);
        let heard = match known {
            None => Heard::New,
            Some(at) if said.order() < self.said[at].order() => {
                self.said.remove(at);
                Heard::EarlierRepeat
            }
            Some(_) => return Heard::Repeat,
        };
        let at = self.said.partition_point(|known| known.order() < said.order());
        self.said.insert(at, said);
        heard
    }

    /// In order of arrival.
    pub fn said(&self) -> impl Iterator<Item = &Said> {
        self.said.iter()
    }

    pub fn len(&self) -> usize {
        self.said.len()
    }

    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// When something was last said that had not been said before.
    pub fn last_new_at(&self) -> Option<Timestamp> {
        self.said.last().map(|said| said.received_at)
    }

    /// The answer that counts for a question: one in the domain beats one outside it, which beats
    /// silence; among equals the first that arrived.
    pub fn best<'a>(
        &'a self,
        question: &str,
        standing: impl Fn(&Answer) -> Standing,
    ) -> Option<(&'a Said, Standing)> {
        let mut best: Option<(&Said, Standing)> = None;
        for said in self.said.iter().filter(|said| said.question == question) {
            let standing = standing(&said.answer);
            if best.is_none_or(|(_, so_far)| standing > so_far) {
                best = Some((said, standing));
            }
        }
        best
    }

    /// Whether `said` is a second, different answer in the domain of its question: a caller, or a
    /// sender, that changed its mind.
    pub fn is_changed_by(&self, said: &Said, completion: &dyn Completion) -> bool {
        let counts =
            |answer: &Answer| completion.standing(&said.question, answer) == Standing::InDomain;
        counts(&said.answer)
            && self.said.iter().any(|known| {
                known.question == said.question
                    && known.answer != said.answer
                    && counts(&known.answer)
            })
    }
}

impl Said {
    fn order(&self) -> (Timestamp, HookId) {
        (self.received_at, self.hook)
    }
}

impl FromIterator<Said> for Answers {
    fn from_iter<I: IntoIterator<Item = Said>>(iter: I) -> Self {
        let mut answers = Answers::default();
        for said in iter {
            answers.hear(said);
        }
        answers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn said(second: i64, hook: u128, text: &str) -> Said {
        Said {
            question: "score".into(),
            answer: if text.is_empty() { Answer::Silence } else { Answer::Given(text.into()) },
            received_at: Timestamp::from_second(second).unwrap(),
            hook: HookId(Uuid::from_u128(hook)),
        }
    }

    fn one_to_five(answer: &Answer) -> Standing {
        match answer {
            Answer::Silence => Standing::Silence,
            Answer::Given(text) if matches!(text.as_str(), "1" | "2" | "3" | "4" | "5") => {
                Standing::InDomain
            }
            Answer::Given(_) => Standing::OutsideDomain,
        }
    }

    #[test]
    fn a_caller_who_is_silent_then_wrong_then_right_has_answered() {
        let answers: Answers = [said(1, 1, ""), said(2, 2, "7"), said(3, 3, "4"), said(4, 4, "2")]
            .into_iter()
            .collect();
        let (best, standing) = answers.best("score", one_to_five).unwrap();
        assert_eq!(
            (best.answer.clone(), standing),
            (Answer::Given("4".into()), Standing::InDomain)
        );
    }

    #[test]
    fn a_repeat_moves_nothing() {
        let mut answers: Answers = [said(1, 1, "4")].into_iter().collect();
        assert_eq!(answers.hear(said(9, 9, "4")), Heard::Repeat);
        assert_eq!(answers.last_new_at(), Timestamp::from_second(1).ok());
    }

    proptest! {
        #[test]
        fn the_order_in_which_hooks_are_kept_changes_nothing(
            spoken in prop::collection::vec((0i64..5, prop::sample::select(vec!["", "1", "4", "7", "9"])), 1..12)
                .prop_flat_map(|spoken| (Just(spoken.clone()), Just(spoken).prop_shuffle())),
        ) {
            // A hook's id goes with its time and text, whatever the order in which it is kept.
            let keep = |spoken: &[(i64, &str)]| -> Answers {
                spoken.iter().map(|(second, text)| said(*second, *second as u128, text)).collect()
            };
            let (in_order, shuffled) = (keep(&spoken.0), keep(&spoken.1));
            prop_assert_eq!(in_order.last_new_at(), shuffled.last_new_at());
            prop_assert_eq!(
                in_order.best("score", one_to_five).map(|(said, standing)| (said.received_at, standing)),
                shuffled.best("score", one_to_five).map(|(said, standing)| (said.received_at, standing))
            );
        }
    }
}
