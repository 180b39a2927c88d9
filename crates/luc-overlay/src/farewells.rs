//! Who fell silent on purpose, and telling others about it.
//!
//! SWIM knows only alive, suspect and down. Why a node went down (it left, it sleeps, it is no
//! delegate any more) is a rumour that rides on membership packets until it has been repeated
//! often enough, and is kept as long as it matters: a sleeper until it wakes, the others until
//! the pool forgets them.

use luc_core::PeerId;

use crate::message::{Farewell, Rumour, Scope};

/// More than any site or cloud has reason to hold; a flood of made-up names ends here.
const KEPT_MAX: usize = 8_192;

/// How many rumours ride on one packet.
const RIDING_MAX: usize = 8;

/// The table and what of it is still being told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Farewells {
    /// In order of scope and peer.
    kept: Vec<(Scope, Rumour)>,
    /// With how often it will still be repeated; newest last.
    told: Vec<(Scope, Rumour, u8)>,
}

impl Farewells {
    /// Whether a rumour says something new.
    pub(crate) fn is_news(&self, scope: Scope, rumour: &Rumour) -> bool {
        match self.position(scope, rumour.peer) {
            Ok(at) => rumour.incarnation > self.kept[at].1.incarnation,
            Err(_) => self.kept.len() < KEPT_MAX,
        }
    }

    /// Keeps a rumour and repeats it `repeats` times.
    pub(crate) fn keep(&mut self, scope: Scope, rumour: Rumour, repeats: u8) {
        match self.position(scope, rumour.peer) {
            Ok(at) => self.kept[at].1 = rumour,
            Err(at) => self.kept.insert(at, (scope, rumour)),
        }
        self.told
            .retain(|(of, one, _)| *of != scope || one.peer != rumour.peer);
        if repeats > 0 {
            self.told.push((scope, rumour, repeats));
        }
    }

    /// Why `peer` fell silent in the incarnation `incarnation` or a higher one.
    pub(crate) fn why(&self, scope: Scope, peer: PeerId, incarnation: u32) -> Option<Farewell> {
        let at = self.position(scope, peer).ok()?;
        let rumour = &self.kept[at].1;
        (rumour.incarnation >= incarnation).then_some(rumour.farewell)
    }

    /// Whether `peer` has said farewell and is not known to be back.
    pub(crate) fn has(&self, scope: Scope, peer: PeerId) -> bool {
        self.position(scope, peer).is_ok()
    }

    /// Drops what was said about `peer`: it is back, or the pool has forgotten it.
    pub(crate) fn drop(&mut self, scope: Scope, peer: PeerId) {
        if let Ok(at) = self.position(scope, peer) {
            self.kept.remove(at);
        }
        self.told
            .retain(|(of, one, _)| *of != scope || one.peer != peer);
    }

    /// Drops all of one pool.
    pub(crate) fn clear(&mut self, scope: Scope) {
        self.kept.retain(|(of, _)| *of != scope);
        self.told.retain(|(of, ..)| *of != scope);
    }

    /// Whether something is still being told.
    pub(crate) fn has_news(&self, scope: Scope) -> bool {
        self.told.iter().any(|(of, ..)| *of == scope)
    }

    /// What rides on the next packet of a pool to `to`, newest first.
    pub(crate) fn tell(&mut self, scope: Scope, to: PeerId) -> Vec<Rumour> {
        if self.told.is_empty() {
            return Vec::new();
        }
        let mut riding = Vec::new();
        let of_this = |one: &&mut (Scope, Rumour, u8)| one.0 == scope && one.1.peer != to;
        let newest_first = self.told.iter_mut().rev().filter(of_this);
        for (_, rumour, left) in newest_first.take(RIDING_MAX) {
            riding.push(*rumour);
            *left -= 1;
        }
        self.told.retain(|(_, _, left)| *left > 0);
        riding
    }

    /// All who sleep, for a node that has just come.
    pub(crate) fn sleepers(&self) -> impl Iterator<Item = Rumour> {
        let rumours = self.kept.iter().map(|(_, rumour)| *rumour);
        rumours.filter(|rumour| rumour.farewell == Farewell::Asleep)
    }

    fn position(&self, scope: Scope, peer: PeerId) -> Result<usize, usize> {
        self.kept
            .binary_search_by(|(of, one)| (*of, one.peer).cmp(&(scope, peer)))
    }
}

#[cfg(test)]
mod tests {
    use luc_core::SitePrefix;

    use super::*;

    fn rumour(node: u64, incarnation: u32, farewell: Farewell) -> Rumour {
        Rumour {
            peer: PeerId::new(SitePrefix::from_bytes([1; 6]), node),
            incarnation,
            farewell,
        }
    }

    #[test]
    fn a_rumour_is_repeated_as_often_as_agreed_and_never_to_its_subject() {
        let mut farewells = Farewells::default();
        let asleep = rumour(1, 3, Farewell::Asleep);
        farewells.keep(Scope::Site, asleep, 2);
        let other = rumour(2, 0, Farewell::Left).peer;
        assert!(farewells.tell(Scope::Site, asleep.peer).is_empty());
        assert!(farewells.tell(Scope::Cloud, other).is_empty());
        assert_eq!(farewells.tell(Scope::Site, other), [asleep]);
        assert_eq!(farewells.tell(Scope::Site, other), [asleep]);
        assert!(farewells.tell(Scope::Site, other).is_empty());
        assert!(!farewells.has_news(Scope::Site));
        assert_eq!(farewells.sleepers().count(), 1);
    }

    #[test]
    fn only_a_higher_incarnation_is_news() {
        let mut farewells = Farewells::default();
        farewells.keep(Scope::Site, rumour(1, 3, Farewell::Asleep), 2);
        assert!(!farewells.is_news(Scope::Site, &rumour(1, 3, Farewell::Left)));
        assert!(farewells.is_news(Scope::Site, &rumour(1, 4, Farewell::Left)));
        assert!(farewells.is_news(Scope::Cloud, &rumour(1, 1, Farewell::Left)));
        let peer = rumour(1, 3, Farewell::Asleep).peer;
        assert_eq!(farewells.why(Scope::Site, peer, 3), Some(Farewell::Asleep));
        assert_eq!(farewells.why(Scope::Site, peer, 4), None);
        farewells.drop(Scope::Site, peer);
        assert!(!farewells.has(Scope::Site, peer));
    }
}
