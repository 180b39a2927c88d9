//! Which messages met which states of our protocol: what a fuzzing run has really tried.

use luc_core::Input;
use luc_dvms::star::names::{MESSAGES, STATES};
use luc_dvms::{Dvms, Message as Scheduling};
use luc_node::{Brain, Message};

/// How often each message met each state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    counts: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            counts: vec![0; STATES.len() * MESSAGES.len()],
        }
    }
}

impl Coverage {
    /// Counts `input`, which `dvms` is about to take.
    pub(super) fn observe(&mut self, dvms: &Dvms, input: &Input<Brain>) {
        let (
            Dvms::Star(star),
            Input::Message {
                message: Message::Dvms(message),
                ..
            },
        ) = (dvms, input)
        else {
            return;
        };
        let Scheduling::Star(message) = message.as_ref() else {
            return;
        };
        let place = |names: &[&str], name| names.iter().position(|one| *one == name);
        let state = place(&STATES, star.state_name());
        let message = place(&MESSAGES, message.name());
        if let (Some(state), Some(message)) = (state, message) {
            self.counts[state * MESSAGES.len() + message] += 1;
        }
    }

    /// Adds what another run counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// All pairs of state and message with their counts.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + '_ {
        let counts = self.counts.iter().enumerate();
        counts.map(|(place, count)| {
            let state = STATES[place / MESSAGES.len()];
            (state, MESSAGES[place % MESSAGES.len()], *count)
        })
    }
}
