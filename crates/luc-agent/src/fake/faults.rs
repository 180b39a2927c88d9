//! Delays and failures of the fake driver, reproducible from a seed.
//!
//! A draw depends on the seed, the server, the step and how often that step was tried there, not on
//! the order in which tasks happen to run: the same seed gives the same failures.

use std::collections::BTreeMap;

use luc_core::entropy::{Entropy as _, SplitMix64};
use luc_core::id::ServerId;
use luc_core::time::Duration;

use crate::driver::{DriverError, Step};

/// Metadata key that makes steps of its server fail: `step:kind[:times]`, several separated by
/// commas, kind `transient` or `permanent` (`start:transient:2,suspend:permanent`).
pub const FAULT_KEY: &str = "luc:fake-fault";

/// How long steps take.
#[derive(Clone, Debug, Default)]
pub struct Delays {
    ranges: BTreeMap<Step, (Duration, Duration)>,
}

impl Delays {
    /// No step takes any time.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every step takes between `shortest` and `longest`.
    pub fn all(shortest: Duration, longest: Duration) -> Self {
        Self {
            ranges: Step::ALL
                .into_iter()
                .map(|step| (step, (shortest, longest)))
                .collect(),
        }
    }

    /// Whether `step` takes no time.
    pub(crate) fn is_none(&self, step: Step) -> bool {
        self.ranges
            .get(&step)
            .is_none_or(|(_, longest)| longest.is_zero())
    }

    /// The same with another range for `step`.
    #[must_use]
    pub fn with(mut self, step: Step, shortest: Duration, longest: Duration) -> Self {
        self.ranges.insert(step, (shortest, longest));
        self
    }
}

/// Whether trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The next try may succeed.
    Transient,
    /// It never will.
    Permanent,
}

/// Makes steps fail by chance or by name.
#[derive(Clone, Debug)]
pub struct FaultRule {
    /// The step, or any.
    pub step: Option<Step>,
    /// Only servers whose name contains this; empty means all.
    pub name_contains: String,
    /// How likely each try fails, 0 to 1.
    pub rate: f64,
    /// How it fails.
    pub kind: FaultKind,
}

/// What befalls steps.
#[derive(Clone, Debug)]
pub(crate) struct Fate {
    pub(crate) seed: u64,
    pub(crate) delays: Delays,
    pub(crate) rules: Vec<FaultRule>,
}

/// The one try that is being judged.
#[derive(Clone, Copy)]
pub(crate) struct Try<'a> {
    pub(crate) id: &'a ServerId,
    pub(crate) name: &'a str,
    pub(crate) metadata: Option<&'a BTreeMap<String, String>>,
    pub(crate) step: Step,
    /// How often this step was tried on this server before.
    pub(crate) count: u32,
}

impl Fate {
    /// How long this try takes.
    pub(crate) fn delay(&self, tried: &Try<'_>) -> Duration {
        let Some(&(shortest, longest)) = self.delays.ranges.get(&tried.step) else {
            return Duration::ZERO;
        };
        let spread = longest.saturating_sub(shortest);
        shortest + spread.mul_f64(self.draw(tried, 0))
    }

    /// Whether this try fails.
    pub(crate) fn judge(&self, tried: &Try<'_>) -> Result<(), DriverError> {
        let from_metadata = tried.metadata.and_then(|metadata| metadata.get(FAULT_KEY));
        if let Some(kind) = from_metadata.and_then(|text| named_fault(text, tried)) {
            return Err(injected(kind, tried));
        }
        for (number, rule) in self.rules.iter().enumerate() {
            let meant = rule.step.is_none_or(|step| step == tried.step)
                && tried.name.contains(&rule.name_contains);
            if meant && self.draw(tried, 1 + number as u64) < rule.rate {
                return Err(injected(rule.kind, tried));
            }
        }
        Ok(())
    }

    /// A number from 0 to 1 that depends on nothing but its arguments and the seed.
    fn draw(&self, tried: &Try<'_>, purpose: u64) -> f64 {
        let mut hash = self.seed ^ 0xcbf2_9ce4_8422_2325;
        let numbers = [tried.step as u64, u64::from(tried.count), purpose];
        let words = tried.id.as_str().bytes().map(u64::from).chain(numbers);
        for word in words {
            hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        }
        (SplitMix64::new(hash).next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn injected(kind: FaultKind, tried: &Try<'_>) -> DriverError {
    let message = format!(
        "injected failure of step {} (try {})",
        tried.step,
        tried.count + 1
    );
    match kind {
        FaultKind::Transient => DriverError::transient(message),
        FaultKind::Permanent => DriverError::permanent(message),
    }
}

/// What `text` (see [`FAULT_KEY`]) says about this try.
fn named_fault(text: &str, tried: &Try<'_>) -> Option<FaultKind> {
    text.split(',').find_map(|entry| {
        let mut parts = entry.trim().split(':');
        if Step::named(parts.next()?) != Some(tried.step) {
            return None;
        }
        let kind = match parts.next()? {
            "transient" => FaultKind::Transient,
            "permanent" => FaultKind::Permanent,
            _ => return None,
        };
        let times = parts
            .next()
            .map_or(Some(u32::MAX), |times| times.parse().ok())?;
        (tried.count < times).then_some(kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(seed: u64, rate: f64) -> Fate {
        let rule = FaultRule {
            step: Some(Step::Start),
            name_contains: "bad".into(),
            rate,
            kind: FaultKind::Transient,
        };
        let (shortest, longest) = (Duration::from_millis(10), Duration::from_millis(20));
        Fate {
            seed,
            delays: Delays::all(shortest, longest),
            rules: vec![rule],
        }
    }

    fn failures(fate: &Fate, name: &str, step: Step) -> Vec<u32> {
        let id = ServerId::parse("s").unwrap();
        let fails = |&count: &u32| {
            fate.judge(&Try {
                id: &id,
                name,
                metadata: None,
                step,
                count,
            })
            .is_err()
        };
        (0..1000).filter(fails).collect()
    }

    #[test]
    fn the_same_seed_fails_the_same_tries_and_another_seed_others() {
        let first = failures(&fate(1, 0.2), "a bad one", Step::Start);
        assert_eq!(first, failures(&fate(1, 0.2), "a bad one", Step::Start));
        assert_ne!(first, failures(&fate(2, 0.2), "a bad one", Step::Start));
        assert!(
            (150..250).contains(&first.len()),
            "{} of 1000 failed",
            first.len()
        );
    }

    #[test]
    fn a_rule_hits_only_the_step_and_the_names_it_means() {
        assert!(failures(&fate(1, 1.0), "good", Step::Start).is_empty());
        assert!(failures(&fate(1, 1.0), "bad", Step::Pause).is_empty());
        assert_eq!(failures(&fate(1, 1.0), "bad", Step::Start).len(), 1000);
    }

    #[test]
    fn metadata_names_step_kind_and_number_of_failures() {
        let id = ServerId::parse("s").unwrap();
        let text = "start:transient:2, suspend:permanent".to_owned();
        let metadata = BTreeMap::from([(FAULT_KEY.to_owned(), text)]);
        let judge = |step, count| {
            let metadata = Some(&metadata);
            fate(1, 0.0).judge(&Try {
                id: &id,
                name: "",
                metadata,
                step,
                count,
            })
        };
        assert!(matches!(
            judge(Step::Start, 1),
            Err(DriverError::Transient { .. })
        ));
        assert!(judge(Step::Start, 2).is_ok());
        assert!(matches!(
            judge(Step::Suspend, 99),
            Err(DriverError::Permanent { .. })
        ));
        assert!(judge(Step::Resume, 0).is_ok());
    }

    #[test]
    fn delays_stay_within_their_range() {
        let id = ServerId::parse("s").unwrap();
        let delays: Vec<Duration> = (0..100)
            .map(|count| {
                let step = Step::Start;
                fate(3, 0.0).delay(&Try {
                    id: &id,
                    name: "",
                    metadata: None,
                    step,
                    count,
                })
            })
            .collect();
        assert!(
            delays
                .iter()
                .all(|delay| (10..=20).contains(&delay.as_millis()))
        );
        assert!(
            delays.iter().max() > delays.iter().min(),
            "they are all the same"
        );
    }
}
