//! The network between nodes: how long a message takes, whether it arrives, and how often.
//!
//! Delay is half the round trip of the pair plus jitter. Faults of the whole network (loss, delay,
//! reordering, duplication) and splits are set by the fault schedule. It counts what each node
//! sends and receives. It holds no message: the simulation asks for the fate of one and acts.

pub mod clock;
pub mod matrix;
pub mod round_trips;

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_core::time::Duration;

use crate::index::{NodeIndex, SiteIndex};

pub use clock::Clocks;
pub use round_trips::{RoundTrips, RoundTripsError};

/// Chances are counted in millionths.
const MILLION: u64 = 1_000_000;

/// What may go wrong with any message, in millionths; all zero in a network without faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Greatest random delay, in thousandths of the time on the way.
    pub jitter_permille: u32,
    /// The chance that a message is lost.
    pub loss_ppm: u32,
    /// The chance that a message arrives twice.
    pub duplication_ppm: u32,
    /// The chance that a message is held up for up to `reorder_by`, and so passed by others.
    pub reorder_ppm: u32,
    /// For how long at most.
    pub reorder_by: Duration,
    /// What every message takes longer.
    pub delay: Duration,
}

/// What a node sent and received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages sent.
    pub messages: u64,
    /// Bytes sent.
    pub bytes: u64,
}

/// When the copies of a message arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Never.
    Lost,
    /// Once, after this time.
    Once(Duration),
    /// Twice, after these times.
    Twice(Duration, Duration),
}

/// Who reaches whom in a split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides(Vec<u8>);

impl Sides {
    /// Whether a message from `left` could reach `right`.
    pub fn reaches(&self, left: NodeIndex, right: NodeIndex) -> bool {
        self.0.is_empty() || self.0[left.at()] == self.0[right.at()]
    }
}

/// The network.
#[derive(Clone, Debug)]
pub struct Network {
    round_trips: RoundTrips,
    site: Vec<SiteIndex>,
    weather: Weather,
    /// The side of each node in a split; empty while all can reach each other.
    sides: Sides,
    traffic: Vec<Traffic>,
    entropy: SplitMix64,
}

impl Network {
    /// A network between nodes at these sites.
    pub fn new(
        round_trips: RoundTrips,
        site: Vec<SiteIndex>,
        seed: u64,
    ) -> Result<Self, RoundTripsError> {
        let sites = site.iter().map(|site| site.at() + 1).max().unwrap_or(1);
        round_trips.check(site.len(), sites)?;
        Ok(Self {
            round_trips,
            traffic: vec![Traffic::default(); site.len()],
            site,
            weather: Weather::default(),
            sides: Sides::default(),
            entropy: SplitMix64::new(seed ^ 0x6E65_7477_6F72_6B00),
        })
    }

    /// The round-trip time between two nodes without jitter and faults.
    pub fn rtt(&self, left: NodeIndex, right: NodeIndex) -> Duration {
        let ends = |node: NodeIndex| (node, self.site[node.at()]);
        self.round_trips.between(ends(left), ends(right))
    }

    /// Whether the round trips are given node by node, not by site.
    pub const fn is_by_node(&self) -> bool {
        matches!(self.round_trips, RoundTrips::Nodes { .. })
    }

    /// Whether a message from `left` could reach `right` in the present split.
    pub fn reaches(&self, left: NodeIndex, right: NodeIndex) -> bool {
        self.sides.reaches(left, right)
    }

    /// The present split.
    pub const fn sides(&self) -> &Sides {
        &self.sides
    }

    /// What may go wrong now.
    pub const fn weather(&self) -> &Weather {
        &self.weather
    }

    /// Changes what may go wrong.
    pub const fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Splits the network: nodes reach those of their own side only. An empty list heals it.
    pub fn split(&mut self, sides: Vec<u8>) {
        // Who is on no list is on the first side.
        let mut sides = sides;
        if !sides.is_empty() {
            sides.resize(self.site.len(), 0);
        }
        self.sides = Sides(sides);
    }

    /// What `node` has sent so far.
    pub fn traffic(&self, node: NodeIndex) -> Traffic {
        self.traffic[node.at()]
    }

    /// What each node has sent so far.
    pub fn traffic_of_all(&self) -> &[Traffic] {
        &self.traffic
    }

    /// Counts a message of `bytes` bytes and says what becomes of it.
    pub fn fate(&mut self, from: NodeIndex, to: NodeIndex, bytes: u32) -> Fate {
        let traffic = &mut self.traffic[from.at()];
        traffic.messages += 1;
        traffic.bytes += u64::from(bytes);
        if !self.reaches(from, to) || self.happens(self.weather.loss_ppm) {
            return Fate::Lost;
        }
        let way = self.rtt(from, to) / 2;
        let first = self.delay(way);
        if self.happens(self.weather.duplication_ppm) {
            // A copy comes as late as a message can be held up.
            let late = self.weather.reorder_by.as_nanos() as u64;
            let second = self.delay(way) + Duration::from_nanos(self.below(late + 1));
            Fate::Twice(first, second)
        } else {
            Fate::Once(first)
        }
    }

    fn delay(&mut self, way: Duration) -> Duration {
        let mut delay = way + self.weather.delay;
        if self.weather.jitter_permille > 0 {
            let most = way.as_nanos() as u64 * u64::from(self.weather.jitter_permille) / 1_000;
            delay += Duration::from_nanos(self.below(most + 1));
        }
        if self.happens(self.weather.reorder_ppm) {
            let most = self.weather.reorder_by.as_nanos() as u64;
            delay += Duration::from_nanos(self.below(most + 1));
        }
        delay
    }

    fn happens(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.entropy.next_u64() % MILLION < u64::from(ppm)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.entropy.next_u64() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(weather: Weather) -> Network {
        let times = RoundTrips::uniform(Duration::from_millis(2));
        let mut network = Network::new(times, vec![SiteIndex(0); 3], 1).unwrap();
        network.set_weather(weather);
        network
    }

    #[test]
    fn a_message_takes_half_a_round_trip_in_fair_weather() {
        let mut network = network(Weather::default());
        let fate = network.fate(NodeIndex(0), NodeIndex(1), 100);
        assert_eq!(fate, Fate::Once(Duration::from_millis(1)));
        assert_eq!(
            network.traffic(NodeIndex(0)),
            Traffic {
                messages: 1,
                bytes: 100
            }
        );
    }

    #[test]
    fn loss_and_duplication_happen_as_often_as_they_should() {
        let mut network = network(Weather {
            loss_ppm: 200_000,
            duplication_ppm: 100_000,
            ..Weather::default()
        });
        let fates: Vec<Fate> = (0..10_000)
            .map(|_| network.fate(NodeIndex(0), NodeIndex(1), 1))
            .collect();
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        let twice = fates
            .iter()
            .filter(|fate| matches!(fate, Fate::Twice(..)))
            .count();
        assert!((1_800..2_200).contains(&lost), "{lost}");
        assert!((700..900).contains(&twice), "{twice}");
    }

    #[test]
    fn a_split_cuts_the_sides_and_healing_joins_them() {
        let mut network = network(Weather::default());
        network.split(vec![0, 0, 1]);
        assert_eq!(network.fate(NodeIndex(0), NodeIndex(2), 1), Fate::Lost);
        assert_ne!(network.fate(NodeIndex(0), NodeIndex(1), 1), Fate::Lost);
        network.split(Vec::new());
        assert_ne!(network.fate(NodeIndex(0), NodeIndex(2), 1), Fate::Lost);
    }
}
