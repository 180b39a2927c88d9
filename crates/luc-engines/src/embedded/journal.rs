//! The journal before the file: what makes a batch durable with one append and one sync.
//!
//! A commit of redb rewrites a path of pages in each table, some thirty pages in as many places,
//! and a controller commits more than a hundred times a second under load. So a batch is appended
//! here first, synced, and then committed in memory alone; the file takes over what has gathered
//! once the journal is full (*checkpoint*), when each page that changed is written once. After a
//! crash the journal is read again from the place where the file stands.
//!
//! ```text
//! record   generation u64 · index u64 · length u32 · CRC-32 u32 · effects · zeros up to a page
//! ```
//!
//! Records begin at pages, so no page that holds an acknowledged one is written again. A checkpoint
//! begins a new *generation* at the start of the same bytes; what is left of older generations is
//! no record of this one. The generation, and how many records of it the file has already, stand
//! in the file ([`Mark`]), in the same transaction as their effects.
//!
//! A record that does not hold ends the journal: it was being written when the power failed. If
//! one of the same generation follows it, it was not, and the journal is damaged. A last record
//! that was damaged later cannot be told from one that was never finished.
//!
//! Not here: what the effects are (`effect`), and when there is a checkpoint (`writer`).
//!
//! Source: Mohan et al., ARIES, TODS 17(1), 1992, of which only redo is needed, for redb never
//! writes what is not committed.

use std::io;

use redb::StorageBackend;

/// What is written at once, and where records begin.
const PAGE: u64 = 4096;

/// Bytes before the effects of a record.
const HEADER: usize = 24;

/// By how much the journal grows. It is filled with zeros, so that appending to it changes neither
/// its length nor where its blocks are, and a sync writes nothing but the record.
const GROWTH: u64 = 256 << 10;

/// How far the file has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The generation of the journal that follows the file.
    pub(super) generation: u64,
    /// How many of its records the file has.
    pub(super) applied: u64,
    /// Whether there may be more records: not if the file was closed in order.
    pub(super) open: bool,
}

/// Why a record was not appended.
#[derive(Debug)]
pub(super) enum AppendError {
    /// There is no space for it; nothing was written.
    Space(io::Error),
    /// Writing or syncing it failed: it may be there.
    Write(io::Error),
}

/// Why the journal cannot be read.
#[derive(Debug)]
pub(super) enum ReadError {
    Io(io::Error),
    /// A record in the middle does not hold.
    Damaged,
    /// It follows a later state of the file.
    Newer,
}

/// The records since the last checkpoint.
pub(super) struct Journal {
    bytes: Box<dyn StorageBackend>,
    generation: u64,
    /// The number of the next record.
    next: u64,
    /// Where it begins.
    at: u64,
    len: u64,
}

/// The header of a record.
#[derive(Clone, Copy)]
struct Header {
    generation: u64,
    index: u64,
    length: u32,
    sum: u32,
}

impl Header {
    fn of(generation: u64, index: u64, effects: &[u8]) -> Option<Self> {
        let length = u32::try_from(effects.len()).ok()?;
        let mut header = Self {
            generation,
            index,
            length,
            sum: 0,
        };
        header.sum = header.sum_with(effects);
        Some(header)
    }

    /// The checksum of everything but itself.
    fn sum_with(&self, effects: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.generation.to_le_bytes());
        hasher.update(&self.index.to_le_bytes());
        hasher.update(&self.length.to_le_bytes());
        hasher.update(effects);
        hasher.finalize()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.sum.to_le_bytes());
    }

    fn read(bytes: &[u8; HEADER]) -> Self {
        let [a, b, c] = [0, 8, 16].map(|at| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(eight)
        });
        Self {
            generation: a,
            index: b,
            length: (c & u64::from(u32::MAX)) as u32,
            sum: (c >> 32) as u32,
        }
    }
}

/// How many bytes a record of that many bytes takes.
const fn room(effects: u64) -> u64 {
    (HEADER as u64 + effects).next_multiple_of(PAGE)
}

impl Journal {
    /// The journal in `bytes`, to be read from its beginning. What is there is of no use if the
    /// file that stands at `mark` was closed in order, and goes.
    pub(super) fn new(bytes: Box<dyn StorageBackend>, mark: Mark) -> io::Result<Self> {
        if !mark.open {
            bytes.set_len(0)?;
            bytes.sync_data()?;
        }
        let len = bytes.len()?;
        Ok(Self {
            bytes,
            generation: mark.generation,
            next: 0,
            at: 0,
            len,
        })
    }

    /// The effects of the next record; nothing at the end.
    pub(super) fn read(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(effects) = self.record_at(self.at, self.next).map_err(ReadError::Io)? else {
            return self.check_end().map(|()| None);
        };
        self.at += room(effects.len() as u64);
        self.next += 1;
        Ok(Some(effects))
    }

    /// The record with that number, if it is at that place.
    fn record_at(&self, at: u64, index: u64) -> io::Result<Option<Vec<u8>>> {
        match self.header_at(at)? {
            Some(header) if (header.generation, header.index) == (self.generation, index) => {
                self.effects_at(at, header)
            }
            _ => Ok(None),
        }
    }

    /// Whether there is a record with that header.
    fn holds(&self, at: u64, header: Header) -> io::Result<bool> {
        self.effects_at(at, header).map(|effects| effects.is_some())
    }

    /// The effects behind a header, if they are what it says.
    fn effects_at(&self, at: u64, header: Header) -> io::Result<Option<Vec<u8>>> {
        let (start, length) = (at + HEADER as u64, u64::from(header.length));
        if start + length > self.len {
            return Ok(None);
        }
        let mut effects = vec![0; header.length as usize];
        self.bytes.read(start, &mut effects)?;
        Ok((header.sum_with(&effects) == header.sum).then_some(effects))
    }

    fn header_at(&self, at: u64) -> io::Result<Option<Header>> {
        if at + HEADER as u64 > self.len {
            return Ok(None);
        }
        let mut bytes = [0; HEADER];
        self.bytes.read(at, &mut bytes)?;
        Ok(Some(Header::read(&bytes)))
    }

    /// Whether it may end with a record that does not hold.
    fn check_end(&self) -> Result<(), ReadError> {
        let mut at = self.at;
        while let Some(header) = self.header_at(at).map_err(ReadError::Io)? {
            let is_later = (header.generation, header.index) > (self.generation, self.next);
            if is_later && self.holds(at, header).map_err(ReadError::Io)? {
                return Err(if header.generation > self.generation {
                    ReadError::Newer
                } else {
                    ReadError::Damaged
                });
            }
            at += PAGE;
        }
        Ok(())
    }

    /// Begins `generation` at the start; the file has everything that was before.
    pub(super) const fn begin(&mut self, generation: u64) {
        (self.generation, self.next, self.at) = (generation, 0, 0);
    }

    /// Where the file stands once it has the next record.
    pub(super) const fn after_next(&self) -> Mark {
        Mark {
            generation: self.generation,
            applied: self.next + 1,
            open: true,
        }
    }

    /// Where the file stands after a checkpoint now; `open` unless it is closed with it.
    pub(super) const fn after_checkpoint(&self, open: bool) -> Mark {
        Mark {
            generation: self.generation + 1,
            applied: 0,
            open,
        }
    }

    /// How many bytes the records take.
    pub(super) const fn filled(&self) -> u64 {
        self.at
    }

    /// Appends a record; it is durable when this returns.
    pub(super) fn append(&mut self, effects: &[u8]) -> Result<(), AppendError> {
        let too_large = || AppendError::Space(io::ErrorKind::FileTooLarge.into());
        let header = Header::of(self.generation, self.next, effects).ok_or_else(too_large)?;
        let room = room(effects.len() as u64);
        let end = self.at + room;
        if end > self.len {
            self.grow(end).map_err(AppendError::Space)?;
        }
        let mut record = Vec::with_capacity(HEADER + effects.len());
        header.write(&mut record);
        record.extend_from_slice(effects);
        self.bytes
            .write(self.at, &record)
            .and_then(|()| self.bytes.sync_data())
            .map_err(AppendError::Write)?;
        (self.at, self.next) = (end, self.next + 1);
        Ok(())
    }

    /// Makes it so long that `end` fits. Only zeros are written.
    fn grow(&mut self, end: u64) -> io::Result<()> {
        let len = end.next_multiple_of(GROWTH);
        let zeros = vec![0; GROWTH as usize];
        let mut at = self.len;
        while at < len {
            let count = (len - at).min(GROWTH);
            self.bytes.write(at, &zeros[..count as usize])?;
            at += count;
        }
        self.len = len;
        Ok(())
    }
}
