//! A disk that can be made to fail: power cuts, lies about syncing, full.
//!
//! What was written since the last sync is in a volatile layer. When the power fails, each of
//! those writes is kept, lost or torn, in an order of its own, as real disks and kernels do
//! (Pillai et al. 2014, "All File Systems Are Not Created Equal").

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use luc_core::Entropy;
use luc_core::entropy::SplitMix64;
use luc_engines::embedded::{Medium, StorageBackend};

/// What a disk writes at once or not at all.
const SECTOR: usize = 512;

const PAGE: usize = 4096;

/// The bytes of a file; copies share what did not change.
#[derive(Clone, Debug, Default)]
struct Image {
    pages: Vec<Arc<[u8; PAGE]>>,
    len: usize,
}

impl Image {
    fn set_len(&mut self, len: usize) {
        if len < self.len && !len.is_multiple_of(PAGE) {
            let kept = len % PAGE;
            Arc::make_mut(&mut self.pages[len / PAGE])[kept..].fill(0);
        }
        self.pages
            .resize_with(len.div_ceil(PAGE), || Arc::new([0; PAGE]));
        self.len = len;
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        if offset + data.len() > self.len {
            self.set_len(offset + data.len());
        }
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let (page, start) = (at / PAGE, at % PAGE);
            let count = rest.len().min(PAGE - start);
            Arc::make_mut(&mut self.pages[page])[start..start + count]
                .copy_from_slice(&rest[..count]);
            at += count;
            rest = &rest[count..];
        }
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let (page, start) = (at / PAGE, at % PAGE);
            let count = rest.len().min(PAGE - start);
            rest[..count].copy_from_slice(&self.pages[page][start..start + count]);
            at += count;
            rest = &mut rest[count..];
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Volatile {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// A file: what survives, what a reader sees, and what was done since the last sync.
#[derive(Clone, Debug, Default)]
struct Contents {
    durable: Image,
    current: Image,
    volatile: Vec<Volatile>,
}

#[derive(Debug)]
struct State {
    file: Option<Contents>,
    draft: Contents,
    journal: Option<Contents>,
    dice: SplitMix64,
    /// Operations until the power fails.
    fuse: Option<u64>,
    powered: bool,
    honest: bool,
    syncs_fail: bool,
    len_max: usize,
}

/// A disk with one file and its journal; clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<State>>);

/// What stands on a disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// The file.
    File,
    /// The draft of it.
    Draft,
    /// The journal of it.
    Journal,
}

#[derive(Debug)]
struct Handle {
    disk: Disk,
    part: Part,
}

impl Disk {
    /// An empty disk whose faults follow from `seed`. One that is not `honest` says that it has
    /// synced and has not.
    pub(crate) fn new(seed: u64, honest: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            file: None,
            draft: Contents::default(),
            journal: None,
            dice: SplitMix64::new(seed),
            fuse: None,
            powered: true,
            honest,
            syncs_fail: false,
            len_max: usize::MAX,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power fails at the `operations`-th operation that changes something.
    pub(crate) fn cut_after(&self, operations: u64) {
        self.state().fuse = Some(operations);
    }

    /// The power is back: what was not synced is kept, lost or torn.
    pub(crate) fn restore_power(&self) {
        let mut guard = self.state();
        let state = &mut *guard;
        let parts = state.file.iter_mut().chain(&mut state.journal);
        for contents in parts.chain([&mut state.draft]) {
            let mut volatile = std::mem::take(&mut contents.volatile);
            shuffle_some(&mut volatile, &mut state.dice);
            for operation in volatile {
                survive(&mut contents.durable, operation, &mut state.dice);
            }
            contents.current = contents.durable.clone();
        }
        state.fuse = None;
        state.powered = true;
    }

    /// Whether something was written and not synced.
    pub(crate) fn has_unsynced(&self) -> bool {
        let state = self.state();
        let mut parts = state.file.iter().chain(&state.journal);
        parts.any(|part| !part.volatile.is_empty()) || !state.draft.volatile.is_empty()
    }

    /// Lets every sync fail from now on, or no longer.
    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.state().syncs_fail = fail;
    }

    /// The file cannot become longer than this.
    pub(crate) fn limit(&self, len_max: usize) {
        self.state().len_max = len_max;
    }

    /// The length of a part in bytes.
    pub(crate) fn len(&self, part: Part) -> usize {
        self.state().contents(part).current.len
    }

    /// Everything that a part has, now; to be put back later.
    pub(crate) fn copy(&self) -> Self {
        let state = self.state();
        let copy = Self::new(1, true);
        let mut inner = copy.state();
        inner.file.clone_from(&state.file);
        inner.journal.clone_from(&state.journal);
        drop(inner);
        copy
    }

    /// The journal is gone.
    pub(crate) fn lose_journal(&self) {
        self.state().journal = None;
    }

    /// Takes the journal of another disk.
    pub(crate) fn take_journal(&self, other: &Self) {
        let journal = other.state().journal.clone();
        self.state().journal = journal;
    }

    /// Turns one bit of a part.
    pub(crate) fn turn_bit(&self, part: Part, at: usize, bit: u32) {
        let mut state = self.state();
        let contents = state.contents(part);
        let mut byte = [0];
        contents
            .current
            .read(at, &mut byte)
            .expect("inside the file");
        let turned = [byte[0] ^ (1 << bit)];
        contents.current.write(at, &turned);
        contents.durable.write(at, &turned);
    }
}

/// Now and then a later operation reaches the disk before an earlier one.
fn shuffle_some(volatile: &mut [Volatile], dice: &mut SplitMix64) {
    if dice.next_u64().is_multiple_of(2) {
        for last in (1..volatile.len()).rev() {
            volatile.swap(last, (dice.next_u64() % (last as u64 + 1)) as usize);
        }
    }
}

/// Keeps, loses or tears one operation that was under way.
fn survive(image: &mut Image, operation: Volatile, dice: &mut SplitMix64) {
    match (operation, dice.next_u64() % 8) {
        (Volatile::Length(len), 0..=4) => image.set_len(len),
        (Volatile::Write(offset, data), 0..=3) => image.write(offset, &data),
        // Torn: each sector by itself, and sometimes inside a sector.
        (Volatile::Write(offset, data), 4 | 5) => {
            let step = if dice.next_u64().is_multiple_of(4) {
                61
            } else {
                SECTOR
            };
            let mut at = offset;
            while at < offset + data.len() {
                let end = ((at / step + 1) * step).min(offset + data.len());
                if dice.next_u64().is_multiple_of(2) {
                    image.write(at, &data[at - offset..end - offset]);
                }
                at = end;
            }
        }
        (Volatile::Length(_) | Volatile::Write(..), _) => {}
    }
}

impl State {
    fn contents(&mut self, part: Part) -> &mut Contents {
        match (part, &mut self.file) {
            (Part::Journal, _) => self.journal.get_or_insert_default(),
            (_, Some(file)) => file,
            // A draft that has been adopted is the file.
            (Part::Draft, None) => &mut self.draft,
            (Part::File, file @ None) => file.insert(Contents::default()),
        }
    }

    /// Counts an operation; it fails if the power does.
    fn burn(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(0) => self.powered = false,
            Some(fuse) => *fuse -= 1,
            None => {}
        }
        self.check_power()
    }

    fn check_power(&self) -> io::Result<()> {
        if self.powered {
            Ok(())
        } else {
            Err(io::Error::other("the power is off"))
        }
    }

    fn check_space(&self, len: usize) -> io::Result<()> {
        if len > self.len_max {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.check_power()?;
        Ok(state.contents(self.part).current.len as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check_power()?;
        state.contents(self.part).current.read(offset as usize, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check_power()?;
        state.check_space(len as usize)?;
        let contents = state.contents(self.part);
        // What is under way when the power fails may still arrive.
        contents.volatile.push(Volatile::Length(len as usize));
        contents.current.set_len(len as usize);
        state.burn()
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.burn()?;
        if state.syncs_fail {
            return Err(io::Error::other("the disk cannot sync"));
        }
        if state.honest {
            let contents = state.contents(self.part);
            contents.volatile.clear();
            contents.durable = contents.current.clone();
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.check_power()?;
        state.check_space(offset as usize + data.len())?;
        let contents = state.contents(self.part);
        contents
            .volatile
            .push(Volatile::Write(offset as usize, data.to_vec()));
        contents.current.write(offset as usize, data);
        state.burn()
    }
}

impl Medium for Disk {
    fn name(&self) -> String {
        "on the test disk".to_owned()
    }

    fn open(&self) -> io::Result<Option<Box<dyn StorageBackend>>> {
        let state = self.state();
        state.check_power()?;
        let handle = Handle {
            disk: self.clone(),
            part: Part::File,
        };
        Ok(state.file.is_some().then(|| Box::new(handle) as _))
    }

    fn draft(&self) -> io::Result<Box<dyn StorageBackend>> {
        let mut state = self.state();
        state.check_power()?;
        state.draft = Contents::default();
        Ok(Box::new(Handle {
            disk: self.clone(),
            part: Part::Draft,
        }))
    }

    fn adopt(&self) -> io::Result<()> {
        let mut state = self.state();
        let powered = state.burn();
        // A rename happens or not; the power may fail just after it happened.
        if powered.is_ok() || state.dice.next_u64().is_multiple_of(2) {
            state.file = Some(std::mem::take(&mut state.draft));
        }
        powered
    }
    fn journal(&self, make: bool) -> io::Result<Option<Box<dyn StorageBackend>>> {
        let mut state = self.state();
        state.check_power()?;
        if make && state.journal.is_none() {
            let powered = state.burn();
            if powered.is_ok() || state.dice.next_u64().is_multiple_of(2) {
                state.journal = Some(Contents::default());
            }
            powered?;
        }
        let handle = Handle {
            disk: self.clone(),
            part: Part::Journal,
        };
        Ok(state.journal.is_some().then(|| Box::new(handle) as _))
    }
}
