//! Every message in every state: handled or ignored with a reason, never a panic, and nothing
//! that was not asked for changes what a node is lent to.

use super::super::message::{Cancel, Progress};
use super::*;

fn states() -> Vec<(&'static str, Bench)> {
    let mut reserved = Bench::sampled(&[30]);
    reserved.message(9, reserve(ballot(4, 9)));
    let mut flying = Bench::executing();
    let migration = MigrationId {
        ballot: ballot(1, 1),
        step: StepId(0),
    };
    flying.message(2, Message::Prepared { migration });
    vec![
        ("unsampled", Bench::with(Config::default())),
        ("free", Bench::sampled(&[30])),
        ("reserved", reserved),
        ("searching", Bench::sampled(&[60, 60])),
        ("reserving", Bench::asking()),
        ("executing", Bench::executing()),
        ("flying", flying),
    ]
}

/// One message of each kind, from a node that has nothing to do with the receiver.
fn strangers() -> Vec<Message> {
    let under = ballot(40, 7);
    let order = order(under, 7, 1);
    let migration = order.migration;
    vec![
        Message::Reserved {
            ballot: under,
            host: Arc::new(host(7, &[])),
        },
        Message::Refused {
            ballot: under,
            refusal: Refusal::Unready,
        },
        Message::Renew {
            ballot: under,
            lease: LEASE,
            round: 1,
        },
        Message::Renewed {
            ballot: under,
            round: 1,
            steps: vec![(StepId(0), Progress::Flying)],
        },
        Message::Parted { ballot: under },
        Message::Release { ballot: under },
        Message::Start { order },
        Message::Prepare { order },
        Message::Prepared { migration },
        Message::Declined {
            migration,
            cancel: Cancel::NoRoom,
        },
        Message::Progressed {
            migration,
            progress: Progress::Ended(MigrationEnd::Moved),
        },
        Message::Absorb {
            ballot: under,
            claim: claim(7, Duration::ZERO),
            taken: ballot(40, 76),
        },
        Message::Yielded {
            ballot: under,
            taken: ballot(40, 76),
            members: vec![peer(76)],
        },
    ]
}

#[test]
fn a_stranger_changes_nothing_in_any_state() {
    for message in strangers() {
        for (state, mut bench) in states() {
            let under = bench.star.reserved_under();
            let did = bench.message(7, message.clone());
            assert_eq!(bench.star.reserved_under(), under, "{state}: {message:?}");
            assert!(!did.is_empty(), "{state} is silent about {message:?}");
            let acts = events(&did)
                .iter()
                .any(|event| matches!(event, Event::Migrate { .. } | Event::Expect { .. }));
            assert!(!acts, "{state}: {message:?}");
        }
    }
}

#[test]
fn timers_and_answers_of_other_times_are_ignored() {
    let partition = ballot(40, 1);
    let migration = MigrationId {
        ballot: partition,
        step: StepId(9),
    };
    let stale = [
        Timer::Answers {
            partition,
            round: 1,
        },
        Timer::Phase {
            partition,
            phase: 0,
        },
        Timer::Renew { partition },
        Timer::Lease { ballot: partition },
        Timer::Prepare { migration },
        Timer::Expected { migration },
        Timer::Retry { epoch: 99 },
        Timer::Idle { epoch: 99 },
    ];
    for timer in stale {
        for (state, mut bench) in states() {
            let before = bench.star.clone();
            let did = bench.timer(timer);
            let quiet = matches!(did[..], [Did::Emit(Event::Ignored { .. })]);
            assert!(quiet, "{state}: {timer:?}: {did:?}");
            assert_eq!(bench.star, before, "{state}: {timer:?}");
        }
    }
}

#[test]
fn commands_about_unknown_things_are_ignored() {
    let migration = MigrationId {
        ballot: ballot(40, 1),
        step: StepId(9),
    };
    let commands = [
        Command::Neighbours {
            search: SearchId(99),
            found: vec![candidate(5)],
        },
        Command::Exhausted {
            search: SearchId(99),
        },
        Command::PeerFailed(peer(55)),
        Command::PeerJoined(peer(55)),
        Command::MigrationEnded {
            migration,
            end: MigrationEnd::Moved,
        },
        Command::Sample(host(2, &[])),
    ];
    for command in commands {
        for (state, mut bench) in states() {
            let did = bench.command(command.clone());
            let quiet = matches!(did[..], [Did::Emit(Event::Ignored { .. })]);
            assert!(quiet, "{state}: {command:?}: {did:?}");
        }
    }
}
