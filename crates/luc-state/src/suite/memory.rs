//! The engine suite on the memory engine: alone, shared, and behind a lossy link.

use std::sync::Arc;

use crate::engine_suite;
use crate::lossy::{Faults, LossyLink};
use crate::memory::MemoryEngine;
use crate::suite::Rig;

mod sole {
    use super::*;

    fn rig(controllers: usize) -> Rig {
        Rig::of(Arc::new(MemoryEngine::sole()), controllers)
    }

    engine_suite!(rig);
}

mod shared {
    use super::*;

    fn rig(controllers: usize) -> Rig {
        Rig::of(Arc::new(MemoryEngine::new()), controllers)
    }

    engine_suite!(rig);
}

mod lossy {
    use super::*;

    fn rig(controllers: usize) -> Rig {
        let engine = MemoryEngine::new();
        let handles = (0..controllers).map(|number| {
            let engine = Arc::new(engine.clone());
            Arc::new(LossyLink::new(engine, Faults::MANY, 4711 + number as u64)) as _
        });
        Rig {
            handles: handles.collect(),
            keep: Box::new(()),
        }
    }

    engine_suite!(rig);
}
