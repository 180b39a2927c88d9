//! A plan that is carried out, seen from leader, source and target.

use super::super::message::{Cancel, Progress};
use super::*;

fn migration() -> MigrationId {
    MigrationId {
        ballot: ballot(1, 1),
        step: StepId(0),
    }
}

#[test]
fn the_source_migrates_when_the_target_is_prepared() {
    let mut bench = Bench::executing();
    let migration = migration();
    let did = bench.message(2, Message::Prepared { migration });
    assert_eq!(did.len(), 1);
    assert!(matches!(
        &did[0],
        Did::Emit(Event::Migrate { migration: id, target, .. })
            if *id == migration && *target == peer(2)
    ));
    // A doubled answer starts nothing.
    assert_eq!(bench.message(2, Message::Prepared { migration }), vec![]);
}

#[test]
fn the_end_of_the_last_step_ends_the_partition() {
    let mut bench = Bench::executing();
    let migration = migration();
    bench.message(2, Message::Prepared { migration });
    let end = MigrationEnd::Moved;
    let did = bench.command(Command::MigrationEnded { migration, end });
    assert_eq!(ended(&did), Some(PartitionEnd::Solved));
    assert!(bench.star.is_free());
    let said: Vec<_> = sends(&did);
    assert_eq!(
        said[0],
        (
            peer(2),
            Message::Progressed {
                migration,
                progress: Progress::Ended(end)
            }
        )
    );
    let release = Message::Release {
        ballot: ballot(1, 1),
    };
    assert_eq!(said[1], (peer(2), release));
}

#[test]
fn a_target_without_room_makes_the_leader_try_again_soon() {
    let mut bench = Bench::executing();
    let declined = Message::Declined {
        migration: migration(),
        cancel: Cancel::NoRoom,
    };
    let did = bench.message(2, declined);
    assert_eq!(ended(&did), Some(PartitionEnd::Unsolved));
    bench.pass(Duration::from_millis(500));
    let epoch = bench.star.retry.epoch;
    let did = bench.timer(Timer::Retry { epoch });
    assert!(matches!(events(&did)[0], Event::Began { .. }));
}

#[test]
fn a_silent_target_is_asked_three_times() {
    let mut bench = Bench::executing();
    let migration = migration();
    let timer = Timer::Prepare { migration };
    for _ in 0..2 {
        bench.pass(Duration::from_millis(700));
        let did = bench.timer(timer);
        assert!(matches!(&sends(&did)[0].1, Message::Prepare { .. }));
    }
    bench.pass(Duration::from_millis(700));
    assert_eq!(ended(&bench.timer(timer)), Some(PartitionEnd::Unsolved));
}

#[test]
fn an_answer_from_before_a_pause_is_late_although_the_target_was_asked_again() {
    let mut bench = Bench::executing();
    let migration = migration();
    // The process stood still for longer than all tries take; its timer fires only now.
    bench.pass(Duration::from_millis(2_500));
    bench.timer(Timer::Prepare { migration });
    let did = bench.message(2, Message::Prepared { migration });
    let begins = |event: &Event| matches!(event, Event::Migrate { .. });
    assert!(!events(&did).iter().any(begins), "{did:?}");
}

#[test]
fn an_answer_to_the_last_question_is_in_time() {
    let mut bench = Bench::executing();
    let migration = migration();
    for _ in 0..2 {
        bench.pass(Duration::from_millis(700));
        bench.timer(Timer::Prepare { migration });
    }
    bench.pass(Duration::from_millis(600));
    let did = bench.message(2, Message::Prepared { migration });
    let begins = |event: &Event| matches!(event, Event::Migrate { .. });
    assert!(events(&did).iter().any(begins), "{did:?}");
}

#[test]
fn a_target_expects_the_machine_once() {
    let mut bench = Bench::sampled(&[30]);
    let order = order(ballot(4, 9), 9, 1);
    let migration = order.migration;
    bench.message(9, reserve(ballot(4, 9)));
    let did = bench.message(9, Message::Prepare { order });
    let expect = Event::Expect {
        migration,
        vm: order.vm,
        source: peer(9),
        claim: order.claim,
    };
    assert_eq!(events(&did), vec![expect]);
    assert_eq!(
        sends(&did),
        vec![(peer(9), Message::Prepared { migration })]
    );
    let again = bench.message(9, Message::Prepare { order });
    assert_eq!(
        again,
        vec![Did::Send(peer(9), Message::Prepared { migration })]
    );
}

#[test]
fn a_target_under_another_ballot_declines() {
    for stale in [ballot(3, 9), ballot(9, 8)] {
        let mut bench = Bench::sampled(&[30]);
        bench.message(9, reserve(ballot(4, 9)));
        let order = order(stale, 9, 1);
        let did = bench.message(9, Message::Prepare { order });
        let declined = Message::Declined {
            migration: order.migration,
            cancel: Cancel::Fenced,
        };
        assert_eq!(did, vec![Did::Send(peer(9), declined)]);
    }
}

#[test]
fn a_target_whose_lease_has_ended_declines() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    bench.pass(LEASE);
    let order = order(ballot(4, 9), 9, 1);
    let did = bench.message(9, Message::Prepare { order });
    let declined = Message::Declined {
        migration: order.migration,
        cancel: Cancel::Fenced,
    };
    assert_eq!(sends(&did), vec![(peer(9), declined)]);
}

#[test]
fn a_target_that_filled_up_meanwhile_declines() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    bench.sample(host(1, &[90]));
    let order = order(ballot(4, 9), 9, 1);
    let did = bench.message(9, Message::Prepare { order });
    let declined = Message::Declined {
        migration: order.migration,
        cancel: Cancel::NoRoom,
    };
    assert_eq!(did, vec![Did::Send(peer(9), declined)]);
}

#[test]
fn a_raised_ballot_reaches_the_member_with_the_command() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    let order = order(ballot(6, 9), 9, 1);
    let did = bench.message(9, Message::Prepare { order });
    assert_eq!(
        did[0],
        Did::Persist(Durable {
            promised: ballot(6, 9)
        })
    );
    assert_eq!(bench.star.reserved_under(), Some(ballot(6, 9)));
}

#[test]
fn a_claim_that_is_not_used_is_given_back() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    let order = order(ballot(4, 9), 9, 1);
    let migration = order.migration;
    bench.message(9, Message::Prepare { order });
    bench.pass(LEASE);
    let did = bench.timer(Timer::Expected { migration });
    assert!(events(&did).contains(&Event::LeaseExpired {
        ballot: ballot(4, 9)
    }));
    assert!(events(&did).contains(&Event::Unexpect { migration }));
    assert!(bench.star.is_free());
}

#[test]
fn a_source_cancels_what_has_not_started_when_its_lease_ends() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    let order = order(ballot(4, 9), 1, 2);
    let migration = order.migration;
    let did = bench.message(9, Message::Start { order });
    assert_eq!(sends(&did), vec![(peer(2), Message::Prepare { order })]);
    bench.pass(LEASE);
    let did = bench.message(2, Message::Prepared { migration });
    let cancelled = Message::Progressed {
        migration,
        progress: Progress::Cancelled(Cancel::Fenced),
    };
    assert!(sends(&did).contains(&(peer(9), cancelled.clone())));
    assert!(sends(&did).contains(&(peer(2), cancelled)));
    let migrates = |event: &Event| matches!(event, Event::Migrate { .. });
    assert!(!events(&did).iter().any(migrates));
}

#[test]
fn what_has_started_goes_on_when_the_lease_ends_and_nobody_is_joined() {
    let mut bench = Bench::sampled(&[30]);
    bench.message(9, reserve(ballot(4, 9)));
    let order = order(ballot(4, 9), 1, 2);
    let migration = order.migration;
    bench.message(9, Message::Start { order });
    bench.message(2, Message::Prepared { migration });
    bench.pass(LEASE);
    let did = bench.message(8, reserve(ballot(9, 8)));
    assert!(matches!(events(&did)[0], Event::LeaseExpired { .. }));
    let refused = Message::Refused {
        ballot: ballot(9, 8),
        refusal: Refusal::Migrating,
    };
    assert_eq!(sends(&did), vec![(peer(8), refused)]);
}

#[test]
fn a_lost_order_is_repeated_with_the_renewal() {
    let mut bench = Bench::sampled(&[60, 60]);
    bench.neighbours(&[2, 3, 4]);
    bench.pass(Duration::from_millis(10));
    // Node 2 was taken in with an overload of its own: it is the source of one of the steps.
    let refusal = Refusal::Busy {
        under: ballot(5, 2),
        claim: claim(2, Duration::ZERO),
        growing: true,
    };
    bench.refused(2, refusal);
    let yielded = Message::Yielded {
        ballot: bench.star.reserved_under().unwrap(),
        taken: ballot(5, 2),
        members: vec![peer(2)],
    };
    bench.message(2, yielded);
    bench.reserved(2, &[60, 60]);
    bench.reserved(3, &[]);
    let did = bench.reserved(4, &[]);
    let starts = |did: &[Did]| {
        let said = sends(did).into_iter();
        let starts =
            said.filter(|(to, message)| *to == peer(2) && matches!(message, Message::Start { .. }));
        starts.count()
    };
    assert_eq!(starts(&did), 1);
    bench.timer(Timer::Renew {
        partition: ballot(1, 1),
    });
    let renewed = Message::Renewed {
        ballot: ballot(1, 1),
        round: 1,
        steps: Vec::new(),
    };
    assert_eq!(starts(&bench.message(2, renewed)), 1);
}

#[test]
fn a_leader_that_slept_over_its_lease_leads_nothing() {
    let mut bench = Bench::executing();
    bench.pass(Duration::from_secs(20));
    let migration = migration();
    let did = bench.message(2, Message::Prepared { migration });
    assert_eq!(ended(&did), Some(PartitionEnd::Expired));
    let migrates = |event: &Event| matches!(event, Event::Migrate { .. });
    assert!(!events(&did).iter().any(migrates));
}
