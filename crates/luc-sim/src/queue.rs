//! The event queue: what happens next, in the order of time and, at one time, of insertion.
//!
//! A calendar queue (Brown 1988, "Calendar queues: a fast O(1) priority queue implementation for
//! the simulation event set problem") with one year: a ring of buckets about a millisecond wide
//! holds what is due within the next eight seconds, a heap what is due later. The bucket under
//! way is a heap, so that events may be added to the present. It knows nothing of what an event
//! means; the simulation calls it, nobody else.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use luc_core::time::Instant;

/// A bucket is 2^20 ns wide: 1.05 ms.
const WIDTH_BITS: u32 = 20;
/// The ring has this many buckets: 8.6 s ahead.
const RING: u64 = 8_192;

/// One event that waits.
struct Waiting<E> {
    time: u64,
    sequence: u64,
    event: E,
}

impl<E> Waiting<E> {
    const fn key(&self) -> (u64, u64) {
        (self.time, self.sequence)
    }
}

impl<E> PartialEq for Waiting<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Waiting<E> {}

impl<E> PartialOrd for Waiting<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Waiting<E> {
    /// The earliest is the greatest, because the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// Events ordered by time, then by the order in which they were added.
pub struct Queue<E> {
    /// The bucket under way, as a number since the origin; all before it are empty.
    bucket: u64,
    present: BinaryHeap<Waiting<E>>,
    ring: Vec<Vec<Waiting<E>>>,
    /// How many events wait in the ring, so that an empty ring is passed over at once.
    in_ring: usize,
    later: BinaryHeap<Waiting<E>>,
    sequence: u64,
}

impl<E> Queue<E> {
    /// An empty queue at the origin of time.
    pub fn new() -> Self {
        Self {
            bucket: 0,
            present: BinaryHeap::new(),
            ring: (0..RING).map(|_| Vec::new()).collect(),
            in_ring: 0,
            later: BinaryHeap::new(),
            sequence: 0,
        }
    }

    /// Adds `event`, due at `time`; what is due in the past is due now.
    pub fn push(&mut self, time: Instant, event: E) {
        let waiting = Waiting {
            time: time.as_nanos(),
            sequence: self.sequence,
            event,
        };
        self.sequence += 1;
        let bucket = waiting.time >> WIDTH_BITS;
        if bucket <= self.bucket {
            self.present.push(waiting);
        } else if bucket < self.bucket + RING {
            self.ring[(bucket % RING) as usize].push(waiting);
            self.in_ring += 1;
        } else {
            self.later.push(waiting);
        }
    }

    /// When the next event is due.
    pub fn next_time(&mut self) -> Option<Instant> {
        self.advance();
        self.present
            .peek()
            .map(|waiting| Instant::from_nanos(waiting.time))
    }

    /// Takes the next event out, with its time.
    pub fn pop(&mut self) -> Option<(Instant, E)> {
        self.advance();
        let waiting = self.present.pop()?;
        Some((Instant::from_nanos(waiting.time), waiting.event))
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.present.len() + self.in_ring + self.later.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many events were ever added.
    pub const fn pushed(&self) -> u64 {
        self.sequence
    }

    /// Moves on to the first bucket that holds an event, if the present one is used up.
    fn advance(&mut self) {
        while self.present.is_empty() {
            if self.in_ring == 0 {
                let Some(first) = self.later.peek() else {
                    return;
                };
                self.bucket = first.time >> WIDTH_BITS;
            } else {
                self.bucket += 1;
            }
            self.enter_bucket();
        }
    }

    /// Makes the ring's bucket of the present number the present one, and fills the ring up.
    fn enter_bucket(&mut self) {
        let slot = &mut self.ring[(self.bucket % RING) as usize];
        if !slot.is_empty() {
            self.in_ring -= slot.len();
            let spent = std::mem::take(&mut self.present).into_vec();
            self.present = std::mem::replace(slot, spent).into();
        }
        while let Some(first) = self.later.peek() {
            let bucket = first.time >> WIDTH_BITS;
            if bucket >= self.bucket + RING {
                break;
            }
            let Some(waiting) = self.later.pop() else {
                break;
            };
            if bucket <= self.bucket {
                self.present.push(waiting);
            } else {
                self.ring[(bucket % RING) as usize].push(waiting);
                self.in_ring += 1;
            }
        }
    }
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use luc_core::Entropy;
    use luc_core::entropy::SplitMix64;

    use super::*;

    #[test]
    fn events_of_one_time_come_in_the_order_they_were_added() {
        let mut queue = Queue::new();
        for number in 0..100 {
            queue.push(Instant::from_nanos(5), number);
        }
        let order: Vec<u32> = std::iter::from_fn(|| queue.pop().map(|(_, event)| event)).collect();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn any_mix_of_near_and_far_events_comes_out_as_from_a_sorted_map() {
        let mut entropy = SplitMix64::new(3);
        let mut queue = Queue::new();
        let mut model = BTreeMap::new();
        let mut now = 0u64;
        for number in 0..200_000u64 {
            if entropy.next_u64() % 5 < 3 {
                // From nanoseconds to minutes ahead.
                let ahead = entropy.next_u64() % (1 << (entropy.next_u64() % 38));
                queue.push(Instant::from_nanos(now + ahead), number);
                model.insert((now + ahead, number), number);
            } else {
                let wanted = model.pop_first();
                let got = queue.pop();
                assert_eq!(got.map(|(time, event)| (time.as_nanos(), event)), {
                    wanted.map(|((time, _), event)| (time, event))
                });
                now = got.map_or(now, |(time, _)| time.as_nanos());
            }
            assert_eq!(queue.len(), model.len());
        }
    }
}
