use std::fmt;

/// What was expected beside what came, line by line.
#[derive(Default)]
pub(super) struct Diff {
    lines: Vec<Line>,
}

struct Line {
    mark: char,
    text: String,
    remark: Option<String>,
}

/// Before what both say.
const SAME: char = ' ';
/// Before what was expected and did not come.
const EXPECTED: char = '-';
/// Before what came.
const GOT: char = '+';
/// Before how it came about.
const TRACED: char = '|';

impl Diff {
    pub fn same(&mut self, text: impl Into<String>) {
        self.push(SAME, text.into(), None);
    }

    pub fn expected(&mut self, text: impl Into<String>) {
        self.push(EXPECTED, text.into(), None);
    }

    pub fn got(&mut self, text: impl Into<String>, remark: Option<&str>) {
        self.push(GOT, text.into(), remark);
    }

    /// Once where both say the same.
    pub fn pair(&mut self, expected: String, got: String, remark: Option<&str>) {
        if expected == got {
            self.same(got);
        } else {
            self.expected(expected);
            self.got(got, remark);
        }
    }

    /// Adds to the last line what is to be said of it.
    pub fn remark(&mut self, remark: &str) {
        if let Some(line) = self.lines.last_mut() {
            line.remark = Some(remark.to_owned());
        }
    }

    /// How what came has come about, a line for each part.
    pub fn trace(&mut self, trace: &str) {
        trace.lines().for_each(|line| self.push(TRACED, line.to_owned(), None));
    }

    pub fn differs(&self) -> bool {
        self.differs_since(0)
    }

    pub fn differs_since(&self, line: usize) -> bool {
        self.lines[line..].iter().any(|line| matches!(line.mark, EXPECTED | GOT))
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Each line behind its mark.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().map(|Line { mark, text, remark }| {
            let remark = remark.as_ref().map(|remark| format!("   # {remark}"));
            format!("{mark} {text}{}", remark.unwrap_or_default())
        })
    }

    fn push(&mut self, mark: char, text: String, remark: Option<&str>) {
        self.lines.push(Line { mark, text, remark: remark.map(str::to_owned) });
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(f, "          {line}"))
    }
}
