//! Reads a trace line by line and checks it against itself.

use serde::Deserialize;
use thiserror::Error;

use super::{FORMAT, Header, Line, Place, Trace, VERSION};
use crate::index::NodeIndex;

/// What is wrong with a trace, and in which line.
#[derive(Debug, Error)]
#[error("line {line}: {kind}")]
pub struct TraceError {
    /// Counted from 1.
    pub line: usize,
    /// What.
    pub kind: TraceErrorKind,
}

/// What is wrong with a trace.
#[derive(Debug, Error)]
pub enum TraceErrorKind {
    /// It is not JSON, has an unknown or missing field, or a value of the wrong kind or range.
    #[error("not a line of a trace ({0})")]
    Json(#[source] serde_json::Error),
    /// The first line is something else.
    #[error("a trace begins with a line `trace` of format {FORMAT} version {VERSION}")]
    NoHeader,
    /// A header follows later.
    #[error("a second line `trace`")]
    SecondHeader,
    /// The header contradicts itself.
    #[error("{0}")]
    Header(&'static str),
    /// A number that the header does not know.
    #[error("{field} is {given}, but there are only {count}")]
    Unknown {
        /// Which field.
        field: &'static str,
        /// What it says.
        given: u64,
        /// How many there are.
        count: u64,
    },
    /// Places are given in the order of machines, each once.
    #[error("the place of machine {wanted} comes next, not of {given}")]
    PlaceOrder {
        /// The next machine.
        wanted: usize,
        /// The machine given.
        given: u32,
    },
    /// A load before the last place.
    #[error("a `load` before all {vms} machines have their place ({placed} have)")]
    Early {
        /// Machines.
        vms: u32,
        /// Placed.
        placed: usize,
    },
    /// A place after the first load.
    #[error("a `place` after the first `load`")]
    LatePlace,
    /// Loads go on in time.
    #[error("at_us goes back from {before} to {at_us}")]
    Back {
        /// The time of the load before.
        before: u64,
        /// The time of this one.
        at_us: u64,
    },
    /// A machine cannot ask for so much.
    #[error("cpu is {cpu}, more than any host has ({most})")]
    TooMuch {
        /// Asked for.
        cpu: u16,
        /// The largest host.
        most: u32,
    },
    /// Memory of a host is used twice.
    #[error("the machines at host {host} need {needed} MiB of memory, it has {capacity}")]
    Memory {
        /// The host.
        host: u32,
        /// Sum of its machines.
        needed: u64,
        /// What it has.
        capacity: u64,
    },
    /// The file ended too early.
    #[error("the trace ends before all {vms} machines have their place ({placed} have)")]
    Short {
        /// Machines.
        vms: u32,
        /// Placed.
        placed: usize,
    },
}

/// Takes the lines of a trace one after the other.
#[derive(Debug, Default)]
pub struct Reader {
    line: usize,
    trace: Option<Trace>,
    memory_mib: Vec<u64>,
    cpu_max: u32,
}

impl Reader {
    /// A reader before the first line.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a whole text.
    pub fn read(text: &str) -> Result<Trace, TraceError> {
        let mut reader = Self::new();
        for line in text.lines() {
            reader.line(line)?;
        }
        reader.finish()
    }

    /// Takes the next line; empty ones are skipped.
    pub fn line(&mut self, text: &str) -> Result<(), TraceError> {
        self.line += 1;
        if text.trim().is_empty() {
            return Ok(());
        }
        let line = self.line;
        self.take(text).map_err(|kind| TraceError { line, kind })
    }

    /// The trace, when all lines have been taken.
    pub fn finish(self) -> Result<Trace, TraceError> {
        let line = self.line;
        let error = |kind| TraceError { line, kind };
        let trace = self.trace.ok_or_else(|| error(TraceErrorKind::NoHeader))?;
        let (vms, placed) = (trace.header.vms, trace.placement.len());
        if placed < vms as usize {
            return Err(error(TraceErrorKind::Short { vms, placed }));
        }
        Ok(trace)
    }

    fn take(&mut self, text: &str) -> Result<(), TraceErrorKind> {
        let mut json = serde_json::Deserializer::from_str(text);
        let line = Line::deserialize(&mut json).map_err(TraceErrorKind::Json)?;
        json.end().map_err(TraceErrorKind::Json)?;
        match (line, &mut self.trace) {
            (Line::Trace(header), None) => self.on_header(header),
            (Line::Trace(_), Some(_)) => Err(TraceErrorKind::SecondHeader),
            (_, None) => Err(TraceErrorKind::NoHeader),
            (Line::Place(place), Some(trace)) => on_place(trace, &mut self.memory_mib, place),
            (Line::Load(load), Some(trace)) => {
                let (vms, placed) = (trace.header.vms, trace.placement.len());
                if placed < vms as usize {
                    return Err(TraceErrorKind::Early { vms, placed });
                }
                known("vm", u64::from(load.vm), vms as usize)?;
                let before = trace.loads.last().map_or(0, |load| load.at_us);
                let at_us = load.at_us;
                if at_us < before {
                    return Err(TraceErrorKind::Back { before, at_us });
                }
                let (cpu, most) = (load.cpu, self.cpu_max);
                if u32::from(cpu) > most {
                    return Err(TraceErrorKind::TooMuch { cpu, most });
                }
                trace.loads.push(load);
                Ok(())
            }
        }
    }

    fn on_header(&mut self, header: Header) -> Result<(), TraceErrorKind> {
        if header.format != FORMAT || header.version != VERSION {
            return Err(TraceErrorKind::NoHeader);
        }
        let nodes: u64 = header.sites.iter().map(|count| u64::from(*count)).sum();
        let wrong = |text| Err(TraceErrorKind::Header(text));
        if header.sites.len() > usize::from(u16::MAX) || nodes > u64::from(u32::MAX) {
            return wrong("sites: more nodes or sites than the simulator can number");
        }
        if header.sites.is_empty() || header.sites.contains(&0) {
            return wrong("sites must name at least one site, and each must have a node");
        }
        if header.host_classes.is_empty() || header.vm_classes.is_empty() {
            return wrong("host_classes and vm_classes need at least one class each");
        }
        if header
            .host_classes
            .iter()
            .any(|class| class.nic_mbps == 0 || class.cpu == 0)
        {
            return wrong("a host class needs cpu and nic_mbps above 0");
        }
        if !header.hosts.is_empty() && header.hosts.len() as u64 != nodes {
            return wrong("hosts must be empty or give the class of each node");
        }
        if header.duration_ms == 0 {
            return wrong("duration_ms must be above 0");
        }
        for class in &header.hosts {
            known("host class", u64::from(*class), header.host_classes.len())?;
        }
        self.cpu_max = header
            .host_classes
            .iter()
            .map(|class| class.cpu)
            .max()
            .unwrap_or(0);
        self.memory_mib = vec![0; nodes as usize];
        self.trace = Some(Trace {
            placement: Vec::with_capacity(header.vms as usize),
            loads: Vec::new(),
            header,
        });
        Ok(())
    }
}

fn on_place(trace: &mut Trace, memory: &mut [u64], place: Place) -> Result<(), TraceErrorKind> {
    let header = &trace.header;
    if !trace.loads.is_empty() {
        return Err(TraceErrorKind::LatePlace);
    }
    known("vm", u64::from(place.vm), header.vms as usize)?;
    known("host", u64::from(place.host), memory.len())?;
    known("class", u64::from(place.class), header.vm_classes.len())?;
    let (wanted, given) = (trace.placement.len(), place.vm);
    if given as usize != wanted {
        return Err(TraceErrorKind::PlaceOrder { wanted, given });
    }
    let class = header.vm_classes[usize::from(place.class)];
    let needed = &mut memory[place.host as usize];
    *needed += u64::from(class.memory_mib);
    let capacity = trace.host_class(place.host as usize).memory_mib;
    if *needed > capacity {
        return Err(TraceErrorKind::Memory {
            host: place.host,
            needed: *needed,
            capacity,
        });
    }
    trace.placement.push((NodeIndex(place.host), place.class));
    Ok(())
}

const fn known(field: &'static str, given: u64, count: usize) -> Result<(), TraceErrorKind> {
    let count = count as u64;
    if given < count {
        Ok(())
    } else {
        Err(TraceErrorKind::Unknown {
            field,
            given,
            count,
        })
    }
}

#[cfg(test)]
mod tests;
