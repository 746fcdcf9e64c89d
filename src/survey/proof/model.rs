use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use minijinja::Value;

use super::sample::{Variable, combinations};
use crate::domain::Advice;
use crate::survey::condition::Condition;
use crate::survey::definition::DefinitionError;
use crate::survey::names::{EvalContext, Scope};

/// A list of conditions of which the first that holds speaks, with all of them worked out for
/// everything that they look at.
#[derive(Debug, Clone)]
pub struct Model<'a> {
    pub variables: &'a [Variable],
    /// Of each variable: samples that nothing tells apart stand together.
    pub classes: Vec<Vec<Class>>,
    /// From each condition on, of each variable and class: the same number where nothing from there
    /// on tells two apart.
    alike: Vec<Vec<Vec<u32>>>,
    pub conditions: Vec<Judged<'a>>,
    /// Variables beyond those that are shown: parts of conditions that may hold or not.
    pub free: usize,
    /// How many states were walked through.
    pub walked: Cell<usize>,
}

/// The places of samples, in order; never empty.
pub type Class = Vec<usize>;

/// A condition and the tables of its parts; without a condition it always holds.
#[derive(Debug, Clone, Default)]
pub struct Judged<'a> {
    condition: Option<&'a Condition>,
    parts: Vec<Table>,
    pub looks_at: Vec<usize>,
}

/// What a part comes to for each combination of what it looks at.
#[derive(Debug, Clone)]
struct Table {
    looks_at: Vec<usize>,
    /// How many samples each of these has.
    sizes: Vec<usize>,
    rows: Arc<Vec<Verdict>>,
    is_open: bool,
}

/// Whether a part holds; none where it cannot be evaluated.
type Verdict = Option<bool>;

/// Why a condition cannot be judged yet, or at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unjudged {
    /// Not before this variable has a class.
    Needs(usize),
    /// The part that cannot be evaluated.
    Fails(usize),
}

/// Most combinations of what one part looks at.
const ROWS_MAX: usize = 1 << 16;
/// Most rows of all tables together, also of several models.
pub const ALL_ROWS_MAX: usize = 1 << 18;

impl<'a> Model<'a> {
    /// `label` tells samples apart that no condition does. `path` is that of each condition.
    /// `rows_left` are those of [`ALL_ROWS_MAX`] that are not worked out yet. Where there is too much
    /// to work out, there is a fault that says what to do.
    pub fn build(
        names: &Arc<Scope>,
        variables: &'a [Variable],
        conditions: &[Option<&'a Condition>],
        label: impl Fn(usize, usize) -> u64,
        path: impl Fn(usize) -> String,
        rows_left: &mut usize,
        faults: &mut Vec<DefinitionError>,
    ) -> Option<Self> {
        let mut judged = Vec::new();
        let faults_before = faults.len();
        for (at, condition) in conditions.iter().enumerate() {
            let Some(condition) = *condition else {
                judged.push(Judged::default());
                continue;
            };
            let mut parts = Vec::new();
            for part in 0..condition.parts().len() {
                match Table::work_out(condition, part, names, variables, *rows_left) {
                    Ok(table) => {
                        *rows_left -= table.rows.len();
                        parts.push(table);
                    }
                    Err(message) => faults.push(DefinitionError::at(path(at), message)),
                }
            }
            let looks_at = condition.looks_at().into_iter().collect();
            judged.push(Judged { condition: Some(condition), parts, looks_at });
        }
        if faults.len() > faults_before {
            return None;
        }
        let (classes, alike) = told_apart_by(variables, &judged, label);
        Some(Self { variables, classes, alike, conditions: judged, free: 0, walked: Cell::new(0) })
    }

    /// The same conditions, with another label that tells samples apart.
    pub fn labelled(&self, label: impl Fn(usize, usize) -> u64) -> Self {
        let (classes, alike) = told_apart_by(self.variables, &self.conditions, label);
        Self { classes, alike, walked: Cell::new(0), ..self.clone() }
    }

    /// A number for a class that others share from which nothing from a condition on tells it.
    pub fn alike(&self, from: usize, variable: usize, class: usize) -> u32 {
        self.alike[from][variable][class]
    }

    /// The same, but every part that looks at free text or fields may hold or not, whatever they
    /// are.
    pub fn relaxed(&self) -> Self {
        let mut relaxed = Self { walked: Cell::new(0), ..self.clone() };
        for judged in &mut relaxed.conditions {
            for part in judged.parts.iter_mut().filter(|part| part.is_open) {
                let variable = self.variables.len() + relaxed.free;
                relaxed.free += 1;
                relaxed.classes.push(vec![vec![0], vec![1]]);
                relaxed.alike.iter_mut().for_each(|alike| alike.push(vec![0, 1]));
                *part = Table {
                    looks_at: vec![variable],
                    sizes: vec![2],
                    rows: Arc::new(vec![Some(true), Some(false)]),
                    is_open: true,
                };
            }
            let looks_at = judged.parts.iter().flat_map(|part| part.looks_at.iter().copied());
            judged.looks_at = looks_at.collect::<BTreeSet<_>>().into_iter().collect();
        }
        relaxed
    }

    /// One condition alone.
    pub fn only(&self, at: usize) -> Self {
        Self {
            alike: vec![self.alike[at].clone(), self.alike[self.conditions.len()].clone()],
            conditions: vec![self.conditions[at].clone()],
            walked: Cell::new(0),
            ..self.clone()
        }
    }

    /// Whether it holds where each variable has the class that it is assigned.
    pub fn judge(&self, at: usize, assigned: &[Option<usize>]) -> Result<bool, Unjudged> {
        let Judged { condition, parts, .. } = &self.conditions[at];
        let Some(condition) = condition else { return Ok(true) };
        condition.judge(&mut |part| {
            let table = &parts[part];
            let mut row = 0;
            for (variable, size) in table.looks_at.iter().zip(&table.sizes) {
                let class = assigned[*variable].ok_or(Unjudged::Needs(*variable))?;
                row = row * size + self.classes[*variable][class][0];
            }
            table.rows[row].ok_or(Unjudged::Fails(part))
        })
    }

    /// What there is to say of a part that cannot be evaluated.
    pub fn fails(
        &self,
        names: &Arc<Scope>,
        at: usize,
        part: usize,
        assigned: &[Option<usize>],
    ) -> Advice {
        let Some(condition) = self.conditions[at].condition else { return String::new().into() };
        let values = self.variables.iter().enumerate().map(|(at, variable)| {
            let class = assigned[at]?;
            variable.samples[self.classes[at][class][0]].value.clone()
        });
        let facts = Value::from(EvalContext::new(names, values.collect()));
        let part = &condition.parts()[part];
        let failed = part.holds(&facts).err();
        failed.map_or_else(|| String::new().into(), |failed| part.advice(failed))
    }

    /// What a part of a condition looks at.
    pub fn looked_at(&self, at: usize, part: usize) -> &[usize] {
        &self.conditions[at].parts[part].looks_at
    }

    /// Whether some part of a condition looks at more than can be tried.
    pub fn is_open(&self, at: usize) -> bool {
        self.conditions[at].parts.iter().any(|part| part.is_open)
    }
}

impl Model<'_> {
    /// The first that is found where each of these variables has one of its classes.
    pub fn each_class<T>(
        &self,
        variables: &[usize],
        find: impl Fn(&[(usize, usize)]) -> Option<T>,
    ) -> Option<T> {
        let classes = |at: &usize| (*at, (0..self.classes[*at].len()).collect());
        first(&variables.iter().map(classes).collect::<Vec<_>>(), &mut Vec::new(), &find)
    }

    /// The first that is found where each variable has one of the first samples of its class.
    pub fn each_member<T>(
        &self,
        classes: &[(usize, usize)],
        members_max: usize,
        find: impl Fn(&[(usize, usize)]) -> Option<T>,
    ) -> Option<T> {
        let members = |(at, class): &(usize, usize)| {
            (*at, self.classes[*at][*class].iter().copied().take(members_max).collect())
        };
        first(&classes.iter().map(members).collect::<Vec<_>>(), &mut Vec::new(), &find)
    }
}

/// The first that is found with one of each.
fn first<T>(
    options: &[(usize, Vec<usize>)],
    chosen: &mut Vec<(usize, usize)>,
    find: &impl Fn(&[(usize, usize)]) -> Option<T>,
) -> Option<T> {
    let Some((variable, some)) = options.get(chosen.len()) else { return find(chosen) };
    some.iter().find_map(|one| {
        chosen.push((*variable, *one));
        let found = first(options, chosen, find);
        chosen.pop();
        found
    })
}

impl Judged<'_> {
    /// What it comes to where the one variable that it looks at has a sample.
    fn verdict(&self, sample: usize) -> Result<bool, usize> {
        let Some(condition) = self.condition else { return Ok(true) };
        condition.judge(&mut |part| {
            let Table { looks_at, rows, .. } = &self.parts[part];
            rows[if looks_at.is_empty() { 0 } else { sample }].ok_or(part)
        })
    }
}

impl Table {
    fn work_out(
        condition: &Condition,
        part: usize,
        names: &Arc<Scope>,
        variables: &[Variable],
        rows_left: usize,
    ) -> Result<Self, String> {
        let part = &condition.parts()[part];
        let looks_at = part.looks_at.clone();
        let sizes: Vec<_> = looks_at.iter().map(|at| variables[*at].samples.len()).collect();
        let count = combinations(looks_at.iter().map(|at| &variables[*at]));
        if count > ROWS_MAX as u128 {
            let looks_at = looks_at.iter().map(|at| variables[*at].name.as_str());
            return Err(format!(
                "{:?} looks at {} together, which have {count} combinations, more than {ROWS_MAX} \
                 to try: join conditions on fewer of them with and, or",
                part.text,
                looks_at.collect::<Vec<_>>().join(", ")
            ));
        }
        if count > rows_left as u128 {
            return Err(format!(
                "all conditions together have more than {ALL_ROWS_MAX} combinations to try: ask \
                 less, or look at fewer questions at once"
            ));
        }
        let mut rows = Vec::with_capacity(count as usize);
        let mut values: Vec<Option<Value>> = vec![None; names.len()];
        for row in 0..count as usize {
            let mut rest = row;
            for (at, size) in looks_at.iter().zip(&sizes).rev() {
                values[*at] = variables[*at].samples[rest % size].value.clone();
                rest /= size;
            }
            rows.push(part.holds(&EvalContext::new(names, values.clone()).into()).ok());
        }
        let is_open = looks_at.iter().any(|at| variables[*at].is_open);
        Ok(Self { looks_at, sizes, rows: Arc::new(rows), is_open })
    }

    /// All that it comes to where a variable has a sample.
    fn seen_with(&self, variable: usize, sample: usize) -> Option<Vec<Verdict>> {
        let place = self.looks_at.iter().position(|at| *at == variable)?;
        let size = self.sizes[place];
        let inner: usize = self.sizes[place + 1..].iter().product();
        let rows = self.rows.chunks(size * inner);
        let rows = rows.flat_map(|chunk| &chunk[sample * inner..(sample + 1) * inner]);
        Some(rows.copied().collect())
    }
}

/// The classes of each variable, and what is alike from each condition on.
fn told_apart_by(
    variables: &[Variable],
    judged: &[Judged<'_>],
    label: impl Fn(usize, usize) -> u64,
) -> (Vec<Vec<Class>>, Vec<Vec<Vec<u32>>>) {
    let mut classes = Vec::new();
    let mut alike = vec![Vec::new(); judged.len() + 1];
    for (at, variable) in variables.iter().enumerate() {
        let told_apart = told_apart(at, variable, judged, |sample| label(at, sample));
        let own = classes_of(&told_apart[0]);
        for (alike, told_apart) in alike.iter_mut().zip(&told_apart) {
            alike.push(own.iter().map(|class| told_apart[class[0]]).collect());
        }
        classes.push(own);
    }
    (classes, alike)
}

/// From each condition on, and then of the labels alone: a number for each sample of a variable, the
/// same where nothing tells two apart.
fn told_apart(
    at: usize,
    variable: &Variable,
    judged: &[Judged<'_>],
    label: impl Fn(usize) -> u64,
) -> Vec<Vec<u32>> {
    let labels: Vec<_> = (0..variable.samples.len()).map(label).collect();
    let mut so_far = numbered(labels.into_iter());
    let mut told_apart = vec![so_far.clone()];
    for judged in judged.iter().rev() {
        if judged.looks_at == [at] {
            // Which of its parts decides makes no difference then.
            let verdicts = (0..so_far.len()).map(|sample| judged.verdict(sample));
            so_far = numbered(so_far.iter().zip(verdicts));
            told_apart.push(so_far.clone());
            continue;
        }
        for table in judged.parts.iter().filter(|table| table.looks_at.contains(&at)) {
            let seen = (0..so_far.len()).map(|sample| table.seen_with(at, sample));
            // A table is dropped as soon as it is looked through, because it may be large.
            so_far = numbered(so_far.iter().zip(seen));
        }
        told_apart.push(so_far.clone());
    }
    told_apart.reverse();
    told_apart
}

/// The same number for the same, in the order in which they come.
fn numbered<T: std::hash::Hash + Eq>(items: impl Iterator<Item = T>) -> Vec<u32> {
    let mut known = HashMap::new();
    items
        .map(|item| {
            let next = known.len() as u32;
            *known.entry(item).or_insert(next)
        })
        .collect()
}

fn classes_of(numbers: &[u32]) -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::new();
    for (sample, number) in numbers.iter().enumerate() {
        match classes.get_mut(*number as usize) {
            Some(class) => class.push(sample),
            None => classes.push(vec![sample]),
        }
    }
    classes
}
