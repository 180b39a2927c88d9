//! Many brains, one clock: a discrete-event simulator of whole clouds.

pub mod scenario;
