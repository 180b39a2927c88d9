//! What membership costs: messages, bytes, inputs and time of a node in the steady state.

use std::time::Instant as Clock;

use luc_core::PeerId;
use luc_core::protocol::{Effect, Effects, Input, Protocol};

use super::cloud::{Cloud, peer, place, seconds};
use crate::message::Message;
use crate::protocol::Overlay;
use crate::timer::Timer;

/// Messages and bytes per node and second in the steady state.
fn steady(sites: u16, each: u64) -> (f64, f64) {
    let mut cloud = Cloud::new(sites, each, 1);
    cloud.seed_all();
    cloud.run(seconds(10.0));
    let (messages, bytes) = (cloud.messages, cloud.bytes);
    cloud.run(seconds(60.0));
    let node_seconds = 60.0 * f64::from(sites) * each as f64;
    assert!(cloud.sites_are_known() && cloud.delegates_know_each_other());
    (
        (cloud.messages - messages) as f64 / node_seconds,
        (cloud.bytes - bytes) as f64 / node_seconds,
    )
}

#[test]
fn an_idle_node_sends_few_messages_however_many_sites_there_are() {
    let rates = [4, 16, 32].map(|sites| steady(sites, 16));
    for (messages, bytes) in rates {
        println!("{messages:.3} messages, {bytes:.1} bytes per node and second");
        assert!((2.0..2.5).contains(&messages), "{messages}");
        assert!((messages / rates[0].0 - 1.0).abs() < 0.05, "flat");
    }
}

#[test]
fn coordinates_become_right_without_messages_of_their_own() {
    let mut cloud = Cloud::new(4, 10, 3);
    cloud.start_all();
    cloud.run(seconds(300.0));
    let mut wrong = Vec::new();
    for left in &cloud.nodes {
        for right in &cloud.nodes {
            let (from, to) = (left.overlay.me(), right.overlay.me());
            if from.site < to.site {
                let believed = left
                    .overlay
                    .coordinate()
                    .seconds(right.overlay.coordinate());
                let real = place(from).seconds(&place(to));
                wrong.push((believed - real).abs() / real);
            }
        }
    }
    wrong.sort_by(f64::total_cmp);
    let (median, ninth) = (wrong[wrong.len() / 2], wrong[wrong.len() * 9 / 10]);
    println!("relative error of cross-site pairs: median {median:.3}, p90 {ninth:.3}");
    assert!(median < 0.15, "{median}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "this measures the machine, not the protocol"
)]
fn started() -> Clock {
    Clock::now()
}

/// The next probe that is asked for, and the last message that is sent.
fn next_probe(effects: &mut Effects<Overlay>) -> (Option<Timer>, Option<(PeerId, Message)>) {
    let (mut next, mut sent) = (None, None);
    for effect in effects.drain() {
        match effect {
            Effect::Schedule { timer, .. } if timer.is_site_probe() => next = Some(timer),
            Effect::Send { to, message } => sent = Some((to, message)),
            Effect::Schedule { .. } | Effect::Persist(_) | Effect::Emit(_) => {}
        }
    }
    (next, sent)
}

/// Only the handlers are timed: a probe is due, is received, is answered.
#[test]
fn a_membership_message_takes_little_time() {
    const ROUNDS: u32 = 20_000;
    let mut cloud = Cloud::new(8, 32, 4);
    cloud.seed_all();
    cloud.run(seconds(30.0));
    let (mut now, prober) = (cloud.now, peer(3, 20));
    let mut effects = Effects::new();
    let mut due = cloud.probe_of(prober);
    let clock = started();
    for _ in 0..ROUNDS {
        now += seconds(1.0);
        let node = cloud.node_mut(prober);
        node.handle(now, Input::Timer(due.clone()), &mut effects);
        let (timer, ping) = next_probe(&mut effects);
        due = timer.unwrap();
        let (to, message) = ping.unwrap();
        let from = prober;
        let node = cloud.node_mut(to);
        node.handle(now, Input::Message { from, message }, &mut effects);
        let (_, ack) = next_probe(&mut effects);
        let (_, message) = ack.unwrap();
        let from = to;
        now += seconds(0.000_2);
        let node = cloud.node_mut(prober);
        node.handle(now, Input::Message { from, message }, &mut effects);
        effects.drain().for_each(drop);
    }
    let each = clock.elapsed().as_nanos() / u128::from(3 * ROUNDS);
    println!("{each} ns per handled membership input");
    assert!(each < 50_000, "{each}");
}

#[test]
fn an_idle_node_is_woken_seldom() {
    let mut cloud = Cloud::new(16, 32, 4);
    cloud.seed_all();
    cloud.run(seconds(5.0));
    let inputs = cloud.inputs;
    cloud.run(seconds(20.0));
    let each = (cloud.inputs - inputs) as f64 / (16.0 * 32.0 * 20.0);
    println!("{each:.2} inputs per node and second");
    assert!(each < 4.0, "{each}");
}
