//! What a node says when it is asked whom it knows around a place.
//!
//! To an asker of another site it names the nodes of its own, all about equally far from the
//! asker. Of other sites it names the closest to the root, a few per site, half of them from beyond
//! where the asker has already been, with the round trips that its own site has measured to them.
//! It names neither the asker nor the asker's site.

use luc_core::PeerId;

use crate::members::Known;
use crate::neighbour::Standing;
use crate::search::context::Context;
use crate::search::message::Entry;
use crate::search::spiral::config::Config;
use crate::search::spiral::measured::{Away, Measured};
use crate::search::view::{View, shuffle};

/// A question, as far as the answer depends on it.
pub(super) struct Wanted {
    /// The asker and its place.
    pub(super) root: Entry,
    /// How far out it has been, in seconds.
    pub(super) beyond: f32,
}

/// The answer.
pub(super) fn compose(
    ctx: &mut Context<'_>,
    (view, measured): (&View, &Measured),
    config: &Config,
    wanted: &Wanted,
) -> Vec<Entry> {
    let asker = wanted.root.peer;
    let mut entries = Vec::new();
    if asker.site != ctx.me.site {
        entries.extend(ctx.members.iter_site(ctx.me.site).filter_map(entry_of));
        entries.retain(|entry| entry.peer != ctx.me);
        shuffle(&mut entries, ctx.entropy);
        entries.truncate(usize::from(config.answer_members));
        entries.push(Entry {
            peer: ctx.me,
            place: *ctx.coordinate,
            standing: Standing::Awake,
            room: ctx.room,
            age: 0,
            measured_micros: 0,
        });
    }
    let delegates = ctx.members.iter().filter_map(entry_of);
    let others = delegates.chain(view.entries(ctx.now));
    let others = others.filter(|entry| ![ctx.me.site, asker.site].contains(&entry.peer.site));
    let root = &wanted.root.place;
    let first = measured.away(asker.site);
    let first = first.seconds(ctx.coordinate.seconds(root) as f32);
    let mut others: Vec<(f32, Entry)> = others
        .map(|mut entry| {
            entry.measured_micros = measured.micros(entry.peer.site);
            let beyond = measured.get(entry.peer.site);
            let away = beyond.map_or(Away::ANYWHERE, |beyond| Away::around(first, beyond));
            (away.seconds(root.seconds(&entry.place) as f32), entry)
        })
        .collect();
    others.sort_by(|left, right| {
        let by_distance = left.0.total_cmp(&right.0);
        by_distance.then(left.1.peer.cmp(&right.1.peer))
    });
    others.dedup_by_key(|(_, entry)| entry.peer);
    let count = usize::from(config.answer_others);
    let mut chosen = Chosen::new(config);
    chosen.take(&others, count.div_ceil(2));
    let from = others.partition_point(|(distance, _)| *distance <= wanted.beyond);
    chosen.take(others.get(from..).unwrap_or_default(), count);
    chosen.take(&others, count);
    entries.extend(chosen.entries);
    entries
}

/// The entry of a member whose place is known.
pub(super) fn entry_of(known: &Known) -> Option<Entry> {
    Some(Entry {
        peer: known.peer,
        place: known.coordinate?,
        standing: known.standing,
        room: known.room,
        age: 0,
        measured_micros: 0,
    })
}

/// Entries chosen so far, a few per site.
struct Chosen {
    entries: Vec<Entry>,
    per_site: usize,
}

impl Chosen {
    fn new(config: &Config) -> Self {
        Self {
            entries: Vec::with_capacity(usize::from(config.answer_others)),
            per_site: usize::from(config.answer_per_site),
        }
    }

    fn take(&mut self, sorted: &[(f32, Entry)], count: usize) {
        for (_, entry) in sorted {
            if self.entries.len() >= count {
                return;
            }
            if self.fits(entry.peer) {
                self.entries.push(*entry);
            }
        }
    }

    fn fits(&self, peer: PeerId) -> bool {
        let site = peer.site;
        let mut of_site = self.entries.iter().filter(|entry| entry.peer.site == site);
        of_site.clone().count() < self.per_site && of_site.all(|entry| entry.peer != peer)
    }
}
