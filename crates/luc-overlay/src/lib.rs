//! Who is out there and how far: membership, network coordinates, neighbour search.
//!
//! A service sees an overlay through two things only (the PeerActor separation of the DISCOVERY
//! initiative): *the next neighbours outside a set* ([`Command::Search`], answered by
//! [`Event::Neighbours`] or [`Event::Exhausted`]) and membership events ([`Event::Joined`],
//! [`Event::Left`], [`Event::Failed`]). Which overlay answers (locality, ring, random) is chosen by
//! [`Config`]; the service cannot tell.
//!
//! This crate is pure: time comes in as values, randomness from a seed. It decides nothing about
//! virtual machines and opens no socket.

pub mod command;
pub mod coordinate;
pub mod directory;
pub mod event;
pub mod members;
pub mod neighbour;
pub mod search;
pub mod vivaldi;

pub use command::Command;
pub use coordinate::Coordinate;
pub use event::Event;
pub use neighbour::{Neighbour, RequestId, Room, Standing};
