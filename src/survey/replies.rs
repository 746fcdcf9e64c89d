use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::{AutoEscape, Value};

use super::call_view::CallView;
use super::compiled::CompiledSurvey;
use super::condition::Condition;
use super::definition::DefinitionError;
use super::language::{Format, Template};
use super::names::EvalContext;
use super::proof;
use super::reply::{Reply, URL, path};
use crate::submission::Answers;

/// What a sender hears in answer to its webhook, by all that was answered so far: the next question,
/// or goodbye. The first whose condition holds is given.
#[derive(Debug)]
pub struct Replies {
    book: Arc<CompiledSurvey>,
    /// At least one; only the last is without a condition.
    replies: Vec<Reply>,
}

/// A reply as an operator wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyDefinition {
    /// An expression over questions and fields; the last reply has none.
    pub when: Option<String>,
    /// A template: `{{ url }}` is what the source calls, `{{ score }}` what was answered.
    pub xml: String,
}

/// Maximum replies of one source.
const REPLIES_MAX: usize = 32;
const FORMAT: Format = Format { also: &[URL], escape: AutoEscape::Html, length_max: 4096 };
/// The reply if everything else fails: nothing more is done on the call.
const NOTHING: &str = "<Response/>";

impl Replies {
    pub(super) fn compile(
        definitions: &[ReplyDefinition],
        book: &Arc<CompiledSurvey>,
        check: &dyn Fn(&str) -> Result<(), String>,
    ) -> Result<Self, Vec<DefinitionError>> {
        let mut faults = Vec::new();
        if !(1..=REPLIES_MAX).contains(&definitions.len()) {
            let message = format!("a source has 1 to {REPLIES_MAX} replies");
            return Err(vec![DefinitionError::at("replies", message)]);
        }
        if book.names.find(URL).is_some() {
            let message = "in replies url is what the source calls: rename the question or field";
            faults.push(DefinitionError::at("replies", message));
        }
        let last = definitions.len() - 1;
        let mut replies = Vec::new();
        for (at, ReplyDefinition { when, xml }) in definitions.iter().enumerate() {
            let path = path(at);
            let when_path = format!("{path}.when");
            match when {
                Some(_) if at == last => {
                    let message = "the last reply is for all else: leave its condition out";
                    faults.push(DefinitionError::at(&when_path, message));
                }
                None if at < last => {
                    let message = "only the last reply is without a condition: say when";
                    faults.push(DefinitionError::at(&when_path, message));
                }
                _ => {}
            }
            let compiled = when
                .as_ref()
                .map(|when| Condition::compile(when, &book.names, &when_path, &mut faults));
            let xml_path = format!("{path}.xml");
            let xml = Template::compile(xml, &book.names, &FORMAT, &xml_path, &mut faults);
            if let Some(xml) = xml {
                replies.push(Reply { when: compiled.flatten(), xml });
            }
        }
        if faults.is_empty() {
            proof::check_replies(book, &replies, check, &mut faults);
        }
        if faults.is_empty() { Ok(Self { book: Arc::clone(book), replies }) } else { Err(faults) }
    }

    /// Places of the names that they look at.
    pub(super) fn looks_at(&self) -> BTreeSet<usize> {
        let conditions = self.replies.iter().filter_map(|reply| reply.when.as_ref());
        let conditions = conditions.flat_map(Condition::looks_at);
        conditions.chain(self.replies.iter().flat_map(|it| it.xml.looks_at().clone())).collect()
    }

    /// `url` is what the source calls.
    pub fn answer(&self, answers: &Answers, url: &str) -> String {
        self.answer_if(answers, url, |_, _| true)
    }

    /// As [`answer`](Self::answer), if earlier answers of the call may be known elsewhere: what is not
    /// here and may have come before is no reason for a reply, and the last one is given instead.
    pub fn answer_in_part(&self, answers: &Answers, url: &str) -> String {
        self.answer_if(answers, url, |call_view, name| call_view.is_decided(name))
    }

    fn answer_if(
        &self,
        answers: &Answers,
        url: &str,
        is_decided: impl Fn(&CallView<'_>, usize) -> bool,
    ) -> String {
        let call_view = self.book.call_view(answers);
        self.speaking(&call_view, |name| is_decided(&call_view, name))
            .and_then(|reply| {
                let facts = call_view.facts_for_a_template(&self.book.names);
                reply.write(facts, url)
            })
            .unwrap_or_else(|| self.last(url))
    }

    /// The one for all else, of a call that nothing is known of: what a webhook hears that is refused.
    pub fn last(&self, url: &str) -> String {
        let facts =
            EvalContext::for_a_template(&self.book.names, vec![None; self.book.names.len()]);
        let last = self.replies.last().and_then(|last| last.write(facts, url));
        last.unwrap_or_else(|| NOTHING.to_owned())
    }

    /// None if a condition cannot be evaluated, which the proof has not thought of, or looks at a name
    /// that is not decided.
    fn speaking(
        &self,
        call_view: &CallView<'_>,
        is_decided: impl Fn(usize) -> bool,
    ) -> Option<&Reply> {
        let facts = Value::from(call_view.facts(&self.book.names));
        for reply in &self.replies {
            if !reply.when.iter().flat_map(Condition::looks_at).all(&is_decided) {
                return None;
            }
            let holds = reply.when.as_ref().map_or(Ok(true), |when| when.holds(&facts));
            if holds.ok()? {
                return Some(reply);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::*;
    use crate::survey::{Definition, RatingDefinition, Survey};

    const URL: &str = "https://surveys.example.com/hooks/ivr";

    fn survey() -> Survey {
        let questions = vec![asked("score", &["1-5"]), asked("problem", &["1-3"]), text("comment")];
        let definition = Definition {
            fields: vec![name("from")],
            rating: Some(RatingDefinition::new(name("score"))),
            ..Definition::new(questions)
        };
        Survey::compile(definition).unwrap()
    }

    fn well_formed(document: &str) -> Result<(), String> {
        let parsed = roxmltree::Document::parse(document);
        parsed.map(|_| ()).map_err(|error| error.to_string())
    }

    fn reply(when: &str, xml: &str) -> ReplyDefinition {
        let when = Some(when.to_owned()).filter(|when| !when.is_empty());
        ReplyDefinition { when, xml: xml.to_owned() }
    }

    fn compile(replies: &[ReplyDefinition]) -> Result<Replies, Vec<String>> {
        let compiled = survey().replies(replies, &well_formed);
        compiled.map_err(|faults| faults.iter().map(DefinitionError::to_string).collect())
    }

    /// What was wrong is asked only below 5.
    fn two_questions() -> [ReplyDefinition; 3] {
        [
            reply(
                "not answered.score",
                r#"<Response><GetDigits action="{{ url }}?question=score"/></Response>"#,
            ),
            reply(
                "score < 5 and not answered.problem",
                r#"<Response><GetDigits action="{{ url }}?question=problem&amp;n=1"/></Response>"#,
            ),
            reply(
                "",
                "<Response><Speak>Thank you{% if score == 5 %} so much{% endif %}.</Speak></Response>",
            ),
        ]
    }

    #[test]
    fn each_answer_leads_to_the_next_question() {
        let replies = compile(&two_questions()).unwrap();
        for (said, expected) in [
            (&[][..], "question=score"),
            (&[("score", "7")], "question=score"),
            (&[("score", "4")], "question=problem"),
            (&[("score", "4"), ("problem", "1")], "Thank you."),
            (&[("score", "5")], "Thank you so much."),
        ] {
            let reply = replies.answer(&answers(said), URL);
            assert!(reply.contains(expected), "{said:?}: {reply}");
        }
        assert!(replies.answer(&answers(&[]), URL).contains(&format!("{URL}?question=score")));
        assert_eq!(replies.last(URL), "<Response><Speak>Thank you.</Speak></Response>");
    }

    #[test]
    fn an_earlier_answer_that_may_be_known_elsewhere_decides_nothing() {
        let replies = compile(&two_questions()).unwrap();
        for (said, expected) in [
            (&[("score", "4")][..], "question=problem"),
            (&[("score", "4"), ("problem", "1")], "Thank you."),
            // The score was answered before, to another replica or to the database.
            (&[("problem", "1")], "Thank you."),
        ] {
            let reply = replies.answer_in_part(&answers(said), URL);
            assert!(reply.contains(expected), "{said:?}: {reply}");
        }
    }

    #[test]
    fn what_callers_say_cannot_break_the_document() {
        let shown =
            [reply("", "<Response><Speak a=\"{{ from }}\">{{ comment }}</Speak></Response>")];
        let replies = compile(&shown).unwrap();
        let answers = answers(&[("comment", "</Speak>&\u{1}\"'<Hangup/>\u{ffff}")]);
        let answers = with_field(answers, "from", "\"><");
        let reply = replies.answer(&answers, URL);
        let parsed = roxmltree::Document::parse(&reply).unwrap();
        let speak = parsed.root_element().first_element_child().unwrap();
        assert_eq!(speak.text(), Some("</Speak>&\"'<Hangup/>"));
        assert_eq!(speak.attribute("a"), Some("\"><"));
    }

    #[test]
    fn replies_that_are_never_used_or_invalid_are_faults() {
        let all = "<Response/>";
        for (replies, expected) in [
            (vec![], "replies: a source has 1 to 32 replies"),
            (vec![reply("score == 5", all)], "replies[0].when: the last reply is for all else"),
            (vec![reply("", all), reply("", all)], "replies[0].when: only the last reply"),
            (
                vec![reply("score < 3", all), reply("score == 1", all), reply("", all)],
                "replies[1]: never applies: wherever it holds, an earlier one does, such as \
                 replies[0] if score = 1",
            ),
            (vec![reply("score > 5", all), reply("", all)], "replies[0]: never holds"),
            (vec![reply("scroe", all), reply("", all)], "replies[0].when: there is no question"),
            (
                vec![reply("1 / (score - 2) > 0", all), reply("", all)],
                "replies[0].when: cannot be evaluated if score = 2: ",
            ),
            (vec![reply("", "<Response>")], "replies[0].xml: whatever is answered: "),
            (
                vec![reply("", "<Response>{% if score == 3 %}<a>{% endif %}</Response>")],
                "replies[0].xml: if score = 3: ",
            ),
            (
                vec![reply("", "{% autoescape false %}<a>{{ from }}</a>{% endautoescape %}")],
                "replies[0].xml: leave autoescape out",
            ),
            (
                vec![reply(
                    "",
                    "<a>{% if from | length > 99 %}{% autoescape none %}{{ from }}{% endautoescape %}{% endif %}</a>",
                )],
                "replies[0].xml: leave autoescape out",
            ),
            (
                vec![reply("", "<a>{{ from | safe }}</a>")],
                "replies[0].xml: if nothing is answered: unknown filter",
            ),
            (vec![reply("", "<a>{{ scroe }}</a>")], "replies[0].xml: there is no question"),
            (vec![reply("", "<a>{{ 1 / score }}</a>")], "replies[0].xml: if nothing is answered: "),
        ] {
            let faults = compile(&replies).unwrap_err();
            assert!(faults[0].starts_with(expected), "{faults:?}");
        }
        // Where it is given there is a score.
        let sure = [reply("answered.score", "<a>{{ 1 / score }}</a>"), reply("", all)];
        assert!(compile(&sure).is_ok());
    }

    #[test]
    fn no_reply_is_deep_enough_to_exhaust_the_stack() {
        for (open, inner, close) in [("(", "1", ")"), ("", "score", "|upper"), ("not ", "1", "")] {
            let times = (FORMAT.length_max - 20) / (open.len() + close.len());
            let xml = format!("{{{{ {}{inner}{} }}}}", open.repeat(times), close.repeat(times));
            // Whether it is taken or refused: it comes back.
            let _ = compile(&[reply("", &xml)]);
        }
    }
}
