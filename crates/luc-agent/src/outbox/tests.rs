//! The latest report wins, once, in order, whatever the controller does.

use super::*;
use crate::desired::Generation;
use crate::observed::{Phase, PowerState};

fn report(id: &str, generation: u64) -> Observed {
    Observed {
        id: ServerId::parse(id).unwrap(),
        generation: Generation(generation),
        sequence: 0,
        phase: Phase::Settled,
        power: PowerState::Running,
        shape: None,
        fault: None,
        retries: 0,
        launched_at: None,
        addresses: Vec::new(),
        mac: None,
        forwards: Vec::new(),
    }
}

fn said(batch: &[Observed]) -> Vec<(&str, u64)> {
    batch
        .iter()
        .map(|report| (report.id.as_str(), report.generation.0))
        .collect()
}

#[test]
fn only_the_latest_report_of_a_server_goes_out() {
    let outbox = Outbox::new(100);
    outbox.post(report("a", 1));
    outbox.post(report("b", 1));
    outbox.post(report("a", 2));
    let batch = outbox.take_batch();
    assert_eq!(said(&batch), [("a", 2), ("b", 1)]);
    assert_eq!((batch[0].sequence, batch[1].sequence), (103, 102));
    assert!(
        !outbox.is_empty(),
        "it is with the controller, but not taken"
    );
}

#[test]
fn a_report_that_says_nothing_new_is_dropped() {
    let outbox = Outbox::new(0);
    outbox.post(report("a", 1));
    outbox.take_batch();
    outbox.post(report("a", 1));
    assert!(outbox.take_batch().is_empty());
    outbox.post_all_again();
    assert_eq!(said(&outbox.take_batch()), [("a", 1)]);
}

#[test]
fn what_was_posted_meanwhile_replaces_what_comes_back() {
    let outbox = Outbox::new(0);
    outbox.post(report("a", 1));
    outbox.post(report("b", 1));
    let batch = outbox.take_batch();
    outbox.post(report("a", 2));
    outbox.put_back(batch);
    assert_eq!(said(&outbox.take_batch()), [("a", 2), ("b", 1)]);
}

#[test]
fn a_batch_is_bounded_and_nothing_is_forgotten() {
    let outbox = Outbox::new(0);
    for number in 0..=BATCH_MAX {
        outbox.post(report(&format!("s{number}"), 1));
    }
    assert_eq!(outbox.take_batch().len(), BATCH_MAX);
    assert_eq!(outbox.take_batch().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_is_dropped_and_does_not_block_the_next() {
    let controller = Refusing::default();
    let (outbox, metrics) = (Outbox::new(0), Metrics::default());
    outbox.post(report("a", 1));
    let second = luc_core::time::Duration::from_secs(1);
    let backoff = Backoff {
        first: second,
        longest: second,
    };
    let deliver = outbox.deliver(&controller, backoff, &metrics);
    let judge = async {
        tokio::time::sleep(second * 60).await;
        outbox.post(report("b", 1));
        tokio::time::sleep(second * 60).await;
    };
    tokio::select! {
        () = deliver => {}
        () = judge => {}
    }
    assert_eq!(*controller.seen.lock().unwrap(), ["a", "b"]);
    assert!(outbox.is_empty());
    assert_eq!(metrics.snapshot().report_failures, 2);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_soon_done_is_reported_once_and_at_once() {
    let working = |id| Observed {
        phase: Phase::Working(crate::driver::Step::Start),
        ..report(id, 1)
    };
    let millis = luc_core::time::Duration::from_millis;
    let controller = Refusing::default();
    let (outbox, metrics) = (Outbox::new(0), Metrics::default());
    let seen = || controller.seen.lock().unwrap().len();
    let backoff = Backoff {
        first: millis(1),
        longest: millis(1),
    };
    let deliver = outbox.deliver(&controller, backoff, &metrics);
    let judge = async {
        outbox.post(working("quick"));
        tokio::time::sleep(PROGRESS / 2).await;
        assert_eq!(seen(), 0, "what is only on the way waits");
        outbox.post(report("quick", 1));
        tokio::time::sleep(millis(1)).await;
        assert_eq!(seen(), 1, "what is done does not");
        outbox.post(working("slow"));
        tokio::time::sleep(PROGRESS / 2).await;
        outbox.post(working("slower"));
        assert_eq!(seen(), 1);
        tokio::time::sleep(PROGRESS / 2 + millis(1)).await;
        assert_eq!(seen(), 3, "the first of them sets the time");
    };
    tokio::select! {
        () = deliver => {}
        () = judge => {}
    }
    assert_eq!(
        *controller.seen.lock().unwrap(),
        ["quick", "slow", "slower"]
    );
}

/// A controller that takes nothing.
#[derive(Default)]
struct Refusing {
    seen: Mutex<Vec<String>>,
}

fn refused() -> ControllerError {
    ControllerError::Refused {
        reason: "always".into(),
    }
}

#[async_trait::async_trait]
impl crate::controller::Images for Refusing {
    async fn image(
        &self,
        _: &luc_core::id::ImageId,
    ) -> Result<crate::controller::ImageData, ControllerError> {
        Err(refused())
    }
}

#[async_trait::async_trait]
impl Controller for Refusing {
    async fn wishes(&self) -> Result<crate::controller::Wishes, ControllerError> {
        Err(refused())
    }

    async fn report(&self, reports: Vec<Observed>) -> Result<(), ControllerError> {
        let ids = reports.iter().map(|report| report.id.to_string());
        self.seen.lock().unwrap().extend(ids);
        Err(refused())
    }

    async fn heartbeat(
        &self,
        _: crate::host::Heartbeat,
    ) -> Result<crate::desired::HostPlace, ControllerError> {
        Err(refused())
    }
}
