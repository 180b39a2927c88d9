//! What a brain must find again after a crash.

use luc_overlay::Coordinate;

/// What has to be durable before later effects are carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Durable {
    /// Of the overlay.
    Overlay(luc_overlay::Durable),
    /// Of the scheduler.
    Dvms(luc_dvms::Durable),
}

/// All that an earlier life of a node left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    /// Of the overlay.
    pub overlay: luc_overlay::Kept,
    /// Of the scheduler; absent if it never had to keep anything.
    pub dvms: Option<luc_dvms::Durable>,
}

impl Kept {
    /// Takes in a record; a later one replaces an earlier one of the same part.
    pub fn keep(&mut self, record: Durable) {
        match record {
            Durable::Overlay(record) => self.overlay.replay(record),
            Durable::Dvms(record) => self.dvms = Some(record),
        }
    }

    /// Keeps the place of the node, which is worth having back but not waited for.
    pub const fn keep_coordinate(&mut self, coordinate: Coordinate) {
        self.overlay.coordinate = Some(coordinate);
    }
}
