//! Errors of starting `nats-server`. Each says what the user can do about it.
use std::io;
use std::path::PathBuf;

/// Why the embedded server doesn't run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No binary.
    #[error("there is no nats-server: install it (version 2.10 or later), or name its binary in WHALESONG_NATS_SERVER")]
    NotFound,
    /// The binary doesn't start.
    #[error("{binary} can't be started: {source}; check that it is an executable for this machine")]
    Spawn {
        /// Which.
        binary: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too old.
    #[error("nats-server is {found}, too old: install 2.10 or later, or name a newer binary in WHALESONG_NATS_SERVER")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// Somebody else has the port.
    #[error("port {port} is in use: stop what listens there, or choose another port for NATS")]
    PortInUse {
        /// Which.
        port: u16,
    },
    /// Another process runs a server on the same directory.
    #[error("{directory} is in use by another whalesong: stop that one, or choose another data directory")]
    InUse {
        /// Which.
        directory: PathBuf,
    },
    /// The directory can't be written.
    #[error("{directory} can't be written: {source}; check its owner and free space, or choose another data directory")]
    Unwritable {
        /// Which.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It started, but said something else than that it is ready.
    #[error("nats-server doesn't start: {log}")]
    Failed {
        /// The end of its log.
        log: String,
    },
    /// It neither failed nor became ready.
    #[error("nats-server wasn't ready within {seconds} s: the disk may be too slow, or too busy")]
    Slow {
        /// How long was waited.
        seconds: u64,
    },
    /// It can't be told.
    #[error("nats-server can't be signalled: {source}")]
    Signal {
        /// Why.
        source: io::Error,
    },
}
