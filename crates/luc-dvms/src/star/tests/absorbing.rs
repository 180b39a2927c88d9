//! Two partitions that meet.

use super::*;

fn busy(under: Ballot, age: Duration) -> Refusal {
    Refusal::Busy {
        under,
        claim: claim(under.leader.node, age),
        growing: true,
    }
}

#[test]
fn the_older_event_asks_the_younger_leader_to_yield() {
    let mut bench = Bench::asking();
    bench.pass(Duration::from_millis(10));
    let did = bench.refused(2, busy(ballot(5, 8), Duration::from_millis(3)));
    let absorb = Message::Absorb {
        ballot: ballot(1, 1),
        claim: claim(1, Duration::from_millis(10)),
        taken: ballot(5, 8),
    };
    assert_eq!(sends(&did), vec![(peer(8), absorb)]);
}

#[test]
fn the_younger_event_passes_the_older_by() {
    let mut bench = Bench::asking();
    let did = bench.refused(2, busy(ballot(5, 8), Duration::from_millis(3)));
    assert_eq!(did, vec![]);
}

#[test]
fn a_younger_leader_is_downgraded_and_hands_its_members_over() {
    let mut bench = Bench::asking();
    bench.reserved(2, &[90]);
    let own = ballot(1, 1);
    let absorb = Message::Absorb {
        ballot: ballot(3, 9),
        claim: claim(9, Duration::from_secs(1)),
        taken: own,
    };
    let did = bench.message(9, absorb);
    assert_eq!(ended(&did), Some(PartitionEnd::Absorbed));
    let yielded = Message::Yielded {
        ballot: ballot(3, 9),
        taken: own,
        members: vec![me(), peer(2), peer(3)],
    };
    assert_eq!(sends(&did), vec![(peer(9), yielded)]);
    assert_eq!(bench.star.leads(), None);
    assert_eq!(bench.star.reserved_under(), Some(own));
}

#[test]
fn an_older_leader_does_not_yield() {
    let mut bench = Bench::asking();
    bench.pass(Duration::from_secs(1));
    let absorb = Message::Absorb {
        ballot: ballot(3, 9),
        claim: claim(9, Duration::from_millis(1)),
        taken: ballot(1, 1),
    };
    let did = bench.message(9, absorb);
    assert!(matches!(
        &sends(&did)[0].1,
        Message::Refused {
            refusal: Refusal::Busy { growing: true, .. },
            ..
        }
    ));
    assert!(bench.star.leads().is_some());
}

#[test]
fn a_leader_that_executes_does_not_yield() {
    let mut bench = Bench::executing();
    let absorb = Message::Absorb {
        ballot: ballot(3, 9),
        claim: claim(9, Duration::from_secs(9)),
        taken: ballot(1, 1),
    };
    let did = bench.message(9, absorb);
    assert!(matches!(
        &sends(&did)[0].1,
        Message::Refused {
            refusal: Refusal::Busy { growing: false, .. },
            ..
        }
    ));
}

#[test]
fn a_leader_that_is_asked_to_join_an_older_event_yields_at_once() {
    let mut bench = Bench::asking();
    let request = Message::Reserve {
        ballot: ballot(3, 9),
        claim: claim(9, Duration::from_secs(1)),
        lease: LEASE,
        taken: None,
    };
    let did = bench.message(9, request);
    assert_eq!(ended(&did), Some(PartitionEnd::Absorbed));
    assert!(matches!(&sends(&did)[0].1, Message::Yielded { .. }));
}

#[test]
fn the_absorber_reserves_the_members_under_a_higher_ballot() {
    let mut bench = Bench::asking();
    bench.pass(Duration::from_millis(10));
    bench.refused(2, busy(ballot(5, 8), Duration::ZERO));
    let yielded = Message::Yielded {
        ballot: ballot(1, 1),
        taken: ballot(5, 8),
        members: vec![peer(8), peer(2)],
    };
    let did = bench.message(8, yielded);
    let absorbed = Event::Absorbed {
        ballot: ballot(1, 1),
        taken: ballot(5, 8),
    };
    assert_eq!(events(&did)[0], absorbed);
    for (said, to) in sends(&did).iter().zip([8, 2]) {
        assert!(matches!(
            said,
            (peer_asked, Message::Reserve { ballot: under, taken: Some(taken), .. })
                if *peer_asked == peer(to)
                    && *under == ballot(6, 1)
                    && *taken == ballot(5, 8)
        ));
    }
}

#[test]
fn what_is_handed_over_too_late_is_set_free() {
    let mut bench = Bench::sampled(&[30]);
    let yielded = Message::Yielded {
        ballot: ballot(1, 1),
        taken: ballot(5, 8),
        members: vec![peer(8), peer(2)],
    };
    let did = bench.message(8, yielded);
    let release = |node| {
        let ballot = ballot(5, 8);
        (peer(node), Message::Release { ballot })
    };
    assert_eq!(sends(&did), vec![release(8), release(2)]);
}

#[test]
fn an_absorbed_initiator_leads_again_when_its_absorber_is_gone() {
    let mut bench = Bench::asking();
    let absorb = Message::Absorb {
        ballot: ballot(3, 9),
        claim: claim(9, Duration::from_secs(1)),
        taken: ballot(1, 1),
    };
    bench.message(9, absorb);
    bench.pass(LEASE);
    let did = bench.timer(Timer::Lease {
        ballot: ballot(1, 1),
    });
    let took_over = Event::TookOver {
        ballot: ballot(4, 1),
        from: ballot(1, 1),
    };
    assert!(events(&did).contains(&took_over), "{did:?}");
}

#[test]
fn an_overload_takes_in_whoever_only_wants_to_sleep() {
    let young = claim(2, Duration::ZERO);
    let idle = Claim {
        cause: Cause::Underload,
        age: Duration::from_secs(99),
        leader: peer(1),
    };
    assert!(young.precedes(&idle));
    assert!(!idle.precedes(&young));
}

#[test]
fn of_two_claims_exactly_one_precedes() {
    let ages = [Duration::ZERO, Duration::from_secs(1)];
    let claims: Vec<_> = [1, 2]
        .into_iter()
        .flat_map(|node| ages.map(|age| claim(node, age)))
        .collect();
    for left in &claims {
        for right in &claims {
            let either = left.precedes(right) != right.precedes(left);
            assert_eq!(either, left != right, "{left:?} {right:?}");
        }
    }
}
