//! What a brain asks to be woken for: the timers of its parts.

/// A timer of a brain.
#[derive(Clone, Debug, PartialEq)]
pub enum Timer {
    /// Of the overlay.
    Overlay(luc_overlay::Timer),
    /// Of the scheduler.
    Dvms(luc_dvms::Timer),
}
