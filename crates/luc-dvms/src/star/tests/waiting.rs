//! An initiator without solution.

use super::*;

fn fail_once(bench: &mut Bench) -> Duration {
    let search = SearchId(bench.star.next_search - 1);
    let did = bench.command(Command::Exhausted { search });
    assert_eq!(ended(&did), Some(PartitionEnd::Unsolved));
    let waits = did.iter().find_map(|did| match did {
        Did::Schedule(wait, Timer::Retry { .. }) => Some(*wait),
        _ => None,
    });
    waits.unwrap()
}

fn retry(bench: &mut Bench) {
    let epoch = bench.star.retry.epoch;
    bench.timer(Timer::Retry { epoch });
}

#[test]
fn the_wait_doubles_up_to_five_minutes() {
    let mut bench = Bench::sampled(&[60, 60]);
    let mut expected = Duration::from_secs(2);
    for _ in 0..12 {
        let wait = fail_once(&mut bench);
        assert!(
            wait >= expected * 7 / 8 && wait <= expected * 9 / 8,
            "{wait:?}"
        );
        expected = (expected * 2).min(Duration::from_secs(300));
        bench.pass(wait);
        retry(&mut bench);
        assert!(bench.star.leads().is_some());
    }
}

#[test]
fn nothing_is_tried_while_waiting() {
    let mut bench = Bench::sampled(&[60, 60]);
    fail_once(&mut bench);
    bench.sample(host(1, &[60, 70]));
    assert_eq!(bench.star.leads(), None);
}

#[test]
fn less_demand_gives_hope_at_once() {
    let mut bench = Bench::sampled(&[60, 60]);
    fail_once(&mut bench);
    bench.sample(host(1, &[60, 50]));
    assert!(bench.star.leads().is_some());
}

#[test]
fn a_node_that_joins_gives_hope_at_once() {
    let mut bench = Bench::sampled(&[60, 60]);
    fail_once(&mut bench);
    bench.command(Command::PeerJoined(peer(5)));
    assert!(bench.star.leads().is_some());
}

#[test]
fn an_event_that_is_over_forgets_its_failures() {
    let mut bench = Bench::sampled(&[60, 60]);
    for _ in 0..4 {
        let wait = fail_once(&mut bench);
        bench.pass(wait);
        retry(&mut bench);
    }
    fail_once(&mut bench);
    bench.sample(host(1, &[60, 10]));
    bench.sample(host(1, &[60, 60]));
    assert!(fail_once(&mut bench) < Duration::from_secs(3));
}

#[test]
fn maintenance_evacuates_through_the_same_protocol() {
    let mut bench = Bench::with(Config::default());
    let mut own = host(1, &[20, 20]);
    own.maintenance = true;
    let did = bench.sample(own);
    let begins = |event: &Event| {
        matches!(
            event,
            Event::Began {
                cause: Cause::Maintenance,
                ..
            }
        )
    };
    assert!(events(&did).iter().any(begins));
    bench.neighbours(&[2]);
    let did = bench.reserved(2, &[]);
    assert!(
        events(&did)
            .iter()
            .any(|event| matches!(event, Event::Planned { plan, .. } if plan.steps.len() == 2))
    );
}
