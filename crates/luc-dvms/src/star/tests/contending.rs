//! Others in the way, and where a group goes when its site does not suffice.

use std::collections::BTreeSet;

use super::*;

fn busy(growing: bool) -> Refusal {
    Refusal::Busy {
        under: ballot(1, 0),
        claim: claim(0, Duration::from_secs(9)),
        growing,
    }
}

/// A node of another site that advertises this much room.
fn stranger(node: u64, site: u8, room: i8) -> Candidate {
    Candidate {
        peer: PeerId::new(SitePrefix::from_bytes([site; 6]), node),
        room,
        ..candidate(node)
    }
}

fn found(bench: &mut Bench, found: Vec<Candidate>) -> Vec<Did> {
    let search = SearchId(bench.star.next_search - 1);
    bench.command(Command::Neighbours { search, found })
}

fn asked(did: &[Did]) -> Vec<PeerId> {
    let sends = sends(did).into_iter();
    sends
        .filter(|(_, message)| matches!(message, Message::Reserve { .. }))
        .map(|(to, _)| to)
        .collect()
}

fn wait(did: &[Did]) -> Option<Duration> {
    did.iter().find_map(|did| match did {
        Did::Schedule(wait, Timer::Retry { .. }) => Some(*wait),
        _ => None,
    })
}

/// One node of the site would not join, for this reason, and another site is known.
fn refused_at_home(bench: &mut Bench, refusal: Refusal) -> Vec<Did> {
    found(bench, vec![candidate(2), stranger(9, 9, 50)]);
    bench.refused(2, refusal)
}

#[test]
fn who_is_held_by_a_growing_group_is_waited_for_before_the_site_is_left() {
    for refusal in [busy(true), Refusal::Unready] {
        let mut bench = Bench::sampled(&[60, 60]);
        let did = refused_at_home(&mut bench, refusal);
        assert_eq!(asked(&did), vec![]);
        assert_eq!(ended(&did), Some(PartitionEnd::Contended));
        assert!(wait(&did).unwrap() < Duration::from_millis(120));
        assert_eq!(
            bench.star.reserved_under(),
            None,
            "nobody waits while holding"
        );
    }
}

#[test]
fn who_carries_out_a_plan_is_not_waited_for() {
    let mut bench = Bench::sampled(&[60, 60]);
    let did = refused_at_home(&mut bench, busy(false));
    assert_eq!(asked(&did), vec![stranger(9, 9, 0).peer]);
}

#[test]
fn others_in_the_way_are_waited_for_four_times_and_then_the_site_is_left() {
    let mut bench = Bench::sampled(&[60, 60]);
    let mut waits = Duration::ZERO;
    for _ in 0..4 {
        let did = refused_at_home(&mut bench, busy(true));
        let wait = wait(&did).unwrap();
        assert!(wait > waits, "{wait:?} is longer than the wait before");
        waits = wait;
        bench.pass(wait);
        let epoch = bench.star.retry.epoch;
        bench.timer(Timer::Retry { epoch });
    }
    let did = refused_at_home(&mut bench, busy(true));
    assert_eq!(asked(&did), vec![stranger(9, 9, 0).peer]);
}

#[test]
fn a_full_neighbour_is_passed_by_and_an_old_hint_from_afar_is_not_believed() {
    let mut bench = Bench::sampled(&[60, 60]);
    let full = Candidate {
        room: -1,
        ..candidate(2)
    };
    let did = found(&mut bench, vec![full, stranger(9, 9, -1)]);
    assert_eq!(asked(&did), vec![stranger(9, 9, 0).peer]);
}

#[test]
fn beyond_the_site_one_site_is_asked_at_a_time() {
    let mut bench = Bench::sampled(&[60, 60]);
    let both = vec![stranger(8, 8, 0), stranger(9, 9, 0)];
    let did = found(&mut bench, both);
    assert_eq!(asked(&did), vec![stranger(8, 8, 0).peer]);
}

#[test]
fn of_two_moves_that_share_a_link_the_second_is_planned_when_its_turn_comes() {
    let mut bench = Bench::sampled(&[40, 40, 40, 40]);
    bench.neighbours(&[2, 3]);
    bench.reserved(2, &[50]);
    let did = bench.reserved(3, &[50]);
    let steps = events(&did).into_iter().find_map(|event| match event {
        Event::Planned { plan, .. } => Some(plan.steps),
        _ => None,
    });
    let steps = steps.unwrap();
    assert_eq!(steps.len(), 1);
    let free = if steps[0].target == peer(2) { 3 } else { 2 };
    let release = Message::Release {
        ballot: ballot(1, 1),
    };
    assert!(sends(&did).contains(&(peer(free), release)));
}

#[test]
fn nodes_with_one_seed_do_not_wait_in_step() {
    let waits = (1..=8).map(|node| {
        let star = Star::new(peer(node), 7, Config::default());
        let mut retry = star.retry.clone();
        retry.soon(Instant::ORIGIN, star.seed).unwrap()
    });
    let different: BTreeSet<Duration> = waits.collect();
    assert!(different.len() >= 6, "{different:?}");
}
