//! What the hosts do for an algorithm: keep room, migrate machines, sleep and wake.

use luc_core::PeerId;
use luc_core::time::Instant;
use luc_dvms::command::{MigrationEnd, MigrationId};
use luc_dvms::{Reason, Resources, VmId};

use super::{Context, Event};
use crate::algorithm::Algorithm;
use crate::index::{NodeIndex, VmIndex};
use crate::log::Entry;
use crate::migration::{Burden, Migration, Over};
use crate::world::{Claim, HostState};

impl<A: Algorithm> Context<A> {
    /// Keeps room at `target` for a machine that will arrive from `source`.
    pub fn expect(
        &mut self,
        target: NodeIndex,
        migration: MigrationId,
        vm: VmId,
        source: PeerId,
        claim: Resources,
    ) {
        let vm = VmIndex::of_id(vm);
        if vm.at() >= self.world.vms().len() {
            return;
        }
        let claim = Claim {
            migration,
            vm,
            claim,
        };
        self.world.claim(target, claim);
        self.record(Entry::Expected {
            vm,
            source: NodeIndex::of_peer(source),
            target,
            partition: migration.ballot.into(),
        });
    }

    /// Gives up the room kept at `target`; the machine will not come.
    pub fn unexpect(&mut self, target: NodeIndex, migration: MigrationId) {
        self.world.unclaim(target, migration);
    }

    /// Asks the host of `source` to migrate `vm` to `target` now. The end, or the refusal, is
    /// told to the algorithm by [`Algorithm::migration_ended`].
    pub fn migrate(
        &mut self,
        source: NodeIndex,
        migration: MigrationId,
        vm: VmId,
        target: PeerId,
        reason: Reason,
    ) {
        let vm = VmIndex::of_id(vm);
        let target = NodeIndex::of_peer(target);
        if let Some(why) = self.refusal(source, vm, target) {
            self.record(Entry::MigrationRefused {
                vm,
                source,
                target,
                why,
            });
            self.tell_over(source, migration, MigrationEnd::Failed);
            return;
        }
        let nearer_sites = self.nearer_sites_with_room(source, vm, target);
        self.world.claim(target, self.claim_of(migration, vm));
        self.world.migration_began(vm, source, target);
        self.record(Entry::MigrationBegan {
            vm,
            source,
            target,
            partition: migration.ballot.into(),
            reason,
            nearer_sites,
        });
        let burden = self.burden(source, vm);
        let migration = Migration {
            id: migration,
            vm,
            source,
            target,
            reason,
        };
        self.migrations
            .begin(migration, burden, self.now, &mut self.due);
    }

    /// How many sites nearer to `source` than that of `target` could take the machine in now.
    fn nearer_sites_with_room(&self, source: NodeIndex, vm: VmIndex, target: NodeIndex) -> u16 {
        let (from, to) = (self.world.site(source), self.world.site(target));
        if from == to {
            return 0;
        }
        let distance = self.network.rtt(source, target);
        let mut nearer = 0;
        let mut last = None;
        for node in (0..self.world.len() as u32).map(NodeIndex) {
            let site = self.world.site(node);
            let counted = site == from || site == to || last == Some(site);
            if !counted && self.has_room(node, vm) && self.network.rtt(source, node) < distance {
                nearer += 1;
                last = Some(site);
            }
        }
        nearer
    }

    /// Whether `node` could take the machine in now: it serves, takes part in no migration, and
    /// has processor time and memory left.
    fn has_room(&self, node: NodeIndex, vm: VmIndex) -> bool {
        let hosts = self.world.hosts();
        if !hosts.is_on(node) || self.world.migrations(node) > 0 {
            return false;
        }
        let class = self.world.vms().class(vm);
        let demand = hosts.demand(node).plus(self.world.vms().demand(vm));
        let memory = hosts.memory_claimed(node).get() + u64::from(class.memory_mib);
        let capacity = hosts.capacity(node);
        demand <= capacity.cpu && memory <= capacity.memory.get()
    }

    /// Why the hosts cannot even begin.
    fn refusal(&self, source: NodeIndex, vm: VmIndex, target: NodeIndex) -> Option<&'static str> {
        let hosts = self.world.hosts();
        if vm.at() >= self.world.vms().len() || target.at() >= hosts.len() {
            Some("there is no such machine or target")
        } else if self.world.vms().host(vm) != source {
            Some("the machine does not run at the source")
        } else if source == target {
            Some("source and target are the same host")
        } else if self.world.vms().is_migrating(vm) {
            Some("the machine is being migrated already")
        } else if !hosts.is_on(source) || !hosts.is_on(target) {
            Some("one of the hosts does not serve")
        } else if !self.network.reaches(source, target) {
            Some("the hosts do not reach each other")
        } else {
            None
        }
    }

    fn claim_of(&self, migration: MigrationId, vm: VmIndex) -> Claim {
        let class = self.world.vms().class(vm);
        let mib = |amount: u32| luc_core::units::MemoryMib(u64::from(amount));
        Claim {
            migration,
            vm,
            claim: Resources {
                cpu: self.world.vms().demand(vm),
                memory: mib(class.memory_mib),
                disk: mib(class.disk_mib),
            },
        }
    }

    fn burden(&self, source: NodeIndex, vm: VmIndex) -> Burden {
        let class = self.world.vms().class(vm);
        let nic = f64::from(self.world.hosts().class(source).nic_mbps);
        let share = f64::from(self.world.vms().demand(vm).0.min(100)) / 100.0;
        Burden {
            memory_mib: class.memory_mib,
            disk_mib: class.disk_mib,
            dirty_mbps: nic * f64::from(class.dirty_permille) / 1_000.0 * share,
        }
    }

    /// A migration has ended by itself (`moved`) or was broken off.
    pub(crate) fn on_over(&mut self, over: &Over, moved: bool) {
        let Migration {
            id,
            vm,
            source,
            target,
            ..
        } = over.migration;
        self.world.unclaim(target, id);
        self.world.migration_ended(vm, target, moved, self.now);
        self.record(Entry::MigrationEnded {
            vm,
            source,
            target,
            partition: id.ballot.into(),
            moved,
            sent_mib: over.sent_mib.round() as u32,
            took_ms: (self.now - over.began).as_millis() as u32,
            downtime_us: over.downtime.as_micros() as u32,
        });
        let end = if moved {
            MigrationEnd::Moved
        } else {
            MigrationEnd::Failed
        };
        self.tell_over(source, id, end);
        for node in [source, target] {
            self.sample_now(node);
        }
    }

    /// Tells the program at `node` how its migration ended, before anything else.
    fn tell_over(&mut self, node: NodeIndex, migration: MigrationId, end: MigrationEnd) {
        let over = Box::new((migration, end));
        self.queue.push(self.now, Event::Over { node, over });
    }

    /// Samples `node` at once; an earlier sample under way comes as well.
    pub(crate) fn sample_now(&mut self, node: NodeIndex) {
        self.programs[node.at()].sampling = true;
        self.queue.push(self.now, Event::Sample(node));
    }

    /// Asks the host of `node` to power down. A host with machines, or with one on its way in,
    /// refuses: whether it did is the answer.
    pub fn sleep(&mut self, node: NodeIndex) -> bool {
        let hosts = self.world.hosts();
        let empty = hosts.vms(node).is_empty() && hosts.claims(node).is_empty();
        if !hosts.is_on(node) || !empty || self.world.migrations(node) > 0 {
            return false;
        }
        self.set_state(node, HostState::Asleep);
        true
    }

    /// Wakes the host of `node`, if it sleeps. It serves after the time that waking takes.
    pub fn wake(&mut self, node: NodeIndex) {
        if node.at() < self.nodes() && self.world.hosts().state(node) == HostState::Asleep {
            self.set_state(node, HostState::Waking);
            let at: Instant = self.now + self.constants.power.wake();
            self.queue.push(at, Event::Up(node));
        }
    }

    pub(crate) fn set_state(&mut self, node: NodeIndex, state: HostState) {
        self.world.set_state(node, state);
        self.record(Entry::Power { host: node, state });
    }

    /// Breaks off all migrations that `doomed` says.
    pub(crate) fn abort_migrations(&mut self, doomed: impl Fn(&Migration) -> bool) {
        let aborted = self.migrations.abort(doomed, self.now, &mut self.due);
        for over in &aborted {
            self.on_over(over, false);
        }
    }
}
