//! The deadlock rule among Blocked partitions.

use super::*;

/// Node 3, a member of the Blocked partition of 1 and 2 whose leader is 2.
fn blocked() -> Node {
    let mut node = Node::new(3, &[95]);
    node.joins(partition(&[1, 2], 2, State::Growing));
    let mut blocked = partition(&[1, 2, 3], 4, State::Blocked);
    blocked.leader = peer(2);
    node.hears(1, announce(blocked, false));
    node
}

fn question(version: u64) -> Message {
    Message::MayMerge {
        taken: name(1),
        version,
        taker: name(0),
    }
}

#[test]
fn a_blocked_token_of_a_higher_initiator_asks_its_leader_to_merge() {
    let mut node = blocked();
    let strange = token(partition(&[8, 9], 6, State::Blocked));
    let asked = Message::MayMerge {
        taken: name(8),
        version: 6,
        taker: name(1),
    };
    let did = node.hears(9, Message::Isp(strange));
    assert_eq!(sent(did), [(peer(9), asked)]);
}

#[test]
fn a_blocked_token_of_a_lower_initiator_is_passed_on() {
    let mut node = blocked();
    let strange = token(partition(&[0, 9], 6, State::Blocked));
    let did = node.hears(9, Message::Isp(strange));
    assert!(searched(&did).is_some());
    assert_eq!(sent(did), []);
}

#[test]
fn a_growing_or_finishing_token_is_never_merged() {
    for state in [State::Growing, State::Finishing] {
        let did = blocked().hears(9, Message::Isp(token(partition(&[8, 9], 6, state))));
        assert!(searched(&did).is_some());
        assert_eq!(sent(did), []);
    }
}

#[test]
fn a_merge_that_is_granted_makes_a_growing_union_that_computes_again() {
    let mut node = blocked();
    node.hears(
        9,
        Message::Isp(token(partition(&[8, 9], 6, State::Blocked))),
    );
    let did = node.hears(9, merge_answer(8, MergeAnswer::Granted));
    let mut union = partition(&[1, 2, 3, 8, 9], 8, State::Growing);
    union.leader = peer(3);
    union.taken = vec![name(8)];
    let expected = [1, 2, 8, 9].map(|member| (peer(member), announce(union.clone(), true)));
    assert_eq!(sent(did), expected);
}

#[test]
fn a_merge_that_is_refused_sends_the_token_on() {
    let mut node = blocked();
    node.hears(
        9,
        Message::Isp(token(partition(&[8, 9], 6, State::Blocked))),
    );
    let did = node.hears(9, merge_answer(8, MergeAnswer::Locked));
    assert_eq!(searched(&did).expect("searches").1, [1, 2, 3].map(peer));
}

#[test]
fn a_leader_agrees_to_one_merge_in_a_second() {
    let mut node = Node::new(3, &[95]);
    node.joins(partition(&[1, 2], 2, State::Growing));
    node.hears(1, announce(partition(&[1, 2, 3], 4, State::Blocked), false));
    let answer = |answer| [(peer(7), merge_answer(1, answer))];
    let asked = |node: &mut Node| sent(node.hears(7, question(4)));
    assert_eq!(asked(&mut node), answer(MergeAnswer::Granted));
    assert_eq!(asked(&mut node), answer(MergeAnswer::Locked));
    node.now += Duration::from_secs(1);
    assert_eq!(asked(&mut node), answer(MergeAnswer::Granted));
}

#[test]
fn an_outdated_token_is_not_merged() {
    let mut node = Node::new(3, &[95]);
    node.joins(partition(&[1, 2], 2, State::Growing));
    let answer = [(peer(7), merge_answer(1, MergeAnswer::Outdated))];
    assert_eq!(sent(node.hears(7, question(2))), answer);
}

#[test]
fn a_member_that_is_taken_in_changes_its_partition_in_one_step() {
    let mut node = blocked();
    let mut union = partition(&[0, 1, 2, 3], 9, State::Growing);
    union.taken = vec![name(1)];
    let did = node.hears(0, announce(union, true));
    let freed = Event::Freed { ballot: name(1) };
    let reserved = Event::Reserved {
        ballot: name(0),
        lease: Duration::from_millis(4_500),
    };
    assert_eq!(did[..2], [Did::Told(freed), Did::Told(reserved)]);
    assert!(matches!(
        &did[2],
        Did::Sent(_, Message::Report { host: Some(_), .. })
    ));
}
