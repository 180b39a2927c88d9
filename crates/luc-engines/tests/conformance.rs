//! The engine suite on the embedded engine, on a real file.

use std::sync::Arc;

use luc_engines::{EmbeddedEngine, EmbeddedOptions};
use luc_state::engine_suite;
use luc_state::suite::Rig;

fn rig(controllers: usize) -> Rig {
    let directory = tempfile::tempdir().expect("a directory for the file");
    let path = directory.path().join("state.redb");
    let engine = EmbeddedEngine::open(path, EmbeddedOptions::default()).expect("a new file");
    Rig {
        keep: Box::new(directory),
        ..Rig::of(Arc::new(engine), controllers)
    }
}

engine_suite!(rig);
