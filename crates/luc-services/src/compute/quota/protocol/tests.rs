//! The steps under every order, loss and repetition of messages: no more is ever used than the
//! limit, and what is free can be lent again.

use proptest::prelude::*;

use super::super::super::model::quota::Resource;
use super::*;

const LIMIT: u64 = 20;

fn item() -> Item {
    Item {
        resource: Resource::Instances,
        user: None,
    }
}

fn share(count: u64) -> Share {
    Share([(item(), count)].into())
}

/// A site that was lent something.
#[derive(Default)]
struct Site {
    used: u64,
    bound: Claim,
}

/// Something on its way.
#[derive(Clone)]
enum Flying {
    /// Site, what it holds, what it wants.
    Ask(usize, Claim, u64),
    /// Site, what was granted.
    Grant(usize, Claim),
    /// Site, what the home has written down, how much it needs.
    Recall(usize, Claim, u64),
}

#[derive(Clone, Debug)]
enum Step {
    Use(usize, u64),
    UseAtHome(u64),
    Free(usize),
    FreeAtHome,
    GiveBack(usize, u64),
    Recall(usize, u64),
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let site = 0..3_usize;
    prop_oneof![
        4 => (site.clone(), 1..4_u64).prop_map(|(site, count)| Step::Use(site, count)),
        2 => (1..4_u64).prop_map(Step::UseAtHome),
        2 => site.clone().prop_map(Step::Free),
        1 => Just(Step::FreeAtHome),
        1 => (site.clone(), 1..9_u64).prop_map(|(site, count)| Step::GiveBack(site, count)),
        1 => (site, 1..9_u64).prop_map(|(site, count)| Step::Recall(site, count)),
        6 => (0..64_usize).prop_map(Step::Deliver),
        2 => (0..64_usize).prop_map(Step::Repeat),
        2 => (0..64_usize).prop_map(Step::Lose),
    ]
}

#[derive(Default)]
struct World {
    sites: [Site; 3],
    written: [Claim; 3],
    at_home: u64,
    flying: Vec<Flying>,
}

impl World {
    fn lent(&self) -> u64 {
        self.written.iter().map(|it| it.share.of(&item())).sum()
    }

    fn free(&self) -> u64 {
        LIMIT - self.at_home - self.lent()
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Use(at, count) => {
                let site = &mut self.sites[at];
                let want = site.used + count;
                if want <= site.bound.share.of(&item()) {
                    site.used = want;
                } else {
                    self.flying.push(Flying::Ask(at, site.bound.clone(), want));
                }
            }
            Step::UseAtHome(count) if count <= self.free() => self.at_home += count,
            Step::Free(at) => self.sites[at].used = self.sites[at].used.saturating_sub(1),
            Step::FreeAtHome => self.at_home = self.at_home.saturating_sub(1),
            Step::GiveBack(at, need) => self.give_back(at, need),
            Step::Recall(at, need) => {
                let written = self.written[at].clone();
                self.flying.push(Flying::Recall(at, written, need));
            }
            Step::Deliver(at) if !self.flying.is_empty() => {
                let flying = self.flying.swap_remove(at % self.flying.len());
                self.arrive(flying);
            }
            Step::Repeat(at) if !self.flying.is_empty() => {
                let flying = self.flying[at % self.flying.len()].clone();
                self.arrive(flying);
            }
            Step::Lose(at) if !self.flying.is_empty() => {
                self.flying.swap_remove(at % self.flying.len());
            }
            Step::UseAtHome(_) | Step::Deliver(_) | Step::Repeat(_) | Step::Lose(_) => {}
        }
    }

    fn give_back(&mut self, at: usize, need: u64) {
        let site = &mut self.sites[at];
        shrink(&mut site.bound, &share(site.used), |_| need);
        self.flying.push(Flying::Ask(at, site.bound.clone(), 0));
    }

    fn arrive(&mut self, flying: Flying) {
        match flying {
            Flying::Ask(at, said, want) => {
                let mut written = self.written[at].clone();
                heard(&mut written, &said);
                let before = written.share.of(&item());
                let others = self.lent() - self.written[at].share.of(&item());
                let free = LIMIT - self.at_home - others - before;
                grow(&mut written, &share(want), |_| 2, |_| free, false);
                self.written[at] = written.clone();
                self.flying.push(Flying::Grant(at, written));
            }
            Flying::Grant(at, granted) => {
                accept(&mut self.sites[at].bound, &granted);
            }
            Flying::Recall(at, written, need) => {
                accept(&mut self.sites[at].bound, &written);
                self.give_back(at, need);
            }
        }
    }

    fn check(&self) {
        assert!(self.at_home + self.lent() <= LIMIT);
        for (site, written) in self.sites.iter().zip(&self.written) {
            let bound = site.bound.share.of(&item());
            assert!(site.used <= bound, "{} of {bound} are used", site.used);
            let stale = written.epoch < site.bound.epoch;
            assert!(stale || bound <= written.share.of(&item()));
            assert!(bound <= written.share.of(&item()), "more is held than lent");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_more_is_ever_used_than_the_limit_and_all_that_is_free_can_be_lent(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let mut world = World::default();
        for step in &steps {
            world.run(step);
            world.check();
        }
        // The heal: old messages arrive late, every site gives back what it does not use.
        for at in 0..3 {
            let written = world.written[at].clone();
            world.arrive(Flying::Recall(at, written, u64::MAX));
        }
        while let Some(flying) = world.flying.pop() {
            world.arrive(flying);
            world.check();
        }
        for at in 0..3 {
            let written = world.written[at].clone();
            world.arrive(Flying::Recall(at, written, u64::MAX));
        }
        while let Some(flying) = world.flying.pop() {
            world.arrive(flying);
        }
        let used: u64 = world.sites.iter().map(|site| site.used).sum();
        prop_assert_eq!(world.lent(), used);
        prop_assert_eq!(world.free(), LIMIT - used - world.at_home);
    }
}

#[test]
fn a_grant_of_an_earlier_epoch_is_void() {
    let mut bound = Claim {
        epoch: 0,
        share: share(5),
    };
    let late = Claim {
        epoch: 0,
        share: share(9),
    };
    assert!(shrink(&mut bound, &share(2), |_| u64::MAX));
    assert!(!accept(&mut bound, &late));
    assert_eq!((bound.epoch, bound.share.of(&item())), (1, 2));
}

#[test]
fn what_is_wanted_whole_is_granted_whole_or_not_at_all() {
    let mut granted = Claim::default();
    assert!(!grow(&mut granted, &share(5), |_| 3, |_| 4, true));
    assert_eq!(granted.share.of(&item()), 0);
    assert!(!grow(&mut granted, &share(5), |_| 3, |_| 4, false));
    assert_eq!(granted.share.of(&item()), 4);
    assert!(grow(&mut granted, &share(5), |_| 3, |_| 2, true));
    assert_eq!(granted.share.of(&item()), 6);
}
