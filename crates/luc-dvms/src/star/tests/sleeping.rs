//! Hosts that sleep, and hosts that wake others.

use super::*;

fn saving() -> Bench {
    let config = Config {
        energy: Some(Energy::default()),
        ..Config::default()
    };
    Bench::with(config)
}

/// An idle host whose turn it is to look for a chance to sleep, and whose neighbour advertises
/// this room.
fn looking(demands: &[u32], room: i8) -> (Bench, Vec<Did>) {
    let mut bench = saving();
    bench.sample(host(1, demands));
    bench.pass(Duration::from_secs(601));
    let did = looks(&mut bench, &[room]);
    (bench, did)
}

/// The idle timer runs out, and neighbours advertise these rooms.
fn looks(bench: &mut Bench, rooms: &[i8]) -> Vec<Did> {
    let epoch = bench.star.slumber_epoch();
    let mut did = bench.timer(Timer::Idle { epoch });
    let mut found: Vec<_> = (2..).take(rooms.len()).map(candidate).collect();
    for (candidate, room) in found.iter_mut().zip(rooms) {
        candidate.room = *room;
    }
    let search = SearchId(bench.star.next_search - 1);
    did.extend(bench.command(Command::Neighbours { search, found }));
    did
}

fn asks_for_sleep(did: &[Did]) -> bool {
    events(did).iter().any(|event| {
        matches!(
            event,
            Event::Began {
                cause: Cause::Underload,
                ..
            }
        )
    })
}

#[test]
fn an_idle_host_empties_itself_and_says_so_before_it_sleeps() {
    let (mut bench, did) = looking(&[10], 60);
    assert!(asks_for_sleep(&did));
    let did = bench.reserved(2, &[10]);
    assert!(
        events(&did)
            .iter()
            .any(|event| matches!(event, Event::Planned { .. }))
    );
    let migration = MigrationId {
        ballot: ballot(1, 1),
        step: StepId(0),
    };
    bench.message(2, Message::Prepared { migration });
    let end = MigrationEnd::Moved;
    let did = bench.command(Command::MigrationEnded { migration, end });
    let farewell = Event::Advertise {
        room: 0,
        asleep: true,
    };
    assert!(events(&did).contains(&farewell));
    assert_eq!(ended(&did), Some(PartitionEnd::Solved));
    assert!(!events(&did).contains(&Event::Sleep));
    bench.pass(Duration::from_secs(3));
    let epoch = bench.star.slumber_epoch();
    assert_eq!(
        bench.timer(Timer::Idle { epoch }),
        vec![Did::Emit(Event::Sleep)]
    );
    let did = bench.message(9, reserve(ballot(9, 9)));
    let refused = Message::Refused {
        ballot: ballot(9, 9),
        refusal: Refusal::Asleep,
    };
    assert_eq!(sends(&did), vec![(peer(9), refused)]);
}

#[test]
fn an_empty_host_sleeps_only_beside_a_neighbour_of_its_site() {
    let mut bench = saving();
    bench.sample(host(1, &[]));
    bench.pass(Duration::from_secs(601));
    let did = looks(&mut bench, &[]);
    assert!(asks_for_sleep(&did));
    assert_eq!(ended(&did), Some(PartitionEnd::Unsolved));

    let (mut bench, _) = looking(&[], 60);
    let did = bench.reserved(2, &[50]);
    assert_eq!(ended(&did), Some(PartitionEnd::Solved));
}

#[test]
fn the_fullest_hosts_stay_awake() {
    let sleeps = |rooms: &[i8]| {
        let mut bench = saving();
        bench.sample(host(1, &[10]));
        bench.pass(Duration::from_secs(601));
        looks(&mut bench, rooms)
    };
    // Two fuller neighbours are more than enough for all; one emptier goes first itself.
    assert!(sends(&sleeps(&[60, 70])).len() == 2);
    assert!(sends(&sleeps(&[95])).is_empty());
}

#[test]
fn busy_hosts_and_vigils_stay_awake() {
    let (_, did) = looking(&[30, 30], 60);
    assert!(!asks_for_sleep(&did));
    let mut bench = saving();
    let mut own = host(1, &[]);
    own.vigil = true;
    bench.sample(own);
    bench.pass(Duration::from_secs(601));
    let epoch = bench.star.slumber_epoch();
    assert!(!asks_for_sleep(&bench.timer(Timer::Idle { epoch })));
}

#[test]
fn a_host_that_has_just_been_woken_stays_awake_for_a_while() {
    let (mut bench, _) = looking(&[], 60);
    bench.command(Command::Woken);
    bench.sample(host(1, &[]));
    bench.pass(Duration::from_secs(300));
    let epoch = bench.star.slumber_epoch();
    assert!(!asks_for_sleep(&bench.timer(Timer::Idle { epoch })));
}

#[test]
fn a_sleeping_neighbour_is_woken_when_nobody_else_can_help() {
    let mut bench = saving();
    bench.sample(host(1, &[60, 60]));
    let mut found = vec![candidate(2)];
    found[0].asleep = true;
    let search = SearchId(bench.star.next_search - 1);
    bench.command(Command::Neighbours { search, found });
    let did = bench.command(Command::Exhausted { search });
    assert!(events(&did).contains(&Event::Wake(peer(2))));
    // It is asked before the overlay knows that it is awake.
    bench.pass(Duration::from_secs(60));
    let epoch = bench.star.retry.epoch;
    let did = bench.timer(Timer::Retry { epoch });
    assert!(matches!(
        &sends(&did)[0],
        (to, Message::Reserve { .. }) if *to == peer(2)
    ));
}

#[test]
fn a_member_that_overloads_parts_from_a_partition_that_wants_to_sleep() {
    let mut bench = Bench::sampled(&[30]);
    let request = Message::Reserve {
        ballot: ballot(4, 9),
        claim: Claim {
            cause: Cause::Underload,
            ..claim(9, Duration::ZERO)
        },
        lease: LEASE,
        taken: None,
    };
    bench.message(9, request);
    let did = bench.sample(host(1, &[60, 60]));
    let parted = Message::Parted {
        ballot: ballot(4, 9),
    };
    assert_eq!(sends(&did), vec![(peer(9), parted)]);
    assert_eq!(bench.star.leads(), Some(ballot(5, 1)));
}
