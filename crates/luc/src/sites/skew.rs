//! How far the clock of another site is from this one's.
//!
//! Nothing is ordered by clocks, but tokens and tickets end by them: a site whose clock is far off
//! refuses what others take, and nobody sees why. Each sign of life ([`super::pulse`]) brings the
//! other's time; it was read somewhere between question and answer, so the difference is known up
//! to half the round trip (as in NTP, RFC 5905, section 8). Which of the two clocks is wrong this
//! cannot say. A site of an earlier build tells no time.

use std::time::Duration;

/// A clock that is further away is noted.
const FAR: Duration = Duration::from_secs(5);

/// One that was noted and is nearer than this is right again.
const NEAR: Duration = Duration::from_secs(4);

/// What is known of another clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skew {
    /// By how many microseconds it is ahead of ours.
    ahead_micros: i64,
    /// Whether it was far away when it was looked at last.
    far: bool,
}

/// A clock went wrong, or right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is far away from now on.
    Far,
    /// It is not any more.
    Near,
}

impl Skew {
    /// The other clock showed `theirs`, in microseconds, within the last `took` before ours shows
    /// `ours`; what is new about that.
    pub fn compare(&mut self, theirs: i64, ours: i64, took: Duration) -> Option<Turn> {
        let half = i64::try_from(took.as_micros() / 2).unwrap_or(i64::MAX);
        self.ahead_micros = theirs.saturating_sub(ours.saturating_sub(half));
        let was = self.far;
        // As near as it can be, for it is not known when within that time it was read.
        let apart = Duration::from_micros(self.ahead_micros.unsigned_abs());
        let apart = apart.saturating_sub(took / 2);
        self.far = apart > if was { NEAR } else { FAR };
        match (was, self.far) {
            (false, true) => Some(Turn::Far),
            (true, false) => Some(Turn::Near),
            _ => None,
        }
    }

    /// By how many milliseconds the other clock is ahead of this one.
    pub fn ahead_ms(self) -> i64 {
        self.ahead_micros / 1000
    }

    /// A line for operators, if the clock is far away.
    pub fn note(self) -> Option<String> {
        let apart = Duration::from_micros(self.ahead_micros.unsigned_abs());
        let side = if self.ahead_micros > 0 {
            "ahead of"
        } else {
            "behind"
        };
        let seconds = apart.as_secs_f64();
        self.far
            .then(|| format!("its clock is {seconds:.1} s {side} this site's"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_clock_that_is_far_off_is_told_once_until_it_is_right_again() {
        let (mut skew, took) = (Skew::default(), Duration::from_millis(20));
        assert_eq!(skew.compare(102 * SECOND, 100 * SECOND, took), None);
        assert_eq!(skew.note(), None);
        let far = skew.compare(88 * SECOND, 100 * SECOND, took);
        assert_eq!(far, Some(Turn::Far));
        let note = skew.note().expect("it is far");
        assert_eq!(note, "its clock is 12.0 s behind this site's");
        assert_eq!(skew.ahead_ms(), -11_990);
        // About the bound it does not change its mind.
        assert_eq!(skew.compare(104_500_000, 100 * SECOND, took), None);
        assert_eq!(
            skew.compare(103 * SECOND, 100 * SECOND, took),
            Some(Turn::Near)
        );
        assert_eq!(skew.compare(104_500_000, 100 * SECOND, took), None);
        assert_eq!(skew.note(), None);
    }

    #[test]
    fn a_slow_answer_accuses_no_clock() {
        // Read at once, answered late: half of what it took is not the clock's.
        let took = Duration::from_secs(20);
        let mut skew = Skew::default();
        assert_eq!(skew.compare(80 * SECOND, 100 * SECOND, took), None);
        assert_eq!(skew.compare(100 * SECOND, 100 * SECOND, took), None);
        assert_eq!(
            skew.compare(200 * SECOND, 100 * SECOND, took),
            Some(Turn::Far)
        );
        let wild = skew.compare(i64::MIN, i64::MAX, Duration::MAX);
        assert_eq!(wild, Some(Turn::Near), "nothing is known of it");
    }
}
