//! One suite for both fabrics, and what only one of them can show.
//!
//! In memory time is paused; between processes it is real, with short time-outs.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod floods;
mod fuzz;
mod memory;
mod node;
mod quic;
mod raw;
mod streams;
mod suite;
mod world;

/// Runs every function of the suite in a world of its own, once for each fabric.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod in_memory {
            $(
                #[tokio::test(start_paused = true)]
                async fn $name() {
                    crate::suite::$name(&mut crate::world::MemoryWorld::new()).await;
                }
            )*
        }
        mod over_quic {
            $(
                #[tokio::test]
                async fn $name() {
                    crate::suite::$name(&mut crate::world::QuicWorld::new()).await;
                }
            )*
        }
    };
}

on_both! {
    a_request_is_answered_and_counted,
    a_refusal_and_a_panic_are_told_apart,
    an_answer_after_the_deadline_is_unknown,
    a_silent_node_is_not_sent_to_and_not_asked_again_at_once,
    a_connection_that_breaks_under_a_request_leaves_it_unknown,
    a_short_cut_only_delays,
    a_cut_is_healed_without_an_operator,
    a_node_that_starts_again_is_found_again,
    a_stream_keeps_frames_and_order,
    a_slow_reader_holds_its_writer_back,
    a_half_that_is_dropped_resets_the_stream,
    datagrams_arrive_small_and_large,
    a_key_that_nobody_knows_is_refused,
    a_guest_may_only_ask_to_join,
    a_revoked_key_is_cut_off_at_once,
    too_many_bytes_are_refused_before_they_are_sent,
    two_that_dial_each_other_share_one_connection,
    no_more_than_the_limit_is_served_at_once,
    round_trips_are_measured_and_told,
    a_node_that_shuts_down_says_so,
}
