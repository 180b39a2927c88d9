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
    let did = bench.sample(moody(&[10, 20, 15, 20]));
    assert!(matches!(
        events(&did)[..],
        [Event::Advertise { .. }, Event::Search { .. }]
    ));
    let mut found: Vec<_> = (2..=9).map(candidate).collect();
    for candidate in &mut found {
        candidate.room = room;
    }
    found[0].asleep = true;
    let search = SearchId(0);
    events(&bench.command(Command::Neighbours { search, found }))
}

#[test]
fn a_neighbourhood_with_little_room_wakes_one_that_sleeps() {
    let search = SearchId(0);
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
fn the_deviation_of_machines_is_learnt_from_samples() {
    let mut mood = Mood::default();
    let now = Instant::from_nanos(1);
    assert_eq!(mood.deviation(), None);
    mood.observe(&moody(&[10, 30]), now);
    assert_eq!(mood.deviation(), None, "two machines say nothing");
    mood.observe(&moody(&[10, 30, 10, 30]), now);
    assert_eq!(mood.deviation(), Some(Cpu(12)), "10, and what is hidden");
    mood.observe(&moody(&[20, 20, 20, 20]), now + Duration::from_secs(600));
    assert_eq!(mood.deviation(), Some(Cpu(0)));
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
