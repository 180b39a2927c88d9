//! What a fuzzer does with bytes: reads them as every part of a frame that strangers send.
//!
//! Shared by the bounded test beside this file and by the coverage-guided target in `fuzz/`.

use bytes::Bytes;
use luc_runtime::fabric::STREAM_FRAME_BYTES_MAX;
use luc_runtime::fabric::frame::{self, Hello, Kind, Outcome, Pieces};

/// Reads `data` as a frame, a hello, an outcome and pieces of a stream. All may be refused; nothing
/// may panic, what is read is within its limits, and written again it is what was read.
#[allow(unreachable_pub, reason = "the fuzz target includes this file too")]
pub fn attack(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if let Ok((header, body)) = frame::decode(&bytes) {
        assert!(body.len() <= header.kind.bytes_max());
        assert_eq!(frame::encode(header.kind, header.channel, &body), bytes);
        if let Ok(outcome) = Outcome::decode(header, body) {
            let (kind, body) = outcome.clone().encode();
            let again = frame::encode(kind, header.channel, &body);
            let (header, body) = frame::decode(&again).expect("a frame that we wrote");
            // Text that is no UTF-8 was mended once; then it stays.
            assert_eq!(Outcome::decode(header, body), Ok(cut(&outcome)));
        }
    }
    for kind in [Kind::Hello, Kind::Welcome] {
        if let Ok(hello) = Hello::decode(kind, data) {
            assert_eq!(hello.encode()[..], *data);
        }
    }
    let portions = data.first().map_or(1, |first| usize::from(*first) % 7 + 1);
    assert_eq!(pieces(data, portions), pieces(data, data.len().max(1)));
}

/// An outcome as a frame can carry it: mending may have made its text too long.
fn cut(outcome: &Outcome) -> Outcome {
    let (kind, body) = outcome.clone().encode();
    let channel = luc_runtime::fabric::Channel::FORWARD;
    let read = frame::decode(&frame::encode(kind, channel, &body));
    let (header, body) = read.expect("a frame that we wrote");
    Outcome::decode(header, body).expect("an outcome that we wrote")
}

/// The pieces in `data` when it arrives in portions, whether it is refused, and what is left.
fn pieces(data: &[u8], portion: usize) -> (Vec<Bytes>, bool, bool) {
    let mut pieces = Pieces::default();
    let mut read = Vec::new();
    for part in data.chunks(portion) {
        pieces.push(part);
        loop {
            match pieces.pop() {
                Ok(Some(piece)) => {
                    assert!(piece.len() <= STREAM_FRAME_BYTES_MAX);
                    read.push(piece);
                }
                Ok(None) => break,
                Err(_) => return (read, true, false),
            }
        }
    }
    (read, false, pieces.is_empty())
}
