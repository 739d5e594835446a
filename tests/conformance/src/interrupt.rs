//! Ctrl-C: the suite and the cluster get it as well and end; this program goes on for long enough to take the machines away.
use crate::failure::Failure;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{SignalKind, signal};

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on a signal that asks to end is noted instead of obeyed.
pub fn catch() -> Result<(), Failure> {
    let start = |source| Failure::Start { program: PathBuf::from("the signals' thread"), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(start)?;
    let (mut interrupt, mut terminate) = {
        let _in_runtime = runtime.enter();
        (signal(SignalKind::interrupt()).map_err(start)?, signal(SignalKind::terminate()).map_err(start)?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                ASKED.store(true, Ordering::Relaxed);
            }
        });
    });
    Ok(())
}

/// Whether somebody has asked to end.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
