//! Cycles between the files of a crate, found in its text.
//!
//! A file depends on the files that define the names it uses. A name that a facade re-exports
//! belongs to the file that defines it, so a `mod.rs` that only declares and re-exports its children
//! depends on none of them. Tests do not count. Methods are not seen: a call does not name the file
//! that defines it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path in the code, such as `super::signature::Scheme`, name by name.
type Names = Vec<String>;

/// Longest chain of re-exports that is followed.
const REEXPORTS_MAX: usize = 8;

/// The files of a crate, by the module that each one holds: `http::api` for `http/api/mod.rs`.
#[derive(Default)]
pub struct Files(BTreeMap<Names, File>);

struct File {
    path: String,
    /// What `use` brings into the module, by the name that it has there.
    imports: BTreeMap<String, Names>,
    /// All that the code names, but what it only re-exports.
    used: BTreeSet<Names>,
}

impl Files {
    /// The files by their paths below `src/`, with their texts.
    pub fn of<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let read = |(path, text)| (module(path), File::read(path, text));
        Self(sources.into_iter().map(read).collect())
    }

    /// The shortest cycles, each as the paths of its files; a file is in one of them at most.
    pub fn cycles(&self) -> Vec<Vec<&str>> {
        let edges: BTreeMap<&str, BTreeSet<&str>> =
            self.0.iter().map(|(at, file)| (file.path.as_str(), self.dependencies(at))).collect();
        let mut cycles: Vec<Vec<&str>> = Vec::new();
        for file in edges.keys() {
            if !cycles.iter().flatten().any(|known| known == file) {
                cycles.extend(shortest_cycle(&edges, file));
            }
        }
        cycles
    }

    fn dependencies(&self, at: &Names) -> BTreeSet<&str> {
        let file = &self.0[at];
        let used = file.used.iter().filter_map(|names| self.definer(at, names, REEXPORTS_MAX));
        used.map(|definer| self.0[&definer].path.as_str())
            .filter(|path| *path != file.path)
            .collect()
    }

    /// The module that defines what `names` names in the module `at`; none if it is not of this
    /// crate, or a module as a whole, on which alone no code depends.
    fn definer(&self, at: &[String], names: &[String], reexports: usize) -> Option<Names> {
        let supers = names.iter().take_while(|name| *name == "super").count();
        match names.first()?.as_str() {
            "crate" | "postcall" => self.below(&[], &names[1..], reexports),
            "self" => self.below(at, &names[1..], reexports),
            "super" => self.below(&at[..at.len() - supers], &names[supers..], reexports),
            first => {
                let is_import = self.0.get(at)?.imports.contains_key(first);
                let is_known = is_import || self.0.contains_key(&child(at, first));
                is_known.then(|| self.below(at, names, reexports))?
            }
        }
    }

    fn below(&self, module: &[String], names: &[String], reexports: usize) -> Option<Names> {
        let (first, rest) = names.split_first()?;
        let child = child(module, first);
        if self.0.contains_key(&child) {
            return self.below(&child, rest, reexports);
        }
        match self.0.get(module)?.imports.get(first) {
            Some(import) => {
                let names = [import.as_slice(), rest].concat();
                self.definer(module, &names, reexports.checked_sub(1)?)
            }
            None => Some(module.to_vec()),
        }
    }
}

fn child(module: &[String], name: &str) -> Names {
    module.iter().map(String::as_str).chain([name]).map(str::to_owned).collect()
}

/// The module that a file holds.
fn module(path: &str) -> Names {
    let path = path.strip_suffix(".rs").expect("a file of Rust");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|name| *name != "lib").map(str::to_owned).collect()
}

fn shortest_cycle<'a>(
    edges: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    start: &'a str,
) -> Option<Vec<&'a str>> {
    let mut paths = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop_front() {
        for next in &edges[path.last().expect("a path has a start")] {
            if *next == start {
                return Some(path);
            }
            if seen.insert(*next) {
                paths.push_back([path.as_slice(), &[*next]].concat());
            }
        }
    }
    None
}

impl File {
    fn read(path: &str, text: &str) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut file =
            Self { path: path.to_owned(), imports: BTreeMap::new(), used: BTreeSet::new() };
        file.read_code(tokens);
        file
    }

    fn read_code(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        let mut is_public = false;
        while let Some((token, after)) = rest.split_first() {
            rest = after;
            match token {
                TokenTree::Group(group) if group.to_string() == "[cfg (test)]" => {
                    rest = after_item(rest);
                }
                TokenTree::Group(group) => self.read_code(group.stream()),
                TokenTree::Ident(word) if word == "pub" => {
                    // Who may see an item is not what it depends on.
                    let is_limited = matches!(rest.first(), Some(TokenTree::Group(_)));
                    rest = &rest[usize::from(is_limited)..];
                    is_public = true;
                    continue;
                }
                TokenTree::Ident(word) if word == "use" => {
                    let end = rest.iter().position(|token| is_mark(token, ';'));
                    let (tree, after) = rest.split_at(end.unwrap_or(rest.len()));
                    self.read_use(&mut Names::new(), tree, is_public);
                    rest = after;
                }
                TokenTree::Ident(_) => {
                    let (names, after) = path(std::slice::from_ref(token), rest);
                    rest = after;
                    if names.len() > 1 {
                        self.used.insert(names);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            is_public = false;
        }
    }

    /// One tree of a `use`, below the names that lead to it.
    fn read_use(&mut self, above: &mut Names, tree: &[TokenTree], is_public: bool) {
        let (names, rest) = path(&[], tree);
        let depth = above.len();
        above.extend(names);
        match rest {
            [TokenTree::Group(group)] if group.delimiter() == Delimiter::Brace => {
                let trees: Vec<TokenTree> = group.stream().into_iter().collect();
                for tree in trees.split(|token| is_mark(token, ',')).filter(|tree| !tree.is_empty())
                {
                    self.read_use(above, tree, is_public);
                }
            }
            [star] if is_mark(star, '*') => {
                panic!("{} imports {}::*: name what it uses", self.path, above.join("::"))
            }
            _ => {
                let mut target = above.clone();
                if target.last().is_some_and(|name| name == "self") {
                    target.pop();
                }
                let name = match rest {
                    [_, TokenTree::Ident(alias)] => alias.to_string(),
                    _ => target.last().expect("an import names something").clone(),
                };
                let is_of_a_child = !matches!(target[0].as_str(), "crate" | "super");
                if !(is_public && is_of_a_child) {
                    self.used.insert(target.clone());
                }
                self.imports.insert(name, target);
            }
        }
        above.truncate(depth);
    }
}

/// As many names as `::` joins, and what follows them.
fn path<'a>(first: &[TokenTree], mut rest: &'a [TokenTree]) -> (Names, &'a [TokenTree]) {
    let mut names: Names = first.iter().map(ToString::to_string).collect();
    loop {
        rest = match rest {
            [colon, second, after @ ..] if is_mark(colon, ':') && is_mark(second, ':') => after,
            _ if names.is_empty() => rest,
            _ => return (names, rest),
        };
        let Some((TokenTree::Ident(name), after)) = rest.split_first() else {
            return (names, rest);
        };
        names.push(name.to_string());
        rest = after;
    }
}

/// What follows an item: it ends with its block, or with a semicolon.
fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let is_import = matches!(tokens.first(), Some(TokenTree::Ident(word)) if word == "use");
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !is_import,
        _ => is_mark(token, ';'),
    };
    let end = tokens.iter().position(is_end).map_or(tokens.len(), |at| at + 1);
    &tokens[end..]
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(sources: &[(&'static str, &'static str)]) -> Vec<String> {
        let files = Files::of(sources.iter().copied());
        files.cycles().into_iter().map(|cycle| cycle.join(" -> ")).collect()
    }

    #[test]
    fn a_cycle_of_three_files_is_found() {
        let found = cycles(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; struct A(B);"),
            ("b.rs", "pub struct B(Option<super::c::C>);"),
            ("c.rs", "use super::a; pub struct C { a: Box<a::A> }"),
        ]);
        assert_eq!(found, ["a.rs -> b.rs -> c.rs"]);
    }

    #[test]
    fn a_cycle_through_super_super_and_a_grouped_import_is_found() {
        let found = cycles(&[
            ("x/mod.rs", "mod y; mod z;"),
            ("x/y/mod.rs", "mod inner;"),
            ("x/y/inner.rs", "use super::super::{z::{self, Z as Other}}; fn f() { z::g() }"),
            ("x/z.rs", "pub(in crate::x) struct Z; fn g() { crate::x::y::inner::f() }"),
        ]);
        assert_eq!(found, ["x/y/inner.rs -> x/z.rs"]);
    }

    #[test]
    fn a_cycle_between_a_module_with_code_and_its_child_is_found() {
        let child = ("m/child.rs", "use super::Parent; pub struct Child(Box<Parent>);");
        for parent in [
            "mod child; use child::Child; pub struct Parent(Child);",
            "mod child; pub use child::Child; pub struct Parent(child::Child);",
            "mod child; pub struct Parent; impl Parent { fn f() { self::child::Child::new() } }",
        ] {
            assert_eq!(
                cycles(&[("m/mod.rs", parent), child]),
                ["m/child.rs -> m/mod.rs"],
                "{parent}"
            );
        }
    }

    #[test]
    fn a_cycle_through_the_names_of_a_facade_is_found() {
        let found = cycles(&[
            ("m/mod.rs", "mod a; mod b; pub use a::A; pub use b::{B, C};"),
            ("m/a.rs", "pub struct A(super::B);"),
            ("m/b.rs", "use crate::m::A; pub struct B(Vec<A>);"),
        ]);
        assert_eq!(found, ["m/a.rs -> m/b.rs"]);
    }

    #[test]
    fn a_facade_is_in_no_cycle_with_its_children() {
        let found = cycles(&[
            (
                "m/mod.rs",
                "//! [`a::A`] is one.\nmod a; mod b; pub use a::A; pub(crate) use self::b::B;",
            ),
            ("m/a.rs", "use super::B; use jiff::Timestamp; pub struct A(B, Timestamp);"),
            ("m/b.rs", "pub struct B;"),
        ]);
        assert_eq!(found, [] as [&str; 0]);
    }

    #[test]
    fn tests_texts_and_comments_are_in_no_cycle() {
        let found = cycles(&[
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            (
                "b.rs",
                "// crate::a::A\npub struct B; const A: &str = \"crate::a::A\";
                 #[cfg(test)] use crate::a::{A}; #[cfg(test)] mod tests { use crate::a::A; }",
            ),
        ]);
        assert_eq!(found, [] as [&str; 0]);
    }
}
