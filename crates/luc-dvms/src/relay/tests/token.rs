//! Tokens: begin, join, pass on, come back.

use super::*;

#[test]
fn an_overload_reserves_the_node_and_sends_a_token_to_the_first_node_outside() {
    let mut node = Node::new(1, &[]);
    let did = node.command(Command::Sample(host(1, &[60, 60])));
    assert_eq!(searched(&did).expect("searches").1, [peer(1)]);
    let sent = sent(node.finds(&did, Some(2)));
    let own = Partition::new(name(1));
    assert_eq!(sent, [(peer(2), Message::Isp(token(own)))]);
    assert!(!node.relay.is_free());
}

#[test]
fn a_free_node_reserves_itself_and_asks_the_initiator() {
    let mut node = Node::new(2, &[10]);
    let did = node.hears(1, Message::Isp(token(Partition::new(name(1)))));
    let reserved = Event::Reserved {
        ballot: name(1),
        lease: Duration::from_millis(4_500),
    };
    assert!(did.contains(&Did::Told(reserved)));
    let question = Message::IsValid {
        partition: name(1),
        version: 1,
    };
    assert_eq!(sent(did), [(peer(1), question)]);
}

#[test]
fn an_event_that_is_gone_frees_everybody() {
    let mut node = Node::new(3, &[10]);
    let offered = partition(&[1, 2], 2, State::Growing);
    node.hears(2, Message::Isp(token(offered.clone())));
    let gone = Message::Valid {
        partition: offered.id,
        version: 2,
        valid: false,
    };
    let dissolve = Message::Dissolve {
        partition: offered.id,
        version: 2,
        end: PartitionEnd::Stale,
    };
    let sent = sent(node.hears(1, gone));
    assert_eq!(sent, [(peer(1), dissolve.clone()), (peer(2), dissolve)]);
    assert!(node.relay.is_free());
}

#[test]
fn an_initiator_that_is_relieved_says_that_its_event_is_gone() {
    let mut node = Node::new(1, &[60, 60]);
    let question = || Message::IsValid {
        partition: name(1),
        version: 1,
    };
    let answer = |valid| Message::Valid {
        partition: name(1),
        version: 1,
        valid,
    };
    assert_eq!(sent(node.hears(2, question())), [(peer(2), answer(true))]);
    node.command(Command::Sample(host(1, &[60])));
    assert_eq!(sent(node.hears(2, question())), [(peer(2), answer(false))]);
}

#[test]
fn a_new_leader_announces_itself_to_all_members_and_gathers() {
    let mut node = Node::new(3, &[10]);
    let did = node.joins(partition(&[1, 2], 2, State::Growing));
    let led = partition(&[1, 2, 3], 3, State::Growing);
    let expected = [1, 2].map(|member| (peer(member), announce(led.clone(), true)));
    assert_eq!(sent(did), expected);
}

#[test]
fn a_first_group_of_three_does_not_compute_with_two() {
    let config = Config {
        first_group: 3,
        ..Config::default()
    };
    let mut node = Node::new(2, &[10]);
    node.relay = Relay::new(peer(2), 7, config);
    node.command(Command::Sample(host(2, &[10])));
    let did = node.joins(Partition::new(name(1)));
    assert_eq!(searched(&did).expect("searches").1, [peer(1), peer(2)]);
    assert_eq!(sent(did).len(), 1, "announces without asking for reports");
}

#[test]
fn without_a_solution_the_token_goes_to_the_first_node_outside() {
    let mut node = Node::new(2, &[95]);
    node.joins(Partition::new(name(1)));
    let report = Message::Report {
        partition: name(1),
        version: 2,
        host: Some(Box::new(host(1, &[60, 60]))),
    };
    let did = node.hears(1, report);
    assert_eq!(searched(&did).expect("searches").1, [peer(1), peer(2)]);
    let sent = sent(node.finds(&did, Some(3)));
    let led = partition(&[1, 2], 2, State::Growing);
    assert_eq!(sent, [(peer(3), Message::Isp(token(led)))]);
}

#[test]
fn a_solution_is_finishing_and_its_first_step_is_ordered() {
    let mut node = Node::new(2, &[10]);
    node.joins(Partition::new(name(1)));
    let report = Message::Report {
        partition: name(1),
        version: 2,
        host: Some(Box::new(host(1, &[60, 60]))),
    };
    let sent = sent(node.hears(1, report));
    let finishing = partition(&[1, 2], 3, State::Finishing);
    assert_eq!(sent[0], (peer(1), announce(finishing, false)));
    // This node is the target itself: it claims and lets the source begin.
    assert!(matches!(&sent[1], (to, Message::Start(order))
        if *to == peer(1) && order.source == peer(1) && order.target == peer(2)));
}

#[test]
fn a_member_of_another_partition_passes_a_token_over_all_of_it() {
    let mut node = Node::new(3, &[95]);
    node.joins(partition(&[1, 2], 2, State::Growing));
    let strange = token(partition(&[8, 9], 2, State::Growing));
    let did = node.hears(9, Message::Isp(strange.clone()));
    assert_eq!(searched(&did).expect("searches").1, [1, 2, 3].map(peer));
    let on = Token { hops: 2, ..strange };
    assert_eq!(
        sent(node.finds(&did, Some(4))),
        [(peer(4), Message::Isp(on))]
    );
}

#[test]
fn a_doubled_token_stops() {
    let mut node = Node::new(3, &[95]);
    node.joins(partition(&[1, 2], 2, State::Growing));
    let strange = token(partition(&[8, 9], 2, State::Growing));
    node.hears(9, Message::Isp(strange.clone()));
    let did = node.hears(9, Message::Isp(strange));
    assert_eq!(ignored(&did), ["doubled"]);
}

#[test]
fn a_token_back_at_its_initiator_is_blocked_and_then_given_up() {
    let mut node = Node::new(1, &[60, 60]);
    let grown = partition(&[1, 2], 2, State::Growing);
    node.hears(2, announce(grown.clone(), false));
    let did = node.hears(9, Message::Isp(token(grown)));
    let mut blocked = partition(&[1, 2], 3, State::Blocked);
    blocked.leader = peer(2);
    assert_eq!(
        sent(node.finds(&did, Some(3))),
        [(peer(3), Message::Isp(token(blocked.clone())))]
    );
    assert_eq!(sent(did), [(peer(2), announce(blocked.clone(), false))]);
    let back = Token {
        partition: blocked,
        hops: 5,
    };
    let dissolve = Message::Dissolve {
        partition: name(1),
        version: 3,
        end: PartitionEnd::Unsolved,
    };
    assert_eq!(
        sent(node.hears(9, Message::Isp(back))),
        [(peer(2), dissolve)]
    );
    assert!(node.relay.is_free());
}

#[test]
fn a_leader_with_nobody_left_outside_has_no_solution() {
    let mut node = Node::new(2, &[95]);
    node.joins(Partition::new(name(1)));
    let report = Message::Report {
        partition: name(1),
        version: 2,
        host: Some(Box::new(host(1, &[60, 60]))),
    };
    let did = node.hears(1, report);
    let did = node.finds(&did, None);
    assert_eq!(ended(&did), Some(PartitionEnd::Unsolved));
}

#[test]
fn a_lower_version_is_not_accepted() {
    let mut node = Node::new(3, &[95]);
    node.joins(partition(&[1, 2], 5, State::Growing));
    let did = node.hears(2, announce(partition(&[1, 2, 3], 5, State::Blocked), false));
    assert_eq!(ignored(&did), ["outdated"]);
}
