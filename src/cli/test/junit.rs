//! Results of test cases as JUnit XML, which CI systems show.

use std::fmt;
use std::fmt::Write as _;

use super::case::Case;
use super::diff::Diff;

/// A suite for each file of cases, a failure with the diff for each case that is not met.
pub(super) struct Junit<'p>(pub Vec<Suite<'p>>);

/// A file of cases, and where each differs.
pub(super) struct Suite<'p> {
    pub file: &'p str,
    pub cases: &'p [(Case, Diff)],
}

impl fmt::Display for Junit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.iter().flat_map(|suite| suite.cases);
        let (tests, failures) = counts(all.map(|(_, diff)| diff));
        writeln!(f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        writeln!(
            f,
            "<testsuites name=\"postcall\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"
        )?;
        for Suite { file, cases } in &self.0 {
            let (tests, failures) = counts(cases.iter().map(|(_, diff)| diff));
            let file = Attribute(file);
            writeln!(
                f,
                "  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">"
            )?;
            for (case, diff) in *cases {
                let (name, line) = (Attribute(&case.name), case.line);
                write!(
                    f,
                    "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{line}\""
                )?;
                if !diff.differs() {
                    writeln!(f, "/>")?;
                    continue;
                }
                let lines: Vec<String> = diff.lines().collect();
                let diff = Text(&lines.join("\n")).to_string();
                writeln!(f, ">")?;
                writeln!(
                    f,
                    "      <failure message=\"the result differs from expect\">{diff}</failure>"
                )?;
                writeln!(f, "    </testcase>")?;
            }
            writeln!(f, "  </testsuite>")?;
        }
        writeln!(f, "</testsuites>")
    }
}

/// How many there are, and how many differ.
fn counts<'d>(diffs: impl Iterator<Item = &'d Diff>) -> (usize, usize) {
    diffs.fold((0, 0), |(all, failed), diff| (all + 1, failed + usize::from(diff.differs())))
}

/// The value of an attribute, which readers of XML would put on one line.
struct Attribute<'t>(&'t str);

/// Text of an element.
struct Text<'t>(&'t str);

impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' => f.write_str("&quot;"),
            '\n' | '\r' | '\t' => write!(f, "&#{};", u32::from(c)),
            c => character(f, c),
        })
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            // Readers of XML take it for a line feed.
            '\r' => f.write_str("&#13;"),
            c => character(f, c),
        })
    }
}

fn character(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '&' => f.write_str("&amp;"),
        '<' => f.write_str("&lt;"),
        '>' => f.write_str("&gt;"),
        // XML 1.0 cannot hold these at all.
        '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}'),
        c if c < ' ' && !matches!(c, '\t' | '\n' | '\r') => f.write_char('\u{fffd}'),
        c => f.write_char(c),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_back_from_the_xml(text in "(?s).{0,40}", attribute in "(?s).{0,40}") {
            let xml = format!("<a b=\"{}\">{}</a>", Attribute(&attribute), Text(&text));
            let document = roxmltree::Document::parse(&xml).unwrap();
            let root = document.root_element();
            let allowed = |text: &str| -> String {
                let c = |c: char| if matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}')) { c } else { '\u{fffd}' };
                text.chars().map(c).collect()
            };
            prop_assert_eq!(root.text().unwrap_or_default(), allowed(&text));
            prop_assert_eq!(root.attribute("b").unwrap(), allowed(&attribute));
        }
    }
}
