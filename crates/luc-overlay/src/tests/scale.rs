use std::time::Instant as Clock;

use super::cloud::{Cloud, place, seconds};

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

#[test]
fn a_membership_message_takes_little_time() {
    let mut cloud = Cloud::new(16, 32, 4);
    cloud.seed_all();
    cloud.run(seconds(5.0));
    let inputs = cloud.inputs;
    let clock = started();
    cloud.run(seconds(20.0));
    let inputs = cloud.inputs - inputs;
    let each = clock.elapsed().as_nanos() / u128::from(inputs);
    let per_node_second = inputs as f64 / (16.0 * 32.0 * 20.0);
    println!("{per_node_second:.2} inputs per node and second");
    println!("{each} ns per input, the harness included");
    assert!(each < 100_000, "{each}");
}
