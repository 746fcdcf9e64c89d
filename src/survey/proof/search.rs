use std::collections::{BTreeSet, HashMap};

use super::model::{Model, Unjudged};

/// Walks through everything that can be answered, as far as it makes a difference: a question is
/// looked at when a condition asks for it, and what is the same from there on is walked once.
pub struct SearchTree<'m, 'a> {
    model: &'m Model<'a>,
    /// Of each condition, what it and all behind it look at.
    matters: Vec<Vec<usize>>,
    /// Whether something matters to the end beside the variables, such as that an issue was chosen.
    flag: &'m dyn Fn(&Assigned) -> bool,
    /// Only these classes of this variable.
    restricted: Option<(usize, Vec<usize>)>,
    given: Vec<(usize, usize)>,
    is_in_full: bool,
}

/// One walk, and where it is.
struct Walk<'w, 'm, 'a> {
    tree: SearchTree<'m, 'a>,
    /// A variable that is wanted before what was spoken comes to an end.
    needs: &'w dyn Fn(End) -> Option<usize>,
    /// Returns whether to continue.
    visit: &'w mut dyn FnMut(End, &Assigned) -> bool,
    assigned: Assigned,
    /// How many ends there are from a state on.
    known: HashMap<State, u64>,
    states: usize,
    /// How many of them at each condition.
    at: Vec<usize>,
    /// How much is remembered of them.
    kept: usize,
}

/// The class of each variable, none where it makes no difference.
pub type Assigned = Vec<Option<usize>>;

/// The condition that is next, what is known of all that matters from there on, and the flag.
type State = (usize, Vec<(u32, u32)>, bool);

/// Where a walk comes to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The condition that speaks.
    Speaks(Option<usize>),
    /// One that cannot be evaluated, and its part.
    Fails { condition: usize, part: usize },
}

impl End {
    /// The condition at which it is, unless none speaks.
    pub fn condition(self) -> Option<usize> {
        match self {
            Self::Speaks(at) => at,
            Self::Fails { condition, .. } => Some(condition),
        }
    }
}

/// Why a walk stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// There is more than can be walked through, most of it at this condition.
    TooMany(usize),
    Enough,
}

/// What there is to say where there is too much to walk through.
pub const TOO_MANY: &str = "up to here there are more cases than can be tried: let conditions \
                            look at fewer questions, or split the survey in two";

/// Most states of one walk.
const STATES_MAX: usize = 100_000;
/// Most that is remembered of them: it bounds the memory.
const KEPT_MAX: usize = 4_000_000;
/// Most states of all walks through one model: they bound the time together.
const ALL_STATES_MAX: usize = 400_000;

impl<'m, 'a> SearchTree<'m, 'a> {
    /// `also` are variables that matter to the end.
    pub fn new(
        model: &'m Model<'a>,
        also: Option<usize>,
        flag: &'m dyn Fn(&Assigned) -> bool,
    ) -> Self {
        let mut so_far: BTreeSet<usize> = also.into_iter().collect();
        let mut matters: Vec<Vec<usize>> = vec![so_far.iter().copied().collect()];
        for condition in model.conditions.iter().rev() {
            so_far.extend(&condition.looks_at);
            matters.push(so_far.iter().copied().collect());
        }
        matters.reverse();
        Self { model, matters, flag, restricted: None, given: Vec::new(), is_in_full: false }
    }

    /// Only through some classes of a variable.
    pub fn restricted_to(mut self, variable: usize, classes: Vec<usize>) -> Self {
        self.restricted = Some((variable, classes));
        self
    }

    /// Only where these variables have these classes.
    pub fn given(mut self, given: Vec<(usize, usize)>) -> Self {
        self.given = given;
        self
    }

    /// Through every end, the same from some point on or not.
    pub fn in_full(mut self) -> Self {
        self.is_in_full = true;
        self
    }

    /// Counts the ends. `needs` is a variable that must be assigned before an outcome is
    /// complete, `visit` returns whether to continue.
    ///
    /// # Errors
    /// The walk stopped early.
    pub fn walk(
        mut self,
        needs: &dyn Fn(End) -> Option<usize>,
        visit: &mut dyn FnMut(End, &Assigned) -> bool,
    ) -> Result<u64, Stopped> {
        let mut assigned = vec![None; self.model.classes.len()];
        for (variable, class) in &self.given {
            assigned[*variable] = Some(*class);
        }
        let restricted = self.restricted.take();
        let at = vec![0; self.matters.len()];
        let known = HashMap::new();
        let mut walk = Walk { tree: self, needs, visit, assigned, known, states: 0, at, kept: 0 };
        match restricted {
            Some((variable, classes)) => walk.each(variable, classes, &mut |walk| walk.from(0)),
            None => walk.from(0),
        }
    }
}

impl Walk<'_, '_, '_> {
    fn from(&mut self, condition: usize) -> Result<u64, Stopped> {
        let model = self.tree.model;
        let state = (!self.tree.is_in_full).then(|| {
            let known = self.tree.matters[condition].iter().filter_map(|at| {
                Some((*at as u32, model.alike(condition, *at, self.assigned[*at]?)))
            });
            (condition, known.collect::<Vec<_>>(), (self.tree.flag)(&self.assigned))
        });
        if let Some(count) = state.as_ref().and_then(|state| self.known.get(state)) {
            return Ok(*count);
        }
        self.states += 1;
        self.at[condition] += 1;
        self.kept += state.as_ref().map_or(0, |(_, known, _)| known.len());
        let walked = model.walked.get() + 1;
        model.walked.set(walked);
        if self.states > STATES_MAX || self.kept > KEPT_MAX || walked > ALL_STATES_MAX {
            let conditions = self.at.iter().take(model.conditions.len()).enumerate();
            let most = conditions.max_by_key(|(_, states)| **states);
            return Err(Stopped::TooMany(most.map_or(0, |(condition, _)| condition)));
        }
        let count = self.step(condition)?;
        self.known.extend(state.map(|state| (state, count)));
        Ok(count)
    }

    fn step(&mut self, condition: usize) -> Result<u64, Stopped> {
        let model = self.tree.model;
        if condition == model.conditions.len() {
            return self.end(End::Speaks(None));
        }
        match model.judge(condition, &self.assigned) {
            Ok(true) => self.end(End::Speaks(Some(condition))),
            Ok(false) => self.from(condition + 1),
            Err(Unjudged::Fails(part)) => self.end(End::Fails { condition, part }),
            Err(Unjudged::Needs(variable)) => {
                let classes = 0..model.classes[variable].len();
                self.each(variable, classes, &mut |walk| walk.from(condition))
            }
        }
    }

    fn end(&mut self, end: End) -> Result<u64, Stopped> {
        match (self.needs)(end).filter(|variable| self.assigned[*variable].is_none()) {
            Some(variable) => {
                let classes = 0..self.tree.model.classes[variable].len();
                self.each(variable, classes, &mut |walk| walk.end(end))
            }
            None if (self.visit)(end, &self.assigned) => Ok(1),
            None => Err(Stopped::Enough),
        }
    }

    fn each(
        &mut self,
        variable: usize,
        classes: impl IntoIterator<Item = usize>,
        walk: &mut dyn FnMut(&mut Self) -> Result<u64, Stopped>,
    ) -> Result<u64, Stopped> {
        let mut count = 0u64;
        for class in classes {
            self.assigned[variable] = Some(class);
            let walked = walk(self);
            self.assigned[variable] = None;
            count = count.saturating_add(walked?);
        }
        Ok(count)
    }
}
