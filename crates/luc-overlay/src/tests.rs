//! Scenarios of whole clouds of overlays, over a network that delays, loses and splits.

mod asked;
mod cloud;
mod crash;
mod hostile;
mod join;
mod scale;
mod sleep;
mod split;
