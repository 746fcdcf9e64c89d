//! Parts of a condition or a template that a fault is about, in bytes of its text.

use std::ops::Range;

use minijinja::Error;
use minijinja::machinery::ast::Expr;
use minijinja::machinery::{Span, Token, tokenize};

use super::names::ANSWERED;

/// The part at which the parser stopped, if it says one.
pub fn of_error(error: &Error) -> Option<Range<usize>> {
    error.range()
}

/// From where an expression begins to where it ends.
pub fn of_expression(expression: &Expr<'_>) -> Range<usize> {
    // The parser begins the span of an operation at the token before it.
    let mut first = expression;
    loop {
        first = match first {
            Expr::BinOp(operation) => &operation.left,
            Expr::Compare(compare) => &compare.expr,
            Expr::IfExpr(either) => &either.true_expr,
            Expr::Test(test) => &test.expr,
            Expr::GetAttr(attribute) => &attribute.expr,
            Expr::GetItem(item) => &item.expr,
            Expr::Slice(slice) => &slice.expr,
            Expr::Call(call) => &call.expr,
            Expr::Filter(filter) => match &filter.expr {
                Some(of) => of,
                None => break,
            },
            Expr::UnaryOp(_) | Expr::Var(_) | Expr::Const(_) => break,
            Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => break,
        };
    }
    let Span { start_offset, .. } = first.span();
    start_offset as usize..expression.span().end_offset as usize
}

/// The first place at which a text uses the name of a question or a field.
pub fn of_name(text: &str, is_expression: bool, name: &str) -> Option<Range<usize>> {
    let mut before = [None, None];
    for token in tokenize(text, is_expression, Default::default()) {
        let (token, span) = token.ok()?;
        let is_name = match &before {
            [Some(Token::Ident(of)), Some(Token::Dot)] => *of == ANSWERED,
            [_, Some(Token::Dot | Token::Pipe)] => false,
            _ => true,
        };
        if is_name && matches!(token, Token::Ident(found) if found == name) {
            return Some(span.start_offset as usize..span.end_offset as usize);
        }
        before = [before[1].take(), Some(token)];
    }
    None
}

#[cfg(test)]
mod tests {
    use minijinja::machinery::parse_expr;

    use super::*;

    #[test]
    fn expression_begins_at_its_first_word() {
        for text in [
            "score < 5",
            "score | int(0) > 5",
            "answered.score",
            "score is eq(3)",
            "1 < score < 5",
            "a if b else c",
            "[1, 2]",
        ] {
            let longer = format!("x and {text}");
            let Expr::BinOp(join) = parse_expr(&longer).unwrap() else {
                // `if` binds less than `and`.
                continue;
            };
            assert_eq!(&longer[of_expression(&join.right)], text, "{text}");
        }
    }

    #[test]
    fn name_is_found_where_it_is_used() {
        for (text, is_expression, name, expected) in [
            ("a == 'b' and b < 1", true, "b", Some(13)),
            ("score.b or answered.b", true, "b", Some(20)),
            ("score | b", true, "b", None),
            ("b: {{ a }} {{ b }}", false, "b", Some(14)),
        ] {
            let found = of_name(text, is_expression, name).map(|part| part.start);
            assert_eq!(found, expected, "{text}");
        }
    }
}
