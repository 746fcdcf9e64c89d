//! What is asked, and what it means.
//!
//! A [`Definition`], as the settings give it, is compiled into a [`Survey`] once, and every fault
//! is reported at once with its path. A compiled survey turns the [`Answers`] about one call into
//! [`Feedback`](crate::domain::Feedback), or says why there is none, and it knows when there is
//! nothing left to wait for. What it compiles is [proved](Proof) first: nothing that it can come to
//! would be refused.
//!
//! This room knows no sender, no store and no clock: the time is that of the answers.

mod call_view;
mod compiled;
mod condition;
mod counted;
mod definition;
mod difference;
mod domain;
mod insights;
mod issues;
mod keypad;
mod labels;
mod language;
mod mapper;
mod masking;
mod names;
mod notes;
mod operators;
mod parts;
mod prompt;
mod proof;
mod question;
mod rating;
mod replies;
mod reply;
mod rules;
#[cfg(test)]
mod samples;
mod split;
mod trace;
mod type_check;
mod unused;
mod value_type;
mod words;

use std::sync::Arc;
use std::time::Duration;

pub use definition::{
    AtMaxRating, ChoiceDefinition, CompleteDefinition, Definition, DefinitionError,
    DomainDefinition, Incomplete, IssuesDefinition, MetBy, NoRatingPolicy, NotesDefinition,
    OnNoRating, QuestionDefinition, RatingDefinition, Rounding, RuleDefinition, ScaleDefinition,
};
pub use difference::{ChangedAskWhen, ChangedRow, MapOutcome, SurveyDifference};
pub use keypad::Keypad;
pub use labels::Labels;
pub use mapper::SettingsMapper;
pub use masking::{NUMBER_DIGITS_MIN, is_of_a_number, masked};
pub use prompt::{NoPrompt, Prompt};
pub use proof::{Chooses, Decided, Given, Proof, Row, ScaleEnd, ScaleEnds, WhichIssues};
pub use replies::{Replies, ReplyDefinition};
pub use trace::{Chosen, Counted, Counts, IssuesBy, Rated, Trace};
pub use unused::Unused;

use crate::domain::{Answer, Name};
use crate::submission::{
    AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DueTime, Insight, Mapping,
};

use compiled::CompiledSurvey;
use insights::Insights;

/// The questions of one survey, and the rules that make feedback of their answers.
#[derive(Debug)]
pub struct Survey {
    book: Arc<CompiledSurvey>,
    proof: Proof,
    complete: CompleteDefinition,
    delay: Duration,
}

/// A question as it is asked on the phone.
#[derive(Debug, Clone)]
pub struct PhoneQuestion<'a> {
    pub name: &'a Name,
    pub prompt: Option<&'a Prompt>,
    /// The keys that answer it, or why not every answer can be keyed.
    pub keypad: Result<Keypad, String>,
    /// Whether it is asked only if a condition holds.
    pub is_conditional: bool,
}

/// What the answers about one call come to, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    pub mapping: Mapping,
    pub trace: Trace,
}

impl Survey {
    /// # Errors
    /// Every fault of the definition; never an empty list.
    pub fn compile(definition: Definition) -> Result<Self, Vec<DefinitionError>> {
        let survey = Self::compile_unproved(definition)?;
        Ok(Self { proof: Proof::of(&survey.book)?, ..survey })
    }

    /// Without the proof: what it comes to may turn out invalid, which is then said of each call.
    /// For measuring what the proof is good for.
    ///
    /// # Errors
    /// As for [`compile`](Self::compile), but for what only the proof finds.
    pub fn compile_unproved(definition: Definition) -> Result<Self, Vec<DefinitionError>> {
        let mut faults = Vec::new();
        let book = CompiledSurvey::compile(&definition, &mut faults);
        let Definition { complete, delay, .. } = definition;
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self { book: Arc::new(book), proof: Proof::default(), complete, delay })
    }

    /// What it can come to; empty where it was compiled without.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Which end of its scale no answer comes to, and what to write.
    pub fn unreached_rating(&self) -> Option<String> {
        let scale = self.book.scale.as_ref()?;
        scale.unreached(self.book.questions.at(scale.of))
    }

    /// The question that is meant where a sender names none.
    pub fn first_question(&self) -> &Name {
        self.book.questions.first()
    }

    /// All questions, in the order in which they are asked.
    pub fn questions(&self) -> impl Iterator<Item = &Name> {
        self.book.questions.iter().map(|question| &question.name)
    }

    /// All questions as they are asked on the phone, in order.
    pub fn by_phone(&self) -> impl Iterator<Item = PhoneQuestion<'_>> {
        self.book.questions.iter().map(|question| PhoneQuestion {
            name: &question.name,
            prompt: question.prompt.as_ref(),
            keypad: Keypad::of(question),
            is_conditional: question.ask_when.is_some(),
        })
    }

    /// What senders may tell beside answers.
    pub fn fields(&self) -> &[Name] {
        &self.book.fields
    }

    /// What a sender hears, by what was answered so far. `check` says whether a document is one
    /// that the sender takes.
    ///
    /// # Errors
    /// Every fault, its path relative to the source: `replies[1].when`; never an empty list.
    pub fn replies(
        &self,
        definitions: &[ReplyDefinition],
        check: &dyn Fn(&str) -> Result<(), String>,
    ) -> Result<Replies, Vec<DefinitionError>> {
        Replies::compile(definitions, &self.book, check)
    }

    /// How long a submission waits for more, at the most, after something new arrived.
    pub fn longest_wait(&self) -> Duration {
        let CompleteDefinition { timeout, hangup_timeout, deadline, .. } = self.complete;
        timeout.max(hangup_timeout).max(self.delay).min(deadline)
    }

    /// Fields whose values the tallies distinguish.
    pub fn insights(&self) -> &[Name] {
        &self.book.insights
    }

    /// What the tallies know of answers that were mapped, beside their feedback.
    pub fn insight(&self, answers: &Answers, trace: &Trace) -> Insight {
        Insights::of(&self.book.insights, answers, trace)
    }

    /// The same answers always come to the same.
    pub fn map(&self, answers: &Answers) -> Mapped {
        let (mapping, trace) = self.book.map(answers);
        Mapped { mapping, trace }
    }
}

impl CompletionPolicy for Survey {
    /// An answer to a question that the survey does not have is outside every domain.
    fn validity(&self, question: &str, answer: &Answer) -> AnswerValidity {
        match (answer, self.book.questions.find(question)) {
            (Answer::Silence, _) => AnswerValidity::Silence,
            (Answer::Given(_), Some(question)) => call_view::standing(question, answer),
            (Answer::Given(_), None) => AnswerValidity::OutsideDomain,
        }
    }

    fn due(&self, answers: &Answers) -> DueTime {
        let complete = self.book.is_complete(&self.book.call_view(answers));
        let CompleteDefinition { timeout, hangup_timeout, deadline, .. } = self.complete;
        let wait = match (complete, answers.hung_up_at()) {
            (true, _) => self.delay,
            (false, None) => timeout.max(self.delay),
            (false, Some(_)) => hangup_timeout.max(self.delay),
        };
        let last_new = answers.last_new_at().expect("there is an answer");
        let first = answers.first_at().expect("there is an answer");
        let later = |from: jiff::Timestamp, by: Duration| {
            from.saturating_add(by).expect("a duration has no calendar units")
        };
        DueTime { complete, at: later(last_new, wait).min(later(first, deadline)) }
    }

    fn changed_answers(&self) -> ChangedAnswerPolicy {
        self.book.changes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::samples::*;
    use super::*;
    use crate::domain::{Feedback, Issue, Issues, Rating};
    use crate::submission::{DeadReason, IgnoredReason};

    /// The survey that the settings show as their example.
    fn quality() -> Definition {
        let questions = vec![asked("score", &["1-5"]), asked("problem", &["1-3"])];
        Definition {
            rating: Some(RatingDefinition::new(name("score"))),
            issues: IssuesDefinition {
                question: Some(name("problem")),
                choices: vec![
                    choice("", "1", Issue::Echo),
                    choice("", "2", Issue::OneWayAudio),
                    choice("", "3", Issue::CallDropped),
                ],
                ..IssuesDefinition::default()
            },
            notes: notes("IVR survey: {{ score }} of 5"),
            delay: Duration::from_secs(60),
            ..Definition::new(questions)
        }
    }

    fn feedback(rating: f64, issues: &[Issue], notes: &str) -> Mapping {
        let issues = issues.iter().copied().collect::<Issues>();
        Mapping::Feedback(
            Feedback::new(Rating::new(rating).unwrap(), issues, notes.to_owned()).unwrap(),
        )
    }

    fn ignore(reason: IgnoredReason) -> Mapping {
        Mapping::Ignore { reason, detail: None }
    }

    #[test]
    fn answers_become_feedback_or_a_reason_why_not() {
        use IgnoredReason::*;
        let survey = Survey::compile(quality()).unwrap();
        for (said, expected) in [
            (
                &[("score", "2"), ("problem", "1")][..],
                feedback(2.0, &[Issue::Echo], "IVR survey: 2 of 5"),
            ),
            (&[("score", "4")], feedback(4.0, &[Issue::Others], "IVR survey: 4 of 5")),
            (
                &[("score", "4"), ("problem", "9")],
                feedback(4.0, &[Issue::Others], "IVR survey: 4 of 5"),
            ),
            (&[("score", "5")], feedback(5.0, &[], "IVR survey: 5 of 5")),
            (
                &[("problem", "3"), ("score", "5")],
                feedback(5.0, &[Issue::CallDropped], "IVR survey: 5 of 5"),
            ),
            (
                &[("score", "?"), ("score", "7"), ("score", "3"), ("score", "5")],
                feedback(3.0, &[Issue::Others], "IVR survey: 3 of 5"),
            ),
            (&[("score", "?")], ignore(NoAnswer)),
            (&[("score", "?"), ("problem", "1")], ignore(NoAnswer)),
            (&[("score", "7"), ("score", "?")], ignore(InvalidAnswer)),
            (&[("score", "04")], ignore(InvalidAnswer)),
            (&[("problem", "1")], ignore(NoScore)),
            (&[], ignore(NoScore)),
        ] {
            assert_eq!(survey.map(&answers(said)).mapping, expected, "{said:?}");
        }
    }

    #[test]
    fn a_question_that_the_survey_does_not_have_is_named_and_mapped_to_nothing() {
        let survey = Survey::compile(quality()).unwrap();
        let unmapped =
            |question: &str| match survey.map(&answers(&[("score", "4"), (question, "1")])).mapping
            {
                Mapping::Dead { detail, .. } => detail,
                other => panic!("{other:?}"),
            };
        assert_eq!(unmapped("scroe"), r#"the survey has no question "scroe""#);
        assert_eq!(unmapped("a\n\u{1b}[2Jé"), r#"the survey has no question "a??[2J?""#);
        assert!(unmapped(&"x".repeat(60_000)).len() < 100);
    }

    #[test]
    fn the_commonest_survey_needs_two_lines() {
        let quick = Definition {
            rating: Some(RatingDefinition::new(name("score"))),
            ..Definition::new(vec![asked("score", &["1-5"])])
        };
        let survey = Survey::compile(quick).unwrap();
        assert_eq!(survey.first_question(), &name("score"));
        assert_eq!(
            survey.map(&answers(&[("score", "1")])).mapping,
            feedback(1.0, &[Issue::Others], "")
        );
    }

    #[test]
    fn only_answers_in_every_domain_end_the_waiting() {
        let due = |after, delay, said: &[(&str, &str)]| {
            let waits = Definition {
                complete: CompleteDefinition {
                    timeout: Duration::from_secs(after),
                    ..CompleteDefinition::default()
                },
                delay: Duration::from_secs(delay),
                ..quality()
            };
            let due = Survey::compile(waits).unwrap().due(&answers(said));
            (due.complete, due.at.as_second())
        };
        for (said, expected) in [
            (&[("score", "4")][..], (false, 121)),
            (&[("score", "4"), ("problem", "?")], (false, 122)),
            (&[("score", "4"), ("problem", "7")], (false, 122)),
            (&[("score", "4"), ("other", "1")], (false, 122)),
            (&[("score", "4"), ("problem", "1")], (true, 62)),
            (&[("problem", "1"), ("score", "9"), ("score", "4")], (true, 63)),
            // A repeat moves nothing, a changed mind does.
            (&[("score", "4"), ("problem", "1"), ("score", "4")], (true, 62)),
            (&[("score", "4"), ("problem", "1"), ("score", "5")], (true, 63)),
        ] {
            assert_eq!(due(120, 60, said), expected, "{said:?}");
        }
        assert_eq!(due(30, 60, &[("score", "4")]), (false, 61));
        assert_eq!(due(u64::MAX, 0, &[("score", "4")]), (false, 86_401));
    }

    #[test]
    fn an_answer_to_an_unknown_question_is_outside_every_domain() {
        let survey = Survey::compile(quality()).unwrap();
        let given = Answer::Given("1".to_owned());
        assert_eq!(survey.validity("score", &given), AnswerValidity::InDomain);
        assert_eq!(survey.validity("scroe", &given), AnswerValidity::OutsideDomain);
        assert_eq!(survey.validity("scroe", &Answer::Silence), AnswerValidity::Silence);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let broken = Definition {
            questions: vec![asked("score", &["0-5"]), asked("score", &["5-1"])],
            issues: IssuesDefinition { choices: Vec::new(), ..quality().issues },
            notes: notes("{{ scroe }}"),
            ..quality()
        };
        assert_eq!(
            refused(broken),
            [
                "questions[1].answers: 5-1 runs backwards: write 1-5",
                "questions[1].name: there is another question score: give each its own name",
                "rating.scale.from: score may be answered 0, outside 1 to 5: widen the scale, or \
                 take it from the answers",
                "issues.question: there is no question problem; known: score",
                "notes: there is no question or field scroe; did you mean `score`?",
            ]
        );
    }

    #[test]
    fn a_survey_without_questions_is_none() {
        let empty = Definition { questions: Vec::new(), ..quality() };
        assert_eq!(refused(empty), ["questions: a survey asks 1 to 32 questions, not 0"]);
    }

    /// More than one rule, and questions of every kind.
    fn thorough() -> Definition {
        let mut thorough = quality();
        thorough.fields = vec![name("campaign")];
        thorough.questions[0].opt_out = strings(&["9"]);
        thorough.questions[1].ask_when = Some("score < 5".to_owned());
        let optional = [question("solved", yes_no(&["1"], &[])), text("comment")];
        let optional = optional.map(|it| QuestionDefinition { optional: true, ..it });
        thorough.questions.extend(optional);
        thorough.issues.choices.push(mention("comment", &["echo"], Issue::Echo));
        thorough.rules = vec![
            ignored("campaign == 'test'", "test call"),
            RuleDefinition {
                issues: Some(Issues::from([Issue::CallDropped])),
                notes: Some("unsolved".to_owned()),
                ..rated("score <= 3 and solved == 'no'", 1.0)
            },
            rated("not answered.score and solved == 'no'", 2.0),
        ];
        thorough
    }

    fn thoroughly(said: &[(&str, &str)]) -> Mapped {
        Survey::compile(thorough()).unwrap().map(&answers(said))
    }

    #[test]
    fn the_first_rule_that_holds_speaks() {
        let thoroughly = |said: &[(&str, &str)]| thoroughly(said).mapping;
        for (said, expected) in [
            (
                &[("score", "2"), ("solved", "No.")][..],
                feedback(1.0, &[Issue::CallDropped], "unsolved"),
            ),
            (&[("solved", "no")], feedback(2.0, &[Issue::Others], "IVR survey:  of 5")),
            (
                &[("solved", "no"), ("problem", "2"), ("comment", "An echo!")],
                feedback(2.0, &[Issue::Echo, Issue::OneWayAudio], "IVR survey:  of 5"),
            ),
            (
                &[("score", "2"), ("solved", "1")],
                feedback(2.0, &[Issue::Others], "IVR survey: 2 of 5"),
            ),
            (&[("solved", "1")], ignore(IgnoredReason::NoScore)),
        ] {
            assert_eq!(thoroughly(said), expected, "{said:?}");
        }
        let test_call = with_field(answers(&[("score", "2")]), "campaign", "test");
        let ignored = Survey::compile(thorough()).unwrap().map(&test_call).mapping;
        let detail = Some("test call".to_owned());
        assert_eq!(ignored, Mapping::Ignore { reason: IgnoredReason::Rule, detail });
    }

    #[test]
    fn a_trace_names_every_part_that_spoke_and_repeats_no_free_text() {
        let said = [
            ("score", "?"),
            ("score", "4"),
            ("problem", "2"),
            ("solved", "my number is 0170 1234567"),
            ("comment", "An echo, call me"),
        ];
        let trace = thoroughly(&said).trace;
        insta::assert_snapshot!(trace, @r"
        score: 4 (form:Digits)
        problem: 2 (form:Digits)
        solved: an answer that it does not know (form:Digits)
        comment: some text (form:Digits)
        rating: 4 by rating.scale
        choice: ONE_WAY_AUDIO by issues.choices[1]
        choice: ECHO by issues.choices[3]
        issues: the choices
        notes: notes
        ");
        let ruled = thoroughly(&[("score", "1"), ("solved", "no")]).trace.to_json();
        assert!(ruled.contains(r#""rule":"rules[1]""#), "{ruled}");
        assert!(ruled.contains(r#""rating":{"rating":1,"by":"rules[1]"}"#), "{ruled}");
        let unrated = thoroughly(&[("score", "9")]).trace.to_string();
        assert!(unrated.ends_with("no feedback: on_no_rating.opt_out\n"), "{unrated}");
    }

    #[test]
    fn what_has_no_rating_ends_as_the_settings_say_for_its_reason() {
        use IgnoredReason::*;
        let all_dead = NoRatingPolicy {
            no_answer: OnNoRating::Dead,
            invalid_answer: OnNoRating::Dead,
            no_score: OnNoRating::Dead,
            hang_up: OnNoRating::Dead,
            opt_out: OnNoRating::Dead,
        };
        let ignoring = Survey::compile(thorough()).unwrap();
        let keeping = Survey::compile(Definition { on_no_rating: all_dead, ..thorough() }).unwrap();
        let hung_up = |said: &[(&str, &str)]| hung_up(answers(said), 9);
        for (answers, reason) in [
            (answers(&[("score", "?")]), NoAnswer),
            (hung_up(&[("score", "?")]), NoAnswer),
            (answers(&[("score", "7"), ("score", "?")]), InvalidAnswer),
            (answers(&[("problem", "1")]), NoScore),
            (hung_up(&[("problem", "1")]), NoScore),
            (hung_up(&[]), HungUp),
            (answers(&[("score", "9")]), OptedOut),
            (opted_out(answers(&[("problem", "1")]), 9), OptedOut),
        ] {
            assert_eq!(ignoring.map(&answers).mapping, ignore(reason), "{answers:?}");
            let kept = keeping.map(&answers).mapping;
            assert!(matches!(kept, Mapping::Dead { reason: DeadReason::Unrated, .. }), "{kept:?}");
        }
        // A rating before the opt-out counts.
        let rated = opted_out(answers(&[("score", "5")]), 9);
        assert!(matches!(ignoring.map(&rated).mapping, Mapping::Feedback(_)));
    }

    #[test]
    fn an_answer_mentions_the_same_however_it_was_said() {
        // Proved without another issue, and lawful only where each way to say no is one.
        let survey = Survey::compile(Definition {
            questions: vec![asked("score", &["1-4"]), question("solved", yes_no(&[], &["2"]))],
            issues: IssuesDefinition {
                question: None,
                choices: vec![mention("solved", &["no"], Issue::CallDropped)],
                default: Issues::new(),
                ..IssuesDefinition::default()
            },
            rules: vec![ignored("not answered.solved or solved == 'yes'", "solved")],
            ..quality()
        });
        let survey = survey.unwrap();
        for no in ["no", "2", "N", "False."] {
            let mapping = survey.map(&answers(&[("score", "2"), ("solved", no)])).mapping;
            assert_eq!(mapping, feedback(2.0, &[Issue::CallDropped], "IVR survey: 2 of 5"), "{no}");
        }
    }

    #[test]
    fn what_opts_out_takes_no_answer_away_however_it_is_written() {
        for (opt_out, is_taken) in [("9", true), ("5", false), ("5.", false), (" 5 !", false)] {
            let mut definition = quality();
            definition.questions[0].opt_out = strings(&[opt_out]);
            assert_eq!(Survey::compile(definition).is_ok(), is_taken, "{opt_out}");
        }
    }

    #[test]
    fn without_a_scale_only_rules_rate() {
        let rules = Definition { rating: None, issues: IssuesDefinition::default(), ..thorough() };
        let rules = Survey::compile(rules).unwrap();
        for (said, expected) in [
            (&[("solved", "no")][..], feedback(2.0, &[Issue::Others], "IVR survey:  of 5")),
            (&[("score", "5")], ignore(IgnoredReason::NoScore)),
            (&[("score", "7")], ignore(IgnoredReason::InvalidAnswer)),
            (&[("score", "?")], ignore(IgnoredReason::NoAnswer)),
        ] {
            assert_eq!(rules.map(&answers(said)).mapping, expected, "{said:?}");
        }
    }

    #[test]
    fn an_incomplete_survey_ends_as_the_settings_say() {
        let incomplete = |incomplete, said: &[(&str, &str)]| {
            let complete =
                CompleteDefinition { on_incomplete: incomplete, ..CompleteDefinition::default() };
            let survey = Survey::compile(Definition { complete, ..thorough() }).unwrap();
            survey.map(&answers(said)).mapping
        };
        let open = &[("score", "4")][..];
        let four = feedback(4.0, &[Issue::Others], "IVR survey: 4 of 5");
        assert_eq!(incomplete(Incomplete::Send, open), four);
        assert_eq!(incomplete(Incomplete::Ignore, open), ignore(IgnoredReason::Incomplete));
        let dead = incomplete(Incomplete::Dead, open);
        assert!(matches!(dead, Mapping::Dead { reason: DeadReason::Incomplete, .. }), "{dead:?}");
        // Why there is no rating says more; and at 5 the problem is not asked.
        assert_eq!(
            incomplete(Incomplete::Dead, &[("score", "?")]),
            ignore(IgnoredReason::NoAnswer)
        );
        let five = incomplete(Incomplete::Dead, &[("score", "5")]);
        assert_eq!(five, feedback(5.0, &[], "IVR survey: 5 of 5"));
    }

    #[test]
    fn a_survey_may_count_the_last_answer() {
        for (changes, rating) in [
            (ChangedAnswerPolicy::KeepFirst, 2.0),
            (ChangedAnswerPolicy::KeepLast, 5.0),
            (ChangedAnswerPolicy::Redeliver, 5.0),
        ] {
            let survey =
                Survey::compile(Definition { on_changed_answer: changes, ..quality() }).unwrap();
            assert_eq!(CompletionPolicy::changed_answers(&survey), changes);
            let said = answers(&[("score", "2"), ("score", "5"), ("score", "7")]);
            match survey.map(&said).mapping {
                Mapping::Feedback(feedback) => assert_eq!(feedback.rating().value(), rating),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn only_what_is_asked_is_waited_for_and_never_beyond_the_deadline() {
        let survey = Survey::compile(Definition {
            delay: Duration::from_secs(2),
            complete: CompleteDefinition {
                deadline: Duration::from_secs(100),
                ..CompleteDefinition::default()
            },
            ..thorough()
        });
        let survey = survey.unwrap();
        let due = |answers: &Answers| {
            let due = survey.due(answers);
            (due.complete, due.at.as_second())
        };
        // Below 5 the problem is asked, at 5 it is not; the rest is optional.
        assert_eq!(due(&answers(&[("score", "4"), ("problem", "1")])), (true, 4));
        assert_eq!(due(&answers(&[("score", "5")])), (true, 3));
        assert_eq!(due(&answers(&[("score", "4")])), (false, 101));
        // An answer that opts out ends the waiting.
        assert_eq!(due(&answers(&[("score", "9")])), (true, 3));
        assert_eq!(due(&hung_up(answers(&[("score", "4")]), 10)), (false, 15));
        assert_eq!(due(&hung_up(Answers::default(), 10)), (false, 15));
        assert_eq!(due(&opted_out(answers(&[("problem", "1")]), 10)), (true, 12));
    }

    fn some_definition() -> impl Strategy<Value = Definition> {
        let piece = prop::sample::select(vec!["1-5", "0-10", "7", "*", "#", "10", "5-1", "x", ""]);
        let pieces = prop::collection::vec(piece, 0..3);
        let of = prop::sample::select(vec!["score", "problem", "other", "a-b", "a_b"]);
        let questions = prop::collection::vec((of.clone(), pieces), 0..4);
        let chosen = (
            prop::sample::select(vec!["1", "2", "7", "*"]),
            prop::sample::select(Issue::ALL.to_vec()),
        );
        let note = prop::sample::select(vec![
            "plain",
            "{{ score }} {{ problem }}",
            "{{ a_b | upper }}",
            "{% for i in score %}{{ i }}{% endfor %}",
            "{{ 100 / (score | int) }}",
            "{{ nope",
        ]);
        (
            questions,
            of.clone(),
            (-1i64..3, 4i64..12),
            (prop::option::of(of), prop::collection::vec(chosen, 0..3), any::<bool>()),
            prop::option::of(note),
        )
            .prop_map(|(questions, rated, from, (of, choices, drops), note)| Definition {
                rating: Some(RatingDefinition {
                    scale: ScaleDefinition::Linear { from, round: Rounding::Hundredth },
                    ..RatingDefinition::new(name(rated))
                }),
                issues: IssuesDefinition {
                    question: of.map(name),
                    choices: choices
                        .into_iter()
                        .map(|(answer, issue)| choice("", answer, issue))
                        .collect(),
                    at_max_rating: if drops { AtMaxRating::Drop } else { AtMaxRating::Send },
                    ..IssuesDefinition::default()
                },
                notes: note.map(notes).unwrap_or_default(),
                ..Definition::new(questions.iter().map(|(q, pieces)| asked(q, pieces)).collect())
            })
    }

    proptest! {
        #[test]
        fn what_compiles_maps_anything_to_lawful_feedback_or_a_named_outcome(
            definition in some_definition(),
            said in prop::collection::vec(
                (
                    prop::sample::select(vec!["score", "problem", "other", "a-b"]),
                    prop_oneof!["[0-9*#]{1,2}", Just("?".to_owned()), ".*"],
                ),
                1..8,
            ),
        ) {
            let survey = match Survey::compile(definition) {
                Ok(survey) => survey,
                Err(faults) => {
                    prop_assert!(!faults.is_empty());
                    return Ok(());
                }
            };
            let said: Vec<_> = said.iter().map(|(q, a)| (*q, a.as_str())).collect();
            let answers = answers(&said);
            let due = survey.due(&answers);
            prop_assert!(due.at >= answers.last_new_at().unwrap());
            match survey.map(&answers).mapping {
                Mapping::Feedback(feedback) => {
                    let rating = feedback.rating().value();
                    prop_assert!((1.0..=5.0).contains(&rating));
                    prop_assert!(rating == 5.0 || feedback.issues().next().is_some());
                }
                Mapping::Ignore { .. } => prop_assert!(!due.complete),
                Mapping::Dead { detail, .. } => {
                    prop_assert!(detail.len() < 200 && detail.is_ascii());
                }
            }
        }
    }
}
