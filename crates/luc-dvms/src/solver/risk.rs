//! How likely a host is to be asked for more than it has, in integers.
//!
//! A host's demand is taken for a sum of independent machines: normal, with the sum of their means
//! and of their variances. That is what makes the number of machines matter more than what they
//! ask for at the moment: a host with eleven quiet machines is a worse target than one with nine
//! busy ones, because moods pass and machines stay.

/// Upper tail of the standard normal distribution at 0.0, 0.1 … 5.0, in millionths.
const TAIL: [u32; 51] = [
    500_000, 460_172, 420_740, 382_089, 344_578, 308_538, 274_253, 241_964, 211_855, 184_060,
    158_655, 135_666, 115_070, 96_800, 80_757, 66_807, 54_799, 44_565, 35_930, 28_717, 22_750,
    17_864, 13_903, 10_724, 8198, 6210, 4661, 3467, 2555, 1866, 1350, 968, 687, 483, 337, 233, 159,
    108, 72, 48, 32, 21, 13, 9, 5, 3, 2, 1, 1, 0, 0,
];

/// The probability, in millionths, that a demand of this mean and variance exceeds `capacity`.
pub(super) fn overload_ppm(capacity: u64, mean: u64, variance: u64) -> u32 {
    if variance == 0 {
        return if mean > capacity { 1_000_000 } else { 0 };
    }
    // The deviation in thousandths, then the distance to capacity in thousandths of a deviation.
    let deviation = variance.saturating_mul(1_000_000).isqrt().max(1);
    let scaled = |gap: u64| gap.saturating_mul(1_000_000) / deviation;
    if mean <= capacity {
        tail_ppm(scaled(capacity - mean))
    } else {
        1_000_000 - tail_ppm(scaled(mean - capacity))
    }
}

/// The upper tail at `z` thousandths of a deviation, by linear interpolation.
fn tail_ppm(z: u64) -> u32 {
    let index = (z / 100) as usize;
    let Some([low, high]) = TAIL.get(index..index + 2) else {
        return 0;
    };
    let part = (z % 100) as u32;
    low - (low - high) * part / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_at_capacity_overloads_every_other_time() {
        assert_eq!(overload_ppm(700, 700, 4000), 500_000);
    }

    #[test]
    fn one_deviation_of_room_leaves_sixteen_per_cent() {
        assert_eq!(overload_ppm(700, 600, 10_000), 158_655);
        assert_eq!(overload_ppm(500, 600, 10_000), 841_345);
    }

    #[test]
    fn another_machine_counts_more_than_its_present_mood() {
        // Machines of 60 ± 20 on 700: with nine, ten and eleven of them.
        let with = |n: u64| overload_ppm(700, 60 * n, 400 * n);
        assert!(with(9) < 10_000, "{}", with(9));
        assert!((40_000..70_000).contains(&with(10)), "{}", with(10));
        assert!((240_000..300_000).contains(&with(11)), "{}", with(11));
    }

    #[test]
    fn without_variance_it_is_certain_or_impossible() {
        assert_eq!(overload_ppm(700, 701, 0), 1_000_000);
        assert_eq!(overload_ppm(700, 700, 0), 0);
    }
}
