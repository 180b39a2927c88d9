//! The crash rule, silence, and migrations whose other end is gone.

use super::super::message::Order;
use super::super::timer::Timer;
use super::*;
use crate::command::{MigrationEnd, MigrationId};
use crate::plan::{Reason, StepId};

/// Node 3, a member of the partition of 1 and 2 that 2 leads.
fn member() -> Node {
    let mut node = Node::new(3, &[60]);
    node.joins(partition(&[1, 2], 2, State::Growing));
    let mut led = partition(&[1, 2, 3], 4, State::Growing);
    led.leader = peer(2);
    node.hears(2, announce(led, false));
    node
}

fn order(source: u64, target: u64, vm: VmId) -> Order {
    Order {
        partition: name(1),
        migration: MigrationId {
            ballot: name(2),
            step: StepId(0),
        },
        leader: peer(2),
        vm,
        source: peer(source),
        target: peer(target),
        claim: Resources::default(),
        reason: Reason::Consolidation,
    }
}

fn finished(end: MigrationEnd) -> Message {
    let migration = order(3, 1, host(3, &[60]).vms[0].id).migration;
    Message::Finished { migration, end }
}

#[test]
fn a_dead_initiator_dissolves_its_partition() {
    let did = member().command(Command::PeerFailed(peer(1)));
    let dissolve = Message::Dissolve {
        partition: name(1),
        version: 4,
        end: PartitionEnd::Expired,
    };
    let expected = [1, 2].map(|member| (peer(member), dissolve.clone()));
    assert_eq!(sent(did), expected);
}

#[test]
fn the_detector_of_a_dead_leader_leads_the_rest() {
    let did = member().command(Command::PeerFailed(peer(2)));
    let took_over = Event::TookOver {
        ballot: name(1),
        from: name(1),
    };
    assert_eq!(did[0], Did::Told(took_over));
    let led = partition(&[1, 3], 5, State::Growing);
    assert_eq!(sent(did), [(peer(1), announce(led, true))]);
}

#[test]
fn a_member_without_word_for_four_and_a_half_seconds_dissolves_its_partition() {
    let mut node = member();
    node.now += Duration::from_secs(4);
    let snooze = Message::Snooze {
        partition: name(1),
        version: 4,
    };
    node.hears(2, snooze);
    node.now += Duration::from_millis(500);
    node.handle(Input::Timer(Timer::Stale { partition: name(1) }));
    assert!(!node.relay.is_free(), "it was snoozed");
    node.now += Duration::from_secs(4);
    let did = node.handle(Input::Timer(Timer::Stale { partition: name(1) }));
    assert_eq!(sent(did).len(), 2);
    assert!(node.relay.is_free());
}

#[test]
fn a_source_sends_a_machine_once_and_only_if_it_is_there() {
    let mut node = member();
    let vm = host(3, &[60]).vms[0].id;
    let did = node.hears(1, Message::Start(order(3, 1, vm)));
    assert!(matches!(&did[0], Did::Told(Event::Migrate { vm: one, .. }) if *one == vm));
    let mut again = order(3, 1, vm);
    again.migration.step = StepId(1);
    let did = sent(node.hears(1, Message::Start(again)));
    assert!(matches!(
        did[..],
        [
            (
                _,
                Message::Over {
                    end: MigrationEnd::Failed,
                    ..
                }
            ),
            (
                _,
                Message::Finished {
                    end: MigrationEnd::Failed,
                    ..
                }
            )
        ]
    ));
    let did = member().hears(1, Message::Start(order(3, 1, host(9, &[1]).vms[0].id)));
    assert!(sent(did).contains(&(peer(2), finished(MigrationEnd::Failed))));
}

#[test]
fn a_machine_that_has_left_is_not_sent_again_before_the_next_sample() {
    let mut node = member();
    let vm = host(3, &[60]).vms[0].id;
    let sent_off = order(3, 1, vm);
    node.hears(1, Message::Start(sent_off.clone()));
    let did = node.command(Command::MigrationEnded {
        migration: sent_off.migration,
        end: MigrationEnd::Moved,
    });
    assert!(sent(did).contains(&(peer(2), finished(MigrationEnd::Moved))));
    let mut again = sent_off;
    again.migration.step = StepId(1);
    let did = node.hears(1, Message::Start(again));
    assert!(
        !did.iter()
            .any(|did| matches!(did, Did::Told(Event::Migrate { .. })))
    );
}

#[test]
fn a_target_whose_source_dies_gives_the_claim_back() {
    let mut node = member();
    let coming = order(1, 3, host(1, &[60]).vms[0].id);
    let did = node.hears(2, Message::Prepare(coming.clone()));
    assert!(matches!(did[0], Did::Told(Event::Expect { .. })));
    let did = node.command(Command::PeerFailed(peer(1)));
    let migration = coming.migration;
    assert_eq!(did[0], Did::Told(Event::Unexpect { migration }));
}
