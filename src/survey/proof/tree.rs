use std::collections::{BTreeSet, HashMap};

use super::model::{Model, Unjudged};

/// Walks through everything that can be answered, as far as it makes a difference: a question is
/// looked at when a condition asks for it, and what is the same from there on is walked once.
pub struct Tree<'m, 'a> {
    model: &'m Model<'a>,
    /// Of each condition, what it and all behind it look at.
    matters: Vec<Vec<usize>>,
    /// Whether something matters to the end beside the variables, such as that an issue was chosen.
    flag: &'m dyn Fn(&Assigned) -> bool,
    /// Only these classes of this variable.
    restricted: Option<(usize, Vec<usize>)>,
    /// What is known from the beginning.
    given: Vec<(usize, usize)>,
    known: Option<HashMap<State, u64>>,
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
    /// One that cannot be worked out, and its part.
    Stumbles { condition: usize, part: usize },
}

/// What is done at the ends.
pub trait Visit {
    /// A variable that is wanted before what was spoken comes to an end.
    fn wants(&self, _end: End) -> Option<usize> {
        None
    }

    /// Whether to go on.
    fn visit(&mut self, end: End, assigned: &Assigned) -> bool;
}

/// Why a walk stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// There is more than can be walked through, most of it at this condition.
    TooMany(usize),
    Enough,
}

/// What there is to say where there is too much to walk through.
pub const TOO_MANY: &str = "up to here there is more to tell apart than can be tried: let conditions \
                            look at fewer questions, or split the survey in two";

/// Most states of one walk.
const STATES_MAX: usize = 100_000;
/// Most that is remembered of them: it bounds the memory.
const KEPT_MAX: usize = 4_000_000;
/// Most states of all walks through one model: they bound the time together.
const ALL_STATES_MAX: usize = 400_000;

impl<'m, 'a> Tree<'m, 'a> {
    /// `also` are variables that matter to the end.
    pub fn new(
        model: &'m Model<'a>,
        also: Option<usize>,
        flag: &'m dyn Fn(&Assigned) -> bool,
    ) -> Self {
        let mut matters = Vec::new();
        let mut so_far: BTreeSet<usize> = also.into_iter().collect();
        matters.push(so_far.iter().copied().collect());
        for condition in model.conditions.iter().rev() {
            so_far.extend(&condition.looks_at);
            matters.push(so_far.iter().copied().collect());
        }
        matters.reverse();
        let at = vec![0; matters.len()];
        let known = Some(HashMap::new());
        Self {
            model,
            matters,
            flag,
            restricted: None,
            given: Vec::new(),
            known,
            states: 0,
            at,
            kept: 0,
        }
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
        self.known = None;
        self
    }

    /// How many ends there are.
    ///
    /// # Errors
    /// The walk stopped early.
    pub fn walk(mut self, visitor: &mut dyn Visit) -> Result<u64, Stopped> {
        let mut assigned = vec![None; self.model.classes.len()];
        for (variable, class) in &self.given {
            assigned[*variable] = Some(*class);
        }
        match self.restricted.clone() {
            Some((variable, classes)) => {
                let mut count = 0u64;
                for class in classes {
                    assigned[variable] = Some(class);
                    count = count.saturating_add(self.from(0, &mut assigned, visitor)?);
                }
                Ok(count)
            }
            None => self.from(0, &mut assigned, visitor),
        }
    }

    fn from(
        &mut self,
        condition: usize,
        assigned: &mut Assigned,
        visitor: &mut dyn Visit,
    ) -> Result<u64, Stopped> {
        let state = self.known.is_some().then(|| {
            let known = self.matters[condition].iter().filter_map(|at| {
                Some((*at as u32, self.model.alike(condition, *at, assigned[*at]?)))
            });
            (condition, known.collect::<Vec<_>>(), (self.flag)(assigned))
        });
        if let (Some(known), Some(state)) = (&self.known, &state)
            && let Some(count) = known.get(state)
        {
            return Ok(*count);
        }
        self.states += 1;
        self.at[condition] += 1;
        self.kept += state.as_ref().map_or(0, |(_, known, _)| known.len());
        let walked = self.model.walked.get() + 1;
        self.model.walked.set(walked);
        if self.states > STATES_MAX || self.kept > KEPT_MAX || walked > ALL_STATES_MAX {
            let conditions = self.at.iter().take(self.model.conditions.len()).enumerate();
            let most = conditions.max_by_key(|(_, states)| **states);
            return Err(Stopped::TooMany(most.map_or(0, |(condition, _)| condition)));
        }
        let count = self.step(condition, assigned, visitor)?;
        if let (Some(known), Some(state)) = (&mut self.known, state) {
            known.insert(state, count);
        }
        Ok(count)
    }

    fn step(
        &mut self,
        condition: usize,
        assigned: &mut Assigned,
        visitor: &mut dyn Visit,
    ) -> Result<u64, Stopped> {
        if condition == self.model.conditions.len() {
            return self.end(End::Speaks(None), assigned, visitor);
        }
        match self.model.judge(condition, assigned) {
            Ok(true) => self.end(End::Speaks(Some(condition)), assigned, visitor),
            Ok(false) => self.from(condition + 1, assigned, visitor),
            Err(Unjudged::Stumbles(part)) => {
                self.end(End::Stumbles { condition, part }, assigned, visitor)
            }
            Err(Unjudged::Needs(variable)) => self
                .each(variable, assigned, |tree, assigned| tree.from(condition, assigned, visitor)),
        }
    }

    fn end(
        &mut self,
        end: End,
        assigned: &mut Assigned,
        visitor: &mut dyn Visit,
    ) -> Result<u64, Stopped> {
        match visitor.wants(end).filter(|variable| assigned[*variable].is_none()) {
            Some(variable) => {
                self.each(variable, assigned, |tree, assigned| tree.end(end, assigned, visitor))
            }
            None if visitor.visit(end, assigned) => Ok(1),
            None => Err(Stopped::Enough),
        }
    }

    fn each(
        &mut self,
        variable: usize,
        assigned: &mut Assigned,
        mut walk: impl FnMut(&mut Self, &mut Assigned) -> Result<u64, Stopped>,
    ) -> Result<u64, Stopped> {
        let mut count = 0u64;
        for class in 0..self.model.classes[variable].len() {
            assigned[variable] = Some(class);
            let walked = walk(self, assigned);
            assigned[variable] = None;
            count = count.saturating_add(walked?);
        }
        Ok(count)
    }
}
