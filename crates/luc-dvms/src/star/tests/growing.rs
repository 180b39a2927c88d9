//! A leader that gathers members.

use super::*;
use crate::host::Rules;
use crate::solver::{Bar, Barred};

#[test]
fn an_overload_begins_a_partition_and_a_search_at_once() {
    let mut bench = Bench::with(Config::default());
    let did = bench.sample(host(1, &[60, 60]));
    let own = ballot(1, 1);
    let expected = vec![
        Did::Emit(Event::Advertise {
            room: -20,
            asleep: false,
        }),
        Did::Persist(Durable { promised: own }),
        Did::Emit(Event::Began {
            ballot: own,
            cause: Cause::Overload,
        }),
        Did::Emit(Event::Reserved {
            ballot: own,
            lease: LEASE,
        }),
        Did::Schedule(
            Duration::from_millis(1_500),
            Timer::Renew { partition: own },
        ),
        Did::Schedule(
            Duration::from_secs(4),
            Timer::Phase {
                partition: own,
                phase: 0,
            },
        ),
        Did::Emit(Event::Search {
            search: SearchId(0),
            outside: [me()].into(),
            count: Config::default().first_group - 1,
        }),
    ];
    assert_eq!(did, expected);
}

#[test]
fn neighbours_are_asked_at_once_and_in_parallel() {
    let mut bench = Bench::sampled(&[60, 60]);
    let did = bench.neighbours(&[2, 3]);
    let asked: Vec<_> = sends(&did).iter().map(|(to, _)| *to).collect();
    assert_eq!(asked, vec![peer(2), peer(3)]);
    let timer = Timer::Answers {
        partition: ballot(1, 1),
        round: 1,
    };
    assert_eq!(did[2], Did::Schedule(Duration::from_millis(43), timer));
}

#[test]
fn sleeping_and_full_neighbours_are_passed_over() {
    let mut bench = Bench::sampled(&[60, 60]);
    let mut found: Vec<_> = (2..=4).map(candidate).collect();
    found[0].asleep = true;
    found[1].room = -1;
    let search = SearchId(0);
    let did = bench.command(Command::Neighbours { search, found });
    let asked: Vec<_> = sends(&did).iter().map(|(to, _)| *to).collect();
    assert_eq!(asked, vec![peer(4)]);
}

#[test]
fn full_neighbours_are_asked_when_nobody_else_is_left() {
    let mut bench = Bench::sampled(&[60, 60]);
    let mut found = vec![candidate(2)];
    found[0].room = -1;
    let search = SearchId(0);
    bench.command(Command::Neighbours { search, found });
    let did = bench.command(Command::Exhausted { search });
    assert_eq!(sends(&did)[0].0, peer(2));
}

#[test]
fn when_all_have_answered_the_plan_is_made_and_the_others_are_free() {
    let mut bench = Bench::asking();
    assert!(bench.reserved(3, &[90]).is_empty());
    let did = bench.reserved(2, &[]);
    let own = ballot(1, 1);
    let told = events(&did);
    assert!(matches!(
        told[1],
        Event::Computed {
            solved: true,
            hosts: 3,
            ..
        }
    ));
    assert!(matches!(&told[3], Event::Planned { plan, .. } if plan.steps.len() == 1));
    let said = sends(&did);
    assert_eq!(said[0], (peer(3), Message::Release { ballot: own }));
    assert!(matches!(&said[1], (to, Message::Prepare { .. }) if *to == peer(2)));
}

#[test]
fn a_rule_that_keeps_a_machine_from_a_member_is_told_with_the_plan() {
    let mut own = host(1, &[60, 60]);
    for vm in &mut own.vms {
        vm.rules = Some(Arc::new(Rules {
            hosts: vec![me(), peer(3)],
            ..Rules::default()
        }));
    }
    let mut bench = Bench::with(Config::default());
    bench.sample(own);
    bench.neighbours(&[2, 3]);
    bench.reserved(2, &[]);
    let did = bench.reserved(3, &[]);
    let told = events(&did);
    let Event::Barred { ballot: of, barred } = &told[2] else {
        panic!("{told:?}");
    };
    assert_eq!(*of, ballot(1, 1));
    let by_pin = |barred: &Barred| (barred.host, barred.bar) == (peer(2), Bar::Hosts);
    assert!(barred.len() == 2 && barred.iter().all(by_pin), "{barred:?}");
    let to_3 = |event: &Event| {
        let Event::Planned { plan, .. } = event else {
            return false;
        };
        plan.steps[0].target == peer(3)
    };
    assert!(told.iter().any(to_3), "{told:?}");
}

#[test]
fn who_does_not_answer_in_time_is_not_waited_for() {
    let mut bench = Bench::asking();
    bench.reserved(2, &[]);
    let did = bench.timer(Timer::Answers {
        partition: ballot(1, 1),
        round: 1,
    });
    assert!(
        events(&did)
            .iter()
            .any(|event| matches!(event, Event::Planned { .. }))
    );
    let did = bench.message(
        3,
        Message::Reserved {
            ballot: ballot(1, 1),
            host: Arc::new(host(3, &[])),
        },
    );
    let release = Message::Release {
        ballot: ballot(1, 1),
    };
    assert_eq!(sends(&did), vec![(peer(3), release)]);
}

#[test]
fn a_group_that_does_not_suffice_grows_by_the_next() {
    let mut bench = Bench::asking();
    bench.reserved(2, &[90]);
    let did = bench.reserved(3, &[90]);
    let more = Event::SearchMore {
        search: SearchId(0),
        count: Config::default().next_group,
    };
    assert_eq!(events(&did).last(), Some(&more));
}

#[test]
fn a_higher_promise_raises_the_ballot_and_asks_again() {
    let mut bench = Bench::asking();
    let did = bench.refused(2, Refusal::Promised(ballot(6, 5)));
    let raised = ballot(7, 1);
    assert_eq!(did[0], Did::Persist(Durable { promised: raised }));
    assert!(matches!(
        &sends(&did)[0],
        (to, Message::Reserve { ballot, .. }) if *to == peer(2) && *ballot == raised
    ));
}

#[test]
fn the_cap_ends_the_growth_and_the_next_try_may_be_larger() {
    let config = Config {
        cap: 3,
        ..Config::default()
    };
    let mut bench = Bench::with(config);
    bench.sample(host(1, &[60, 60]));
    bench.neighbours(&[2, 3]);
    bench.reserved(2, &[90]);
    let did = bench.reserved(3, &[90]);
    assert!(events(&did).contains(&Event::CapReached {
        ballot: ballot(1, 1)
    }));
    assert_eq!(ended(&did), Some(PartitionEnd::Unsolved));
    bench.pass(Duration::from_secs(3));
    let epoch = bench.star.retry.epoch;
    bench.timer(Timer::Retry { epoch });
    assert_eq!(bench.star.retry.cap(&bench.star.config), 64);
    assert!(bench.star.leads().is_some());
}

#[test]
fn an_overload_that_went_away_ends_the_partition() {
    let mut bench = Bench::asking();
    bench.sample(host(1, &[60, 10]));
    bench.reserved(2, &[]);
    let did = bench.reserved(3, &[]);
    assert_eq!(ended(&did), Some(PartitionEnd::Stale));
    assert!(bench.star.is_free());
}

#[test]
fn a_growth_that_takes_too_long_ends() {
    let mut bench = Bench::asking();
    bench.pass(Duration::from_secs(4));
    let did = bench.timer(Timer::Phase {
        partition: ballot(1, 1),
        phase: 0,
    });
    assert_eq!(ended(&did), Some(PartitionEnd::Unsolved));
    let released: Vec<_> = sends(&did).iter().map(|(to, _)| *to).collect();
    assert_eq!(released, vec![peer(2), peer(3)]);
}

#[test]
fn a_candidate_that_is_held_dead_is_not_waited_for() {
    let mut bench = Bench::asking();
    bench.reserved(2, &[]);
    let did = bench.command(Command::PeerFailed(peer(3)));
    assert!(
        events(&did)
            .iter()
            .any(|event| matches!(event, Event::Planned { .. }))
    );
}
