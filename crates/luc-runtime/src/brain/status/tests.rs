//! What is written down of rules.

use luc_core::units::MemoryMib;
use luc_core::{SitePrefix, Uuid};
use luc_dvms::host::Label;
use luc_dvms::{StepId, VmId};

use super::*;

fn peer(node: u64) -> PeerId {
    PeerId::new(SitePrefix::of_key(b"a"), node)
}

fn vm(number: u8) -> VmId {
    VmId(Uuid::from_bytes([number; 16]))
}

fn ballot() -> Ballot {
    Ballot {
        counter: 1,
        leader: peer(1),
    }
}

fn computed() -> luc_dvms::Event {
    luc_dvms::Event::Computed {
        ballot: ballot(),
        hosts: 2,
        steps: 7,
        solved: true,
    }
}

fn barred(bar: Bar) -> luc_dvms::Event {
    let barred = Barred {
        vm: vm(1),
        host: peer(2),
        bar,
    };
    luc_dvms::Event::Barred {
        ballot: ballot(),
        barred: vec![barred],
    }
}

fn begun() -> Chronicle {
    let mut chronicle = Chronicle::default();
    let begun = luc_dvms::Event::Began {
        ballot: ballot(),
        cause: Cause::Overload,
    };
    chronicle.note(Duration::ZERO, &begun);
    chronicle
}

#[test]
fn the_rules_of_the_last_question_are_written_down_in_words() {
    let (mate, label) = (vm(2), Label::named("zone:a"));
    let said = [
        (Bar::Apart { mate, soft: false }, "keeps it apart from"),
        (
            Bar::Apart { mate, soft: true },
            "would rather keep it apart",
        ),
        (
            Bar::Together { mate, soft: false },
            "keeps it together with",
        ),
        (Bar::HintApart { mate }, "the hint different_host keeps"),
        (Bar::HintTogether { mate }, "the hint same_host keeps"),
        (Bar::Hosts, "bound to other hosts"),
        (Bar::Sites, "project is bound to other sites"),
        (Bar::Label(label), "has not got"),
    ];
    let mut chronicle = begun();
    for (bar, words) in said {
        chronicle.note(Duration::ZERO, &computed());
        chronicle.note(Duration::ZERO, &barred(bar));
        let passed = chronicle.stories()[0].passed.clone();
        assert_eq!(passed.len(), 1);
        let why = &passed[0].why;
        assert!(why.contains(words), "{words:?} is missing in {why:?}");
        let named = passed[0].mate.iter().chain(&passed[0].label);
        assert!({ named }.all(|name| why.contains(name)), "{passed:?}");
    }
    chronicle.note(Duration::ZERO, &computed());
    assert_eq!(chronicle.stories()[0].passed, []);
}

#[test]
fn a_story_of_an_older_node_tells_of_no_rules() {
    let mut told = serde_json::to_value(&begun().stories()[0]).expect("it is written");
    let told_of = told
        .as_object_mut()
        .and_then(|story| story.remove("passed"));
    assert!(told_of.is_some());
    let story: Story = serde_json::from_value(told).expect("it is read");
    assert_eq!(story.passed, []);
}

#[test]
fn a_move_for_a_rule_names_the_move_that_it_is_made_for() {
    let step = |id: u16, (source, target): (u64, u64), after: &[u16], reason| Step {
        id: StepId(id),
        vm: vm(id as u8),
        memory: MemoryMib(512),
        source: peer(source),
        target: peer(target),
        after: after.iter().map(|id| StepId(*id)).collect(),
        reason,
    };
    let overload = Reason::Overload {
        demand: Cpu(120),
        capacity: Cpu(100),
    };
    let plan = Plan {
        steps: vec![
            step(0, (2, 3), &[], Reason::Rule),
            step(1, (1, 2), &[0], overload),
        ],
    };
    let told = moves(&plan);
    assert!(
        told[0].why.contains("apart from the server of move 1"),
        "{}",
        told[0].why
    );
    assert!(
        told[1].why.contains("1.2 cores and has 1.0"),
        "{}",
        told[1].why
    );
}
