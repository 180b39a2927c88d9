//! How far a spiral looks, how long it waits, and how much it says.

use luc_core::time::Duration;

use crate::search::view::Limits;

/// Settings of the spiral.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// The size of the view.
    pub view: Limits,
    /// How many of the closest sites must have been measured before nodes of the closest are
    /// certain.
    pub lookahead: u8,
    /// A site this many times as far as the closest need not have been measured, if the own
    /// coordinate is sure of itself.
    pub reach: f32,
    /// How much farther that is per unit of relative error of the own coordinate.
    pub reach_per_error: f32,
    /// How many questions of one request may be under way.
    pub parallel: u8,
    /// How many questions one answer may cost; after that the best known is good enough.
    pub asks_max: u16,
    /// How many nodes of a site may fail to answer before the request does without the site.
    pub silent_max: u8,
    /// When fewer certain nodes than this are left, the next site is asked before it is needed.
    pub ahead: u16,
    /// The shortest time a question is given, on top of three predicted round trips.
    pub ask_wait: Duration,
    /// The longest time a question is given.
    pub ask_wait_max: Duration,
    /// After this time an answer is given with what there is, if there is anything.
    pub patience: Duration,
    /// How many nodes of its own site a node names to an asker of another.
    pub answer_members: u16,
    /// How many nodes of other sites it names.
    pub answer_others: u16,
    /// How many of them may be of one site.
    pub answer_per_site: u16,
    /// How many entries ride on one membership message.
    pub hearsay: u8,
    /// How often ages are looked at and delegates' coordinates are read anew.
    pub upkeep: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            view: Limits::default(),
            lookahead: 8,
            reach: 1.25,
            reach_per_error: 2.0,
            parallel: 8,
            asks_max: 24,
            silent_max: 2,
            ahead: 3,
            ask_wait: Duration::from_millis(200),
            ask_wait_max: Duration::from_secs(1),
            patience: Duration::from_millis(400),
            answer_members: 32,
            answer_others: 16,
            answer_per_site: 1,
            hearsay: 3,
            upkeep: Duration::from_secs(15),
        }
    }
}
