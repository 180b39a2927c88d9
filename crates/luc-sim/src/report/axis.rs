//! From values to places on a drawing, with round numbers at the ticks.

/// One direction of a drawing.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    least: f64,
    greatest: f64,
    logarithmic: bool,
    /// Where the least and the greatest value are drawn.
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Axis {
    /// An axis from zero to a round number at or above all of `values`.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let greatest = values.fold(0.0, f64::max);
        let step = round_step(greatest / 5.0);
        Self {
            least: 0.0,
            greatest: (greatest / step).ceil().max(1.0) * step,
            logarithmic: false,
            from,
            to,
        }
    }

    /// An axis that just covers `values`; logarithmic if they span more than a factor of eight and
    /// none is below one.
    pub(super) fn covering(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut least, mut greatest) = values.fold(
            (f64::INFINITY, f64::NEG_INFINITY),
            |(least, greatest), value| (least.min(value), greatest.max(value)),
        );
        if least >= greatest {
            let pad = if least.is_finite() {
                least.abs().max(1.0) * 0.5
            } else {
                1.0
            };
            let middle = if least.is_finite() { least } else { 0.0 };
            (least, greatest) = (middle - pad, middle + pad);
        }
        Self {
            least,
            greatest,
            logarithmic: least >= 1.0 && greatest / least >= 8.0,
            from,
            to,
        }
    }

    /// Whether equal factors are equal distances.
    pub(super) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Where `value` is drawn.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value / self.least).ln() / (self.greatest / self.least).ln()
        } else {
            (value - self.least) / (self.greatest - self.least)
        };
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    /// Round values between the least and the greatest, about five of them.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let step = round_step((self.greatest - self.least) / 5.0);
        let first = (self.least / step).ceil() as i64;
        let last = (self.greatest / step + 1e-9).floor() as i64;
        (first..=last).map(|count| count as f64 * step).collect()
    }
}

/// The least of 1, 2, 5 × 10ⁿ that is at least `rough`.
fn round_step(rough: f64) -> f64 {
    if rough <= 0.0 || !rough.is_finite() {
        return 1.0;
    }
    let decade = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
    let enough = steps.into_iter().find(|step| *step >= rough * 0.999_999);
    enough.unwrap_or(10.0 * decade)
}

/// A tick's label: as few digits as tell it from its neighbours.
pub(super) fn label(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded.abs() >= 10_000.0 {
        format!("{}k", rounded / 1000.0)
    } else {
        format!("{rounded}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_values() {
        let axis = Axis::from_zero([3.0, 9.6].into_iter(), 0.0, 100.0);
        assert_eq!(axis.ticks(), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert!((axis.place(5.0) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn sizes_that_double_are_drawn_at_equal_distances() {
        let axis = Axis::covering([128.0, 8192.0].into_iter(), 0.0, 60.0);
        assert!(axis.is_logarithmic());
        assert!((axis.place(1024.0) - 30.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_or_one_value_still_gives_an_axis() {
        for values in [&[][..], &[5.0], &[0.0]] {
            let axis = Axis::covering(values.iter().copied(), 0.0, 100.0);
            assert!(axis.place(5.0).is_finite() && !axis.ticks().is_empty());
            let axis = Axis::from_zero(values.iter().copied(), 100.0, 0.0);
            assert!(axis.place(0.0).is_finite() && !axis.ticks().is_empty());
        }
    }
}
