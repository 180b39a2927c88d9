//! What every engine must pass, and every store over it.
//!
//! An engine's tests call [`engine_suite!`](crate::engine_suite) with a function that makes a fresh
//! engine with as many handles as controllers are asked for; each check becomes a test. Handles
//! may lose requests and answers, as a network does: the checks resolve unknown outcomes the way
//! a store does. Not for production code; compiled with the feature `suite`.

mod client;
mod crew;
pub mod engines;
mod history;
#[cfg(test)]
mod memory;
pub mod stores;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use futures::executor::{ThreadPool, block_on};

use crate::engine::Engine;

pub use client::Client;
pub use history::History;

/// A fresh, empty engine.
pub struct Rig {
    /// One handle for each controller.
    pub handles: Vec<Arc<dyn Engine>>,
    /// What must live as long as the engine, such as its directory.
    pub keep: Box<dyn Any + Send>,
}

impl Rig {
    /// A rig whose controllers share one handle.
    pub fn of(engine: Arc<dyn Engine>, controllers: usize) -> Self {
        Self {
            handles: vec![engine; controllers],
            keep: Box::new(()),
        }
    }

    fn first(&self) -> Arc<dyn Engine> {
        Arc::clone(&self.handles[0])
    }

    /// How many stores may be opened on this engine: two if it can be shared, else one.
    fn stores(&self) -> usize {
        if self.handles[0].traits().shared {
            2.min(self.handles.len())
        } else {
            1
        }
    }
}

/// Runs one check on three threads.
pub fn run<F: Future<Output = ()>>(rig: Rig, check: impl FnOnce(Rig, ThreadPool) -> F) {
    let pool = ThreadPool::builder()
        .pool_size(3)
        .create()
        .expect("threads for the suite");
    block_on(check(rig, pool));
}

/// Makes a test of each check. `$rig` is a `fn(usize) -> Rig`.
#[macro_export]
macro_rules! engine_suite {
    ($rig:expr) => {
        $crate::engine_suite! { @checks $rig, engines:
            an_empty_engine_is_at_revision_zero,
            what_was_committed_is_loaded_in_the_order_of_its_keys,
            a_batch_is_done_completely_or_not_at_all,
            a_check_makes_no_revision,
            the_same_operation_happens_once,
            an_operation_that_did_not_happen_never_will,
            commits_are_linearizable,
            a_watch_has_no_gap_and_no_duplicate,
            a_watcher_from_before_compaction_is_told_to_reload,
        }
        $crate::engine_suite! { @checks $rig, stores:
            increments_are_never_lost,
            money_is_neither_made_nor_lost,
            a_unique_name_is_given_once,
            write_skew_is_refused,
            phantoms_are_refused,
            each_transaction_happens_once_or_is_said_not_to_have,
            a_dropped_transaction_is_done_completely_or_not_at_all,
            compaction_under_load_loses_nothing,
            a_mirror_of_the_change_log_is_the_snapshot,
            a_store_opened_again_shows_the_same,
            a_refusal_is_never_about_something_that_did_not_happen,
        }
    };
    (@checks $rig:expr, $module:ident: $($check:ident,)+) => {
        $(
            #[test]
            fn $check() {
                $crate::suite::run($rig(3), $crate::suite::$module::$check);
            }
        )+
    };
}
