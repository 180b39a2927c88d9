//! Tests of the crate as a whole: scenarios with a scripted engine, the stored form, a model.

mod closing;
mod conflicts;
mod feed_model;
mod feed_refusals;
mod feed_twice;
mod feeding;
mod homes;
mod model;
mod riding;
mod scripted;
mod silence;
mod speculation;
mod stored;
mod watching;
