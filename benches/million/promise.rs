//! What was promised, what was measured, and whether the one holds the other.

use std::time::Duration;

/// One line each, said as soon as it is known.
#[derive(Default)]
pub struct Promises {
    broken: usize,
}

impl Promises {
    pub fn time(&mut self, what: &str, measured: Duration, most: Duration) {
        self.say(what, measured <= most, format!("{measured:.1?}"), format!("at most {most:.0?}"));
    }

    pub fn at_most(&mut self, what: &str, measured: f64, most: f64) {
        self.say(what, measured <= most, format!("{measured:.1}"), format!("at most {most:.0}"));
    }

    pub fn at_least(&mut self, what: &str, measured: f64, least: f64) {
        self.say(what, measured >= least, format!("{measured:.3}"), format!("at least {least}"));
    }

    pub fn are_kept(&self) -> bool {
        self.broken == 0
    }

    fn say(&mut self, what: &str, holds: bool, measured: String, bound: String) {
        let word = if holds { "kept  " } else { "BROKEN" };
        println!("{word} {what}: {measured} ({bound})");
        self.broken += usize::from(!holds);
    }
}

/// The median.
pub fn typical<T: Copy + PartialOrd>(measured: &[T]) -> T {
    ordered(measured)[measured.len() / 2]
}

/// The slowest but two, where there are many.
pub fn worst<T: Copy + PartialOrd>(measured: &[T]) -> T {
    ordered(measured)[measured.len().saturating_sub(if measured.len() < 20 { 1 } else { 3 })]
}

fn ordered<T: Copy + PartialOrd>(measured: &[T]) -> Vec<T> {
    let mut ordered = measured.to_vec();
    ordered.sort_by(|a, b| a.partial_cmp(b).expect("a measure is a number"));
    ordered
}
