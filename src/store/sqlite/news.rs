//! What a hook brings that was not known of its submission.

use rusqlite::{Connection, Result};

use super::answers;
use super::columns::kept;
use super::told::{Fact, Hearing};
use crate::domain::{Answer, WebhookId};
use crate::store::contract::Arrival;
use crate::submission::{
    AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, MergeResult, RecordedAnswer,
};

#[derive(Default)]
pub(super) struct News {
    /// Answers that were not heard before.
    added: Vec<RecordedAnswer>,
    /// Answers that were heard before, and are said again where the last one counts.
    again: Vec<RecordedAnswer>,
    /// Answers that were heard before, but from hooks that came later: these.
    earlier: Vec<(WebhookId, RecordedAnswer)>,
    told: Vec<Fact>,
    told_earlier: Vec<Fact>,
    last_counts: bool,
    /// There is a second, different answer in the domain of a question.
    pub changed: bool,
    /// Where the last answer counts: for some question another one does than before.
    pub counts: bool,
}

impl News {
    /// Adds what the hook reports to what is known; times are compared as they are kept.
    pub fn hear(heard: &mut Answers, arrival: &Arrival) -> Self {
        let (received_at, hook) = (kept(arrival.hook.received_at), arrival.hook.id);
        let last_counts = arrival.completion.changed_answers() != ChangedAnswerPolicy::KeepFirst;
        let mut news = Self { last_counts, ..Self::default() };
        for reported in &arrival.report.answers {
            news.add(
                heard,
                RecordedAnswer::new(reported.clone(), received_at, hook),
                &*arrival.completion,
            );
        }
        for fact in Fact::all_of(&arrival.report, received_at, hook) {
            match fact.tell(heard) {
                Hearing::New => news.told.push(fact),
                Hearing::Earlier => news.told_earlier.push(fact),
                Hearing::Known => {}
            }
        }
        news
    }

    fn add(
        &mut self,
        heard: &mut Answers,
        said: RecordedAnswer,
        completion: &dyn CompletionPolicy,
    ) {
        let last_counts = self.last_counts;
        let before = last_counts.then(|| counting(heard, &said.question, completion)).flatten();
        let changed = heard.is_changed_by(&said, completion);
        let known_by = heard
            .recorded()
            .find(|known| known.question == said.question && known.answer == said.answer)
            .map(|known| known.hook);
        match (heard.hear(said.clone()), known_by) {
            (MergeResult::EarlierRepeat, Some(known_by)) => {
                self.earlier.push((known_by, said));
                return;
            }
            (MergeResult::New, _) => {
                self.changed |= changed;
                self.added.push(said.clone());
            }
            (MergeResult::LaterRepeat, _) if last_counts => self.again.push(said.clone()),
            _ => return,
        }
        self.counts |= last_counts && counting(heard, &said.question, completion) != before;
    }

    /// Whether there is anything that was not known; said again is new where it counts again.
    pub fn is_any(&self) -> bool {
        !self.added.is_empty() || !self.told.is_empty() || (!self.again.is_empty() && self.counts)
    }

    /// Whether there is anything beside answers that was not known.
    pub fn tells(&self) -> bool {
        !self.told.is_empty()
    }

    /// Whether something that was known came earlier by this hook.
    pub fn comes_earlier(&self) -> bool {
        !self.earlier.is_empty() || !self.told_earlier.is_empty()
    }

    pub fn keep(&self, connection: &Connection, seq: i64, late: bool) -> Result<()> {
        for said in &self.added {
            answers::keep(connection, seq, said, late)?;
        }
        for said in &self.again {
            answers::say_again(connection, seq, said, late)?;
        }
        self.told.iter().try_for_each(|fact| fact.keep(connection, seq, late))
    }

    /// As [`move_earlier`](Self::move_earlier), once what is late counts after all.
    pub fn keep_earlier_late(&self, connection: &Connection, seq: i64) -> Result<()> {
        for (_, said) in &self.earlier {
            answers::keep(connection, seq, said, true)?;
        }
        self.told_earlier.iter().try_for_each(|fact| fact.keep(connection, seq, true))
    }

    /// What was known from later hooks is known from this one.
    pub fn move_earlier(&self, connection: &Connection, seq: i64) -> Result<()> {
        for (known_by, said) in &self.earlier {
            answers::move_earlier(connection, seq, *known_by, said, self.last_counts)?;
        }
        self.told_earlier.iter().try_for_each(|fact| fact.keep(connection, seq, false))
    }
}

/// The answer in the domain that counts for a question.
fn counting(heard: &Answers, question: &str, completion: &dyn CompletionPolicy) -> Option<Answer> {
    let standing = |answer: &Answer| completion.validity(question, answer);
    let (said, standing) = heard.best(question, standing, completion.changed_answers())?;
    (standing == AnswerValidity::InDomain).then(|| said.answer.clone())
}
