//! What a service knows of its hosts: their last reports, and what it has ordered since.

use std::ops::Range;

use luc_core::time::Duration;
use luc_dvms::{Cpu, Host, Resources};

use super::Ctx;
use crate::index::NodeIndex;

/// The hosts of a group, by their place in it.
pub(super) struct View {
    first: u32,
    hosts: Vec<Host>,
    /// The number of the last report; 0 before the first.
    number: Vec<u64>,
    /// Migrations that reports speak of.
    reported: Vec<u16>,
    /// Orders under way with this host at either end.
    ordered: Vec<u16>,
    /// A migration has ended here: reports of before do not show it.
    stale: Vec<u64>,
}

impl View {
    /// Nothing is known yet of the nodes in `range`: they are closed until they report.
    pub(super) fn new(range: Range<u32>, context: &Ctx) -> Self {
        let nodes = range.clone().map(NodeIndex);
        let hosts: Vec<Host> = nodes.map(|node| unknown(node, context)).collect();
        let count = hosts.len();
        Self {
            first: range.start,
            hosts,
            number: vec![0; count],
            reported: vec![0; count],
            ordered: vec![0; count],
            stale: vec![0; count],
        }
    }

    /// The place of `node`, if it is of this group.
    pub(super) fn place(&self, node: NodeIndex) -> Option<usize> {
        let place = node.0.checked_sub(self.first)? as usize;
        (place < self.hosts.len()).then_some(place)
    }

    /// The node at `place`.
    pub(super) fn node(&self, place: usize) -> NodeIndex {
        NodeIndex(self.first + place as u32)
    }

    /// All nodes.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        let (first, count) = (self.first, self.hosts.len() as u32);
        (first..first + count).map(NodeIndex)
    }

    /// The hosts, those with an order under way marked as having a migration in flight.
    pub(super) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Takes a report; false if a later one is known.
    pub(super) fn learn(&mut self, place: usize, number: u64, host: Host) -> bool {
        if number < self.number[place] {
            return false;
        }
        self.number[place] = number;
        self.reported[place] = host.migrations;
        self.hosts[place] = host;
        self.mark(place);
        true
    }

    /// An order goes out.
    pub(super) fn order(&mut self, ends: [NodeIndex; 2]) {
        for place in self.places(ends) {
            self.ordered[place] += 1;
            self.mark(place);
        }
    }

    /// An order is over. If a migration ended by it, at `number`, both ends are known again by
    /// reports of then and later only.
    pub(super) fn settle(&mut self, ends: [NodeIndex; 2], number: u64) {
        for place in self.places(ends) {
            self.ordered[place] = self.ordered[place].saturating_sub(1);
            self.stale[place] = self.stale[place].max(number);
            self.mark(place);
        }
    }

    fn places(&self, ends: [NodeIndex; 2]) -> Vec<usize> {
        ends.into_iter()
            .filter_map(|node| self.place(node))
            .collect()
    }

    /// Hides `place` from the solver, or shows it as it is.
    pub(super) fn hide(&mut self, place: usize, hidden: bool) {
        if hidden {
            self.hosts[place].migrations = self.hosts[place].migrations.max(1);
        } else {
            self.mark(place);
        }
    }

    fn mark(&mut self, place: usize) {
        let held = u16::from(self.number[place] < self.stale[place]);
        let busy = self.reported[place].max(self.ordered[place]).max(held);
        self.hosts[place].migrations = busy;
    }

    /// Whether an order may begin or end here: one migration at a time shares no link.
    pub(super) fn is_free(&self, node: NodeIndex) -> bool {
        self.place(node)
            .is_some_and(|place| self.ordered[place] == 0)
    }

    /// Places of hosts that are overloaded and about which nothing is being done.
    pub(super) fn overloaded(&self) -> Vec<usize> {
        let hosts = self.hosts.iter().enumerate();
        hosts
            .filter(|(_, host)| host.migrations == 0 && host.is_overloaded())
            .map(|(place, _)| place)
            .collect()
    }

    /// Whether the host is overloaded and nothing is being done about it.
    pub(super) fn is_overloaded(&self, place: usize) -> bool {
        self.hosts[place].migrations == 0 && self.hosts[place].is_overloaded()
    }

    /// The host sleeps, or is known to no longer.
    pub(super) fn set_asleep(&mut self, place: usize, asleep: bool) {
        self.hosts[place].asleep = asleep;
    }

    /// Places of hosts that have reported and serve.
    pub(super) fn serving(&self) -> impl Iterator<Item = usize> {
        let hosts = self.hosts.iter().enumerate();
        hosts
            .filter(|(place, host)| self.number[*place] > 0 && !host.asleep)
            .map(|(place, _)| place)
    }

    /// Whether all hosts of one site.
    pub(super) fn is_one_site(&self) -> bool {
        let mut sites = self.hosts.iter().map(|host| host.peer.site);
        let first = sites.next();
        sites.all(|site| Some(site) == first)
    }

    /// The round trips from the host at `place` to all.
    pub(super) fn distances(&self, place: usize, context: &Ctx) -> Vec<Duration> {
        let from = self.node(place);
        let network = context.network();
        self.nodes().map(|node| network.rtt(from, node)).collect()
    }

    /// What a machine at `place` asks for and needs.
    pub(super) fn claim(&self, place: usize, vm: luc_dvms::VmId) -> Option<Resources> {
        let vm = self.hosts[place].vms.iter().find(|one| one.id == vm)?;
        Some(Resources {
            cpu: vm.demand,
            memory: vm.memory,
            disk: vm.disk,
        })
    }
}

/// A host of which nothing is known: closed.
fn unknown(node: NodeIndex, context: &Ctx) -> Host {
    Host {
        peer: context.world().peer(node),
        capacity: Resources::default(),
        vms: Vec::new(),
        incoming: Resources::default(),
        migrations: 0,
        bandwidth_mbps: 1,
        maintenance: true,
        vigil: false,
        asleep: false,
        labels: Vec::new(),
    }
}

/// The processor time that the hosts have and are asked for.
pub(super) fn totals<'a>(hosts: impl Iterator<Item = &'a Host>) -> (u64, u64) {
    hosts.fold((0, 0), |(capacity, demand), host| {
        let Cpu(has) = host.capacity.cpu;
        let Cpu(asked) = host.demand();
        (capacity + u64::from(has), demand + u64::from(asked))
    })
}
