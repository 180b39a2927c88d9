//! One node's brain: overlay and scheduler composed into one `Protocol`; no decision of its own.
