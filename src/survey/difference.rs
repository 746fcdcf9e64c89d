use std::collections::BTreeSet;
use std::fmt;

use indexmap::IndexMap;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::Survey;
use super::definition::OnNoRating;
use super::proof::{self, Given, Sample, Variable};
use super::question::Question;
use crate::domain::{Answer, ExtractedAnswer, Feedback, Name, WebhookId};
use crate::submission::{Answers, Fact, FieldValue, Mapping, RecordedAnswer};

/// The answers that two versions of a survey map to something else.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SurveyDifference {
    /// How many combinations of answers were compared, and how many of them come to something else.
    pub compared: u64,
    pub changed: u64,
    /// What changes. A combination of which several things change, such as rating and issues, is in a
    /// row for each of them.
    pub rows: Vec<ChangedRow>,
    /// Questions that only the new version asks, and that only the old one does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added_questions: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_questions: Vec<String>,
    /// Questions that are asked under another condition: a call is complete without an answer to a question
    /// that is not asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed_ask_when: Vec<ChangedAskWhen>,
    /// Questions and fields that were compared only without an answer, because there are too many
    /// combinations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
    /// Questions and fields that may be any text, and were compared with samples.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sampled: Vec<String>,
}

/// A question that is asked under another condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedAskWhen {
    pub question: String,
    /// As it is written; `None` if it is always asked.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Answers of which the same thing changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedRow {
    /// What is not named may be anything.
    pub answers: Vec<Given>,
    /// In words: a rating, the issues that are only there, notes, or why it is ignored or dead.
    pub before: String,
    pub after: String,
}

/// What answers come to, for comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MapOutcome {
    Feedback {
        /// As it is shown.
        rating: String,
        issues: Vec<&'static str>,
        /// `None` if there are none, or if they are not to be seen.
        #[serde(skip_serializing_if = "Option::is_none")]
        notes: Option<String>,
    },
    /// The reason, and a rule's own words.
    Ignored(String),
    Dead(String),
}

/// Most combinations of one survey that are compared.
const COMBINATIONS_MAX: usize = 20_000;

impl Survey {
    /// Compares with a new version of this survey, for every combination of answers: those of finite
    /// domains, and samples of what may be any text. Completeness, waits and replies are not compared.
    pub fn difference(&self, new: &Survey) -> SurveyDifference {
        let mut variables = union(self, new);
        let sampled = variables.iter().filter(|it| it.is_open).map(|it| it.name.to_string());
        let sampled: Vec<String> = sampled.collect();
        let not_compared = bounded(&mut variables);
        let mut changed: IndexMap<Change, Vec<Combination>> = IndexMap::new();
        let (mut compared, mut count) = (0, 0);
        each_combination(&variables, |combination| {
            compared += 1;
            let before = MapOutcome::of(self.map(&answers(self, &variables, combination)).mapping);
            let after = MapOutcome::of(new.map(&answers(new, &variables, combination)).mapping);
            count += u64::from(before != after);
            for change in changes(&before, &after) {
                let combination = combination.iter().map(|sample| BTreeSet::from([*sample]));
                changed.entry(change).or_default().push(combination.collect());
            }
        });
        let rows = changed.into_iter().flat_map(|(Change { before, after }, combinations)| {
            let row = |combination: Combination| ChangedRow {
                answers: given(&variables, &combination),
                before: before.clone(),
                after: after.clone(),
            };
            merged(combinations, variables.len()).into_iter().map(row).collect::<Vec<_>>()
        });
        let mut rows: Vec<ChangedRow> = rows.collect();
        rows.extend(changed_policy(self, new));
        SurveyDifference {
            compared,
            changed: count,
            rows,
            added_questions: only_in(new, self),
            removed_questions: only_in(self, new),
            changed_ask_when: changed_ask_when(self, new),
            not_compared,
            sampled,
        }
    }
}

impl SurveyDifference {
    /// Whether nothing comes to anything else.
    pub fn is_empty(&self) -> bool {
        let Self { rows, added_questions, removed_questions, changed_ask_when, .. } = self;
        rows.is_empty()
            && added_questions.is_empty()
            && removed_questions.is_empty()
            && changed_ask_when.is_empty()
    }
}

impl MapOutcome {
    pub fn of(mapping: Mapping) -> Self {
        let with = |reason: &str, detail: Option<String>| match detail {
            Some(detail) => format!("{reason}: {detail}"),
            None => reason.to_owned(),
        };
        match mapping {
            Mapping::Feedback(feedback) => Self::of_feedback(&feedback),
            Mapping::Ignore { reason, detail } => Self::Ignored(with(reason.label(), detail)),
            Mapping::Dead { reason, detail } => Self::Dead(with(reason.label(), Some(detail))),
        }
    }

    /// For a reader who must not see what callers said.
    pub fn without_notes(self) -> Self {
        match self {
            Self::Feedback { rating, issues, .. } => Self::Feedback { rating, issues, notes: None },
            other => other,
        }
    }

    fn only_rating(self) -> Self {
        match self {
            Self::Feedback { rating, .. } => {
                Self::Feedback { rating, issues: Vec::new(), notes: None }
            }
            other => other,
        }
    }

    fn of_feedback(feedback: &Feedback) -> Self {
        Self::Feedback {
            rating: feedback.rating().to_string(),
            issues: feedback.issues().map(|issue| issue.name()).collect(),
            notes: feedback.notes().map(str::to_owned),
        }
    }
}

impl fmt::Display for MapOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored(why) => write!(f, "ignored: {why}"),
            Self::Dead(why) => write!(f, "dead: {why}"),
            Self::Feedback { rating, issues, notes } => {
                write!(f, "rating {rating}")?;
                if !issues.is_empty() {
                    write!(f, ", {}", issues.join(", "))?;
                }
                notes.iter().try_for_each(|notes| write!(f, ", notes {notes:?}"))
            }
        }
    }
}

/// One thing that is different, in words; what is the same on both sides is left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Change {
    before: String,
    after: String,
}

/// Rating, issues and notes each for itself, so that a change of one is not repeated for every value
/// of the others.
fn changes(before: &MapOutcome, after: &MapOutcome) -> Vec<Change> {
    use MapOutcome::Feedback;
    if before == after {
        return Vec::new();
    }
    let (
        Feedback { rating, issues, notes },
        Feedback { rating: new_rating, issues: new_issues, notes: new_notes },
    ) = (before, after)
    else {
        let [before, after] = [before, after].map(|it| it.clone().only_rating().to_string());
        return vec![Change { before, after }];
    };
    let only_in = |these: &[&'static str], others: &[&'static str]| {
        let only = these.iter().filter(|it| !others.contains(it)).copied();
        only.collect::<Vec<_>>().join(", ")
    };
    let or_none = |these: &str, others: &str| match these {
        "" => format!("no {others}"),
        these => these.to_owned(),
    };
    let mut changes = Vec::new();
    if rating != new_rating {
        let [before, after] = [rating, new_rating].map(|rating| format!("rating {rating}"));
        changes.push(Change { before, after });
    }
    if issues != new_issues {
        let (gone, come) = (only_in(issues, new_issues), only_in(new_issues, issues));
        changes.push(Change { before: or_none(&gone, &come), after: or_none(&come, &gone) });
    }
    if notes != new_notes {
        // What is the same in both is often an answer, which would tell every answer apart.
        let (before, after) = ("notes".to_owned(), "other notes".to_owned());
        changes.push(Change { before, after });
    }
    changes
}

/// A question or a field of either version, with what it is compared with.
struct Compared {
    name: Name,
    is_question: bool,
    is_open: bool,
    samples: Vec<Sample>,
    /// Without an answer.
    missing: usize,
}

/// Of each variable, the places of samples.
type Combination = Vec<BTreeSet<usize>>;

/// Of both versions: first the question that rates, then what the new version asks, then what only the
/// old one does, then fields.
fn union(old: &Survey, new: &Survey) -> Vec<Compared> {
    let mut compared: IndexMap<(bool, Name), Compared> = IndexMap::new();
    for survey in [new, old] {
        let questions = survey.book.questions.iter().map(|question| (true, question.name.clone()));
        let fields = survey.book.fields.iter().map(|field| (false, field.clone()));
        for (key, variable) in questions.chain(fields).zip(proof::tried(&survey.book)) {
            let (is_question, name) = key.clone();
            let Variable { samples, is_open, .. } = variable;
            let known = compared.entry(key).or_insert_with(|| Compared {
                name,
                is_question,
                is_open: false,
                samples: Vec::new(),
                missing: 0,
            });
            known.is_open |= is_open;
            for sample in samples {
                if !known.samples.iter().any(|it| it.shown == sample.shown) {
                    known.samples.push(sample);
                }
            }
        }
    }
    let rates = |name: &Name| {
        [old, new].iter().any(|survey| {
            let scale = survey.book.scale.as_ref();
            scale.is_some_and(|scale| survey.book.questions.at(scale.of).name == *name)
        })
    };
    let mut compared: Vec<Compared> = compared.into_values().collect();
    for variable in &mut compared {
        let is_missing = |sample: &Sample| said(variable.is_question, sample).is_none();
        variable.missing = variable.samples.iter().position(is_missing).unwrap_or(0);
    }
    compared.sort_by_key(|it| (!it.is_question, !(it.is_question && rates(&it.name))));
    compared
}

/// Leaves of what does not fit into the bound only that there is no answer; returns what that was.
fn bounded(variables: &mut [Compared]) -> Vec<String> {
    let mut combinations = 1;
    let mut not_compared = Vec::new();
    for variable in variables {
        let more = combinations * variable.samples.len();
        if more <= COMBINATIONS_MAX {
            combinations = more;
        } else {
            variable.samples = vec![variable.samples[variable.missing].clone()];
            variable.missing = 0;
            not_compared.push(variable.name.to_string());
        }
    }
    not_compared
}

fn each_combination(variables: &[Compared], mut look: impl FnMut(&[usize])) {
    let mut combination = vec![0; variables.len()];
    loop {
        look(&combination);
        // As an odometer, the last variable first.
        let next = (0..variables.len())
            .rev()
            .find(|at| combination[*at] + 1 < variables[*at].samples.len());
        let Some(next) = next else { return };
        combination[next] += 1;
        combination[next + 1..].fill(0);
    }
}

/// The text of a sample; `None` if it is not answered, or a field is empty.
fn said(is_question: bool, sample: &Sample) -> Option<String> {
    let said = match (&sample.value, sample.at) {
        (Some(_), Some(_)) => sample.shown.clone(),
        (Some(value), None) => value.as_str().unwrap_or_default().to_owned(),
        // Spoken, and not known by the question.
        (None, _) => sample.words.trim().to_owned(),
    };
    Some(said).filter(|said| !said.is_empty() || (is_question && sample.value.is_some()))
}

/// As a survey would have them: with what it asks alone, because nothing else is asked then.
fn answers(survey: &Survey, variables: &[Compared], combination: &[usize]) -> Answers {
    let webhook = WebhookId(Uuid::nil());
    let received_at = Timestamp::UNIX_EPOCH;
    let given = variables.iter().zip(combination);
    let given = given.filter_map(|(it, at)| Some((it, said(it.is_question, &it.samples[*at])?)));
    let given: Vec<(&Compared, String)> = given.collect();
    let is_asked = |name: &Name| survey.book.questions.find(name.as_str()).is_some();
    let questions = given.iter().filter(|(it, _)| it.is_question && is_asked(&it.name));
    let mut answers: Answers = questions
        .map(|(it, said)| {
            let (question, answer) = (it.name.to_string(), Answer::Given(said.clone()));
            let extracted = ExtractedAnswer { question, answer, reader: String::new() };
            RecordedAnswer::new(extracted, received_at, webhook)
        })
        .collect();
    for (field, value) in given.into_iter().filter(|(it, _)| !it.is_question) {
        answers.set_field(field.name.clone(), FieldValue { value, received_at, webhook });
    }
    if answers.is_empty() {
        answers.hang_up(Fact { received_at, webhook });
    }
    answers
}

/// As few combinations as are found by joining those that differ in one variable alone.
fn merged(mut combinations: Vec<Combination>, variables: usize) -> Vec<Combination> {
    for variable in (0..variables).rev() {
        let mut joined: IndexMap<Combination, BTreeSet<usize>> = IndexMap::new();
        for mut combination in combinations {
            let members = std::mem::take(&mut combination[variable]);
            joined.entry(combination).or_default().extend(members);
        }
        let with = |(mut combination, members): (Combination, BTreeSet<usize>)| {
            combination[variable] = members;
            combination
        };
        combinations = joined.into_iter().map(with).collect();
    }
    combinations
}

fn given(variables: &[Compared], combination: &Combination) -> Vec<Given> {
    let named = variables.iter().zip(combination);
    let named = named.filter(|(variable, members)| members.len() < variable.samples.len());
    named
        .map(|(variable, members)| {
            let members: Vec<usize> = members.iter().copied().collect();
            let is = proof::in_words(&variable.samples, &members);
            Given { name: variable.name.to_string(), is }
        })
        .collect()
}

/// What becomes of a call without a rating, by each reason for which that changes.
fn changed_policy(old: &Survey, new: &Survey) -> Vec<ChangedRow> {
    let outcome = |fate: OnNoRating| match fate {
        OnNoRating::Ignore => "ignored".to_owned(),
        OnNoRating::Dead => "dead".to_owned(),
    };
    let [before, after] = [old, new].map(|survey| survey.book.on_no_rating.by_reason());
    let changed = before.into_iter().zip(after).filter(|((_, one), (_, other))| one != other);
    changed
        .map(|((reason, before), (_, after))| {
            let (name, is) = ("no rating".to_owned(), reason.label().to_owned());
            let answers = vec![Given { name, is }];
            ChangedRow { answers, before: outcome(before), after: outcome(after) }
        })
        .collect()
}

fn changed_ask_when(old: &Survey, new: &Survey) -> Vec<ChangedAskWhen> {
    let condition = |question: &Question| Some(question.ask_when.as_ref()?.text().to_owned());
    let changed = old.book.questions.iter().filter_map(|question| {
        let after = condition(new.book.questions.find(question.name.as_str())?);
        let (question, before) = (question.name.to_string(), condition(question));
        (before != after).then_some(ChangedAskWhen { question, before, after })
    });
    changed.collect()
}

fn only_in(survey: &Survey, other: &Survey) -> Vec<String> {
    let is_new = |name: &&Name| other.book.questions.find(name.as_str()).is_none();
    survey.questions().filter(is_new).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Issue;
    use crate::survey::samples::*;
    use crate::survey::{Definition, NoRatingPolicy, RatingDefinition, Rounding, ScaleDefinition};

    fn quality() -> Definition {
        let mut definition = survey();
        definition.issues.choices.extend([
            choice("", "2", Issue::OneWayAudio),
            mention("comment", &["cut off"], Issue::CallDropped),
        ]);
        Definition {
            rules: vec![ignored("campaign == 'test'", "a test")],
            notes: notes("IVR survey: {{ score }} of 5"),
            ..definition
        }
    }

    fn difference(old: Definition, new: Definition) -> String {
        let [old, new] = [old, new].map(|it| Survey::compile(it).unwrap());
        let difference = old.difference(&new);
        let rows = difference.rows.iter().map(|row| {
            let given = row.answers.iter().map(|given| format!("{} = {}", given.name, given.is));
            format!("{}: {} -> {}", given.collect::<Vec<_>>().join("; "), row.before, row.after)
        });
        let head = format!("{} of {}", difference.changed, difference.compared);
        std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn equal_versions_of_a_survey_have_no_difference() {
        let [old, new] = [quality(), quality()].map(|it| Survey::compile(it).unwrap());
        assert!(old.difference(&new).is_empty());
    }

    #[test]
    fn the_difference_of_a_reversed_scale_is_every_answer_but_the_middle_one() {
        let reversed = ScaleDefinition::Linear { from: (5, 1), round: Rounding::default() };
        let rating = RatingDefinition { scale: reversed, ..RatingDefinition::new(name("score")) };
        let new = Definition { rating: Some(rating), ..quality() };
        insta::assert_snapshot!(difference(quality(), new));
    }

    #[test]
    fn the_difference_of_an_issue_names_the_answers_that_choose_it() {
        let mut new = quality();
        new.issues.choices[1] = choice("", "2", Issue::AudioLag);
        insta::assert_snapshot!(difference(quality(), new));
    }

    #[test]
    fn the_difference_of_rules_questions_and_notes_is_seen() {
        let mut new = quality();
        new.rules = vec![rated("score == 1 and problem == 3", 2.0)];
        insta::assert_snapshot!("rules", difference(quality(), new));
        let mut new = quality();
        new.questions.push(asked("solved", &["1-2"]));
        new.issues.choices.push(choice("solved", "2", Issue::Others));
        insta::assert_snapshot!("question", difference(quality(), new));
        let new = Definition { notes: notes("{{ score }}/5"), ..quality() };
        insta::assert_snapshot!("notes", difference(quality(), new));
        let on_no_rating = NoRatingPolicy { hang_up: OnNoRating::Dead, ..Default::default() };
        insta::assert_snapshot!(
            "policy",
            difference(quality(), Definition { on_no_rating, ..quality() })
        );
    }

    #[test]
    fn what_is_too_much_to_compare_is_named() {
        let mut old = quality();
        old.questions.extend((0..4).map(|at| asked(&format!("q{at}"), &["0-9"])));
        let mut new = old.clone();
        new.issues.choices[1] = choice("", "2", Issue::AudioLag);
        let [old, new] = [old, new].map(|it| Survey::compile(it).unwrap());
        let difference = old.difference(&new);
        assert!(difference.compared <= COMBINATIONS_MAX as u64);
        assert_eq!(difference.not_compared, ["q2", "q3", "campaign"]);
        assert!(!difference.rows.is_empty());
    }
}
