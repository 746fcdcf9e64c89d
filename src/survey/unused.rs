use std::collections::BTreeSet;

use super::Survey;
use super::replies::Replies;
use crate::domain::Name;

/// Parts of a survey that nothing uses, by their places in the definition.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unused {
    pub questions: Vec<usize>,
    pub fields: Vec<usize>,
}

impl Survey {
    /// The questions whose answers change nothing, and the fields that nothing looks at. `replies` are
    /// those of the sources that ask this survey.
    pub fn unused<'a>(&self, replies: impl IntoIterator<Item = &'a Replies>) -> Unused {
        let book = &self.book;
        let mut used: BTreeSet<usize> = book.scale.iter().map(|scale| scale.of).collect();
        used.extend(book.issues.choices.iter().map(|choice| choice.of));
        used.extend(book.rules.iter().flat_map(|rule| rule.when.looks_at()));
        let asked_when = book.questions.iter().filter_map(|question| question.ask_when.as_ref());
        used.extend(asked_when.flat_map(|condition| condition.looks_at()));
        let own_notes = book.rules.iter().filter_map(|rule| rule.then.notes());
        let notes = book.notes.iter().chain(own_notes);
        used.extend(notes.flat_map(|notes| notes.template().looks_at()));
        used.extend(replies.into_iter().flat_map(Replies::looks_at));
        let questions = book.names.questions();
        let is_label = |field: &Name| book.labels.contains(field) || book.insights.contains(field);
        let labels = book.fields.iter().enumerate().filter(|(_, field)| is_label(field));
        used.extend(labels.map(|(at, _)| questions + at));
        let is_unused = |at: &usize| !used.contains(at);
        Unused {
            questions: (0..questions).filter(is_unused).collect(),
            fields: (questions..book.names.len())
                .filter(is_unused)
                .map(|at| at - questions)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Issue;
    use crate::survey::samples::*;
    use crate::survey::{Definition, RatingDefinition, ReplyDefinition, RuleDefinition};

    #[test]
    fn unused_questions_and_fields_are_those_that_nothing_looks_at() {
        let names = ["score", "problem", "reason", "solved", "shown", "noted", "unused"];
        let mut questions = names.map(|name| asked(name, &["1-5"])).to_vec();
        questions[1].ask_when = Some("solved == 1".to_owned());
        let mut definition = Definition {
            fields: vec![name("campaign"), name("queue"), name("from")],
            rating: Some(RatingDefinition::new(name("score"))),
            rules: vec![RuleDefinition {
                notes: Some("{{ noted }}".to_owned()),
                ..rule("campaign == 'test'")
            }],
            notes: notes("{{ shown }}"),
            ..Definition::new(questions)
        };
        definition.issues.choices = vec![choice("reason", "1", Issue::Echo)];
        let by_queue = Definition { labels: vec![name("queue")], ..definition.clone() };
        let unused = Survey::compile(by_queue).unwrap().unused([]);
        assert_eq!(unused.fields, [2], "a label is used");
        let survey = Survey::compile(definition).unwrap();
        let unused = survey.unused([]);
        assert_eq!(unused, Unused { questions: vec![1, 6], fields: vec![1, 2] });
        let reply = |when: Option<&str>, xml: &str| ReplyDefinition {
            when: when.map(str::to_owned),
            xml: xml.to_owned(),
        };
        let replies = [
            reply(Some("answered.problem"), "<Response/>"),
            reply(None, "<Response>{{ queue }}</Response>"),
        ];
        let replies = survey.replies(&replies, &|_| Ok(())).unwrap();
        let unused = survey.unused([&replies]);
        assert_eq!(unused, Unused { questions: vec![6], fields: vec![2] });
    }
}
