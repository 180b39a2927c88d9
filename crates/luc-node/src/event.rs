//! What a brain tells its host.

/// What a brain tells: wishes and facts of its parts. Searches are answered inside and never
/// reach the host.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Membership news, a new own coordinate, or an input that was ignored.
    Overlay(luc_overlay::Event),
    /// Migrations, power, and the facts of partitions.
    Dvms(luc_dvms::Event),
}
