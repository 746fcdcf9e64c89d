//! What the proof of a survey is worth: random surveys, every combination of their answers, and
//! the stand-in of Plivo to say what is lawful.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{LazyLock, Mutex};

use data_encoding::BASE64;
use jiff::Timestamp;
use postcall::domain::{Answer, ExtractedAnswer, Feedback, Issue, Issues, Name, WebhookId};
use postcall::simulator::{Options, Simulator};
use postcall::submission::{Answers, DeadReason, FieldValue, Mapping, RecordedAnswer};
use postcall::survey::{
    AtMaxRating, ChoiceDefinition, Definition, DefinitionError, DomainDefinition, IssuesBy,
    IssuesDefinition, Mapped, MetBy, QuestionDefinition, RatingDefinition, Rounding,
    RuleDefinition, ScaleDefinition, Survey,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use uuid::Uuid;

use crate::wire::{exchange, request};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn what_is_proved_is_so_and_what_is_refused_is_shown(asked in some_survey()) {
        let Ok(unproved) = Survey::compile_unproved(asked.definition.clone()) else {
            return Ok(());
        };
        let every: Vec<Mapped> =
            asked.combinations().iter().map(|answers| unproved.map(answers)).collect();
        match Survey::compile(asked.definition.clone()) {
            Ok(survey) => {
                assert_lawful(&every)?;
                assert_all_speak(&asked.definition, &survey, &every)?;
            }
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                for fault in &faults {
                    assert_shown(fault, &unproved, &every)?;
                }
            }
        }
    }
}

#[test]
fn both_verdicts_are_common_among_the_surveys_that_are_tried() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut taken, mut unlawful, mut silent) = (0, 0, 0);
    for _ in 0..200 {
        let asked = some_survey().new_tree(&mut runner).unwrap().current();
        match Survey::compile(asked.definition) {
            Ok(_) => taken += 1,
            Err(faults) => {
                let told =
                    |what: &str| faults.iter().any(|fault| fault.advice.message.contains(what));
                unlawful += usize::from(told("with no issue"));
                silent += usize::from(told("never"));
            }
        }
    }
    assert!(taken > 20 && unlawful > 20 && silent > 20, "{taken} {unlawful} {silent}");
}

/// No combination is refused by the far side, or comes to nothing for which there is a setting.
fn assert_lawful(every: &[Mapped]) -> Result<(), TestCaseError> {
    for Mapped { mapping, trace } in every {
        match mapping {
            Mapping::Feedback(feedback) => prop_assert!(is_taken(feedback), "{trace}"),
            Mapping::Ignore { .. } => {}
            Mapping::Dead { reason, detail } => {
                prop_assert!(false, "{reason:?} {detail}\n{trace}");
            }
        }
    }
    Ok(())
}

fn assert_all_speak(
    definition: &Definition,
    survey: &Survey,
    every: &[Mapped],
) -> Result<(), TestCaseError> {
    for rule in (0..definition.rules.len()).map(|rule| format!("rules[{rule}]")) {
        let is_open = survey.proof().guarded.iter().any(|guarded| guarded.starts_with(&rule));
        let speaks = every.iter().any(|mapped| mapped.trace.rule.as_ref() == Some(&rule));
        prop_assert!(is_open || speaks, "{rule}");
    }
    for choice in 0..definition.issues.choices.len() {
        prop_assert!(is_told(&format!("issues.choices[{choice}]"), every), "{choice}");
    }
    Ok(())
}

fn is_told(choice: &str, every: &[Mapped]) -> bool {
    every.iter().any(|Mapped { mapping, trace }| {
        matches!(mapping, Mapping::Feedback(_))
            && trace.issues == Some(IssuesBy::Choices)
            && trace.choices.iter().any(|chosen| chosen.choice == choice)
    })
}

/// A fault that only the proof finds is no false alarm.
fn assert_shown(
    fault: &DefinitionError,
    unproved: &Survey,
    every: &[Mapped],
) -> Result<(), TestCaseError> {
    let DefinitionError { path, advice } = fault;
    let message = &advice.message;
    let is_unmapped = |witness: &str| {
        let mapping = unproved.map(&answers_of(witness)).mapping;
        matches!(mapping, Mapping::Dead { reason: DeadReason::Unmapped, .. })
    };
    if let Some((witness, _)) = message.split_once(" → rating ") {
        prop_assert!(is_unmapped(witness), "{fault}");
    } else if let Some((_, rest)) = message.split_once("cannot be evaluated if ") {
        let (witness, _) = rest.split_once(": ").expect("what it stumbles over");
        prop_assert!(is_unmapped(witness), "{fault}");
    } else if message.contains("is never sent") {
        prop_assert!(!is_told(path, every), "{fault}");
    } else {
        prop_assert!(message.starts_with("never "), "{fault}");
        let speaks = every.iter().any(|mapped| mapped.trace.rule.as_ref() == Some(path));
        prop_assert!(!speaks, "{fault}");
    }
    Ok(())
}

/// The answers that a fault names, such as `score = 3, problem = no answer`.
fn answers_of(witness: &str) -> Answers {
    let named = witness.split(", ").filter_map(|named| named.split_once(" = "));
    let told = named.filter(|(_, is)| !matches!(*is, "no answer" | "nothing"));
    let told = told.map(|(name, is)| (name, is.trim_end_matches(" spoken").trim_matches('"')));
    answers(&told.collect::<Vec<_>>())
}

/// `campaign` is a field, all else are questions.
fn answers(told: &[(&str, &str)]) -> Answers {
    let mut answers = Answers::default();
    let (at, webhook) = (Timestamp::UNIX_EPOCH, WebhookId(Uuid::nil()));
    for (name, value) in told {
        if *name == "campaign" {
            let value = FieldValue { value: (*value).to_owned(), received_at: at, webhook };
            answers.set_field(self::name(name), value);
            continue;
        }
        let extracted = ExtractedAnswer {
            question: (*name).to_owned(),
            answer: Answer::Given((*value).to_owned()),
            reader: "form:Digits".to_owned(),
        };
        answers.record(RecordedAnswer::new(extracted, at, webhook));
    }
    answers
}

/// Whether the stand-in takes it. Each different feedback is sent once.
fn is_taken(feedback: &Feedback) -> bool {
    static FAR_SIDE: LazyLock<Simulator> = LazyLock::new(|| {
        Simulator::start((Ipv4Addr::LOCALHOST, 0).into(), Options::default()).unwrap()
    });
    static KNOWN: Mutex<BTreeMap<String, bool>> = Mutex::new(BTreeMap::new());
    let issues: Vec<_> = feedback.issues().map(Issue::name).collect();
    let body = serde_json::json!({
        "rating": feedback.rating(), "issues": issues, "notes": feedback.notes().unwrap_or(""),
    });
    let body = body.to_string();
    *KNOWN.lock().unwrap().entry(body).or_insert_with_key(|body| {
        let authorization = format!("Basic {}", BASE64.encode(b"MA1:token"));
        let headers = [("authorization", authorization.as_str())];
        let request = request("POST", "/v1/Call/c1/Feedback/", &headers, body.as_bytes());
        exchange(FAR_SIDE.addr(), &request).status == 201
    })
}

/// A survey and what its callers may say.
#[derive(Debug, Clone)]
struct Asked {
    definition: Definition,
    /// What is tried for each question and field; empty is nothing.
    sayings: Vec<(&'static str, Vec<&'static str>)>,
}

impl Asked {
    fn combinations(&self) -> Vec<Answers> {
        let mut combinations: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
        for (name, sayings) in &self.sayings {
            combinations = combinations
                .iter()
                .flat_map(|told| {
                    sayings.iter().map(move |saying| {
                        let own = Some((*name, *saying)).filter(|_| !saying.is_empty());
                        told.iter().copied().chain(own).collect()
                    })
                })
                .collect();
        }
        combinations.iter().map(|told| answers(told)).collect()
    }
}

/// A question about the score, what rates by it, and what may be said.
fn some_score() -> impl Strategy<Value = (DomainDefinition, ScaleDefinition, Vec<&'static str>)> {
    let linear =
        |worst, best| ScaleDefinition::Linear { from: (worst, best), round: Rounding::Half };
    let rating = prop::sample::select(vec![1.0, 2.0, 3.5, 4.99, 5.0]);
    let table = prop::collection::vec(rating, 3).prop_map(|ratings| {
        let choices = ["Good", "Fair", "Bad"].map(str::to_owned);
        ScaleDefinition::Table(choices.into_iter().zip(ratings).collect())
    });
    let keys = || DomainDefinition::Keys { answers: vec!["1-5".to_owned()], multiple: false };
    let choices = || DomainDefinition::Choices {
        choices: ["Good", "Fair", "Bad"].map(str::to_owned).to_vec(),
        multiple: false,
    };
    let digits = || vec!["1", "2", "3", "4", "5", "", "9"];
    let thumbs = ScaleDefinition::Thumbs { up: "yes".to_owned(), down: "no".to_owned() };
    let yes_no = DomainDefinition::YesNo { yes: vec!["1".to_owned()], no: vec!["2".to_owned()] };
    prop_oneof![
        3 => Just((keys(), linear(1, 5), digits())),
        1 => Just((keys(), linear(5, 1), digits())),
        1 => Just((
            DomainDefinition::Number { from: 0, to: 6, decimals: 0 },
            linear(0, 6),
            vec!["0", "1", "2", "3", "4", "5", "6", "", "7"],
        )),
        2 => table.prop_map(move |table| (choices(), table, vec!["good", "FAIR", "Bad.", "", "x"])),
        1 => Just((yes_no, thumbs, vec!["1", "no", "", "x"])),
    ]
}

fn some_choice() -> impl Strategy<Value = ChoiceDefinition> {
    let answer = |of: &str, answer: &str| (of.to_owned(), MetBy::Answer(answer.to_owned()));
    let mentions =
        |of: &str, phrase: &str| (of.to_owned(), MetBy::Mentions(vec![phrase.to_owned()]));
    let of = prop::sample::select(vec![
        answer("problem", "1"),
        answer("problem", "2"),
        answer("problem", "3"),
        answer("score", "2"),
        answer("score", "5"),
        mentions("comment", "echo"),
        mentions("problem", "hear myself"),
    ]);
    (of, prop::sample::select(Issue::ALL.to_vec())).prop_map(|((of, met_by), issue)| {
        ChoiceDefinition { question: Some(name(&of)), met_by, issue }
    })
}

fn some_rule() -> impl Strategy<Value = RuleDefinition> {
    let when = prop::sample::select(vec![
        "score == 1",
        "score in [1, 2] and problem",
        "score == 'Bad' or score == 'no'",
        "score >= 4 and answered.problem",
        "problem == 3 or problem == ['1', '3']",
        "not answered.score",
        "not answered.problem and not answered.score",
        "answered.comment and answered.score",
        "'echo' in comment",
        "comment | length > 60",
        "campaign == 'test'",
        "campaign != 'test' and (score < 3 or problem == 2)",
        "1 / (score - 3) > 0",
        "score > 100",
        "true",
    ]);
    let rating = prop::option::of(prop::sample::select(vec![1.0, 2.5, 4.99, 5.0]));
    let issues = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Issues::new())),
        2 => Just(Some(Issues::from([Issue::Echo, Issue::Others]))),
    ];
    (when, rating, issues, prop::bool::weighted(0.2)).prop_map(|(when, rating, issues, ignores)| {
        let when = when.to_owned();
        if ignores || (rating.is_none() && issues.is_none()) {
            let ignore = Some("not for Plivo".to_owned());
            return RuleDefinition { when, ignore, ..RuleDefinition::default() };
        }
        RuleDefinition { when, rating, issues, ..RuleDefinition::default() }
    })
}

prop_compose! {
    fn some_survey()(
        (score, scale, scores) in some_score(),
        is_rated in prop::bool::weighted(0.85),
        several in any::<bool>(),
        choices in prop::collection::vec(some_choice(), 0..4),
        has_otherwise in prop::bool::weighted(0.6),
        drops in any::<bool>(),
        rules in prop::collection::vec(some_rule(), 0..4),
    ) -> Asked {
        let problem = DomainDefinition::Keys { answers: vec!["1-3".to_owned()], multiple: several };
        let comment = DomainDefinition::Text { length: 200 };
        let questions = vec![
            QuestionDefinition::new(name("score"), score),
            QuestionDefinition::new(name("problem"), problem),
            QuestionDefinition::new(name("comment"), comment),
        ];
        // The same answer twice is a fault that is found before there is anything to prove.
        let mut known = BTreeSet::new();
        let choices = choices.into_iter().filter(|choice| {
            known.insert(format!("{:?} {:?}", choice.question, choice.met_by))
        });
        let issues = IssuesDefinition {
            choices: choices.collect(),
            default: Issues::from_iter(has_otherwise.then_some(Issue::Others)),
            at_max_rating: if drops { AtMaxRating::Drop } else { AtMaxRating::Send },
            ..IssuesDefinition::default()
        };
        let rating = RatingDefinition { scale, monotone: false, ..RatingDefinition::new(name("score")) };
        let definition = Definition {
            fields: vec![name("campaign")],
            rating: Some(rating).filter(|_| is_rated),
            issues,
            rules,
            ..Definition::new(questions)
        };
        let problems = match several {
            true => vec!["1", "2", "3", "12", "31", "32", "123", "", "I hear myself"],
            false => vec!["1", "2", "3", "", "I hear myself"],
        };
        let comments = vec!["", "fine", "an echo, thanks"];
        let sayings = vec![
            ("score", scores),
            ("problem", problems),
            ("comment", comments),
            ("campaign", vec!["", "test", "spring"]),
        ];
        Asked { definition, sayings }
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}
