//! Types in conditions and templates. The language orders values of different types, numbers before text, and finds
//! them different: `score <= "2"` always holds if the score is a number, and would rate a 10 as a 1.
//! So a comparison of values of different types is refused, and so is one that its types make
//! meaningless.
//!
//! In a template, a question without an answer is an empty text, and several answers are one text.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Range;

use minijinja::Value;
use minijinja::machinery::ast::{
    BinOp, BinOpKind, CallArg, Compare, CompareOpKind, Const, Expr, Filter, Stmt, Test, UnaryOp,
    UnaryOpKind,
};
use minijinja::machinery::{parse, parse_expr};
use minijinja::value::ValueKind;

use super::names::{ANSWERED, Scope};
use super::parts;
use super::value_type::ValueType;
use super::words::listed;
use crate::domain::Advice;

/// Most answers that an error names.
const SHOWN: usize = 5;

/// Most levels of an expression, not counting what `and` and `or` join: it is looked through by recursion.
const DEPTH_MAX: usize = 64;

/// Checks the types in a condition that is known to be an expression over `names`.
///
/// # Errors
/// The first mistake, and what would be right.
pub fn check(text: &str, names: &Scope) -> Result<(), Advice> {
    // What cannot be read has its own error.
    let Ok(expression) = parse_expr(text) else { return Ok(()) };
    let checker =
        Checker { names, depth: Cell::new(0), is_template: false, bound: BTreeSet::new() };
    checker.condition(&expression)
}

/// Checks the types in all expressions of a template that is known to be one over `names`.
///
/// # Errors
/// The first mistake, and what would be right.
pub fn check_template(text: &str, names: &Scope) -> Result<(), Advice> {
    let Ok(template) = parse(text, "", Default::default()) else { return Ok(()) };
    let statements = std::slice::from_ref(&template);
    let mut bound = BTreeSet::new();
    bind(statements, &mut bound);
    Checker { names, depth: Cell::new(0), is_template: true, bound }.statements(statements)
}

struct Checker<'n> {
    names: &'n Scope,
    depth: Cell<usize>,
    is_template: bool,
    /// Names that the template itself gives a value, whose types are not known.
    bound: BTreeSet<String>,
}

/// The statements within a statement.
fn bodies<'s>(statement: &'s Stmt<'s>) -> Vec<&'s [Stmt<'s>]> {
    match statement {
        Stmt::Template(template) => vec![&template.children],
        Stmt::ForLoop(each) => vec![&each.body, &each.else_body],
        Stmt::IfCond(either) => vec![&either.true_body, &either.false_body],
        Stmt::WithBlock(with) => vec![&with.body],
        Stmt::SetBlock(set) => vec![&set.body],
        Stmt::AutoEscape(block) => vec![&block.body],
        Stmt::FilterBlock(block) => vec![&block.body],
        Stmt::Set(_) | Stmt::EmitExpr(_) | Stmt::EmitRaw(_) | Stmt::Do(_) => Vec::new(),
    }
}

/// Adds the names that statements give a value.
fn bind(statements: &[Stmt<'_>], bound: &mut BTreeSet<String>) {
    for statement in statements {
        match statement {
            Stmt::ForLoop(each) => bind_target(&each.target, bound),
            Stmt::WithBlock(with) => {
                with.assignments.iter().for_each(|(target, _)| bind_target(target, bound));
            }
            Stmt::Set(set) => bind_target(&set.target, bound),
            Stmt::SetBlock(set) => bind_target(&set.target, bound),
            _ => {}
        }
        bodies(statement).into_iter().for_each(|body| bind(body, bound));
    }
}

fn bind_target(target: &Expr<'_>, bound: &mut BTreeSet<String>) {
    match target {
        Expr::Var(variable) => {
            bound.insert(variable.id.to_owned());
        }
        Expr::List(list) => list.items.iter().for_each(|it| bind_target(it, bound)),
        Expr::Tuple(tuple) => tuple.items.iter().for_each(|it| bind_target(it, bound)),
        _ => {}
    }
}

/// A value in an expression, as far as it is known.
#[derive(Debug, Clone)]
struct Operand {
    value_type: ValueType,
    /// The question or field that it is.
    name: Option<usize>,
    /// Whether it is one of several answers to that question.
    is_member: bool,
    literal: Option<Value>,
    /// Where it is written.
    part: Range<usize>,
    /// Those of a list that is written out.
    items: Vec<Operand>,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equality,
    Order,
    Membership,
}

impl Comparison {
    fn of(kind: &CompareOpKind) -> Self {
        match kind {
            CompareOpKind::Eq | CompareOpKind::Ne => Self::Equality,
            CompareOpKind::Lt | CompareOpKind::Lte | CompareOpKind::Gt | CompareOpKind::Gte => {
                Self::Order
            }
            CompareOpKind::In | CompareOpKind::NotIn => Self::Membership,
        }
    }

    fn of_operator(kind: &BinOpKind) -> Option<Self> {
        Some(match kind {
            BinOpKind::Eq | BinOpKind::Ne => Self::Equality,
            BinOpKind::Lt | BinOpKind::Lte | BinOpKind::Gt | BinOpKind::Gte => Self::Order,
            BinOpKind::In => Self::Membership,
            _ => return None,
        })
    }

    fn of_test(name: &str) -> Option<Self> {
        Some(match name {
            "eq" | "equalto" | "==" | "sameas" | "ne" | "!=" => Self::Equality,
            "lt" | "lessthan" | "<" | "le" | "<=" => Self::Order,
            "gt" | "greaterthan" | ">" | "ge" | ">=" => Self::Order,
            "in" => Self::Membership,
            _ => return None,
        })
    }
}

impl Operand {
    fn of(value_type: ValueType) -> Self {
        let items = Vec::new();
        Self { value_type, name: None, is_member: false, literal: None, part: 0..0, items }
    }

    fn constant(Const { value }: &Const) -> Self {
        let value_type = match value.kind() {
            ValueKind::None => ValueType::Nothing,
            ValueKind::Bool => ValueType::Bool,
            ValueKind::Number => ValueType::Number,
            ValueKind::String => ValueType::Text,
            _ => ValueType::Unknown,
        };
        Self { literal: Some(value.clone()), ..Self::of(value_type) }
    }

    /// The text that is written, unless it is something else.
    fn text(&self) -> Option<&str> {
        self.literal.as_ref()?.as_str()
    }

    /// The number that is written as text.
    fn number_in_quotes(&self) -> Option<&str> {
        self.text().filter(|text| text.trim().parse::<f64>().is_ok())
    }
}

impl Checker<'_> {
    fn statements(&self, statements: &[Stmt<'_>]) -> Result<(), Advice> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&self, statement: &Stmt<'_>) -> Result<(), Advice> {
        match statement {
            Stmt::EmitExpr(emit) => drop(self.operand(&emit.expr)?),
            Stmt::ForLoop(each) => {
                self.operand(&each.iter)?;
                each.filter_expr.iter().try_for_each(|filter| self.condition(filter))?;
            }
            Stmt::IfCond(either) => self.condition(&either.expr)?,
            Stmt::WithBlock(with) => {
                with.assignments.iter().try_for_each(|(_, it)| self.operand(it).map(drop))?;
            }
            Stmt::Set(set) => drop(self.operand(&set.expr)?),
            Stmt::SetBlock(set) => {
                set.filter.iter().try_for_each(|filter| self.operand(filter).map(drop))?;
            }
            Stmt::FilterBlock(block) => drop(self.operand(&block.filter)?),
            Stmt::Do(call) => drop(self.arguments(&call.call.args)?),
            Stmt::Template(_) | Stmt::EmitRaw(_) | Stmt::AutoEscape(_) => {}
        }
        bodies(statement).into_iter().try_for_each(|body| self.statements(body))
    }

    fn condition(&self, expression: &Expr<'_>) -> Result<(), Advice> {
        self.operand(expression)?;
        self.truth(expression)
    }

    /// The question or field of that name, and its type.
    fn variable(&self, name: &str) -> Option<(usize, ValueType)> {
        let at = self.names.find(name).filter(|_| !self.bound.contains(name))?;
        let value_type = match self.names.value_type(at) {
            ValueType::List(_) if self.is_template => ValueType::Text,
            value_type => value_type,
        };
        Some((at, value_type))
    }

    /// Checks all that an expression compares, and returns what it comes to.
    fn operand(&self, expression: &Expr<'_>) -> Result<Operand, Advice> {
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > DEPTH_MAX {
            let message = format!("it is nested too deeply to check: at most {DEPTH_MAX} levels");
            return Err(message.into());
        }
        let operand = self.operand_at_depth(expression);
        self.depth.set(self.depth.get() - 1);
        Ok(Operand { part: parts::of_expression(expression), ..operand? })
    }

    fn operand_at_depth(&self, expression: &Expr<'_>) -> Result<Operand, Advice> {
        let value_type = match expression {
            Expr::Const(constant) => return Ok(Operand::constant(constant)),
            Expr::Var(variable) => {
                let known = self.variable(variable.id);
                let name = known.as_ref().map(|(at, _)| *at);
                let known = known.map_or(ValueType::Unknown, |(_, value_type)| value_type);
                return Ok(Operand { name, ..Operand::of(known) });
            }
            Expr::List(list) => return self.list(&list.items),
            Expr::Tuple(tuple) => return self.list(&tuple.items),
            Expr::Compare(compare) => self.comparisons(compare)?,
            Expr::BinOp(operation) if is_a_join(operation) => self.joined(expression)?,
            Expr::BinOp(operation) => self.operation(operation)?,
            Expr::UnaryOp(operation) => self.unary(operation)?,
            Expr::IfExpr(either) => {
                self.condition(&either.test_expr)?;
                let then = self.operand(&either.true_expr)?.value_type;
                match &either.false_expr {
                    Some(otherwise) => then.or(self.operand(otherwise)?.value_type),
                    None => ValueType::Unknown,
                }
            }
            Expr::Filter(filter) => self.filter(filter)?,
            Expr::Test(test) => self.test(test)?,
            Expr::GetAttr(attribute) => match &attribute.expr {
                Expr::Var(variable) if variable.id == ANSWERED => ValueType::Bool,
                of => {
                    self.operand(of)?;
                    ValueType::Unknown
                }
            },
            Expr::GetItem(item) => {
                self.operand(&item.subscript_expr)?;
                match self.operand(&item.expr)?.value_type {
                    ValueType::List(of) => *of,
                    _ => ValueType::Unknown,
                }
            }
            Expr::Slice(slice) => self.operand(&slice.expr)?.value_type,
            Expr::Call(call) => {
                self.arguments(&call.args)?;
                ValueType::Unknown
            }
            Expr::Map(map) => {
                map.keys.iter().chain(&map.values).try_for_each(|it| self.operand(it).map(drop))?;
                ValueType::Unknown
            }
        };
        Ok(Operand::of(value_type))
    }

    fn list(&self, items: &[Expr<'_>]) -> Result<Operand, Advice> {
        let items =
            items.iter().map(|item| self.operand(item)).collect::<Result<Vec<Operand>, _>>()?;
        let types = items.iter().map(|item| item.value_type.clone());
        let of = types.reduce(ValueType::or).unwrap_or(ValueType::Unknown);
        Ok(Operand { items, ..Operand::of(ValueType::List(Box::new(of))) })
    }

    fn arguments(&self, arguments: &[CallArg<'_>]) -> Result<Vec<Operand>, Advice> {
        let expressions = arguments.iter().map(|argument| match argument {
            CallArg::Pos(it) | CallArg::Kwarg(_, it) => it,
            CallArg::PosSplat(it) | CallArg::KwargSplat(it) => it,
        });
        expressions.map(|it| self.operand(it)).collect()
    }

    fn comparisons(&self, compare: &Compare<'_>) -> Result<ValueType, Advice> {
        let mut left = self.operand(&compare.expr)?;
        for next in &compare.ops {
            let right = self.operand(&next.expr)?;
            self.compare(&left, Comparison::of(&next.op), &right)?;
            left = right;
        }
        Ok(ValueType::Bool)
    }

    fn joined(&self, expression: &Expr<'_>) -> Result<ValueType, Advice> {
        let types = operands_of_join(expression).into_iter();
        let types = types.map(|it| Ok(self.operand(it)?.value_type));
        let types = types.collect::<Result<Vec<_>, Advice>>()?;
        Ok(types.into_iter().reduce(ValueType::or).unwrap_or(ValueType::Unknown))
    }

    fn operation(&self, operation: &BinOp<'_>) -> Result<ValueType, Advice> {
        let left = self.operand(&operation.left)?;
        let right = self.operand(&operation.right)?;
        if let Some(comparison) = Comparison::of_operator(&operation.op) {
            self.compare(&left, comparison, &right)?;
            return Ok(ValueType::Bool);
        }
        let (left, right) = (left.value_type, right.value_type);
        Ok(match operation.op {
            BinOpKind::Concat => ValueType::Text,
            BinOpKind::Add if left.is_text() && right.is_text() => ValueType::Text,
            _ if left == ValueType::Number && right == ValueType::Number => ValueType::Number,
            _ => ValueType::Unknown,
        })
    }

    fn unary(&self, operation: &UnaryOp<'_>) -> Result<ValueType, Advice> {
        self.operand(&operation.expr)?;
        Ok(match operation.op {
            UnaryOpKind::Not => ValueType::Bool,
            UnaryOpKind::Neg => ValueType::Number,
        })
    }

    fn filter(&self, filter: &Filter<'_>) -> Result<ValueType, Advice> {
        let of = filter.expr.as_ref().map(|of| self.operand(of)).transpose()?;
        let of = of.map_or(ValueType::Unknown, |of| of.value_type);
        let arguments = self.arguments(&filter.args)?;
        Ok(match (filter.name, of) {
            ("int" | "float", _) if arguments.is_empty() => ValueType::Number,
            ("int" | "float", _) => ValueType::Number.or(arguments[0].value_type.clone()),
            ("length" | "count", _) => ValueType::Number,
            ("abs" | "round", of) => of,
            ("string" | "lower" | "upper" | "title" | "capitalize", _) => ValueType::Text,
            ("trim" | "replace" | "join" | "escape" | "e" | "urlencode", _) => ValueType::Text,
            ("default" | "d", of) => match &arguments[..] {
                [] => of,
                [other, ..] => of.or(other.value_type.clone()),
            },
            ("first" | "last" | "min" | "max" | "sum", ValueType::List(of)) => *of,
            ("sort" | "unique" | "reverse" | "list", of @ ValueType::List(_)) => of,
            _ => ValueType::Unknown,
        })
    }

    fn test(&self, test: &Test<'_>) -> Result<ValueType, Advice> {
        let left = self.operand(&test.expr)?;
        let arguments = self.arguments(&test.args)?;
        if let (Some(comparison), Some(right)) = (Comparison::of_test(test.name), arguments.first())
        {
            self.compare(&left, comparison, right)?;
        }
        Ok(ValueType::Bool)
    }

    fn compare(
        &self,
        left: &Operand,
        comparison: Comparison,
        right: &Operand,
    ) -> Result<(), Advice> {
        let compared = match comparison {
            Comparison::Membership => self.member(left, right),
            Comparison::Equality if self.is_for_no_answer(left, right) => Ok(()),
            _ => self.compare_types(left, comparison, right),
        };
        compared.map_err(|advice| advice.at(left.part.start..right.part.end))
    }

    /// Whether a template compares a question with the empty text that it is without an answer.
    fn is_for_no_answer(&self, left: &Operand, right: &Operand) -> bool {
        let is_question = |it: &Operand| it.name.is_some_and(|at| self.names.is_question(at));
        let is_empty = |it: &Operand| it.text() == Some("");
        self.is_template
            && (is_question(left) && is_empty(right) || is_empty(left) && is_question(right))
    }

    fn compare_types(
        &self,
        left: &Operand,
        comparison: Comparison,
        right: &Operand,
    ) -> Result<(), Advice> {
        match (&left.value_type, &right.value_type) {
            (ValueType::Unknown, _) | (_, ValueType::Unknown) => Ok(()),
            (ValueType::Nothing, ValueType::Nothing) => Ok(()),
            (ValueType::Nothing, _) => Err(self.never_none(right).into()),
            (_, ValueType::Nothing) => Err(self.never_none(left).into()),
            (ValueType::Number, ValueType::Number) | (ValueType::Bool, ValueType::Bool) => Ok(()),
            (one, other) if one.is_text() && other.is_text() => match comparison {
                Comparison::Order => self.order_of_texts(left, right),
                _ => self.equality_of_texts(left, right),
            },
            (ValueType::List(one), ValueType::List(other)) => {
                let item = |of: &Operand, value_type: &ValueType| Operand {
                    value_type: value_type.clone(),
                    items: Vec::new(),
                    ..of.clone()
                };
                self.compare(&item(left, one), Comparison::Equality, &item(right, other))
            }
            (ValueType::List(_), _) => Err(self.list_against_one(left, right).into()),
            (_, ValueType::List(_)) => Err(self.list_against_one(right, left).into()),
            (ValueType::Number, other) if other.is_text() => {
                Err(self.number_against_text(left, right, comparison))
            }
            (one, ValueType::Number) if one.is_text() => {
                Err(self.number_against_text(right, left, comparison))
            }
            (ValueType::Bool, _) => Err(self.against_bool(right).into()),
            _ => Err(self.against_bool(left).into()),
        }
    }

    fn member(&self, left: &Operand, right: &Operand) -> Result<(), Advice> {
        match &right.value_type {
            ValueType::List(_) if !right.items.is_empty() => {
                let equality = Comparison::Equality;
                right.items.iter().try_for_each(|item| self.compare(left, equality, item))
            }
            ValueType::List(of) => {
                let item = Operand { value_type: (**of).clone(), is_member: true, ..right.clone() };
                self.compare(left, Comparison::Equality, &item)
            }
            ValueType::Number => {
                Err(format!("{} is one number: compare it with `==`", self.subject(right)).into())
            }
            ValueType::OneOf(_) => Err(format!(
                "{} is one answer, and `in` would look for a part of its text: compare it with `==`",
                self.subject(right)
            )
            .into()),
            ValueType::Text if right.name.is_some() && left.value_type == ValueType::Number => {
                let text = self.subject(right);
                let number = left.literal.as_ref().map_or("…".to_owned(), Value::to_string);
                Err(format!("{text} is text: write {number:?} in {text}").into())
            }
            ValueType::Text if left.value_type == ValueType::Number || left.name.is_some() => {
                let of_numbers = left.value_type == ValueType::Number;
                let items = right.text().unwrap_or("…").split(',').map(str::trim);
                let items =
                    items.map(|it| if of_numbers { it.to_owned() } else { format!("{it:?}") });
                Err(format!(
                    "`in` looks for a part of a text here: write a list, such as {} in [{}]",
                    self.subject(left),
                    items.collect::<Vec<_>>().join(", ")
                )
                .into())
            }
            _ => Ok(()),
        }
    }

    fn number_against_text(
        &self,
        number: &Operand,
        text: &Operand,
        comparison: Comparison,
    ) -> Advice {
        // The one that is written out is the one to correct.
        if let Some(literal) = &text.literal {
            let subject = self.subject(number);
            let message = match text.number_in_quotes() {
                Some(digits) => {
                    format!("{subject} is a number: write {} without quotes", digits.trim())
                }
                None => format!(
                    "{subject} is a number, and {} is text: compare it with a number",
                    written(literal)
                ),
            };
            return Advice::from(message).at(text.part.clone());
        }
        let subject = self.subject(text);
        let digits = number.literal.as_ref().map(Value::to_string);
        let message = match (&text.value_type, digits, comparison) {
            (ValueType::OneOf(answers), _, Comparison::Order) => no_order(&subject, answers),
            (ValueType::OneOf(answers), Some(digits), _) if answers.contains(&digits) => format!(
                "{subject} is text, because not all of its answers are numbers: write {digits:?} in quotes"
            ),
            (ValueType::OneOf(answers), ..) => {
                format!("{subject} is text: compare it with one of {}", all_of(answers))
            }
            (_, Some(digits), Comparison::Equality) => {
                format!("{subject} is text: write {digits:?} in quotes")
            }
            _ => as_a_number(&subject),
        };
        message.into()
    }

    fn order_of_texts(&self, left: &Operand, right: &Operand) -> Result<(), Advice> {
        for operand in [left, right] {
            if let ValueType::OneOf(answers) = &operand.value_type {
                return Err(no_order(&self.subject(operand), answers).into());
            }
        }
        for (literal, other) in [(left, right), (right, left)] {
            if let Some(digits) = literal.number_in_quotes() {
                let subject = self.subject(other);
                return Err(format!(
                    "{}, and {} without quotes",
                    as_a_number(&subject),
                    digits.trim()
                )
                .into());
            }
        }
        Ok(())
    }

    /// An answer that the question does not have is never met.
    fn equality_of_texts(&self, left: &Operand, right: &Operand) -> Result<(), Advice> {
        for (literal, other) in [(left, right), (right, left)] {
            let (Some(text), ValueType::OneOf(answers)) = (literal.text(), &other.value_type)
            else {
                continue;
            };
            if !answers.iter().any(|answer| answer == text) {
                let subject = self.subject(other);
                let message = format!(
                    "{subject} is never {text:?}: compare it with one of {}",
                    all_of(answers)
                );
                return Err(Advice::from(message).at(literal.part.clone()));
            }
        }
        Ok(())
    }

    fn list_against_one(&self, list: &Operand, one: &Operand) -> String {
        let one = self.subject(one);
        match list.name {
            Some(at) => {
                let list = self.names.variable(at);
                format!("{list} is several answers at once: write {one} in {list}")
            }
            None => format!("{one} is not a list: write {one} in […]"),
        }
    }

    fn against_bool(&self, other: &Operand) -> String {
        match &other.value_type {
            ValueType::OneOf(answers) => {
                let subject = self.subject(other);
                format!("{subject} is text: compare it with one of {}", all_of(answers))
            }
            _ => format!("{} is neither true nor false", self.subject(other)),
        }
    }

    fn never_none(&self, operand: &Operand) -> String {
        match operand.name.filter(|at| self.names.is_question(*at)) {
            Some(at) => {
                let name = self.names.variable(at);
                format!("a question is never none: write answered.{name}, or not answered.{name}")
            }
            None => format!("{} is never none", self.subject(operand)),
        }
    }

    /// Checks what has to hold or not by itself.
    fn truth(&self, expression: &Expr<'_>) -> Result<(), Advice> {
        match expression {
            Expr::UnaryOp(operation) if matches!(operation.op, UnaryOpKind::Not) => {
                self.truth(&operation.expr)
            }
            Expr::BinOp(operation) if is_a_join(operation) => {
                operands_of_join(expression).into_iter().try_for_each(|it| self.truth(it))
            }
            Expr::IfExpr(either) => self.truth(&either.test_expr),
            Expr::Const(constant) => {
                let operand = Operand::constant(constant);
                match (operand.value_type, operand.literal) {
                    (ValueType::Number | ValueType::Text, Some(literal)) => {
                        let message = format!(
                            "{} by itself is not compared with anything: write the whole \
                             comparison, such as score == 1 or score == 2",
                            written(&literal)
                        );
                        Err(Advice::from(message).at(parts::of_expression(expression)))
                    }
                    _ => Ok(()),
                }
            }
            Expr::Var(variable) => match self.variable(variable.id) {
                Some((_, ValueType::OneOf(answers))) if answers == ["yes", "no"] => {
                    let message = format!(
                        "{0} holds with every answer, also with no: write {0} == \"yes\", or \
                             answered.{0}",
                        variable.id
                    );
                    Err(Advice::from(message).at(parts::of_expression(expression)))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// As an error names it.
    fn subject(&self, operand: &Operand) -> String {
        match (operand.name, &operand.literal) {
            (Some(at), _) if operand.is_member => {
                format!("an answer of {}", self.names.variable(at))
            }
            (Some(at), _) => self.names.variable(at).to_owned(),
            (None, Some(literal)) => written(literal),
            (None, None) => "the expression".to_owned(),
        }
    }
}

fn written(literal: &Value) -> String {
    literal.as_str().map_or_else(|| literal.to_string(), |text| format!("{text:?}"))
}

fn is_a_join(operation: &BinOp<'_>) -> bool {
    matches!(operation.op, BinOpKind::ScAnd | BinOpKind::ScOr)
}

/// All that `and` and `or` join, in order, except parts in brackets on the right.
fn operands_of_join<'e, 's>(expression: &'e Expr<'s>) -> Vec<&'e Expr<'s>> {
    let mut operands = Vec::new();
    let mut left = expression;
    while let Expr::BinOp(operation) = left
        && is_a_join(operation)
    {
        operands.push(&operation.right);
        left = &operation.left;
    }
    operands.push(left);
    operands.reverse();
    operands
}

fn no_order(subject: &str, answers: &[String]) -> String {
    let first = answers.first().map(String::as_str).unwrap_or_default();
    format!(
        "{subject} is text, and its answers have no order: compare it with == or in, such as \
         {subject} == {first:?}"
    )
}

fn as_a_number(subject: &str) -> String {
    format!(
        "{subject} is text, in which \"10\" comes before \"9\": write {subject} | int(0) to compare \
         it as a number"
    )
}

fn all_of(answers: &[String]) -> String {
    let answers: Vec<_> = answers.iter().map(|answer| format!("{answer:?}")).collect();
    listed(&answers, SHOWN)
}

#[cfg(test)]
mod tests {
    use crate::survey::samples::*;
    use crate::survey::{Definition, RatingDefinition, ReplyDefinition, Survey};

    /// Questions of all kinds, of which `score` rates.
    fn survey() -> Definition {
        let questions = vec![
            asked("score", &["0-10"]),
            asked("menu", &["1", "2", "10", "#"]),
            question("mood", choices(&["Good", "Very good", "Bad"], false)),
            question("solved", yes_no(&[], &[])),
            question("problems", keys(&["1-3"], true)),
            question("extras", keys(&["1", "*"], true)),
            question("hurt", choices(&["Echo", "Delay"], true)),
            text("comment"),
        ];
        let linear =
            crate::survey::ScaleDefinition::Linear { from: (0, 10), round: Default::default() };
        Definition {
            fields: vec![name("wait")],
            rating: Some(RatingDefinition {
                scale: linear,
                ..RatingDefinition::new(name("score"))
            }),
            ..Definition::new(questions)
        }
    }

    fn with_rule(when: &str) -> Definition {
        Definition { rules: vec![ignored(when, "tried")], ..survey() }
    }

    #[test]
    fn a_comparison_of_different_types_is_refused_with_what_would_be_right() {
        let conditions = [
            r#"score <= "2""#,
            r#""2" >= score"#,
            r#"score == "1""#,
            r#"score != '1'"#,
            r#"score == "good""#,
            r#"score in ["1", "2"]"#,
            r#"score in "12""#,
            r#"score not in [1, "2"]"#,
            r#"score is lt("5")"#,
            r#"1 < score < "5""#,
            r#"not (score < 3 or (score + 1) > "5")"#,
            r#"(score if answered.score else 0) == "1""#,
            r#"5 in score"#,
            "score == mood",
            "score == true",
            "score == none",
            "score == [1, 2]",
            "menu == 1",
            "menu <= 2",
            "menu == 7",
            r#"menu < "2""#,
            r#"menu in ["1", "9"]"#,
            r#""1" in menu"#,
            "mood == 1",
            "mood > 1",
            r#"mood == "good""#,
            r#"mood in ["Good", "bad"]"#,
            r#"mood in "Good, Bad""#,
            r#""Good" in mood"#,
            "solved",
            "not solved and score < 3",
            "solved == true",
            r#"solved == "Yes""#,
            "problems == 1",
            r#""1" in problems"#,
            "1 in extras",
            r#""echo" in hurt"#,
            "comment == 5",
            "comment > 5",
            r#"comment < "5""#,
            "wait == 5",
            "wait > 30",
            r#"wait > "30""#,
            r#"wait in "30, 60""#,
            "score == 1 or 2",
        ];
        let mut shown = String::new();
        for when in conditions {
            let faults = refused(with_rule(when));
            let [fault] = &faults[..] else { panic!("{when}: {faults:?}") };
            let message = fault.strip_prefix("rules[0].when: ").unwrap();
            shown.push_str(&format!("{when}\n    {message}\n"));
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn a_comparison_of_one_type_is_taken() {
        for when in [
            "score <= 2",
            "2 < score < 5",
            "score in [1, 2]",
            "score is in([1, 2])",
            "score == 2.0",
            "score | string == '10'",
            r##"menu == "1" or menu in ["2", "#"]"##,
            "menu | int(0) < 5",
            r#"mood == "Good""#,
            r#"mood in ["Good", "Bad"]"#,
            r#"mood | lower == "good""#,
            "mood",
            r#"solved == "no""#,
            "answered.solved and not answered.score",
            "1 in problems and problems | length > 1",
            "problems == [1, 3]",
            r#""*" in extras"#,
            r#""Echo" in hurt"#,
            r#""echo" in comment | lower"#,
            r#"comment == "5""#,
            "comment | length > 5",
            r#"wait == "5""#,
            "wait",
            "wait | int(0) > 30",
            r#"wait >= "2026-01-01""#,
        ] {
            let survey = Survey::compile(with_rule(when));
            assert!(survey.is_ok(), "{when}: {survey:?}");
        }
    }

    fn with_notes(notes: &str) -> Definition {
        let mut definition = survey();
        definition.notes.template = Some(notes.to_owned());
        definition
    }

    #[test]
    fn a_comparison_of_different_types_in_a_template_is_refused_with_what_would_be_right() {
        let templates = [
            r#"{% if score <= "2" %}bad{% endif %}"#,
            r#"{{ "bad" if score == "1" else "good" }}"#,
            r#"{{ score in ["1", "2"] }}"#,
            r#"{% if score < 3 %}{% elif score > "7" %}x{% else %}y{% endif %}"#,
            r#"{% if score == 1 or 2 %}x{% endif %}"#,
            r#"{{ "x" if score == 1 or 2 }}"#,
            r#"{% if solved %}solved{% endif %}"#,
            r#"{% if solved == "Yes" %}solved{% endif %}"#,
            r#"{% if mood == "good" %}x{% endif %}"#,
            r#"{% if 1 in problems %}x{% endif %}"#,
            r#"{% if problems == 1 %}x{% endif %}"#,
            r#"{% if wait > 30 %}x{% endif %}"#,
            r#"{% for it in [1] if score > "5" %}x{% endfor %}"#,
            r#"{% for it in [1] %}{{ score > "5" }}{% else %}{% endfor %}"#,
            r#"{% set bad = score < "3" %}{{ bad }}"#,
            r#"{% set bad %}{{ score < "3" }}{% endset %}{{ bad }}"#,
            r#"{% with bad = score < "3" %}{{ bad }}{% endwith %}"#,
            r#"{% filter upper %}{{ score < "3" }}{% endfilter %}"#,
            r#"{{ (score < "3") | string }}"#,
        ];
        let mut shown = String::new();
        for template in templates {
            let Err(faults) = Survey::compile(with_notes(template)) else {
                panic!("{template} is taken");
            };
            let [fault] = &faults[..] else { panic!("{template}: {faults:?}") };
            assert_eq!(fault.path, "notes");
            let part = fault.advice.part.clone().unwrap();
            let caret = format!("{}{}", " ".repeat(part.start), "^".repeat(part.len()));
            shown.push_str(&format!("{template}\n{caret} {}\n", fault.advice.message));
        }
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn a_comparison_of_one_type_in_a_template_is_taken() {
        for template in [
            r#"{% if score < 3 %}{{ score }}{% endif %}"#,
            r#"{% if score == "" or "" == mood %}no answer{% endif %}"#,
            r#"{% if problems == "1" or "1" in problems %}{{ problems }}{% endif %}"#,
            r#"{{ comment or "nothing" }} {{ "x" if answered.solved else "y" }}"#,
            r#"{% set score = "3" %}{{ score == "3" }}"#,
            r#"{% for score in ["3"] %}{{ score == "3" }} {{ loop.index == 1 }}{% endfor %}"#,
            r#"{% with mood = 1 %}{{ mood == 1 }}{% endwith %}"#,
            r#"{% if solved == "no" %}{{ mood | upper }}{% endif %}"#,
            r#"{{ (wait | int(0)) > 30 }}"#,
        ] {
            let survey = Survey::compile(with_notes(template));
            assert!(survey.is_ok(), "{template}: {survey:?}");
        }
    }

    #[test]
    fn types_are_checked_in_every_kind_of_template() {
        let message = "score is a number: write 2 without quotes";
        let template = r#"{{ score == "2" }}"#;
        assert_eq!(refused(with_notes(template)), [format!("notes: {message}")]);
        let mut rule = rated("score < 3", 1.0);
        rule.notes = Some(template.to_owned());
        let definition = Definition { rules: vec![rule], ..survey() };
        assert_eq!(refused(definition), [format!("rules[0].notes: {message}")]);
        let xml = format!("<Response><Speak>{template}{{{{ url }}}}</Speak></Response>");
        let reply = ReplyDefinition { when: None, xml };
        let survey = Survey::compile(survey()).unwrap();
        let faults = survey.replies(&[reply], &|_| Ok(())).unwrap_err();
        assert_eq!(faults[0].to_string(), format!("replies[0].xml: {message}"));
    }

    /// The text of 10 comes before that of 2, and every number before every text.
    #[test]
    fn a_rating_of_10_is_not_taken_for_less_than_the_text_of_2() {
        let rated = Definition { rules: vec![rated(r#"score <= "2""#, 1.0)], ..survey() };
        assert_eq!(refused(rated), ["rules[0].when: score is a number: write 2 without quotes"]);
    }

    #[test]
    fn types_are_checked_in_every_kind_of_condition() {
        let mut definition = survey();
        definition.questions[1].ask_when = Some(r#"score < "5""#.to_owned());
        assert_eq!(
            refused(definition),
            ["questions[1].ask_when: score is a number: write 5 without quotes"]
        );
        let survey = Survey::compile(survey()).unwrap();
        let reply = |when: Option<&str>| ReplyDefinition {
            when: when.map(str::to_owned),
            xml: "<Response/>".to_owned(),
        };
        let replies = [reply(Some(r#"score <= "2""#)), reply(None)];
        let faults = survey.replies(&replies, &|_| Ok(())).unwrap_err();
        assert_eq!(
            faults[0].to_string(),
            "replies[0].when: score is a number: write 2 without quotes"
        );
        let rule = [reply(Some("score < 3 && solved == 'no'")), reply(None)];
        let faults = survey.replies(&rule, &|_| Ok(())).unwrap_err();
        assert_eq!(
            faults[0].to_string(),
            "replies[0].when: `&&` is not an operator of conditions: use `and`"
        );
    }
}
