//! What the scheduler knows of a host and its virtual machines, in integers with a unit.

use std::fmt;
use std::iter::Sum;
use std::sync::Arc;

use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use luc_core::{PeerId, SitePrefix, Uuid};
use serde::{Deserialize, Serialize};

/// Processor time, in hundredths of one core: a host of which 7 cores are usable has 700.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Cpu(pub u32);

impl Cpu {
    /// The sum, or the greatest value if it does not fit.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or zero if `other` is greater.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Cpu {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Self::plus)
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// A virtual machine; the bits of its server's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VmId(pub Uuid);

impl fmt::Debug for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vm({})", self.0)
    }
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An amount of everything a host has.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Resources {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: MemoryMib,
    /// Local disk, in mebibytes: what a block migration would have to copy.
    pub disk: MemoryMib,
}

/// A group of servers with a placement policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub Uuid);

impl GroupId {
    /// The group of two machines that a request named together, without a server group; the same
    /// on every node and in either order. No server group has such an id: its version is 15 and its
    /// variant is reserved (RFC 9562, 4.1 and 4.2).
    pub fn of_hint(one: VmId, other: VmId, policy: GroupPolicy) -> Self {
        let (first, second) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        let half = |salt: u8| {
            let both = [first.0.as_bytes().as_slice(), second.0.as_bytes()];
            let hash = both.into_iter().fold(fnv(FNV, &[salt]), fnv);
            hash.to_be_bytes()
        };
        let policy = policy as u8;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&half(policy));
        bytes[8..].copy_from_slice(&half(policy | 0x80));
        bytes[6] |= 0xf0;
        bytes[8] |= 0xe0;
        Self(Uuid::from_bytes(bytes))
    }

    /// Whether it was made by [`Self::of_hint`].
    pub const fn is_hint(self) -> bool {
        let bytes = self.0.as_bytes();
        bytes[6] >= 0xf0 && bytes[8] >= 0xe0
    }
}

/// Where FNV-1a with 64 bits begins.
const FNV: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a with 64 bits over `bytes`, continued from `hash`.
const fn fnv(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// How the members of a group stand to each other (Nova's server group policies).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GroupPolicy {
    /// All on one host.
    Affinity,
    /// Each on another host.
    AntiAffinity,
    /// On one host if it costs nothing else.
    SoftAffinity,
    /// On other hosts if it costs nothing else.
    SoftAntiAffinity,
}

/// A property that hosts have and machines may ask for: an aggregate, a zone, a trait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Label(pub u64);

impl Label {
    /// The label of a text, the same on every node: FNV-1a of its bytes, in 64 bits.
    pub const fn named(text: &str) -> Self {
        Self(fnv(FNV, text.as_bytes()))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where a virtual machine may run. Empty rules allow every host.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rules {
    /// Groups it belongs to.
    pub groups: Vec<(GroupId, GroupPolicy)>,
    /// Labels a host must have, all of them (aggregates, zone).
    pub labels: Vec<Label>,
    /// The only hosts it may run on; empty means any.
    pub hosts: Vec<PeerId>,
    /// The only sites its data may be on (residency); empty means any.
    pub sites: Vec<SitePrefix>,
}

/// A virtual machine as its host reports it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vm {
    /// Which.
    pub id: VmId,
    /// The processor time it asks for now.
    pub demand: Cpu,
    /// The processor time it asks for in the long run; what the risk of an overload is computed of.
    pub usual: Cpu,
    /// Its memory.
    pub memory: MemoryMib,
    /// Its local disk; zero on shared storage.
    pub disk: MemoryMib,
    /// How fast it writes to memory, in thousandths of the bandwidth of a migration.
    pub dirty_permille: u16,
    /// How long it still must not be moved because it has just been (evacuation excepted).
    pub cool_down: Duration,
    /// Where it may run; absent when anywhere.
    pub rules: Option<Arc<Rules>>,
}

/// A host as it reports itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Host {
    /// Which.
    pub peer: PeerId,
    /// What it has; processor time that users may have (7 of 8 cores in the published model).
    pub capacity: Resources,
    /// What runs here, in the order of ids; includes machines that are on their way out.
    pub vms: Vec<Vm>,
    /// What migrations on their way in have claimed: counted on both sides until they end.
    pub incoming: Resources,
    /// Live migrations in flight with this host at either end.
    pub migrations: u16,
    /// What a migration may use of its link, in megabits per second.
    pub bandwidth_mbps: u32,
    /// It is to be emptied (maintenance) and takes nothing in.
    pub maintenance: bool,
    /// It must never be put to sleep (controllers, the last awake node of a site).
    pub vigil: bool,
    /// It sleeps; it is on the list only so that a planner may ask for its waking.
    pub asleep: bool,
    /// What it offers to rules.
    pub labels: Vec<Label>,
}

impl Host {
    /// The processor time its machines ask for now, incoming ones included.
    pub fn demand(&self) -> Cpu {
        let running: Cpu = self.vms.iter().map(|vm| vm.demand).sum();
        running.plus(self.incoming.cpu)
    }

    /// Whether its machines ask for more than it has: the published condition of an overload.
    pub fn is_overloaded(&self) -> bool {
        self.demand() > self.capacity.cpu
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_machines_of_a_hint_know_their_group_and_it_is_no_server_group() {
        let vm = |byte: u8| VmId(Uuid::from_bytes([byte; 16]));
        let pair = |one, other| GroupId::of_hint(vm(one), vm(other), GroupPolicy::AntiAffinity);
        assert_eq!(pair(1, 2), pair(2, 1));
        assert_ne!(pair(1, 2), pair(1, 3));
        assert_ne!(
            pair(1, 2),
            GroupId::of_hint(vm(1), vm(2), GroupPolicy::Affinity)
        );
        let made = Uuid::parse("66666666-2222-8333-9444-555555555555").unwrap();
        let drawn = Uuid::parse("66666666-2222-4333-b444-555555555555").unwrap();
        assert!(pair(1, 2).is_hint());
        assert!(!GroupId(made).is_hint() && !GroupId(drawn).is_hint());
    }

    #[test]
    fn a_label_is_the_published_hash_of_its_text() {
        // The vectors of the FNV authors' test suite.
        assert_eq!(Label::named(""), Label(0xcbf2_9ce4_8422_2325));
        assert_eq!(Label::named("foobar"), Label(0x8594_4171_f739_67e8));
        assert_eq!(Label::named("a").to_string(), "af63dc4c8601ec8c");
    }
}
