use std::collections::BTreeSet;
use std::sync::LazyLock;

use minijinja::{Environment, Expression, Value};

use super::definition::DefinitionError;
use super::language::{EvalError, advice, check_tokens, environment};
use super::names::{Scope, Unknown, is_for_want_of_an_answer};
use super::split::{Joined, split};
use super::{operators, parts, type_check};
use crate::domain::Advice;

/// An expression of `minijinja` over questions and fields that holds or does not.
///
/// It is taken apart at its `and`s and `or`s. A part that needs an answer which is not there is not
/// met, whatever it says of it; the others count as they are.
#[derive(Debug)]
pub struct Condition {
    /// Places of the parts.
    root: Joined<usize>,
    parts: Vec<Part>,
    /// As it is written.
    text: String,
}

/// A condition without `and` and `or`.
#[derive(Debug)]
pub struct Part {
    expression: Expression<'static, 'static>,
    /// Which names it looks at, in order.
    pub looks_at: Vec<usize>,
    pub text: String,
    /// Where it begins in the condition as it is written, in bytes.
    start: usize,
}

/// Longest condition in bytes.
const LENGTH_MAX: usize = 2048;
/// Bounds the time and the memory that one part takes: about as many instructions, and 64 times as
/// many bytes.
const FUEL: u64 = 2_000;

/// One for all conditions: it holds nothing of theirs.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| environment(FUEL));

impl Condition {
    pub fn compile(
        text: &str,
        names: &Scope,
        path: &str,
        faults: &mut Vec<DefinitionError>,
    ) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            let message = format!("a condition is at most {LENGTH_MAX} bytes long");
            faults.push(DefinitionError::at(path, message));
            return None;
        }
        let indentation = text.len() - text.trim_start().len();
        let text = text.trim();
        let compiled =
            Part::compile(text, 0, names).map_err(|advice| operators::hint(text).unwrap_or(advice));
        let checked = compiled.and_then(|whole| {
            type_check::check(text, names)?;
            Ok(whole)
        });
        let whole = match checked {
            Ok(whole) => whole,
            Err(advice) => {
                if !names.is_empty() {
                    faults.push(DefinitionError::at(path, advice.behind(indentation)));
                }
                return None;
            }
        };
        let mut parts = Vec::new();
        let root = split(text).try_map(&mut |part| {
            // It is cut out of the text.
            let start = indentation + (part.as_ptr() as usize - text.as_ptr() as usize);
            parts.push(Part::compile(part, start, names).ok()?);
            Some(parts.len() - 1)
        });
        let root = root.unwrap_or_else(|| {
            // It was taken apart where it should not have been.
            parts = vec![Part { start: indentation, ..whole }];
            Joined::One(0)
        });
        Some(Self { root, parts, text: text.to_owned() })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// `facts` are [`EvalContext`](super::names::EvalContext) in which questions without an answer stop.
    ///
    /// # Errors
    /// A part takes too long, or fails on an answer.
    pub fn holds(&self, facts: &Value) -> Result<bool, EvalError> {
        self.judge(&mut |part| self.parts[part].holds(facts))
    }

    /// As [`holds`](Self::holds), with a judge of the parts, which are asked in order and only as
    /// far as it matters.
    pub fn judge<E>(&self, judge: &mut dyn FnMut(usize) -> Result<bool, E>) -> Result<bool, E> {
        self.root.judge(&mut |part| judge(*part))
    }

    /// Which names it looks at.
    pub fn looks_at(&self) -> BTreeSet<usize> {
        self.parts.iter().flat_map(|part| part.looks_at.iter().copied()).collect()
    }
}

impl Part {
    fn compile(text: &str, start: usize, names: &Scope) -> Result<Self, Advice> {
        check_tokens(text, true)?;
        let expression = ENVIRONMENT
            .compile_expression_owned(text.to_owned())
            .map_err(|error| advice(&error))?;
        let looks_at = names
            .looked_at(expression.undeclared_variables(true), &[])
            .map_err(|Unknown { name, advice }| advice.at(parts::of_name(text, true, &name)))?;
        let looks_at = looks_at.into_iter().collect();
        Ok(Self { expression, looks_at, text: text.to_owned(), start })
    }

    /// Why it fails, at its place in the condition.
    pub fn advice(&self, failed: EvalError) -> Advice {
        let EvalError { details, part, .. } = failed;
        Advice::from(details).at(part.or(Some(0..self.text.len()))).behind(self.start)
    }

    /// # Errors
    /// It takes too long, or fails on an answer.
    pub fn holds(&self, facts: &Value) -> Result<bool, EvalError> {
        match self.expression.eval(facts.clone()) {
            Ok(value) => Ok(value.is_true()),
            Err(error) if is_for_want_of_an_answer(&error) => Ok(false),
            Err(error) => Err(EvalError::over(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::survey::names::EvalContext;
    use crate::survey::samples::result_of;

    fn names() -> Arc<Scope> {
        Scope::sample(&["score", "call-problem"], "campaign")
    }

    fn compile(text: &str) -> Result<Condition, Vec<String>> {
        let mut faults = Vec::new();
        let condition = Condition::compile(text, &names(), "when", &mut faults);
        result_of(condition, &faults)
    }

    fn holds(text: &str, score: Option<i64>, problem: Option<i64>) -> Result<bool, String> {
        let values = vec![score.map(Value::from), problem.map(Value::from), Some(Value::from("x"))];
        let facts = Value::from(EvalContext::new(&names(), values));
        compile(text).unwrap().holds(&facts).map_err(|failed| failed.details)
    }

    #[test]
    fn a_part_that_wants_an_answer_which_is_not_there_is_not_met() {
        for (text, expected) in [
            ("score < 3", true),
            ("call_problem < 3", false),
            ("call_problem >= 3", false),
            ("not (call_problem < 3)", false),
            ("call_problem < 3 or score < 3", true),
            ("(call_problem < 3 or score < 3) and campaign == 'x'", true),
            ("not answered.call_problem and answered.score", true),
            ("call_problem is defined", false),
            ("(call_problem if answered.call_problem else 7) == 7", true),
            ("campaign in ['x', 'y']", true),
            ("campaign", true),
        ] {
            assert_eq!(holds(text, Some(2), None), Ok(expected), "{text}");
        }
    }

    #[test]
    fn parts_are_worked_out_only_as_far_as_it_matters() {
        assert_eq!(holds("score == 0 or 6 / score > 2", Some(0), None), Ok(true));
        assert_eq!(holds("score != 0 and 6 / score > 2", Some(0), None), Ok(false));
        let failed = holds("6 / score > 2", Some(0), None).unwrap_err();
        assert!(failed.contains("unable to calculate"), "{failed}");
    }

    #[test]
    fn a_condition_that_cannot_be_read_is_refused() {
        for (text, why) in [
            ("scroe < 3", "there is no question or field scroe; did you mean `score`?"),
            ("from == '1'", "declare what a source reads: `fields: [from]`"),
            ("score <", "syntax error"),
            ("campaign == 'x' && score < 3", "`&&` is not an operator of conditions: use `and`"),
            ("campaign == 'x' ? score : 1", "syntax error"),
            ("campaign == 'x' 'y", "syntax error"),
            ("", "syntax error"),
            ("answered.scroe", "there is no question or field scroe"),
            ("answered.campaign", "campaign is no question"),
            ("answered", "write answered.QUESTION"),
            ("range(3)", "there is no question or field range"),
            ("score and scroe", "there is no question or field scroe"),
            (&format!("score == {}", "1".repeat(2048)), "at most 2048 bytes"),
        ] {
            let faults = compile(text).unwrap_err();
            assert!(faults[0].starts_with("when: ") && faults[0].contains(why), "{faults:?}");
        }
    }

    fn some_condition() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec![
            "score < 3",
            "call_problem == 2",
            "campaign == 'x'",
            "campaign == 'this or that'",
            "score in [1, 2 or 3]",
            "answered.score",
        ]);
        part.prop_map(str::to_owned).prop_recursive(4, 24, 3, |inner| {
            let two = (inner.clone(), inner.clone());
            prop_oneof![
                two.clone().prop_map(|(a, b)| format!("{a} and {b}")),
                two.clone().prop_map(|(a, b)| format!("{a} or {b}")),
                two.clone().prop_map(|(a, b)| format!("({a}) and ({b})")),
                inner.clone().prop_map(|a| format!("not {a}")),
                inner.clone().prop_map(|a| format!("({a})")),
                (two, inner).prop_map(|((a, b), c)| format!("{a} if {b} else {c}")),
            ]
        })
    }

    proptest! {
        #[test]
        fn where_all_is_answered_it_holds_as_if_it_were_not_taken_apart(
            text in some_condition(),
            (score, problem) in (1i64..6, 1i64..6),
        ) {
            let values = [Value::from(score), Value::from(problem), Value::from("x")];
            let facts = Value::from(EvalContext::new(&names(), values.map(Some).to_vec()));
            let whole = ENVIRONMENT.compile_expression_owned(text.clone());
            // Not every nesting of an inline `if` is one.
            let Ok(whole) = whole else { return Ok(()) };
            let whole = whole.eval(facts.clone()).unwrap().is_true();
            prop_assert_eq!(compile(&text).unwrap().holds(&facts), Ok(whole));
        }
    }

    #[test]
    fn no_condition_takes_for_ever_or_exhausts_the_stack() {
        let list = "1,".repeat(200);
        let failed = holds(&format!("[{list}] | map('int') | list | sort | sum > 1"), None, None);
        assert!(failed.is_ok() || failed.unwrap_err().contains("fuel"));
        for (open, inner, close) in [
            ("(", "score", ")"),
            ("not ", "score", ""),
            ("score and ", "score", ""),
            ("(score or score and ", "1", ")"),
            ("score ~ ", "score", ""),
            ("[", "score", "]"),
        ] {
            let times = (LENGTH_MAX - 20) / (open.len() + close.len());
            let text = format!("{}{inner}{}", open.repeat(times), close.repeat(times));
            if let Ok(condition) = compile(&text) {
                let values = vec![Some(Value::from(1)), None, Some(Value::from(""))];
                let _ = condition.holds(&Value::from(EvalContext::new(&names(), values)));
            }
        }
    }
}
