//! The glue: what one part wants reaches the other, and only what is for the host leaves.

use std::collections::VecDeque;
use std::sync::Arc;

use luc_core::time::{Duration, Instant};
use luc_core::units::MemoryMib;
use luc_core::{Effect, Effects, Input, PeerId, Protocol, SitePrefix, Uuid};
use luc_dvms::{Cpu, Host, Resources, Vm, VmId, event};
use luc_overlay::Standing;
use luc_overlay::config::Membership;
use luc_overlay::directory::Directory;

use super::{Brain, Config, Inside, route_overlay_event};
use crate::{Command, Durable, Event, Kept, Message, Timer};

const fn peer(node: u64) -> PeerId {
    PeerId::new(SitePrefix::from_bytes([1; 6]), node)
}

fn brain(me: u64, kept: &Kept) -> Brain {
    let all = (0..4).map(|node| (peer(node), None)).collect();
    let config = Config {
        overlay: luc_overlay::Config {
            me: peer(me),
            seed: 7,
            membership: Membership::Directory(Arc::new(Directory::new(all))),
            search: luc_overlay::search::Config::default(),
            vivaldi: luc_overlay::vivaldi::Config::default(),
        },
        dvms: luc_dvms::Config::new(peer(me), 7),
    };
    Brain::new(config, kept, Instant::ORIGIN)
}

fn host(me: u64, vms: u64, demand: u32) -> Host {
    let vm = |number: u64| Vm {
        id: VmId(Uuid::from_bytes(
            u128::from(me * 100 + number).to_be_bytes(),
        )),
        demand: Cpu(demand),
        usual: Cpu(demand),
        memory: MemoryMib(1_024),
        disk: MemoryMib(0),
        dirty_permille: 0,
        cool_down: Duration::ZERO,
        rules: None,
    };
    Host {
        peer: peer(me),
        capacity: Resources {
            cpu: Cpu(700),
            memory: MemoryMib(32_768),
            disk: MemoryMib(100_000),
        },
        vms: (0..vms).map(vm).collect(),
        incoming: Resources::default(),
        migrations: 0,
        bandwidth_mbps: 1_000,
        maintenance: false,
        vigil: false,
        asleep: false,
        labels: Vec::new(),
    }
}

fn tell(brain: &mut Brain, input: Input<Brain>) -> Vec<Effect<Brain>> {
    let mut effects = Effects::new();
    brain.handle(Instant::from_nanos(1_000), input, &mut effects);
    effects.drain().collect()
}

fn start(brain: &mut Brain) {
    let contacts = Vec::new();
    tell(brain, Input::Command(Command::Start { contacts }));
}

#[test]
fn an_overload_asks_the_overlay_and_the_answer_reaches_neighbours() {
    let mut brain = brain(0, &Kept::default());
    start(&mut brain);
    let effects = tell(
        &mut brain,
        Input::Command(Command::Sample(host(0, 10, 100))),
    );
    let mut sent: Vec<PeerId> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send {
                to,
                message: Message::Dvms(_),
            } => Some(*to),
            _ => None,
        })
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, [peer(1), peer(2), peer(3)]);
    let began = effects.iter().any(|effect| {
        matches!(
            effect,
            Effect::Emit(Event::Dvms(event::Event::Began { .. }))
        )
    });
    assert!(began);
}

#[test]
fn searches_and_advertisements_never_reach_the_host() {
    let mut brain = brain(0, &Kept::default());
    start(&mut brain);
    let effects = tell(
        &mut brain,
        Input::Command(Command::Sample(host(0, 10, 100))),
    );
    for effect in &effects {
        if let Effect::Emit(Event::Dvms(event)) = effect {
            assert!(!matches!(
                event,
                event::Event::Search { .. }
                    | event::Event::SearchMore { .. }
                    | event::Event::SearchEnd { .. }
                    | event::Event::Advertise { .. }
            ));
        }
    }
    assert!(!effects.is_empty());
}

#[test]
fn what_was_promised_is_durable_before_it_is_sent_and_comes_back() {
    let mut leader = brain(0, &Kept::default());
    start(&mut leader);
    let effects = tell(
        &mut leader,
        Input::Command(Command::Sample(host(0, 10, 100))),
    );
    let persisted = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Persist(_)));
    let sent = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Send { .. }));
    assert!(persisted.unwrap() < sent.unwrap());
    let mut kept = Kept::default();
    for effect in effects {
        if let Effect::Persist(record) = effect {
            assert!(matches!(record, Durable::Dvms(_)));
            kept.keep(record);
        }
    }
    assert!(kept.dvms.is_some());
    let restored = brain(0, &kept);
    assert_ne!(restored.dvms(), brain(0, &Kept::default()).dvms());
}

#[test]
fn timers_of_both_parts_find_their_way_back() {
    let mut brain = brain(0, &Kept::default());
    start(&mut brain);
    let effects = tell(
        &mut brain,
        Input::Command(Command::Sample(host(0, 10, 100))),
    );
    let timers: Vec<Timer> = effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Schedule { timer, .. } => Some(timer),
            _ => None,
        })
        .collect();
    assert!(timers.iter().any(|timer| matches!(timer, Timer::Dvms(_))));
    // Nobody answered: when all waits are over the partition has ended and all is free.
    let mut effects = Effects::new();
    let mut now = Instant::from_nanos(1_000);
    let mut waiting = timers;
    for _ in 0..50 {
        now += Duration::from_secs(1);
        for timer in std::mem::take(&mut waiting) {
            brain.handle(now, Input::Timer(timer), &mut effects);
        }
        for effect in effects.drain() {
            if let Effect::Schedule { timer, .. } = effect {
                waiting.push(timer);
            }
        }
        let rest = host(0, 5, 100);
        brain.handle(now, Input::Command(Command::Sample(rest)), &mut effects);
    }
    assert!(brain.dvms().is_free());
}

#[test]
fn a_node_that_wakes_is_known_to_the_scheduler_at_once() {
    let told = |standing| {
        let (mut inside, mut effects) = (VecDeque::new(), Effects::new());
        let stood = luc_overlay::Event::Stood {
            peer: peer(2),
            standing,
        };
        route_overlay_event(stood, &mut inside, &mut effects);
        inside.pop_front()
    };
    assert!(matches!(
        told(Standing::Awake),
        Some(Inside::ToDvms(luc_dvms::Command::PeerJoined(joined))) if joined == peer(2)
    ));
    assert!(told(Standing::Asleep).is_none());
}
