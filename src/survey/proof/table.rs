use std::fmt;

use serde::Serialize;

use super::counterexample::{WHATEVER, described};
use super::mapping::{Chooses, ScaleEnds};
use super::model::Model;
use super::outcome::{IssueSource, Outcome, Outcomes};
use super::search::SearchTree;
use crate::domain::{Issue, Issues, Rating};
use crate::survey::definition::{NoRatingPolicy, OnNoRating};
use crate::survey::rules::{self, Then};

/// What a survey comes to, and what is known of it for certain.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Proof {
    /// How many combinations of answers there are, samples for what is free.
    pub combinations: u64,
    /// The first of the decision table. Each combination falls into exactly one row.
    pub rows: Vec<Row>,
    /// How many rows there are beyond these.
    pub more_rows: u64,
    /// The ends of the scale that rates; `None` if only rules rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleEnds>,
    /// The answers that choose issues, in the order of the settings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Chooses>,
    /// In sentences.
    pub proved: Vec<String>,
    /// What is looked at only when a call is mapped.
    pub guarded: Vec<String>,
}

/// Answers that come to the same in the same way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What is not named may be anything.
    pub answers: Vec<Given>,
    /// The rule that speaks, such as `rules[1]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    pub outcome: Decided,
}

/// What one question or field is in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    pub name: String,
    /// In words, such as `1-3, no answer`.
    pub is: String,
}

/// What a row comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// A rule's reason.
    Ignored(String),
    /// Nothing rates the call; what becomes of it then, by why.
    NoRating { ignored: Vec<&'static str>, dead: Vec<&'static str> },
    Feedback {
        /// The least and the greatest rating of the row.
        from: Rating,
        to: Rating,
        issues: WhichIssues,
    },
}

/// Which issues go with the ratings of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhichIssues {
    /// Exactly these.
    These(Vec<&'static str>),
    /// Those that are chosen, or else these.
    ChosenOr(Vec<&'static str>),
    None,
}

/// Most rows that are kept.
const ROWS_MAX: usize = 100;

/// Of a model that was walked through without a fault.
/// `untried` are the rules that no sample makes speak.
pub fn table(outcomes: &Outcomes<'_>, model: &Model<'_>, ends: u64, untried: &[usize]) -> Proof {
    // For the proof the answers that rate below 5 are one; the table tells them apart, if there are
    // not too many.
    let in_full = model.labelled(outcomes.shown_labels());
    let count = SearchTree::new(&in_full, outcomes.rating_question(), &|_| false);
    match count.walk(&|end| outcomes.needs(end), &mut |_, _| true) {
        Ok(ends) => table_of(outcomes, &in_full, ends, untried),
        Err(_) => table_of(outcomes, model, ends, untried),
    }
}

fn table_of(outcomes: &Outcomes<'_>, model: &Model<'_>, ends: u64, untried: &[usize]) -> Proof {
    let has_choices = !outcomes.book.issues.choices.is_empty();
    let mut rows = Vec::new();
    let tree = SearchTree::new(model, outcomes.rating_question(), &|_| false).in_full();
    // It stops early where there are more rows than are kept.
    let _ = tree.walk(&|end| outcomes.needs(end), &mut |end, assigned| {
        let outcome = match outcomes.outcome(model, end, assigned) {
            Outcome::Ignored(why) => Decided::Ignored(why.to_owned()),
            Outcome::NoRating | Outcome::Fails => Decided::no_rating(&outcomes.book.on_no_rating),
            Outcome::Rated { from, to, issues, .. } => {
                Decided::Feedback { from, to, issues: WhichIssues::of(issues, has_choices) }
            }
        };
        let answers = model.variables.iter().enumerate().filter_map(|(at, variable)| {
            let is = described(model, at, assigned[at]?);
            Some(Given { name: variable.name.clone(), is })
        });
        rows.push(Row {
            answers: answers.collect(),
            rule: end.condition().map(rules::path),
            outcome,
        });
        rows.len() < ROWS_MAX
    });
    let sizes = outcomes.variables.iter().map(|variable| variable.samples.len() as u64);
    Proof {
        combinations: sizes.fold(1, u64::saturating_mul),
        more_rows: ends.saturating_sub(rows.len() as u64),
        rows,
        scale: ScaleEnds::of(outcomes),
        choices: Chooses::all(outcomes),
        proved: proved(outcomes, untried),
        guarded: guarded(outcomes, untried),
    }
}

impl Decided {
    fn no_rating(policy: &NoRatingPolicy) -> Self {
        let with = |sought: OnNoRating| {
            let fates = policy.by_reason().into_iter().filter(move |(_, fate)| *fate == sought);
            fates.map(|(reason, _)| reason.label()).collect()
        };
        Self::NoRating { ignored: with(OnNoRating::Ignore), dead: with(OnNoRating::Dead) }
    }
}

impl Proof {
    /// What the rows leave open, a line each: which end of the scale is best, and what chooses issues.
    pub fn legend(&self) -> Vec<String> {
        let scale = self.scale.iter().map(|scale| format!("scale: {scale}"));
        scale.chain(self.choices.iter().map(|it| format!("issue: {it}"))).collect()
    }
}

impl WhichIssues {
    fn of(source: IssueSource<'_>, has_choices: bool) -> Self {
        let names = |issues: &Issues| issues.iter().copied().map(Issue::name).collect::<Vec<_>>();
        match source {
            IssueSource::Chosen(otherwise) if has_choices => Self::ChosenOr(names(otherwise)),
            IssueSource::ChosenOnly if has_choices => Self::ChosenOr(Vec::new()),
            IssueSource::Rule(issues) | IssueSource::Chosen(issues) if !issues.is_empty() => {
                Self::These(names(issues))
            }
            IssueSource::Rule(_)
            | IssueSource::Chosen(_)
            | IssueSource::ChosenOnly
            | IssueSource::Dropped => Self::None,
        }
    }
}

fn proved(outcomes: &Outcomes<'_>, untried: &[usize]) -> Vec<String> {
    let (rules, choices) = (&outcomes.book.rules, &outcomes.book.issues.choices);
    let proved = [
        (true, "each combination of answers comes to exactly one outcome"),
        (true, "every rating is from 1 to 5, and every answer that rates has one"),
        (have_issues(outcomes, untried), "below 5 there is always an issue that Plivo knows"),
        (
            !rules.is_empty() && untried.is_empty(),
            "every rule applies somewhere, and can be evaluated everywhere",
        ),
        (!choices.is_empty(), "every choice is sent somewhere"),
    ];
    let proved = proved.iter().filter(|(is_there, _)| *is_there);
    proved.map(|(_, what)| (*what).to_owned()).collect()
}

/// Whether each of these rules has an issue whenever it rates below 5, whatever is chosen.
fn have_issues(outcomes: &Outcomes<'_>, rules: &[usize]) -> bool {
    let book = outcomes.book;
    rules.iter().all(|rule| match &book.rules[*rule].then {
        Then::Ignore(_) => true,
        Then::Tell { rating: Some(rating), .. } if !rating.requires_issue() => true,
        Then::Tell { issues, .. } => !issues.as_ref().unwrap_or(&book.issues.default).is_empty(),
    })
}

/// What is free, and therefore only tried.
fn guarded(outcomes: &Outcomes<'_>, untried: &[usize]) -> Vec<String> {
    let book = outcomes.book;
    let looked_at = |at: usize| {
        let by_rules = book.rules.iter().any(|rule| rule.when.looks_at().contains(&at));
        let by_asking = book.questions.iter().any(|question| {
            question.ask_when.as_ref().is_some_and(|asked| asked.looks_at().contains(&at))
        });
        let by_choices = book.issues.choices.iter().any(|choice| choice.of == at);
        by_rules || by_asking || by_choices
    };
    let open = outcomes.variables.iter().enumerate();
    let open = open.filter(|(at, variable)| variable.is_open && looked_at(*at));
    let open = open.map(|(_, variable)| {
        format!(
            "{} may be any text: tried with {} samples; a result that breaks the API's \
                 constraints becomes dead (unmapped)",
            variable.name,
            variable.samples.len()
        )
    });
    let untried = untried.iter().map(|rule| rules::path(*rule));
    let untried = untried.map(|rule| format!("{rule} speaks for no text or field that was tried"));
    open.chain(untried).collect()
}

impl fmt::Display for Proof {
    /// The decision table, a line for each row, and what is known of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |count: u64, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        let rows = self.more_rows.saturating_add(self.rows.len() as u64);
        writeln!(f, "{} in {}", of(self.combinations, "combination"), of(rows, "row"))?;
        let lefts: Vec<String> = self.rows.iter().map(Row::left).collect();
        let width = lefts.iter().map(|left| left.chars().count()).max().unwrap_or(0).min(60);
        for (row, left) in self.rows.iter().zip(&lefts) {
            let by = row.rule.as_ref().map(|rule| format!("  ({rule})")).unwrap_or_default();
            writeln!(f, "  {left:width$} → {}{by}", row.outcome)?;
        }
        if self.more_rows > 0 {
            writeln!(f, "  … and {} more", self.more_rows)?;
        }
        for line in self.legend() {
            writeln!(f, "{line}")?;
        }
        for proved in &self.proved {
            writeln!(f, "proved: {proved}")?;
        }
        for guarded in &self.guarded {
            writeln!(f, "guarded: {guarded}")?;
        }
        Ok(())
    }
}

impl Row {
    fn left(&self) -> String {
        let given: Vec<_> =
            self.answers.iter().map(|Given { name, is }| format!("{name} = {is}")).collect();
        if given.is_empty() { WHATEVER.to_owned() } else { given.join("; ") }
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decided::Ignored(why) => write!(f, "ignored: {why}"),
            Decided::NoRating { dead, .. } if dead.is_empty() => write!(f, "no rating: ignored"),
            Decided::NoRating { ignored, .. } if ignored.is_empty() => write!(f, "no rating: dead"),
            Decided::NoRating { ignored, dead } => {
                let (ignored, dead) = (ignored.join(", "), dead.join(", "));
                write!(f, "no rating: ignored if {ignored}; dead if {dead}")
            }
            Decided::Feedback { from, to, issues } => {
                match from == to {
                    true => write!(f, "rating {from}")?,
                    false => write!(f, "rating {from} to {to}")?,
                }
                match issues {
                    WhichIssues::None => Ok(()),
                    WhichIssues::These(issues) => write!(f, ", {}", issues.join(", ")),
                    WhichIssues::ChosenOr(issues) if issues.is_empty() => {
                        write!(f, ", issues as chosen")
                    }
                    WhichIssues::ChosenOr(issues) => {
                        write!(f, ", issues as chosen or {}", issues.join(", "))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::*;
    use crate::survey::{
        Definition, DomainDefinition, IssuesDefinition, QuestionDefinition, RatingDefinition,
        Rounding, ScaleDefinition, Survey,
    };

    fn rated_by(question: QuestionDefinition, scale: ScaleDefinition) -> Definition {
        let rating = RatingDefinition { scale, ..RatingDefinition::new(question.name.clone()) };
        Definition { rating: Some(rating), ..Definition::new(vec![question]) }
    }

    fn table(rows: &[(&str, f64)]) -> ScaleDefinition {
        ScaleDefinition::Table(
            rows.iter().map(|(it, rating)| ((*it).to_owned(), *rating)).collect(),
        )
    }

    fn proof(definition: Definition) -> Proof {
        let survey = Survey::compile(definition);
        survey.unwrap_or_else(|faults| panic!("{faults:?}")).proof().clone()
    }

    fn mapping(definition: Definition) -> String {
        let proof = proof(definition).to_string();
        let (mapping, _) = proof.split_once("proved:").unwrap();
        mapping.to_owned()
    }

    #[test]
    fn the_table_of_a_reversed_scale_says_which_end_is_best() {
        let reversed = ScaleDefinition::Linear { from: (5, 1), round: Rounding::default() };
        insta::assert_snapshot!(mapping(rated_by(asked("score", &["1-5"]), reversed)));
    }

    #[test]
    fn the_table_of_a_scale_from_0_to_10_has_a_row_for_each_rating() {
        let nps = table(&[("0-6", 1.0), ("7-8", 3.0), ("9", 4.5), ("10", 5.0)]);
        insta::assert_snapshot!(mapping(rated_by(question("nps", whole(0, 10)), nps)));
        let linear = ScaleDefinition::Linear { from: (0, 10), round: Rounding::Half };
        insta::assert_snapshot!(mapping(rated_by(question("nps", whole(0, 10)), linear)));
    }

    #[test]
    fn the_table_of_a_lookup_shows_what_chooses_issues_and_what_has_no_rating() {
        let mood = question("mood", choices(&["Good", "Fair", "Bad"], false));
        let lookup = table(&[("Good", 5.0), ("Fair", 3.0), ("Bad", 1.0)]);
        let mut definition = rated_by(mood, lookup);
        let problems = question("problems", keys(&["1-3"], true));
        definition.questions.extend([asked("problem", &["1-9"]), problems, text("comment")]);
        definition.issues = IssuesDefinition {
            choices: vec![
                choice("problem", "1-3", Issue::Echo),
                choice("problem", "9", Issue::CallDropped),
                choice("problems", "2", Issue::AudioLag),
                mention("comment", &["hear myself", "echo"], Issue::Echo),
            ],
            ..IssuesDefinition::default()
        };
        insta::assert_snapshot!(mapping(definition.clone()));
        definition.on_no_rating = NoRatingPolicy {
            opt_out: OnNoRating::Dead,
            hang_up: OnNoRating::Dead,
            ..NoRatingPolicy::default()
        };
        let proof = proof(definition);
        assert!(proof.to_string().contains(
            "no rating: ignored if no_answer, invalid_answer, no_score; dead if hang_up, opt_out"
        ), "{proof}");
        let json = serde_json::to_string_pretty(&proof).unwrap();
        let (json, _) = json.split_once("\"proved\"").unwrap();
        insta::assert_snapshot!(json);
    }

    #[test]
    fn only_ratings_of_a_large_domain_are_merged() {
        let percent = ScaleDefinition::Linear { from: (0, 100), round: Rounding::default() };
        let mapping = mapping(rated_by(question("percent", whole(0, 100)), percent));
        insta::assert_snapshot!(mapping);
        let tenths = DomainDefinition::Number { from: 1, to: 2, decimals: 1 };
        let scale = ScaleDefinition::Linear { from: (1, 2), round: Rounding::Whole };
        let proof = proof(rated_by(question("tenths", tenths), scale));
        assert_eq!(proof.rows.len(), 6, "{proof}");
    }
}
