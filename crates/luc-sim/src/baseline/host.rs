//! What a host does for a service: report, keep room, migrate, sleep.
//!
//! Target and source look at themselves before they act: between a report and an order, seconds
//! may pass.

use luc_core::time::Duration;
use luc_core::units::MemoryMib;
use luc_dvms::command::MigrationId;
use luc_dvms::{Host, Reason, Resources};

use super::Ctx;
use super::message::{MACHINE_BYTES, Message, ORDER_BYTES, Order, REPORT_BYTES, Timer};
use crate::index::NodeIndex;

/// How long room is kept for a machine that does not set out.
const KEPT: Duration = Duration::from_secs(10);

/// Sends the state of `node` to its service.
pub(super) fn report(node: NodeIndex, manager: NodeIndex, context: &mut Ctx) {
    let host = context.sample(node);
    let bytes = REPORT_BYTES + MACHINE_BYTES * host.vms.len() as u32;
    let message = Message::Report {
        number: context.now().as_nanos(),
        host: Box::new(host),
    };
    context.send(node, manager, bytes, message);
}

/// The target's part: keep room if there is room.
pub(super) fn on_expect(node: NodeIndex, manager: NodeIndex, order: Box<Order>, context: &mut Ctx) {
    let migration = order.migration;
    if !has_room(&context.sample(node), &order.claim) {
        context.send(node, manager, ORDER_BYTES, Message::Refused { migration });
        return;
    }
    context.expect(node, migration, order.vm, order.source, order.claim);
    context.schedule(node, KEPT, Timer::Forget { migration });
    let source = NodeIndex::of_peer(order.source);
    context.send(node, source, ORDER_BYTES, Message::Begin(order));
}

/// Whether `host` has room for what `claim` says.
pub(super) fn has_room(host: &Host, claim: &Resources) -> bool {
    let vms = host.vms.iter();
    let memory: MemoryMib = vms.clone().map(|vm| vm.memory).sum();
    let disk: MemoryMib = vms.map(|vm| vm.disk).sum();
    let incoming = host.incoming;
    !host.maintenance
        && host.demand().plus(claim.cpu) <= host.capacity.cpu
        && memory.plus(incoming.memory).plus(claim.memory) <= host.capacity.memory
        && disk.plus(incoming.disk).plus(claim.disk) <= host.capacity.disk
}

/// The source's part: migrate if it is still wanted.
pub(super) fn on_begin(node: NodeIndex, manager: NodeIndex, order: &Order, context: &mut Ctx) {
    let migration = order.migration;
    let host = context.sample(node);
    let here = host.vms.iter().any(|vm| vm.id == order.vm);
    let over = matches!(order.reason, Reason::Overload { .. });
    if !here || (over && !host.is_overloaded()) {
        let target = NodeIndex::of_peer(order.target);
        context.send(node, target, ORDER_BYTES, Message::Withdrawn { migration });
        context.send(node, manager, ORDER_BYTES, Message::Refused { migration });
        return;
    }
    context.migrate(node, migration, order.vm, order.target, order.reason);
}

/// Gives up room for a machine that has not set out.
pub(super) fn on_forget(node: NodeIndex, migration: MigrationId, context: &mut Ctx) {
    let under_way = context
        .migrations()
        .of_node(node)
        .any(|one| one.id == migration);
    if !under_way {
        context.unexpect(node, migration);
    }
}

/// Powers down if nothing runs here.
pub(super) fn on_sleep(node: NodeIndex, manager: NodeIndex, context: &mut Ctx) {
    if context.sleep(node) {
        context.send(node, manager, ORDER_BYTES, Message::Slept);
    } else {
        report(node, manager, context);
    }
}
