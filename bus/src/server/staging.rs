//! Lets the embedded server gather the messages of an atomic batch in memory instead of on disk, because that is most of what a batch costs.
//!
//! nats-server (2.12 to 2.15, `jetstream_batching.go`) collects a batch for a stream of one replica in a directory below the stream's, `batches/<id>`. That
//! takes some sixty file system calls and five syncs a batch, before the one sync of the stream itself. No acknowledgement depends on these files, because it
//! is sent after the stream's own sync. They only let a server that died while it applied a batch continue with it. Our batches are groups of independent
//! writes, so a batch of which power loss stores only a part is as good as two batches; when only the server dies, the files are still in memory.
//!
//! So `batches` is replaced by a symbolic link to a directory on tmpfs. The server removes the link when it starts, so the link is made after each start.
//! Where the files aren't laid out as expected, nothing is changed: batches work without the link, but are slower.
use super::ServerOptions;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// What the directory in memory is named by, beside a random part.
const PREFIX: &str = "whalesong-staging-";
/// With less memory free there it isn't used, bytes: a few of the largest batches.
const ROOM: u64 = 48 << 20;

/// Where below the server's directory it is remembered which directory in memory is this server's.
fn note(options: &ServerOptions) -> PathBuf {
    options.directory.join("staging")
}

/// Lets the streams that take atomic batches gather them in memory. Again after each start, and when streams were made. Where `idle` says that nobody
/// writes yet, a directory on disk is replaced.
pub(super) fn link(options: &ServerOptions, idle: bool) {
    match try_link(options, idle) {
        Ok(linked) => tracing::debug!(linked, "streams gather batches in memory"),
        Err(error) => tracing::info!(%error, "batches are gathered on disk, which is slower"),
    }
}

/// Removes what is in memory of a server on `directory` that doesn't run.
///
/// # Errors
/// When it can't be removed.
pub fn forget(directory: &Path) -> io::Result<()> {
    let note = note(&ServerOptions::new(directory));
    let Ok(staging) = fs::read_link(&note) else { return Ok(()) };
    // somebody may have made the note lead elsewhere: nothing is removed but a directory in memory with such a name
    let named = staging.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    let is_directory = fs::symlink_metadata(&staging).is_ok_and(|found| found.is_dir());
    if named && is_directory && staging.parent().is_some_and(is_tmpfs) {
        fs::remove_dir_all(&staging)?;
    }
    fs::remove_file(note)
}

fn try_link(options: &ServerOptions, idle: bool) -> io::Result<usize> {
    let Some(memory) = options.memory.as_deref().filter(|memory| is_memory(memory)) else { return Ok(0) };
    let mut linked = 0;
    for stream in streams(&options.directory)? {
        let place = staging(memory, &note(options))?.join(stream.file_name().unwrap_or_default());
        let batches = stream.join("batches");
        if fs::read_link(&batches).is_ok_and(|to| to == place) {
            continue;
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
        // one that holds a batch stays
        if idle && batches.is_dir() {
            fs::remove_dir(&batches)?;
        }
        symlink(&place, &batches)?;
        linked += 1;
    }
    Ok(linked)
}

/// The directory in memory that the note names, or a new one.
fn staging(memory: &Path, note: &Path) -> io::Result<PathBuf> {
    if let Ok(known) = fs::read_link(note) {
        if known.is_dir() {
            return Ok(known);
        }
        fs::remove_file(note)?;
    }
    let new = memory.join(format!("{PREFIX}{}", uuid::Uuid::new_v4().simple()));
    fs::DirBuilder::new().mode(0o700).create(&new)?;
    symlink(&new, note)?;
    Ok(new)
}

/// The directories of the streams that take atomic batches and have one replica.
fn streams(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Ok(accounts) = fs::read_dir(directory.join("jetstream")) else { return Ok(found) };
    for account in accounts {
        let Ok(streams) = fs::read_dir(account?.path().join("streams")) else { continue };
        for stream in streams {
            let stream = stream?.path();
            if takes_batches(&stream) {
                found.push(stream);
            }
        }
    }
    Ok(found)
}

fn takes_batches(stream: &Path) -> bool {
    let about = fs::read(stream.join("meta.inf")).ok().and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok());
    about.is_some_and(|about| about["allow_atomic"] == true && about["num_replicas"] == 1)
}

#[cfg(target_os = "linux")]
fn is_memory(path: &Path) -> bool {
    is_tmpfs(path) && rustix::fs::statfs(path).is_ok_and(|disk| disk.f_bavail * disk.f_bsize as u64 >= ROOM)
}

#[cfg(target_os = "linux")]
fn is_tmpfs(path: &Path) -> bool {
    const TMPFS: u64 = 0x0102_1994;
    rustix::fs::statfs(path).is_ok_and(|disk| disk.f_type as u64 == TMPFS)
}

#[cfg(not(target_os = "linux"))]
fn is_memory(_: &Path) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn is_tmpfs(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(server: &Path, name: &str, about: &str) -> PathBuf {
        let directory = server.join("jetstream/$G/streams").join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("meta.inf"), about).unwrap();
        directory.join("batches")
    }

    #[test]
    fn only_streams_with_batches_are_linked_and_all_is_forgotten() {
        let server = tempfile::tempdir().unwrap();
        let options = ServerOptions::new(server.path());
        if !options.memory.as_deref().is_some_and(is_memory) {
            return;
        }
        let log = stream(server.path(), "LOG", r#"{"allow_atomic":true,"num_replicas":1}"#);
        let others = [
            stream(server.path(), "EVENTS", r#"{"num_replicas":1}"#),
            stream(server.path(), "THREE", r#"{"allow_atomic":true,"num_replicas":3}"#),
            stream(server.path(), "ODD", "no JSON"),
        ];
        assert_eq!(try_link(&options, false).unwrap(), 1);
        assert_eq!(try_link(&options, true).unwrap(), 0);
        fs::create_dir(log.join("a batch")).unwrap();
        assert!(others.iter().all(|o| !o.exists()));
        // a server that starts removes the link, and may have made a directory by the time that it is made again
        fs::remove_file(&log).unwrap();
        fs::create_dir(&log).unwrap();
        assert!(try_link(&options, false).is_err());
        assert_eq!(try_link(&options, true).unwrap(), 1);
        assert!(log.join("a batch").is_dir());
        fs::remove_file(&log).unwrap();
        fs::create_dir_all(log.join("under way")).unwrap();
        assert!(try_link(&options, true).is_err());
        let memory = fs::read_link(note(&options)).unwrap();
        forget(server.path()).unwrap();
        forget(server.path()).unwrap();
        assert!(!memory.exists() && !note(&options).exists());
        // a note that leads elsewhere goes, and where it leads to stays
        let theirs = tempfile::tempdir().unwrap();
        symlink(theirs.path(), note(&options)).unwrap();
        forget(server.path()).unwrap();
        assert!(theirs.path().is_dir() && fs::symlink_metadata(note(&options)).is_err());
    }
}
