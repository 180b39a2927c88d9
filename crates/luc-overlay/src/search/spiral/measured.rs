//! How far other sites are, as far as nodes of this site know it from measurements.
//!
//! Coordinates err by a tenth of the distance, which is enough to take one near site for another;
//! a measured round trip does not. Nodes of one site are a LAN apart, so what one of them has
//! measured to a node of another site holds for all of them, and for all nodes there. It is shared
//! with the entries that ride on membership messages inside the site.
//!
//! What another site has measured to a third bounds the way there: it is no longer than both ways
//! together and no shorter than their difference. So the near sites of a near site are known to be
//! near even where coordinates err. Networks break the triangle rule now and then, hence the slack.
//! (Meridian, Wong et al., SIGCOMM 2005, finds close nodes by such measurements alone.)
//!
//! Bounded: the farthest sites are forgotten first.

use luc_core::SitePrefix;
use luc_core::time::Duration;

/// How many sites are remembered.
const SITES_MAX: usize = 128;

/// How much of an old value stays when a new one comes, because single round trips are noisy.
const OLD_SHARE: f32 = 0.7;

/// Longer round trips than this, in seconds, are on no network of this planet.
const RTT_MAX: f32 = 4.0;

/// By how much a bound by two sides of a triangle is widened.
const SLACK: f32 = 0.1;

/// What is known of the way to a site, in seconds of round trip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Away {
    /// At the least.
    low: f32,
    /// At the most.
    high: f32,
    /// Whether it was measured, and low and high are one.
    pub(super) measured: bool,
}

impl Away {
    /// Nothing is known.
    pub(super) const ANYWHERE: Self = Self {
        low: 0.0,
        high: f32::INFINITY,
        measured: false,
    };

    const fn exactly(seconds: f32) -> Self {
        Self {
            low: seconds,
            high: seconds,
            measured: true,
        }
    }

    /// The way to a site whose way to a third one is `beyond`, which is `first` away.
    pub(super) fn around(first: f32, beyond: f32) -> Self {
        Self {
            low: (first - beyond).abs() * (1.0 - SLACK),
            high: (first + beyond) * (1.0 + SLACK),
            measured: false,
        }
    }

    /// The best guess, given what coordinates predict.
    pub(super) const fn seconds(&self, predicted: f32) -> f32 {
        predicted.max(self.low).min(self.high)
    }

    /// Both bounds at once.
    const fn and(self, other: Self) -> Self {
        let high = self.high.min(other.high);
        Self {
            low: self.low.max(other.low).min(high),
            high,
            measured: false,
        }
    }
}

/// The table, by site.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    sites: Vec<(SitePrefix, Away)>,
}

impl Measured {
    pub(super) const fn new() -> Self {
        Self { sites: Vec::new() }
    }

    /// What is known of the way to a site.
    pub(super) fn away(&self, site: SitePrefix) -> Away {
        let index = self.index(site).ok();
        let known = index.and_then(|index| self.sites.get(index));
        known.map_or(Away::ANYWHERE, |(_, away)| *away)
    }

    /// The round trip to a site in seconds, if it was measured.
    pub(super) fn get(&self, site: SitePrefix) -> Option<f32> {
        let away = self.away(site);
        away.measured.then_some(away.high)
    }

    /// The round trip to a site in microseconds, as entries carry it; 0 if it was not measured.
    pub(super) fn micros(&self, site: SitePrefix) -> u32 {
        self.get(site).map_or(0, |seconds| (seconds * 1e6) as u32)
    }

    /// Takes in a round trip that this node has measured; says whether it is news.
    pub(super) fn note(&mut self, site: SitePrefix, rtt: Duration) -> bool {
        let seconds = rtt.as_secs_f32();
        match self.index(site) {
            Ok(index) => {
                let Some((_, held)) = self.sites.get_mut(index) else {
                    return false;
                };
                if !held.measured {
                    *held = Away::exactly(seconds);
                    return true;
                }
                let before = held.high;
                let after = OLD_SHARE * before + (1.0 - OLD_SHARE) * seconds;
                *held = Away::exactly(after);
                (after - before).abs() > (0.1 * before).max(0.001)
            }
            Err(index) => self.insert(index, site, Away::exactly(seconds)),
        }
    }

    /// Takes in what another node of the site has measured, unless this one has; says whether it
    /// was taken.
    pub(super) fn hear(&mut self, site: SitePrefix, micros: u32) -> bool {
        let known = self.away(site).measured;
        !known && micros > 0 && self.note(site, Duration::from_micros(u64::from(micros)))
    }

    /// Takes in a bound.
    pub(super) fn bound(&mut self, site: SitePrefix, bound: Away) {
        match self.index(site) {
            Ok(index) => {
                if let Some((_, held)) = self.sites.get_mut(index).filter(|one| !one.1.measured) {
                    *held = held.and(bound);
                }
            }
            Err(index) => {
                self.insert(index, site, bound);
            }
        }
    }

    fn insert(&mut self, index: usize, site: SitePrefix, away: Away) -> bool {
        // Also false for what is no number.
        let possible = away.high <= RTT_MAX;
        if !possible {
            return false;
        }
        self.sites.insert(index, (site, away));
        if self.sites.len() > SITES_MAX {
            let farthest = (0..).zip(&self.sites);
            let farthest = farthest.max_by(|left, right| left.1.1.high.total_cmp(&right.1.1.high));
            if let Some((at, (gone, _))) = farthest.map(|(at, site)| (at, *site)) {
                self.sites.remove(at);
                return gone != site;
            }
        }
        true
    }

    fn index(&self, site: SitePrefix) -> Result<usize, usize> {
        self.sites.binary_search_by(|(held, _)| held.cmp(&site))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(number: u8) -> SitePrefix {
        SitePrefix::from_bytes([number; 6])
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_own_measurements_count_more_than_those_of_others() {
        let mut measured = Measured::new();
        assert!(measured.hear(site(1), 20_000));
        assert!(!measured.hear(site(1), 90_000), "it is known");
        assert!(measured.note(site(1), millis(30)), "by three milliseconds");
        let now = measured.get(site(1)).expect("it was heard of");
        assert!((now - 0.023).abs() < 1e-5, "{now}");
        assert!(!measured.hear(site(2), 0), "zero is no measurement");
    }

    #[test]
    fn the_nearest_sites_are_remembered() {
        let mut measured = Measured::new();
        for number in 0..200_u8 {
            measured.note(site(number), millis(200 - u64::from(number)));
        }
        assert_eq!(measured.sites.len(), SITES_MAX);
        assert!(measured.get(site(199)).is_some() && measured.get(site(10)).is_none());
        assert!(!measured.note(site(9), millis(300)), "too far to be kept");
        assert!(
            !measured.note(site(250), Duration::from_secs(5)),
            "no such network"
        );
    }

    #[test]
    fn the_near_sites_of_a_near_site_are_near() {
        let mut measured = Measured::new();
        measured.bound(site(1), Away::around(0.003, 0.002));
        let far = measured.away(site(1)).seconds(0.030);
        assert!(
            (far - 0.0055).abs() < 1e-6,
            "{far}: at most both ways together"
        );
        measured.bound(site(1), Away::around(0.010, 0.004));
        let near = measured.away(site(1)).seconds(0.000_1);
        assert!(
            (near - 0.0054).abs() < 1e-6,
            "{near}: at least their difference"
        );
        assert_eq!(measured.get(site(1)), None, "a bound is no measurement");
        assert!(measured.note(site(1), millis(7)));
        measured.bound(site(1), Away::around(0.001, 0.001));
        assert_eq!(
            measured.get(site(1)),
            Some(0.007),
            "a measurement is more than a bound"
        );
        measured.bound(site(2), Away::around(f32::NAN, 1.0));
        assert_eq!(measured.away(site(2)), Away::ANYWHERE);
    }
}
