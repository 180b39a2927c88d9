//! A node that is asked to join a partition.

use super::*;

#[test]
fn a_free_node_promises_durably_and_answers_with_its_host() {
    let mut bench = Bench::sampled(&[30, 20]);
    let asked = ballot(4, 9);
    let did = bench.message(9, reserve(asked));
    let expected = vec![
        Did::Persist(Durable { promised: asked }),
        Did::Emit(Event::Reserved {
            ballot: asked,
            lease: LEASE,
        }),
        Did::Schedule(LEASE, Timer::Lease { ballot: asked }),
        Did::Send(
            peer(9),
            Message::Reserved {
                ballot: asked,
                host: Arc::new(host(1, &[30, 20])),
            },
        ),
    ];
    assert_eq!(did, expected);
}

#[test]
fn a_repeated_request_is_answered_again_and_changes_nothing() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    let before = bench.star.clone();
    let did = bench
        .pass(Duration::from_secs(1))
        .message(9, reserve(ballot(4, 9)));
    assert_eq!(did.len(), 1);
    assert!(matches!(&did[0], Did::Send(_, Message::Reserved { .. })));
    assert_eq!(bench.star, before);
}

#[test]
fn a_lower_ballot_is_refused_for_ever() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    bench.message(
        9,
        Message::Release {
            ballot: ballot(4, 9),
        },
    );
    for lower in [ballot(3, 200), ballot(4, 8), ballot(4, 9)] {
        let did = bench.message(lower.leader.node, reserve(lower));
        let refusal = Refusal::Promised(ballot(4, 9));
        let answer = Message::Refused {
            ballot: lower,
            refusal,
        };
        assert_eq!(did, vec![Did::Send(lower.leader, answer)]);
    }
}

#[test]
fn a_member_refuses_others_and_says_whose_it_is() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    bench.pass(Duration::from_secs(2));
    let did = bench.message(8, reserve(ballot(7, 8)));
    let refusal = Refusal::Busy {
        under: ballot(4, 9),
        claim: claim(9, Duration::from_secs(2)),
        growing: true,
    };
    let answer = Message::Refused {
        ballot: ballot(7, 8),
        refusal,
    };
    assert_eq!(did, vec![Did::Send(peer(8), answer)]);
}

#[test]
fn a_member_takes_a_higher_ballot_after_a_hand_over() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    let taken = Some(ballot(4, 9));
    let request = Message::Reserve {
        ballot: ballot(7, 8),
        claim: claim(8, Duration::ZERO),
        lease: LEASE,
        taken,
    };
    let did = bench.message(8, request);
    assert_eq!(
        events(&did),
        vec![
            Event::Freed {
                ballot: ballot(4, 9)
            },
            Event::Reserved {
                ballot: ballot(7, 8),
                lease: LEASE
            },
        ]
    );
    assert_eq!(bench.star.reserved_under(), Some(ballot(7, 8)));
}

#[test]
fn a_member_is_free_when_its_lease_ends() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    bench.pass(LEASE);
    let did = bench.timer(Timer::Lease {
        ballot: ballot(4, 9),
    });
    let freed = Event::Freed {
        ballot: ballot(4, 9),
    };
    assert_eq!(events(&did)[0], freed);
    assert!(bench.star.is_free());
}

#[test]
fn a_renewed_lease_outlives_its_first_timer() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    bench.pass(Duration::from_secs(2));
    let renew = Message::Renew {
        ballot: ballot(4, 9),
        lease: LEASE,
        round: 1,
    };
    let did = bench.message(9, renew);
    let renewed = Message::Renewed {
        ballot: ballot(4, 9),
        round: 1,
        steps: Vec::new(),
    };
    assert_eq!(sends(&did), vec![(peer(9), renewed)]);
    bench.pass(Duration::from_secs(3));
    bench.timer(Timer::Lease {
        ballot: ballot(4, 9),
    });
    assert_eq!(bench.star.reserved_under(), Some(ballot(4, 9)));
}

#[test]
fn a_renewal_of_a_lease_that_ended_is_answered_by_parting() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    bench.pass(LEASE);
    let renew = Message::Renew {
        ballot: ballot(4, 9),
        lease: LEASE,
        round: 1,
    };
    let did = bench.message(9, renew);
    let parted = Message::Parted {
        ballot: ballot(4, 9),
    };
    assert_eq!(sends(&did), vec![(peer(9), parted)]);
}

#[test]
fn nobody_is_joined_before_the_first_sample_or_too_early_after_a_crash() {
    let unready = |did: Vec<Did>| {
        let expected = Message::Refused {
            ballot: ballot(9, 9),
            refusal: Refusal::Unready,
        };
        assert_eq!(sends(&did), vec![(peer(9), expected)]);
    };
    let mut fresh = Bench::with(Config::default());
    unready(fresh.message(9, reserve(ballot(9, 9))));

    let record = Durable {
        promised: ballot(5, 4),
    };
    let mut again = Bench::sampled(&[30]);
    again.star = again.star.restored(&record, again.now);
    unready(again.message(9, reserve(ballot(9, 9))));
    again.pass(LEASE);
    let did = again.message(3, reserve(ballot(5, 3)));
    assert!(matches!(
        &sends(&did)[0].1,
        Message::Refused {
            refusal: Refusal::Promised(_),
            ..
        }
    ));
}

#[test]
fn a_node_with_a_migration_in_flight_or_under_maintenance_refuses() {
    let refusal = |change: fn(&mut Host)| {
        let mut bench = Bench::with(Config::default());
        let mut host = host(1, &[]);
        change(&mut host);
        bench.sample(host);
        match sends(&bench.message(9, reserve(ballot(4, 9)))).pop() {
            Some((_, Message::Refused { refusal, .. })) => refusal,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refusal(|host| host.migrations = 1), Refusal::Migrating);
    assert_eq!(
        refusal(|host| host.maintenance = true),
        Refusal::Maintenance
    );
}

#[test]
fn a_request_in_another_name_is_ignored() {
    let mut bench = Bench::sampled(&[30]);
    let did = bench.message(8, reserve(ballot(4, 9)));
    assert_eq!(
        did,
        vec![ignored("reserve", "not from the leader it names")]
    );
}
