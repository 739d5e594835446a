//! Controllers as pure plans, and the runtime that carries them out.
pub mod runtime;
