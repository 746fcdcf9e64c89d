//! Shares with their uncertainty.

use std::ops::AddAssign;

/// Quantile of the normal distribution for 95 %.
const Z: f64 = 1.959_964;

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    pub k: u64,
    pub n: u64,
}

impl Share {
    /// Fewest of which a share is more than an anecdote.
    pub const MIN: u64 = 10;

    pub fn add(&mut self, is_in: bool, n: u64) {
        self.n += n;
        self.k += if is_in { n } else { 0 };
    }

    /// Zero of none.
    pub fn value(self) -> f64 {
        if self.n == 0 { 0.0 } else { self.k as f64 / self.n as f64 }
    }

    pub fn is_small(self) -> bool {
        self.n < Self::MIN
    }

    /// Whether it differs by more than chance, which these limits of `k` explain; of too few nothing is said.
    pub fn is_outside(self, (least, most): (u64, u64)) -> bool {
        !self.is_small() && !(least..=most).contains(&self.k)
    }

    /// Wilson's score interval of 95 %; of none, everything is possible.
    pub fn interval(self) -> (f64, f64) {
        if self.n == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (self.n as f64, self.value());
        let scale = 1.0 + Z * Z / n;
        let center = (p + Z * Z / (2.0 * n)) / scale;
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
        ((center - half).max(0.0), (center + half).min(1.0))
    }

    /// Newcombe's interval of 95 % of how much larger it is than another share.
    pub fn difference(self, other: Self) -> (f64, f64) {
        let ((low, high), (other_low, other_high)) = (self.interval(), other.interval());
        let (p, q) = (self.value(), other.value());
        let below = (p - low).hypot(other_high - q);
        let above = (high - p).hypot(q - other_low);
        (p - q - below, p - q + above)
    }
}

impl AddAssign for Share {
    fn add_assign(&mut self, other: Self) {
        self.k += other.k;
        self.n += other.n;
    }
}

/// The least and the greatest count of `n` that a binomial distribution with this share exceeds on either
/// side with a probability of at most `tail`.
pub fn limits(share: f64, n: u64, tail: f64) -> (u64, u64) {
    if n == 0 || share <= 0.0 || share >= 1.0 {
        let only = if share >= 1.0 { n } else { 0 };
        return (only, only);
    }
    // Weights relative to that of the mode, as far as they count.
    const LEAST: f64 = 1e-18;
    let odds = share / (1.0 - share);
    let mode = (((n + 1) as f64) * share).floor().min(n as f64) as u64;
    let mut weights = vec![1.0];
    let mut first = mode;
    while first > 0 && weights[weights.len() - 1] > LEAST {
        let ratio = first as f64 / ((n - first + 1) as f64 * odds);
        weights.push(weights[weights.len() - 1] * ratio);
        first -= 1;
    }
    weights.reverse();
    let mut last = mode;
    while last < n && weights[weights.len() - 1] > LEAST {
        let ratio = (n - last) as f64 * odds / (last + 1) as f64;
        weights.push(weights[weights.len() - 1] * ratio);
        last += 1;
    }
    let all: f64 = weights.iter().sum();
    let count_at = |share: f64, weights: &mut dyn Iterator<Item = &f64>| {
        let mut sum = 0.0;
        weights
            .take_while(|weight| {
                sum += **weight;
                sum <= share * all
            })
            .count() as u64
    };
    let low = first + count_at(tail, &mut weights.iter());
    let high = last - count_at(tail, &mut weights.iter().rev());
    (low, high)
}

/// The mean, and how far it may be off at 95 %; `None` of too few for that.
pub fn mean(values: impl Iterator<Item = (f64, u64)> + Clone) -> Option<(f64, f64)> {
    const MIN: u64 = 30;
    let n: u64 = values.clone().map(|(_, n)| n).sum();
    if n < MIN {
        return None;
    }
    let mean = values.clone().map(|(value, n)| value * n as f64).sum::<f64>() / n as f64;
    let squares: f64 = values.map(|(value, of)| (value - mean).powi(2) * of as f64).sum();
    Some((mean, Z * (squares / (n - 1) as f64 / n as f64).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_near(found: (f64, f64), expected: (f64, f64)) {
        let is_near = |a: f64, b: f64| (a - b).abs() < 1e-4;
        assert!(
            is_near(found.0, expected.0) && is_near(found.1, expected.1),
            "{found:?}, expected {expected:?}"
        );
    }

    #[test]
    fn intervals_of_a_share_are_those_of_wilson() {
        for (k, n, expected) in [
            (81, 263, (0.2553, 0.3662)),
            (15, 148, (0.0624, 0.1605)),
            (0, 20, (0.0, 0.1611)),
            (1, 29, (0.0061, 0.1718)),
            (3, 7, (0.1582, 0.7495)),
            (0, 0, (0.0, 1.0)),
        ] {
            assert_near(Share { k, n }.interval(), expected);
        }
    }

    #[test]
    fn intervals_of_a_difference_are_those_of_newcombe() {
        let difference = Share { k: 56, n: 70 }.difference(Share { k: 48, n: 80 });
        assert_near(difference, (0.0524, 0.3339));
        let none = Share::default().difference(Share::default());
        assert_near(none, (-1.0, 1.0));
    }

    #[test]
    fn limits_are_the_quantiles_of_the_binomial_distribution() {
        for (share, n, tail, expected) in [
            (0.5, 20, 0.025, (6, 14)),
            (0.1, 100, 0.025, (5, 16)),
            (0.1, 100, 0.001, (2, 20)),
            (0.14, 1000, 0.025, (119, 162)),
            (0.3, 1, 0.025, (0, 1)),
            (0.0, 50, 0.025, (0, 0)),
            (1.0, 50, 0.025, (50, 50)),
            (0.2, 0, 0.025, (0, 0)),
        ] {
            assert_eq!(limits(share, n, tail), expected, "{share} of {n}");
        }
        let (low, high) = limits(0.14, 1_000_000, 0.001);
        assert!((138_900..139_000).contains(&low) && (141_000..141_100).contains(&high));
    }

    #[test]
    fn a_mean_of_few_has_no_interval() {
        assert_eq!(mean([(4.0, 29)].into_iter()), None);
        let (mean, half) = mean([(2.0, 50), (4.0, 50)].into_iter()).unwrap();
        assert_near((mean, half), (3.0, 0.196_98));
    }
}
