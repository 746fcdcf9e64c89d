use std::cell::LazyCell;
use std::sync::Arc;

use super::call_view::{CallView, What};
use super::definition::{Definition, DefinitionError, Incomplete, NoRatingPolicy, OnNoRating};
use super::insights::Insights;
use super::issues::IssueRules;
use super::labels::Labels;
use super::names::Scope;
use super::notes::Notes;
use super::question::{Question, Questions};
use super::rating::Scale;
use super::rules::{self, Rule, Then};
use super::trace::{Chosen, Counted, Counts, IssuesBy, Rated, Trace};
use crate::domain::{Feedback, Issues, Name, Rating};
use crate::submission::{Answers, ChangedAnswerPolicy, DeadReason, IgnoredReason, Mapping};

/// All that makes feedback of answers.
#[derive(Debug)]
pub struct CompiledSurvey {
    pub questions: Questions,
    pub fields: Vec<Name>,
    pub labels: Vec<Name>,
    pub insights: Vec<Name>,
    pub names: Arc<Scope>,
    pub scale: Option<Scale>,
    pub issues: IssueRules,
    pub rules: Vec<Rule>,
    pub notes: Option<Notes>,
    pub changes: ChangedAnswerPolicy,
    pub on_no_rating: NoRatingPolicy,
    incomplete: Incomplete,
}

impl CompiledSurvey {
    /// Of use only without a fault: there is one for each part that could not be read.
    pub fn compile(definition: &Definition, faults: &mut Vec<DefinitionError>) -> Self {
        let mut questions = Questions::compile(&definition.questions, faults);
        let paths = questions.iter().map(|question| (&question.name, question.path()));
        let types = questions.iter().map(|question| question.domain.value_type());
        let names = Scope::compile(paths, &definition.fields, faults).with_types(types);
        questions.compile_conditions(&definition.questions, &names, faults);
        Labels::check(&definition.labels, &definition.fields, faults);
        Insights::check(&definition.insights, &definition.fields, faults);
        let scale = definition.rating.as_ref();
        let scale = scale.and_then(|scale| Scale::compile(scale, &questions, faults));
        let issues = IssueRules::compile(&definition.issues, &questions, faults);
        let rules = rules::compile(&definition.rules, &definition.notes, &names, faults);
        Notes::check_length(&definition.notes, faults);
        let template = definition.notes.template.as_deref();
        let notes = template.and_then(|template| {
            Notes::compile(template, &definition.notes, &names, "notes", faults)
        });
        let rules_rate = definition.rules.iter().any(|rule| rule.rating.is_some());
        if definition.rating.is_none() && !rules_rate {
            let message = "nothing rates the call: say which question does, or let rules rate";
            faults.push(DefinitionError::at("rating", message));
        }
        Self {
            questions,
            fields: definition.fields.clone(),
            labels: definition.labels.clone(),
            insights: definition.insights.clone(),
            names: Arc::new(names),
            scale,
            issues,
            rules,
            notes,
            changes: definition.on_changed_answer,
            on_no_rating: definition.on_no_rating,
            incomplete: definition.complete.on_incomplete,
        }
    }

    pub fn call_view<'a>(&'a self, answers: &'a Answers) -> CallView<'a> {
        CallView::of(answers, &self.questions, &self.fields, self.changes)
    }

    /// Whether every question that applies is answered, or the caller does not want to be asked.
    pub fn is_complete(&self, call_view: &CallView<'_>) -> bool {
        if call_view.opted_out {
            return true;
        }
        let facts = LazyCell::new(|| call_view.facts(&self.names).into());
        // A condition that cannot be evaluated does not hold the call back for ever: it is asked
        // for, and the waiting ends all the same.
        let applies = |question: &Question| {
            question.ask_when.as_ref().is_none_or(|when| when.holds(&facts).unwrap_or(true))
        };
        self.questions.iter().enumerate().all(|(at, question)| {
            question.optional || call_view.is_answered(at) || !applies(question)
        })
    }

    /// What the answers about one call come to, and how. The same always come to the same.
    pub fn map(&self, answers: &Answers) -> (Mapping, Trace) {
        let call_view = self.call_view(answers);
        let mut trace = Trace { questions: self.counted(&call_view), ..Trace::default() };
        let unknown = answers.recorded().find(|said| self.questions.find(&said.question).is_none());
        let mapping = match unknown {
            Some(said) => Mapping::unmapped(format!(
                "the survey has no question {:?}",
                printable(&said.question)
            )),
            None => self.mapping(&call_view, &mut trace).unwrap_or_else(|outcome| outcome),
        };
        (mapping, trace)
    }

    /// `Err` is an outcome too: one that is reached before the end.
    fn mapping(&self, call_view: &CallView<'_>, trace: &mut Trace) -> Result<Mapping, Mapping> {
        let rule = self.speaking(call_view)?;
        trace.rule = rule.map(rules::path);
        let (own_rating, own_issues, own_notes) = match rule.map(|rule| &self.rules[rule].then) {
            Some(Then::Ignore(why)) => {
                let detail = Some(why.clone());
                return Err(Mapping::Ignore { reason: IgnoredReason::Rule, detail });
            }
            Some(Then::Tell { rating, issues, notes }) => {
                (*rating, issues.as_ref(), notes.as_ref())
            }
            None => (None, None, None),
        };
        let path = trace.rule.clone().unwrap_or_default();
        let rated = match own_rating {
            Some(rating) => Some(Rated { rating, by: path.clone() }),
            None => self.rate(call_view),
        };
        let Some(rated) = rated else { return Err(self.unrated(call_view, trace)) };
        let rating = trace.rating.insert(rated).rating;
        let issues = match own_issues {
            Some(issues) => {
                trace.issues = Some(IssuesBy::Rule).filter(|_| !issues.is_empty());
                issues.clone()
            }
            None => self.choose(rating, call_view, trace),
        };
        let (notes, by) = match own_notes {
            Some(notes) => (notes.as_ref(), format!("{path}.notes")),
            None => (self.notes.as_ref(), "notes".to_owned()),
        };
        let written = match notes {
            Some(notes) => notes
                .write(call_view.facts_for_a_template(&self.names).into())
                .map_err(|why| Mapping::unmapped(format!("the notes cannot be written: {why}")))?,
            None => String::new(),
        };
        trace.notes = Some(by).filter(|_| !written.is_empty());
        let feedback = Feedback::new(rating, issues, written)
            .map_err(|invalid| Mapping::unmapped(invalid.to_string()))?;
        if self.incomplete != Incomplete::Send && !self.is_complete(call_view) {
            trace.otherwise = Some("complete.on_incomplete".to_owned());
            return Err(match self.incomplete {
                Incomplete::Dead => Mapping::Dead {
                    reason: DeadReason::Incomplete,
                    detail: "not every question was answered in time".to_owned(),
                },
                _ => Mapping::Ignore { reason: IgnoredReason::Incomplete, detail: None },
            });
        }
        Ok(Mapping::Feedback(feedback))
    }

    /// The first rule that holds.
    fn speaking(&self, call_view: &CallView<'_>) -> Result<Option<usize>, Mapping> {
        if self.rules.is_empty() {
            return Ok(None);
        }
        let facts = call_view.facts(&self.names).into();
        for (at, rule) in self.rules.iter().enumerate() {
            let holds = rule.when.holds(&facts).map_err(|why| {
                Mapping::unmapped(format!("{}.when cannot be evaluated: {why}", rules::path(at)))
            });
            if holds? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn rate(&self, call_view: &CallView<'_>) -> Option<Rated> {
        let scale = self.scale.as_ref()?;
        let rating = scale.rate(call_view.answer(scale.of)?);
        Some(Rated { rating, by: scale.path.to_owned() })
    }

    fn choose(&self, rating: Rating, call_view: &CallView<'_>, trace: &mut Trace) -> Issues {
        let mut chosen = Issues::new();
        for choice in self.issues.choices.iter().filter(|choice| call_view.meets(choice)) {
            trace.choices.push(Chosen { choice: choice.path(), issue: choice.issue });
            chosen.insert(choice.issue);
        }
        let (issues, by) = if chosen.is_empty() && rating.requires_issue() {
            (self.issues.default.clone(), IssuesBy::Otherwise)
        } else if chosen.is_empty() {
            return chosen;
        } else if self.issues.sends_choices_at(rating) {
            (chosen, IssuesBy::Choices)
        } else {
            (Issues::new(), IssuesBy::DroppedAtFive)
        };
        trace.issues = Some(by);
        issues
    }

    fn unrated(&self, call_view: &CallView<'_>, trace: &mut Trace) -> Mapping {
        let (reason, fate, why) = self.why_unrated(call_view);
        trace.otherwise = Some(format!("on_no_rating.{}", reason.label()));
        match fate {
            OnNoRating::Ignore => Mapping::Ignore { reason, detail: None },
            OnNoRating::Dead => {
                Mapping::Dead { reason: DeadReason::Unrated, detail: why.to_owned() }
            }
        }
    }

    fn why_unrated(&self, call_view: &CallView<'_>) -> (IgnoredReason, OnNoRating, &'static str) {
        let NoRatingPolicy { no_answer, invalid_answer, no_score, hang_up, opt_out } =
            self.on_no_rating;
        let view = &call_view.questions;
        let rating = self.scale.as_ref().map(|scale| &view[scale.of].what);
        // Without a question that rates, what all of them have in common.
        let is = |what: What<'_>| match rating {
            Some(rating) => *rating == what,
            None => view.iter().any(|view| view.what == what),
        };
        let is_answered = view.iter().any(|view| matches!(view.what, What::Answer(_)));
        if call_view.opted_out {
            (IgnoredReason::OptedOut, opt_out, "the caller does not want to be asked")
        } else if call_view.is_untouched && call_view.hung_up {
            (IgnoredReason::HungUp, hang_up, "the caller hung up before anything was answered")
        } else if rating.is_none() && is_answered {
            (IgnoredReason::NoScore, no_score, "nothing that was answered rates the call")
        } else if is(What::Outside) {
            let why = "the question that rates the call was answered with nothing that it knows";
            (IgnoredReason::InvalidAnswer, invalid_answer, why)
        } else if is(What::Silence) {
            (
                IgnoredReason::NoAnswer,
                no_answer,
                "the question that rates the call was not answered",
            )
        } else {
            (IgnoredReason::NoScore, no_score, "the question that rates the call never came")
        }
    }

    fn counted(&self, call_view: &CallView<'_>) -> Vec<Counted> {
        let counted = self.questions.iter().zip(&call_view.questions).map(|(question, view)| {
            let (counted, answer) = match &view.what {
                What::Nothing => (Counts::Missing, None),
                What::Silence => (Counts::Silence, None),
                What::Outside => (Counts::Outside, None),
                What::OptOut => (Counts::OptOut, None),
                What::Answer(known) if known.at.is_some() => {
                    (Counts::Answer, Some(known.text.to_string()))
                }
                What::Answer(_) => (Counts::Text, None),
            };
            Counted {
                question: question.name.to_string(),
                reader: Some(view.reader.to_owned()).filter(|reader| !reader.is_empty()),
                counted,
                answer,
            }
        });
        counted.collect()
    }
}

/// A name that came from outside, fit for a log line: short, and nothing that moves a cursor.
fn printable(text: &str) -> String {
    text.chars()
        .take(Name::LENGTH_MAX)
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .collect()
}
