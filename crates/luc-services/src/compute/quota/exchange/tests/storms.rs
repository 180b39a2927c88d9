//! Crowds, losses and splits in many orders: a limit holds, and all of it can be used.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_crowd_that_asks_for_all_that_is_left_gets_it() {
    for seed in 0..20 {
        let world = World::new().await;
        *world.net.delay.lock().unwrap() = Some(SplitMix64::new(seed));
        // Each has something idle, which the others will need.
        for at in 0..3 {
            world.take(at, 2).await.unwrap();
        }
        for at in 0..3 {
            world.give(at, 2).await;
        }
        let crowd = (0..12).map(|number| world.take(number % 3, 1));
        for taken in futures::future::join_all(crowd).await {
            taken.unwrap_or_else(|refused| panic!("seed {seed}: {refused}"));
        }
        assert_eq!(world.used_in_all(), 12);
    }
}

/// Takes, gives, cuts and heals at random for a while.
async fn storm(seed: u64) {
    let world = World::new().await;
    let mut dice = SplitMix64::new(seed);
    let mut draw = |sides: u64| dice.next_u64() % sides;
    for _ in 0..60 {
        let at = draw(3) as usize;
        match draw(10) {
            0..=4 => drop(world.take(at, 1 + draw(4)).await),
            5 | 6 if world.used(at) > 0 => world.give(at, 1).await,
            7 => {
                let other = ["east", "west"][draw(2) as usize];
                world.cut("home", other);
            }
            8 => world.heal(),
            9 if draw(2) == 0 => *world.net.deaf.lock().unwrap() = 1 + draw(2) as u32,
            _ => {
                let services = &world.clouds[at].services;
                let idle = Duration::from_secs(draw(2) * 3600);
                drop(tidy(services, idle).await);
            }
        }
        assert!(
            world.used_in_all() <= 12,
            "seed {seed}: the limit is exceeded"
        );
    }
    world.heal();
    let at = (seed % 3) as usize;
    while world.take(at, 1).await.is_ok() {}
    let used = world.used_in_all();
    assert_eq!(
        used, 12,
        "seed {seed}: not all that is free can be used at site {at}"
    );
}

#[tokio::test]
async fn the_limit_holds_in_every_storm_and_all_of_it_can_be_used_after() {
    for seed in 0..40 {
        storm(seed).await;
    }
}
