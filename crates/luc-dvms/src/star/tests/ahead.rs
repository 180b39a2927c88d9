//! Looking ahead: moods, tides, and waking before it is urgent.

use super::super::mood::Mood;
use super::*;

/// A host whose machines usually ask for 20 and ask for these now.
fn moody(demands: &[u32]) -> Host {
    let mut host = host(1, demands);
    for vm in &mut host.vms {
        vm.usual = Cpu(20);
    }
    host
}

fn saving() -> Bench {
    let config = Config {
        energy: Some(Energy::default()),
        ..Config::default()
    };
    Bench::with(config)
}

/// What a well-used host does when its neighbours advertise this room and one of them sleeps.
fn looks(room: i8) -> Vec<Event> {
    let mut bench = saving();
    // Machines that change say what room their moods need.
    for demands in [[20, 10, 20, 15], [10, 20, 15, 20], [20, 10, 20, 15]] {
        bench.sample(moody(&demands));
    }
    bench.pass(Duration::from_secs(10));
    bench.sample(moody(&[10, 20, 15, 20]));
    let mut found: Vec<_> = (2..=9).map(candidate).collect();
    for candidate in &mut found {
        candidate.room = room;
    }
    found[0].asleep = true;
    let search = SearchId(1);
    events(&bench.command(Command::Neighbours { search, found }))
}

#[test]
fn a_neighbourhood_with_little_room_wakes_one_that_sleeps() {
    let search = SearchId(1);
    let wakes = vec![Event::SearchEnd { search }, Event::Wake(peer(2))];
    assert_eq!(looks(5), wakes);
    assert_eq!(looks(60), vec![Event::SearchEnd { search }]);
}

#[test]
fn nobody_looks_ahead_where_no_host_sleeps() {
    let mut bench = Bench::sampled(&[30, 30]);
    assert_eq!(bench.star.next_search, 0);
    bench.sample(host(1, &[30, 40]));
    assert_eq!(bench.star.next_search, 0);
}

#[test]
fn moods_are_learnt_from_changes() {
    let mut mood = Mood::default();
    let (low, high) = (moody(&[10, 10, 10, 10]), moody(&[30, 30, 30, 30]));
    mood.observe(&low, &low);
    mood.observe(&low, &high);
    assert!(!mood.is_known(), "four changes say nothing");
    for _ in 0..10 {
        mood.observe(&high, &low);
        mood.observe(&low, &high);
    }
    assert!(mood.is_known());
    let deviation = mood.deviation().0;
    assert!((9..=11).contains(&deviation), "{deviation}");
    assert_eq!(mood.scaled(500).deviation(), Cpu(deviation / 2));
}

#[test]
fn the_moods_of_many_are_seen_at_once() {
    let mood = Mood::of_hosts(&[moody(&[10, 30]), moody(&[10, 30])]);
    assert_eq!(mood.deviation(), Cpu(10));
    // Four machines of 20 deviate by √4 of it.
    assert_eq!(mood.of_sum(Cpu(80)), Cpu(20));
}

#[test]
fn a_relief_that_cannot_last_is_not_begun() {
    let mut bench = Bench::with(Config {
        energy: Some(Energy::default()),
        ..Config::default()
    });
    bench.sample(host(1, &[60, 60]));
    bench.neighbours(&[2]);
    // Room for now, but in the long run its machines ask for all it has.
    let mut target = host(2, &[35]);
    target.vms[0].usual = Cpu(45);
    let answer = Message::Reserved {
        ballot: ballot(1, 1),
        host: Arc::new(target),
    };
    let did = bench.message(2, answer);
    let plans = |event: &Event| matches!(event, Event::Planned { .. });
    assert!(!events(&did).iter().any(plans));
}
