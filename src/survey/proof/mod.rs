//! What a survey can come to, worked out for every combination of answers before any call is
//! rated: each has exactly one outcome, and none that the destination would refuse.
//!
//! Not every combination is walked through: answers that nothing tells apart are one, a question is
//! looked at only where a condition asks for it, and what is the same from some point on is walked
//! once. What is free, texts and fields, is tried with samples, and said to be.

mod counterexample;
mod invariants;
mod mapping;
mod model;
mod outcome;
mod reachability;
mod replies;
mod sample;
mod search;
mod table;
mod template_check;

pub use counterexample::in_words;
pub use mapping::{Chooses, ScaleEnd, ScaleEnds};
pub use replies::check as check_replies;
pub use sample::{Sample, Variable};
pub use table::{Decided, Given, Proof, Row, WhichIssues};

use super::compiled::CompiledSurvey;
use super::condition::Condition;
use super::definition::DefinitionError;
use super::rules;
use model::{ALL_ROWS_MAX, Model};
use outcome::Outcomes;
use sample::variables;
use template_check::NotesChecked;

const NOTES_PROVED: &str = "notes can be written with all that they show, in every combination";
const NOTES_GUARDED: &str = "notes: tried with what they show, each by itself and with each other as \
                             far as possible; what fails all the same becomes dead (unmapped)";

impl Proof {
    /// Of a survey that was compiled without a fault.
    ///
    /// # Errors
    /// Everything that it could come to and must not, each with the answers that show it.
    pub fn of(book: &CompiledSurvey) -> Result<Self, Vec<DefinitionError>> {
        let mut faults = Vec::new();
        let conditions: Vec<Option<&Condition>> =
            book.rules.iter().map(|rule| Some(&rule.when)).collect();
        let variables = tried(book);
        let outcomes = Outcomes { book, variables: &variables };
        let mut rows_left = ALL_ROWS_MAX;
        let model = Model::build(
            &book.names,
            &variables,
            &conditions,
            |variable, sample| outcomes.label(variable, sample),
            |rule| format!("{}.when", rules::path(rule)),
            &mut rows_left,
            &mut faults,
        );
        let Some(model) = model else { return Err(faults) };
        let Some(walked) = invariants::check(&outcomes, &model, &mut faults) else {
            return Err(faults);
        };
        let untried = reachability::check_rules(&outcomes, &model, &walked, &mut faults);
        reachability::check_choices(&outcomes, &model, &mut faults);
        reachability::check_asked(&outcomes, &mut rows_left, &mut faults);
        let notes = template_check::check_notes(&outcomes, &model, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut proof = table::table(&outcomes, &model, walked.ends, &untried);
        match notes {
            NotesChecked::Nothing => {}
            NotesChecked::Whole => proof.proved.push(NOTES_PROVED.to_owned()),
            NotesChecked::Partly => proof.guarded.push(NOTES_GUARDED.to_owned()),
        }
        Ok(proof)
    }
}

/// Every question and field, with everything that it is tried with.
pub fn tried(book: &CompiledSurvey) -> Vec<Variable> {
    let rules = book.rules.iter().map(|rule| &rule.when);
    let asked = book.questions.iter().filter_map(|question| question.ask_when.as_ref());
    let conditions: Vec<_> = rules.chain(asked).collect();
    variables(&book.questions, &book.names, &book.issues, &conditions)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::domain::{Issue, Issues};
    use crate::survey::samples::*;
    use crate::survey::{
        AtMaxRating, Definition, DomainDefinition, IssuesDefinition, QuestionDefinition,
        RatingDefinition, ReplyDefinition, Rounding, RuleDefinition, ScaleDefinition, Survey,
    };

    fn with_rules(rules: Vec<RuleDefinition>) -> Definition {
        Definition { rules, ..survey() }
    }

    fn ten_keys(questions: usize) -> Vec<QuestionDefinition> {
        (0..questions).map(|at| asked(&format!("q{at}"), &["0-9"])).collect()
    }

    fn proof(definition: Definition) -> Proof {
        let survey = Survey::compile(definition);
        survey.unwrap_or_else(|faults| panic!("{faults:?}")).proof().clone()
    }

    #[test]
    fn a_rating_below_five_without_an_issue_is_shown_by_its_answers() {
        let mut bare = survey();
        bare.issues.default = Issues::new();
        assert_eq!(
            refused(bare.clone()),
            ["issues.default: score = 1, problem = no answer → rating 1 with no issue, and \
                 below 5 Plivo requires one: name at least one, such as [OTHERS]"]
        );
        bare.rules = vec![
            RuleDefinition { issues: Some(Issues::new()), ..rated("campaign == 'x'", 4.5) },
            RuleDefinition { issues: Some(Issues::new()), ..rated("score == 5", 5.0) },
            ignored("problem != 1", "no problem"),
            ignored("not answered.problem", "nothing"),
        ];
        assert_eq!(
            refused(bare.clone()),
            ["rules[0].issues: rating 4.5 with no issue, and below 5 Plivo requires one: name at \
                 least one, such as OTHERS"]
        );
        // With a problem of 1 there is an issue, and nothing else comes so far.
        bare.rules.remove(0);
        assert_eq!(proof(bare).more_rows, 0);
        let by_scale = RuleDefinition { issues: Some(Issues::new()), ..rule("campaign == 'x'") };
        let faults = refused(with_rules(vec![by_scale]));
        assert!(faults[0].starts_with("rules[0].issues: "), "{faults:?}");
        assert!(faults[0].contains("→ rating 1 with no issue"), "{faults:?}");
    }

    #[test]
    fn a_rating_below_five_without_an_issue_is_refused_though_no_text_that_is_tried_brings_it() {
        let long = "comment | length > 150";
        let bare = RuleDefinition { issues: Some(Issues::new()), ..rated(long, 2.0) };
        assert_eq!(
            refused(with_rules(vec![bare])),
            ["rules[0].issues: rating 2 with no issue, and below 5 Plivo requires one: name at \
                 least one, such as OTHERS"]
        );
    }

    #[test]
    fn nothing_is_called_proved_of_a_rule_that_no_sample_makes_speak() {
        let long = "comment | length > 150";
        let proved = |rule| proof(with_rules(vec![rule])).proved.join("\n");
        let rule_applies = "every rule applies somewhere";
        let has_issue = "below 5 there is always an issue";
        let tried = proved(rated("campaign == 'test'", 1.0));
        assert!(tried.contains(rule_applies) && tried.contains(has_issue), "{tried}");
        let untried = proved(rated(long, 1.0));
        assert!(!untried.contains(rule_applies) && untried.contains(has_issue), "{untried}");
        let bare = proved(RuleDefinition { issues: Some(Issues::new()), ..rule(long) });
        assert!(!bare.contains(rule_applies) && !bare.contains(has_issue), "{bare}");
    }

    #[test]
    fn a_rule_that_never_applies_is_shown_with_the_one_that_does() {
        let rules = vec![
            rated("score <= 3", 1.0),
            rated("score == 2 and problem == 1", 2.0),
            rated("score == 7", 2.0),
            rated("score < 2 and campaign == 'x'", 2.0),
            rated("campaign != 'x' and score > 3", 2.0),
        ];
        assert_eq!(
            refused(with_rules(rules)),
            [
                "rules[1]: never applies: wherever it holds, an earlier one does, such as rules[0] \
                 if score = 2, problem = 1",
                "rules[2]: never holds, whatever is answered: remove it, or correct its condition",
                "rules[3]: never applies: wherever it holds, an earlier one does, such as rules[0] \
                 if score = 1, campaign = \"x\"",
            ]
        );
    }

    #[test]
    fn a_rule_that_no_sample_of_a_text_makes_speak_is_not_called_a_fault() {
        let rules = vec![rated("comment | length > 150", 1.0), rated("campaign == 'test'", 5.0)];
        let proof = proof(with_rules(rules));
        let guarded = proof.guarded.join("\n");
        assert!(
            guarded.contains("rules[0] speaks for no text or field that was tried"),
            "{guarded}"
        );
        assert!(guarded.contains("campaign may be any text"), "{guarded}");
        assert!(!guarded.contains("rules[1]"), "{guarded}");
    }

    #[test]
    fn a_condition_that_cannot_be_worked_out_is_shown_by_its_answers() {
        let mut definition = with_rules(vec![
            rated("problem == 1 and 1 / (score - 3) > 1", 1.0),
            rated("campaign | int > 7", 1.0),
        ]);
        definition.questions[1].ask_when = Some("score / 0 > 1".to_owned());
        let faults = refused(definition);
        for expected in [
            "rules[0].when: cannot be evaluated if score = 3, problem = 1: invalid operation: \
             unable to calculate 1 / 0",
            "rules[1].when: cannot be evaluated if campaign = nothing: ",
            "questions[1].ask_when: cannot be evaluated if score = 1: ",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{faults:#?}");
        }
    }

    #[test]
    fn a_choice_that_is_never_told_is_a_fault() {
        let mut definition = survey();
        definition.issues.at_max_rating = AtMaxRating::Drop;
        definition.issues.choices.push(choice("score", "5", Issue::AudioLag));
        assert_eq!(
            refused(definition),
            ["issues.choices[1]: AUDIO_LAG is never sent: wherever this is answered there is no \
                 rating, a rule names the issues, or they are dropped at 5"]
        );
    }

    #[test]
    fn a_question_that_is_never_asked_is_a_fault() {
        let mut definition = survey();
        definition.questions[1].ask_when = Some("score > 5".to_owned());
        assert_eq!(
            refused(definition),
            ["questions[1].ask_when: never holds, so that problem is never asked"]
        );
    }

    #[test]
    fn notes_that_stumble_are_shown_by_their_answers_where_they_are_written() {
        let noted = |template: &str| Definition { notes: notes(template), ..survey() };
        for (template, why) in [
            ("{{ score | nope }}", "notes: cannot be written if score = 1: unknown filter"),
            ("{{ score.nope }}", "notes: cannot be written if score = 1: undefined value"),
            ("{{ 1 / (score - 3) }}", "notes: cannot be written if score = 3: "),
            ("{{ problem | int }}", "notes: cannot be written if problem = no answer: "),
        ] {
            let faults = refused(noted(template));
            assert!(faults[0].starts_with(why), "{faults:?}");
        }
        // Which answer is wrong shows only together with another.
        let template = "{% if answered.score and answered.problem %}\
                        {{ 1 / (score + problem - 8) }}{% endif %}";
        let together = refused(noted(template));
        let why = "notes: cannot be written if score = 5, problem = 3: ";
        assert!(together[0].starts_with(why), "{together:?}");
        // A rule that writes them sees to it that there is an answer.
        let own =
            RuleDefinition { notes: Some("{{ problem | int }}".to_owned()), ..rule("problem") };
        assert_eq!(proof(with_rules(vec![own])).more_rows, 0);
    }

    #[test]
    fn mentions_are_part_of_the_proof() {
        let mut definition = survey();
        definition.issues.default = Issues::new();
        definition.issues.choices = vec![mention("comment", &["echo"], Issue::Echo)];
        let faults = refused(definition);
        assert!(faults[0].contains("score = 1, comment = no answer → rating 1"), "{faults:?}");
    }

    #[test]
    fn a_text_without_any_keyword_is_part_of_the_proof() {
        for keywords in [&["more"][..], &["something", "aaa"], &["else", "bbb aaa", "a"]] {
            let mut definition = survey();
            definition.issues.default = Issues::new();
            definition.issues.choices = vec![mention("comment", keywords, Issue::Echo)];
            let silent = RuleDefinition {
                issues: Some([Issue::Others].into()),
                ..rule("not answered.comment")
            };
            definition.rules = vec![silent];
            let faults = refused(definition);
            let some_other = "comment = some other text → rating 1";
            assert!(faults.iter().any(|it| it.contains(some_other)), "{keywords:?} {faults:?}");
        }
    }

    #[test]
    fn no_mention_is_called_silent_because_it_was_not_tried() {
        let issues = Issue::ALL.iter().cycle();
        let many = (0..100).zip(issues).map(|(choice, issue)| {
            let phrases = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|at| format!("word {choice} {at}"));
            mention("comment", &phrases.each_ref().map(String::as_str), *issue)
        });
        let many = many.collect();
        // Longer than what is kept of a comment, and looked for in all of it.
        let long = vec![mention("comment", &[&"noise ".repeat(40)], Issue::Echo)];
        // By itself it is an answer that is kept as no; in a sentence it is none.
        let answer = vec![mention("solved", &["nein"], Issue::Echo)];
        let written = ["dell’eco", "回声", "ΗΧΟΣ"].map(|it| mention("comment", &[it], Issue::Echo));
        for choices in [many, long, answer, written.to_vec()] {
            let mut definition = survey();
            definition.questions.push(question("solved", yes_no(&[], &["nein"])));
            definition.issues.choices = choices;
            assert_eq!(proof(definition).more_rows, 0);
        }
    }

    #[test]
    fn the_largest_surveys_are_proved_or_refused_by_the_bound_on_states() {
        let numbers =
            (0..32).map(|at| question(&format!("n{at}"), whole(0, 10_000))).collect::<Vec<_>>();
        let shown = (0..32).map(|at| format!("{{{{ n{at} }}}} ")).collect::<String>();
        let linear = ScaleDefinition::Linear { from: (0, 10_000), round: Rounding::Hundredth };
        let numbers = Definition {
            rating: Some(RatingDefinition { scale: linear, ..RatingDefinition::new(name("n0")) }),
            rules: (0..8).map(|at| rated(&format!("n{at} == 7"), 2.0)).collect(),
            notes: notes(&shown),
            ..Definition::new(numbers)
        };
        let any_of = |rule: usize| {
            let parts = (0..60).map(|at| format!("campaign == 'f{}'", at + 30 * rule));
            parts.collect::<Vec<_>>().join(" or ")
        };
        let fields = with_rules((0..64).map(|rule| rated(&any_of(rule), 2.0)).collect());
        let mut deep = with_rules(vec![rated(&format!("{}f=='9'", "f=='9' or ".repeat(196)), 2.0)]);
        deep.fields = vec![name("f")];
        let equal = |at: usize| rated(&format!("q{} == q{}", at % 6, (at * 5 + 1) % 6), 2.0);
        let questions = ten_keys(6);
        let equal =
            Definition { rules: (0..30).map(equal).collect(), ..Definition::new(questions) };
        let mut often = ten_keys(32);
        for question in &mut often[4..] {
            question.ask_when = Some("q0 + q1 + q2 + q3 > 7".to_owned());
        }
        let often = Definition { rules: vec![rated("q0 == 1", 2.0)], ..Definition::new(often) };
        for definition in [numbers, fields, deep, equal, often] {
            // The bound on states bounds the time; `benches/mapping` measures it.
            if let Err(faults) = Survey::compile(definition) {
                let too_many = |fault: &DefinitionError| {
                    ["more than", "more cases than"]
                        .iter()
                        .any(|it| fault.advice.message.contains(it))
                };
                assert!(faults.iter().all(too_many), "{faults:#?}");
            }
        }
    }

    #[test]
    fn six_questions_with_ten_answers_each_are_within_the_bound_on_states() {
        let questions = ten_keys(6);
        let choices = (0..6).flat_map(|question| {
            (0..10).map(move |answer: usize| {
                choice(&format!("q{question}"), &answer.to_string(), Issue::ALL[answer])
            })
        });
        let mut rules: Vec<_> = (0..6)
            .map(|at| rated(&format!("q{at} == {} and q{} > {at}", at + 2, (at + 1) % 6), 2.0))
            .collect();
        rules.push(rated("q0 + q1 + q2 < 4 or q3 == 9 and q4 in [1, 2, 3] and q5 != 4", 3.0));
        rules.push(rated("q0 == q5", 1.5));
        let definition = Definition {
            rating: Some(RatingDefinition {
                scale: ScaleDefinition::Linear { from: (0, 9), round: Rounding::Half },
                ..RatingDefinition::new(name("q0"))
            }),
            issues: IssuesDefinition { choices: choices.collect(), ..IssuesDefinition::default() },
            rules,
            ..Definition::new(questions)
        };
        // Each answer names an issue, so that no other is needed.
        for otherwise in [Issues::from([Issue::Others]), Issues::new()] {
            let mut definition = definition.clone();
            definition.issues.default = otherwise;
            assert_eq!(Survey::compile(definition).err(), None);
        }
    }

    #[test]
    fn what_is_too_much_to_try_is_refused_with_a_way_out() {
        let questions = ten_keys(6);
        let sum = "q0 + q1 + q2 + q3 + q4 + q5 > 20";
        let definition = Definition { rules: vec![rated(sum, 1.0)], ..Definition::new(questions) };
        assert_eq!(
            refused(definition),
            ["rules[0].when: \"q0 + q1 + q2 + q3 + q4 + q5 > 20\" looks at q0, q1, q2, q3, q4, \
                 q5 together, which have 1771561 combinations, more than 65536 to try: join \
                 conditions on fewer of them with and, or"]
        );
    }

    #[test]
    fn combinations_beyond_every_number_are_too_many() {
        let several = |at: usize| question(&format!("s{at}"), keys(&["0-9"], true));
        // 1024 each, and 2 to the power of 130 together.
        let all = (0..13).map(|at| format!("1 in s{at}")).collect::<Vec<_>>().join(" and ");
        let questions: Vec<_> =
            [asked("score", &["1-5"])].into_iter().chain((0..13).map(several)).collect();
        let mut definition = Definition {
            rating: Some(RatingDefinition::new(name("score"))),
            ..Definition::new(questions)
        };
        let shown = (0..13).map(|at| format!("{{{{ s{at} }}}} ")).collect::<String>();
        definition.notes = notes(&shown);
        let survey = Survey::compile(definition.clone()).unwrap();
        let reply = ReplyDefinition { when: None, xml: shown };
        let faults = survey.replies(&[reply], &|_| Ok(())).unwrap_err();
        assert!(faults[0].advice.message.contains("more than 2000 to try"), "{faults:?}");
        definition.rules = vec![rated(&format!("not ({all})"), 2.0)];
        let faults = refused(definition);
        assert!(faults[0].contains("more than 65536 to try"), "{faults:?}");
    }

    #[test]
    fn the_rule_is_named_up_to_which_there_are_too_many_cases() {
        let questions = ten_keys(6);
        let pairs = (0..6).flat_map(|one| (one + 1..6).map(move |other| (one, other)));
        let sums = pairs.map(|(one, other)| rated(&format!("q{one} + q{other} == 9"), 2.0));
        let faults = refused(Definition { rules: sums.collect(), ..Definition::new(questions) });
        assert_eq!(faults.len(), 1);
        assert!(
            faults[0].starts_with("rules[4].when: up to here there are more cases"),
            "{faults:?}"
        );
    }

    #[test]
    fn numbers_that_follow_each_other_are_told_as_a_range() {
        let number = DomainDefinition::Number { from: -1, to: 10, decimals: 1 };
        let mut definition = with_rules(vec![rated("nps < 2.5 or nps == 7", 2.0)]);
        definition.questions.push(question("nps", number));
        let table = proof(definition).to_string();
        assert!(table.contains("nps = -1 to 2.4, 7 "), "{table}");
        assert!(table.contains("nps = 2.5-6.9, 7.1-10, no answer "), "{table}");
    }

    #[test]
    fn the_decision_table_says_what_comes_of_what() {
        let mut definition = with_rules(vec![
            ignored("campaign == 'test'", "test call"),
            RuleDefinition {
                issues: Some(Issues::from([Issue::CallDropped])),
                ..rated("score <= 2 and problem == 3", 1.0)
            },
        ]);
        definition.notes = notes("{{ score }} of 5");
        insta::assert_snapshot!(proof(definition), @r#"
        144 combinations in 9 rows
          score = 1; problem = 1, 2, no answer; campaign = nothing, some other text → rating 1, issues as chosen or OTHERS
          score = 1; problem = 3; campaign = nothing, some other text  → rating 1, CALL_DROPPED  (rules[1])
          score = 2; problem = 1, 2, no answer; campaign = nothing, some other text → rating 2, issues as chosen or OTHERS
          score = 2; problem = 3; campaign = nothing, some other text  → rating 1, CALL_DROPPED  (rules[1])
          score = 3; campaign = nothing, some other text               → rating 3, issues as chosen or OTHERS
          score = 4; campaign = nothing, some other text               → rating 4, issues as chosen or OTHERS
          score = 5; campaign = nothing, some other text               → rating 5, issues as chosen
          score = no answer; campaign = nothing, some other text       → no rating: ignored
          campaign = "test"                                            → ignored: test call  (rules[0])
        scale: score = 5 is best (rating 5), 1 is worst (rating 1)
        issue: problem = 1 → ECHO
        proved: each combination of answers comes to exactly one outcome
        proved: every rating is from 1 to 5, and every answer that rates has one
        proved: below 5 there is always an issue that Plivo knows
        proved: every rule applies somewhere, and can be evaluated everywhere
        proved: every choice is sent somewhere
        proved: notes can be written with all that they show, in every combination
        guarded: campaign may be any text: tried with 3 samples; a result that breaks the API's constraints becomes dead (unmapped)
        "#);
    }

    #[test]
    fn a_table_with_many_rows_says_how_many_there_are() {
        let rules = (1..=5).flat_map(|score| {
            (1..=3).map(move |problem| {
                let rating = 1.0 + f64::from(score + problem) / 10.0;
                rated(&format!("score == {score} and problem == {problem}"), rating)
            })
        });
        let more = (0..30).map(|at| rated(&format!("campaign == 'x{at}' and score == 1"), 2.0));
        let proof = proof(with_rules(more.chain(rules).collect()));
        assert_eq!((proof.rows.len(), proof.more_rows), (100, 461));
        assert!(proof.to_string().contains("… and 461 more"));
    }
}
