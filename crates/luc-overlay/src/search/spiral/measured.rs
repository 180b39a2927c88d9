//! Round trips to other sites that nodes of this site have measured.
//!
//! Coordinates err by a tenth of the distance, which is enough to take one near site for another;
//! a measured round trip does not. Nodes of one site are a LAN apart, so what one of them has
//! measured to a node of another site holds for all of them, and for all nodes there. It is shared
//! with the entries that ride on membership messages inside the site. Bounded: the farthest sites
//! are forgotten first.

use luc_core::SitePrefix;
use luc_core::time::Duration;

/// How many sites are remembered.
const SITES_MAX: usize = 96;

/// How much of an old value stays when a new one comes, because single round trips are noisy.
const OLD_SHARE: f32 = 0.7;

/// Longer round trips than this, in seconds, are on no network of this planet.
const RTT_MAX: f32 = 4.0;

/// The table, by site.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    sites: Vec<(SitePrefix, f32)>,
}

impl Measured {
    pub(super) const fn new() -> Self {
        Self { sites: Vec::new() }
    }

    /// The round trip to a site in seconds, if it was measured.
    pub(super) fn get(&self, site: SitePrefix) -> Option<f32> {
        let index = self.index(site).ok()?;
        self.sites.get(index).map(|(_, seconds)| *seconds)
    }

    /// Takes in a round trip that this node has measured; says whether it is news.
    pub(super) fn note(&mut self, site: SitePrefix, rtt: Duration) -> bool {
        let seconds = rtt.as_secs_f32();
        match self.index(site) {
            Ok(index) => {
                let Some((_, held)) = self.sites.get_mut(index) else {
                    return false;
                };
                let before = *held;
                *held = OLD_SHARE * before + (1.0 - OLD_SHARE) * seconds;
                (*held - before).abs() > (0.1 * before).max(0.001)
            }
            Err(index) => self.insert(index, site, seconds),
        }
    }

    /// Takes in what another node of the site has measured, unless it is known; says whether it
    /// was taken.
    pub(super) fn hear(&mut self, site: SitePrefix, micros: u32) -> bool {
        match self.index(site) {
            Err(index) if micros > 0 => self.insert(index, site, micros as f32 / 1e6),
            Ok(_) | Err(_) => false,
        }
    }

    fn insert(&mut self, index: usize, site: SitePrefix, seconds: f32) -> bool {
        if seconds > RTT_MAX {
            return false;
        }
        self.sites.insert(index, (site, seconds));
        if self.sites.len() > SITES_MAX {
            let farthest = (0..).zip(&self.sites);
            let farthest = farthest.max_by(|left, right| left.1.1.total_cmp(&right.1.1));
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
}
