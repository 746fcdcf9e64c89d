use std::fmt;

/// What was expected beside what came, line by line.
#[derive(Default)]
pub(super) struct Diff {
    lines: Vec<Line>,
    trace: Option<String>,
}

struct Line {
    kind: Kind,
    text: String,
    remark: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Same,
    Expected,
    Got,
}

impl Diff {
    pub fn same(&mut self, text: impl Into<String>) {
        self.push(Kind::Same, text.into(), None);
    }

    pub fn expected(&mut self, text: impl Into<String>) {
        self.push(Kind::Expected, text.into(), None);
    }

    pub fn got(&mut self, text: impl Into<String>, remark: Option<&str>) {
        self.push(Kind::Got, text.into(), remark);
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

    /// How what came has come about; empty says nothing.
    pub fn trace(&mut self, trace: Option<String>) {
        self.trace = trace.filter(|trace| !trace.is_empty()).or(self.trace.take());
    }

    pub fn differs(&self) -> bool {
        self.lines.iter().any(|line| line.kind != Kind::Same)
    }

    /// Each line with `-` before what was expected and did not come, and `+` before what came.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.iter().map(|Line { kind, text, remark }| {
            let mark = match kind {
                Kind::Same => ' ',
                Kind::Expected => '-',
                Kind::Got => '+',
            };
            let remark = remark.as_ref().map(|remark| format!("   # {remark}"));
            format!("{mark} {text}{}", remark.unwrap_or_default())
        })
    }

    pub fn traced(&self) -> Option<&str> {
        self.trace.as_deref()
    }

    fn push(&mut self, kind: Kind, text: String, remark: Option<&str>) {
        self.lines.push(Line { kind, text, remark: remark.map(str::to_owned) });
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            writeln!(f, "          {line}")?;
        }
        let traced = self.traced().unwrap_or_default();
        traced.lines().try_for_each(|line| writeln!(f, "            | {line}"))
    }
}
