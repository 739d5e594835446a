//! Commands to conmon, the process that holds a container's standard streams. Podman has no request for what is asked of it here.
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The line on conmon's control pipe that has it open its log files again; the first number is what is wanted, the others are a terminal's size.
const REOPEN: &[u8] = b"2 0 0\n";

/// Tells the conmon of the container with this `config.json`. Fails when none reads there.
pub fn reopen_log(config: &Path) -> io::Result<()> {
    let pipe = config.with_file_name("ctl");
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().write(true).custom_flags(flags).open(pipe)?.write_all(REOPEN)
}
