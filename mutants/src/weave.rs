//! Sources with all mutants in them, each behind a switch.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write;

use proc_macro2::{LineColumn, Span};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::mutant::{Genre, Mutant};

/// The source with those of its mutants that can have a switch, and which these are: not what is evaluated when
/// it is compiled, nor a condition with `let`, nor a field that is left out.
pub fn weave(source: &str, mutants: &[&Mutant]) -> (String, BTreeSet<usize>) {
    let tree = syn::parse_file(source).expect("the source compiles");
    let mut places = Places { text: Text::new(source), mutants, edits: Vec::new(), in_const: 0 };
    places.visit_file(&tree);
    let mut edits = places.edits;
    // What holds others comes first.
    edits.sort_by_key(|edit| (edit.from, Reverse(edit.to), edit.kind != Kind::Body));
    let woven = edits.iter().flat_map(|edit| edit.variants.iter().map(|(id, _)| *id)).collect();
    let mut out = String::new();
    write_range(source, 0..source.len(), &edits, &mut out);
    (out, woven)
}

/// The mutants whose switches stand in a line, or around it where it has none.
pub fn switches_at(lines: &[&str], line: usize) -> Vec<usize> {
    let of =
        |line: &str| -> Option<usize> { line.strip_prefix(MARK)?.split_once(' ')?.0.parse().ok() };
    if let Some(mutant) = lines.get(line).copied().and_then(of) {
        return vec![mutant];
    }
    let above = lines[..line.min(lines.len())].iter().rev().take(40);
    let from = above.skip_while(|line| of(line).is_none());
    from.take_while(|line| of(line).is_some() || line.is_empty()).filter_map(|it| of(it)).collect()
}

const MARK: &str = "/*mutant*/ /* ";

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Variants of what a function returns, at the start of its body.
    Body,
    /// Variants of an expression.
    Expression,
    /// A match arm that may be left out, at the end of its pattern.
    Arm,
}

struct Edit {
    from: usize,
    to: usize,
    kind: Kind,
    variants: Vec<(usize, String)>,
}

fn write_range(source: &str, range: std::ops::Range<usize>, edits: &[Edit], out: &mut String) {
    let mut at = range.start;
    let mut rest = edits;
    while let Some((edit, after)) = rest.split_first() {
        let inside = after.iter().take_while(|it| it.from < edit.to).count();
        let (inside, after) = after.split_at(inside);
        rest = after;
        out.push_str(&source[at..edit.from]);
        let switch = |out: &mut String, id: usize, then: &str| {
            writeln!(out, "\n{MARK}{id} */ {then}").expect("a string");
        };
        match edit.kind {
            Kind::Body => {
                for (id, value) in &edit.variants {
                    let value = if value == "()" { "" } else { value };
                    switch(
                        out,
                        *id,
                        &format!("if crate::mutants::is_on({id}) {{ return {value}; }}"),
                    );
                }
                write_range(source, edit.from..edit.to, inside, out);
            }
            Kind::Expression => {
                out.push('(');
                for (id, value) in &edit.variants {
                    switch(out, *id, &format!("if crate::mutants::is_on({id}) {{ {value} }} else"));
                }
                out.push('{');
                write_range(source, edit.from..edit.to, inside, out);
                out.push_str("})");
            }
            Kind::Arm => {
                for (id, _) in &edit.variants {
                    switch(out, *id, &format!("if !crate::mutants::is_on({id})"));
                }
            }
        }
        at = edit.to;
    }
    out.push_str(&source[at..range.end]);
}

/// A source by line and column.
struct Text<'s> {
    source: &'s str,
    lines: Vec<usize>,
}

impl<'s> Text<'s> {
    fn new(source: &'s str) -> Self {
        let ends = source.match_indices('\n').map(|(at, _)| at + 1);
        Self { source, lines: std::iter::once(0).chain(ends).collect() }
    }

    /// Columns are characters, from 0 on.
    fn offset(&self, place: LineColumn) -> usize {
        let start = self.lines[place.line - 1];
        let line = &self.source[start..];
        line.char_indices().nth(place.column).map_or(self.source.len(), |(at, _)| start + at)
    }

    fn range(&self, span: Span) -> (usize, usize) {
        (self.offset(span.start()), self.offset(span.end()))
    }

    fn of(&self, span: Span) -> &'s str {
        let (from, to) = self.range(span);
        &self.source[from..to]
    }
}

/// Finds what the mutants change.
struct Places<'m> {
    text: Text<'m>,
    mutants: &'m [&'m Mutant],
    edits: Vec<Edit>,
    in_const: usize,
}

impl Places<'_> {
    /// The mutants of that kind that begin at a place, and their replacements.
    fn at(&self, genre: Genre, place: LineColumn) -> Vec<(usize, String)> {
        let begin = |it: &&&Mutant| {
            it.genre == genre
                && (it.span.start.line, it.span.start.column) == (place.line, place.column + 1)
        };
        if self.in_const > 0 {
            return Vec::new();
        }
        self.mutants.iter().filter(begin).map(|it| (it.id, it.replacement.clone())).collect()
    }

    fn edit(&mut self, kind: Kind, (from, to): (usize, usize), variants: Vec<(usize, String)>) {
        if !variants.is_empty() {
            self.edits.push(Edit { from, to, kind, variants });
        }
    }

    fn within_const(&mut self, is_const: bool, visit: impl FnOnce(&mut Self)) {
        self.in_const += usize::from(is_const);
        visit(self);
        self.in_const -= usize::from(is_const);
    }
}

impl<'a> Visit<'a> for Places<'_> {
    fn visit_item_const(&mut self, it: &'a syn::ItemConst) {
        self.within_const(true, |this| visit::visit_item_const(this, it));
    }

    fn visit_impl_item_const(&mut self, it: &'a syn::ImplItemConst) {
        self.within_const(true, |this| visit::visit_impl_item_const(this, it));
    }

    fn visit_item_static(&mut self, it: &'a syn::ItemStatic) {
        self.within_const(true, |this| visit::visit_item_static(this, it));
    }

    fn visit_item_fn(&mut self, it: &'a syn::ItemFn) {
        let is_const = it.sig.constness.is_some();
        self.within_const(is_const, |this| visit::visit_item_fn(this, it));
    }

    fn visit_impl_item_fn(&mut self, it: &'a syn::ImplItemFn) {
        let is_const = it.sig.constness.is_some();
        self.within_const(is_const, |this| visit::visit_impl_item_fn(this, it));
    }

    fn visit_block(&mut self, block: &'a syn::Block) {
        if let Some(first) = block.stmts.first() {
            let (from, to) = self.text.range(block.span());
            let variants = self.at(Genre::FnValue, first.span().start());
            self.edit(Kind::Body, (from + 1, to - 1), variants);
        }
        visit::visit_block(self, block);
    }

    fn visit_expr_binary(&mut self, it: &'a syn::ExprBinary) {
        let variants = self.at(Genre::BinaryOperator, it.op.span().start());
        if !has_let(&it.left) && !has_let(&it.right) {
            let [left, right] = [&it.left, &it.right].map(|side| self.text.of(side.span()));
            let variants = variants.into_iter();
            let variants =
                variants.map(|(id, operator)| (id, format!("{left} {operator} {right}")));
            self.edit(Kind::Expression, self.text.range(it.span()), variants.collect());
        }
        visit::visit_expr_binary(self, it);
    }

    fn visit_expr_unary(&mut self, it: &'a syn::ExprUnary) {
        let variants = self.at(Genre::UnaryOperator, it.op.span().start());
        let inner = self.text.of(it.expr.span());
        let variants = variants.into_iter().map(|(id, _)| (id, inner.to_owned())).collect();
        self.edit(Kind::Expression, self.text.range(it.span()), variants);
        visit::visit_expr_unary(self, it);
    }

    fn visit_expr_match(&mut self, it: &'a syn::ExprMatch) {
        // Without an arm for whatever is left, none can be left out.
        let has_rest =
            it.arms.iter().any(|arm| matches!(arm.pat, syn::Pat::Wild(_)) && arm.guard.is_none());
        for arm in &it.arms {
            if let Some((_, guard)) = &arm.guard {
                let variants = self.at(Genre::MatchArmGuard, guard.span().start());
                self.edit(Kind::Expression, self.text.range(guard.span()), variants);
            } else if has_rest {
                let variants = self.at(Genre::MatchArm, arm.span().start());
                let (_, end) = self.text.range(arm.pat.span());
                self.edit(Kind::Arm, (end, end), variants);
            }
        }
        visit::visit_expr_match(self, it);
    }
}

/// Whether a condition binds a name, so that it cannot stand in parentheses.
fn has_let(condition: &syn::Expr) -> bool {
    match condition {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(it) => has_let(&it.left) || has_let(&it.right),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::{Place, Range};

    fn mutant(id: usize, genre: Genre, column: usize, replacement: &str) -> Mutant {
        let span = Range { start: Place { line: 1, column } };
        let (name, file, replacement) = (String::new(), String::new(), replacement.to_owned());
        Mutant { id, name, file, genre, span, replacement }
    }

    #[test]
    fn mutants_within_mutants_have_a_switch_each_and_the_rest_is_as_it_was() {
        let source =
            "fn f(a: u8) -> bool { match a { 0 => !g(a + 1), n if n > 2 => false, _ => true } }\n";
        let column = |text: &str| source.find(text).unwrap() + 1;
        let mutants = [
            mutant(0, Genre::FnValue, column("match"), "true"),
            mutant(1, Genre::MatchArm, column("0 =>"), ""),
            mutant(2, Genre::UnaryOperator, column("!g"), ""),
            mutant(3, Genre::BinaryOperator, column("+ 1"), "-"),
            mutant(4, Genre::MatchArmGuard, column("n > 2"), "true"),
            mutant(5, Genre::BinaryOperator, column("> 2"), ">="),
        ];
        let (woven, known) = weave(source, &mutants.iter().collect::<Vec<_>>());
        assert_eq!(known, (0..6).collect());
        syn::parse_file(&woven).unwrap();
        let lines: Vec<&str> = woven.lines().collect();
        for mutant in 0..6 {
            let is_of = |line: &usize| lines[*line].contains(&format!("is_on({mutant})"));
            let line = (0..lines.len()).find(is_of).unwrap();
            assert_eq!(switches_at(&lines, line), [mutant]);
        }
        let is_switch = |line: &&str| line.starts_with(MARK);
        let rest: String = woven.lines().filter(|line| !is_switch(line)).collect();
        let plain = |text: &str| text.replace(['(', ')', '{', '}', ' ', '\n'], "");
        assert_eq!(plain(&rest), plain(source));
    }
}
