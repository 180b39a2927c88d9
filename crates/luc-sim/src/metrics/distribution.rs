//! Many values, and how they are spread.

use serde::Serialize;

/// Values of one kind, all of them kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    values: Vec<f64>,
}

/// How values are spread. All zero when there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// How many values there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Their mean.
    pub mean: f64,
    /// Half of them are at most this.
    pub p50: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Distribution {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.values.push(value);
    }

    /// How the values are spread.
    pub fn spread(&self) -> Spread {
        let mut sorted = self.values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
            return Spread::default();
        };
        let sum: f64 = sorted.iter().sum();
        // Nearest rank.
        let rank = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted[rank.clamp(1, sorted.len()) - 1]
        };
        Spread {
            count: sorted.len() as u64,
            sum,
            mean: sum / sorted.len() as f64,
            p50: rank(0.5),
            p99: rank(0.99),
            min: *min,
            max: *max,
        }
    }
}

impl Spread {
    /// The spread of all values times `factor`.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            count: self.count,
            sum: self.sum * factor,
            mean: self.mean * factor,
            p50: self.p50 * factor,
            p99: self.p99 * factor,
            min: self.min * factor,
            max: self.max * factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut distribution = Distribution::default();
        assert_eq!(distribution.spread(), Spread::default());
        for value in 1..=200 {
            distribution.add(f64::from(201 - value));
        }
        let spread = distribution.spread();
        assert_eq!((spread.p50, spread.p99), (100.0, 198.0));
        assert_eq!((spread.min, spread.max, spread.mean), (1.0, 200.0, 100.5));
    }
}
