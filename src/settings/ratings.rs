use super::cursor::{ANSWER, Cursor, QUESTION};
use super::section::{words, words_of};
use super::spec::{Kind, Spec, key};
use crate::survey::{RatingDefinition, Rounding, ScaleDefinition};

/// What completes "expected …" where a rating is written.
pub(super) const RATING: &str = "a rating from 1 to 5";

pub(super) const SPEC: Spec = Spec::of(&[
    key("question", Kind::Name, "The question whose answer is the rating.").needed(),
    key("scale", Kind::Table(&SCALE), "For numbers and keys: how they lie between 1 and 5."),
    key("table", Kind::List(&Kind::Table(&ROW)), "For any answers: what each is worth."),
    key("thumbs", Kind::Table(&THUMBS), "For two answers: one is worth 5, the other 1."),
    key("monotone", Kind::Flag, "Whether a table's ratings may not go up and down.").or("true"),
])
.with_at_most_one_of(&["scale", "table", "thumbs"]);

const SCALE: Spec = Spec::of(&[
    key("from", Kind::TwoWhole, "The worst and the best score.").or("[1, 5]"),
    key("round", words_of::<Rounding>(), "To what the rating is rounded.").or("hundredth"),
]);

const ROW: Spec = Spec::of(&[
    key("answer", Kind::Answer, "An answer of the question.").needed(),
    key("rating", Kind::Number, "What it is worth, from 1 to 5.").needed(),
]);

const THUMBS: Spec = Spec::of(&[
    key("up", Kind::Answer, "The answer that is worth 5.").needed(),
    key("down", Kind::Answer, "The answer that is worth 1.").needed(),
]);

/// `None` where the question is amiss.
pub(super) fn rating(cursor: &Cursor<'_>) -> Option<RatingDefinition> {
    let table = cursor.table()?;
    let of = table.need("question", QUESTION).and_then(|cursor| cursor.parsed(QUESTION));
    let kinds = ["scale", "table", "thumbs"].map(|kind| table.get(kind));
    let scale = match kinds {
        [None, None, None] => Some(ScaleDefinition::default()),
        [Some(scale), None, None] => self::scale(&scale),
        [None, Some(rows), None] => rows_of(&rows).map(ScaleDefinition::Table),
        [None, None, Some(cursor)] => thumbs(&cursor),
        _ => cursor.fault("expected at most one of scale, table, thumbs"),
    };
    let monotone = table.or("monotone", true, |cursor| cursor.flag());
    let mut rating = RatingDefinition::new(of?);
    rating.scale = scale.unwrap_or_default();
    rating.monotone = monotone.unwrap_or(true);
    Some(rating)
}

fn scale(cursor: &Cursor<'_>) -> Option<ScaleDefinition> {
    const ENDS: &str = "the worst and the best score, such as [1, 5]";
    let table = cursor.table()?;
    let from = table.or("from", (1, 5), |cursor| cursor.two_whole(ENDS));
    let round = table.or("round", Rounding::default(), |cursor| cursor.one_of());
    Some(ScaleDefinition::Linear { from: from?, round: round.unwrap_or_default() })
}

/// In their order, because faults name their index.
fn rows_of(cursor: &Cursor<'_>) -> Option<Vec<(String, f64)>> {
    let items = cursor.list("{ answer: …, rating: … }")?;
    let row = |cursor: &Cursor<'_>| {
        let table = cursor.table()?;
        let answer = table.need("answer", ANSWER).and_then(|cursor| cursor.answer());
        let rating = table.need("rating", RATING).and_then(|cursor| cursor.number(RATING));
        Some((answer.unwrap_or_default(), rating.unwrap_or(1.0)))
    };
    Some(items.iter().map(|cursor| row(cursor).unwrap_or((String::new(), 1.0))).collect())
}

fn thumbs(cursor: &Cursor<'_>) -> Option<ScaleDefinition> {
    let table = cursor.table()?;
    let up = table.need("up", ANSWER).and_then(|cursor| cursor.answer());
    let down = table.need("down", ANSWER).and_then(|cursor| cursor.answer());
    Some(ScaleDefinition::Thumbs { up: up?, down: down? })
}

words! {
    Rounding { "hundredth" => Hundredth, "half" => Half, "whole" => Whole }
}
