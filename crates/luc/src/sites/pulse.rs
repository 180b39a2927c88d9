//! Signs of life between sites: who was heard last, how far it is, how much room it says it has.
//!
//! Each second every controller asks one controller of every other site ([`beat`]); the answer
//! carries that site's free room and its own round trips. Ages are of this node's monotonic clock.
//! All of it is memory and never enters a store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use luc_core::SitePrefix;
use luc_services::ports::sites::Room;
use luc_services::sites::Parting;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::assembly::Assembly;
use super::skew::{Skew, Turn};

/// How often a sign of life is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// A site that was silent for longer counts as unreachable.
pub const SILENT: Duration = Duration::from_secs(5);

/// How often a silent site is asked after at another one.
const SEEK_EVERY: Duration = Duration::from_secs(10);

/// How much the newest round trip counts in the smoothed one (RFC 6298 section 2).
const WEIGHT: f64 = 0.125;

/// What is known of another site.
#[derive(Clone, Debug, Default)]
struct Heard {
    at: Option<Instant>,
    rtt: Option<Duration>,
    room: Option<Room>,
    rtts: BTreeMap<SitePrefix, Duration>,
    skew: Option<Skew>,
    sought: Option<Instant>,
    searches: usize,
}

/// What a site answers to a sign of life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// The most that one of its hosts has free: processors, memory in MiB, disk in GiB.
    pub room: (u64, u64, u64),
    /// The revision of its store.
    pub revision: u64,
    /// Its smoothed round trips to other sites, in microseconds.
    pub rtts: Vec<(SitePrefix, u64)>,
    /// What its clock shows, in microseconds since 1970; an earlier build does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now_micros: Option<i64>,
}

/// What was heard of the other sites.
#[derive(Debug)]
pub struct Pulse {
    started: Instant,
    heard: Mutex<BTreeMap<SitePrefix, Heard>>,
    parting: OnceLock<Parting>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            heard: Mutex::default(),
            parting: OnceLock::new(),
        }
    }
}

impl Pulse {
    fn with<T>(&self, site: SitePrefix, work: impl FnOnce(&mut Heard) -> T) -> T {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        work(heard.entry(site).or_default())
    }

    /// Something of `site` was heard just now.
    pub fn alive(&self, site: SitePrefix) {
        self.with(site, |heard| heard.at = Some(Instant::now()));
    }

    /// A round trip to `site` took `sample`.
    pub fn measured(&self, site: SitePrefix, sample: Duration) {
        self.with(site, |heard| {
            let smoothed = heard.rtt.map_or(sample, |rtt| {
                rtt.mul_f64(1.0 - WEIGHT) + sample.mul_f64(WEIGHT)
            });
            heard.rtt = Some(smoothed);
        });
    }

    /// What `site` answered.
    pub fn told(&self, site: SitePrefix, sign: &Sign) {
        let (vcpus, memory_mib, disk_gib) = sign.room;
        let rtts = sign.rtts.iter();
        let rtts = rtts.map(|(site, micros)| (*site, Duration::from_micros(*micros)));
        let rtts = rtts.collect();
        self.with(site, |heard| {
            heard.at = Some(Instant::now());
            heard.room = Some(Room {
                vcpus,
                memory_mib,
                disk_gib,
            });
            heard.rtts = rtts;
        });
    }

    /// The clock of `site` showed `theirs` within the last `took` before ours shows `ours`.
    pub fn compared(&self, site: SitePrefix, theirs: i64, (ours, took): (i64, Duration)) {
        let (turn, skew) = self.with(site, |heard| {
            let skew = heard.skew.get_or_insert_default();
            (skew.compare(theirs, ours, took), *skew)
        });
        let ahead_ms = skew.ahead_ms();
        match turn {
            Some(Turn::Far) => tracing::warn!(%site, ahead_ms, "a site has another time"),
            Some(Turn::Near) => tracing::info!(%site, ahead_ms, "a site has the same time again"),
            None => {}
        }
    }

    /// How far the clock of `site` is from ours, if it says its time.
    pub fn skew(&self, site: SitePrefix) -> Option<Skew> {
        self.with(site, |heard| heard.skew)
    }

    /// A site says that this one is not of the cloud any more; whether that is news.
    pub fn part(&self, parting: &Parting) -> bool {
        self.parting.set(parting.clone()).is_ok()
    }

    /// How this site's membership ended, if another said so.
    pub fn parting(&self) -> Option<&Parting> {
        self.parting.get()
    }

    /// How long nothing was heard of `site`: since the start, if never anything was.
    pub fn age(&self, site: SitePrefix) -> Duration {
        let at = self.with(site, |heard| heard.at);
        at.unwrap_or(self.started).elapsed()
    }

    /// Whether `site` counts as reachable.
    pub fn is_reachable(&self, site: SitePrefix) -> bool {
        let at = self.with(site, |heard| heard.at);
        at.is_some_and(|at| at.elapsed() <= SILENT)
    }

    /// Whether `site` is silent and was not sought for a while. If so it is sought now, and this is
    /// the number of that search.
    pub fn search(&self, site: SitePrefix) -> Option<usize> {
        if self.age(site) <= SILENT {
            return None;
        }
        self.with(site, |heard| {
            if heard.sought.is_some_and(|at| at.elapsed() < SEEK_EVERY) {
                return None;
            }
            heard.sought = Some(Instant::now());
            heard.searches = heard.searches.wrapping_add(1);
            Some(heard.searches)
        })
    }

    /// The smoothed round trip to `site`.
    pub fn rtt(&self, site: SitePrefix) -> Option<Duration> {
        self.with(site, |heard| heard.rtt)
    }

    /// The room that `site` said it has.
    pub fn room(&self, site: SitePrefix) -> Option<Room> {
        self.with(site, |heard| heard.room)
    }

    /// The round trip between two other sites, as one of them said.
    pub fn rtt_between(&self, a: SitePrefix, b: SitePrefix) -> Option<Duration> {
        let there = self.with(a, |heard| heard.rtts.get(&b).copied());
        there.or_else(|| self.with(b, |heard| heard.rtts.get(&a).copied()))
    }

    /// The smoothed round trips from here.
    pub fn rtts(&self) -> Vec<(SitePrefix, u64)> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = |rtt: Duration| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
        heard
            .iter()
            .filter_map(|(site, heard)| Some((*site, micros(heard.rtt?))))
            .collect()
    }
}

/// Asks every other site for a sign of life each second, and others after those that are silent,
/// until `stopping`.
pub async fn beat(assembly: Arc<Assembly>, stopping: CancellationToken) {
    loop {
        for site in assembly.membership().others() {
            let (greeting, seeking) = (Arc::clone(&assembly), Arc::clone(&assembly));
            tokio::spawn(async move { greeting.greet(site, SILENT).await });
            tokio::spawn(async move { seeking.seek(site, SILENT).await });
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(EVERY) => {}
            () = stopping.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_site_counts_as_reachable_for_five_seconds_after_it_was_heard() {
        let (pulse, site) = (Pulse::default(), SitePrefix::of_key(b"a"));
        assert!(!pulse.is_reachable(site));
        pulse.alive(site);
        assert!(pulse.is_reachable(site));
        tokio::time::advance(SILENT + Duration::from_millis(1)).await;
        assert!(!pulse.is_reachable(site));
        assert!(pulse.age(site) > SILENT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_trip_between_others_is_what_one_of_them_said() {
        let [a, b] = [b"a", b"b"].map(|key| SitePrefix::of_key(key));
        let pulse = Pulse::default();
        assert_eq!(pulse.rtt_between(a, b), None);
        let sign = Sign {
            room: (4, 1024, 10),
            revision: 7,
            rtts: vec![(b, 2700)],
            now_micros: None,
        };
        pulse.told(a, &sign);
        assert_eq!(pulse.rtt_between(b, a), Some(Duration::from_micros(2700)));
        assert_eq!(pulse.room(a).map(|room| room.memory_mib), Some(1024));
    }

    #[test]
    fn a_sign_without_a_time_is_read_and_one_with_it_by_earlier_builds() {
        let old = r#"{"room":[4,1024,10],"revision":7,"rtts":[]}"#;
        let mut sign: Sign = serde_json::from_str(old).expect("a sign");
        assert_eq!(sign.now_micros, None);
        assert_eq!(serde_json::to_string(&sign).expect("JSON"), old);
        sign.now_micros = Some(5);
        let new = serde_json::to_value(&sign).expect("JSON");
        assert_eq!(new["now_micros"], 5, "a field that others pass over");
    }

    #[tokio::test(start_paused = true)]
    async fn one_slow_answer_moves_the_round_trip_by_an_eighth() {
        let (pulse, site) = (Pulse::default(), SitePrefix::of_key(b"a"));
        pulse.measured(site, Duration::from_millis(10));
        pulse.measured(site, Duration::from_millis(90));
        assert_eq!(pulse.rtt(site), Some(Duration::from_millis(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_site_is_sought_every_ten_seconds_until_it_is_heard() {
        let (pulse, site) = (Pulse::default(), SitePrefix::of_key(b"a"));
        assert_eq!(pulse.search(site), None);
        let moment = Duration::from_millis(1);
        tokio::time::advance(SILENT + moment).await;
        assert_eq!(pulse.search(site), Some(1));
        tokio::time::advance(SILENT).await;
        assert_eq!(pulse.search(site), None);
        tokio::time::advance(SEEK_EVERY).await;
        assert_eq!(pulse.search(site), Some(2));
        tokio::time::advance(SEEK_EVERY).await;
        pulse.alive(site);
        assert_eq!(pulse.search(site), None);
    }
}
