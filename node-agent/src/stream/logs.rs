//! `kubectl logs`: reads a run's log file; follows it by the kernel's notifications, until the run has ended.
use super::{Stream, runs};
use crate::edge::{Edge, log_path};
use crate::logs::parse;
use crate::runtime::RunState;
use bus::StreamError;
use bytes::{Bytes, BytesMut};
use jiff::{SignedDuration, Timestamp};
use model::ApiError;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use state_client::node::{FromNode, LogOptions};
use std::io::{self, SeekFrom};
use std::path::PathBuf;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::net::unix::pipe::Receiver;

/// How much is read and sent at once.
const PIECE: usize = 32 << 10;

/// A log to be sent.
pub struct Source {
    path: PathBuf,
    follow: bool,
    timestamps: bool,
    since: Option<Timestamp>,
    tail: Option<usize>,
    limit: Option<usize>,
}

impl Source {
    /// The log that the options mean.
    ///
    /// # Errors
    /// 400 in the kubelet's words, when there is none.
    pub async fn find(edge: &Edge, uid: &str, pod: &str, name: &str, options: &LogOptions) -> Result<Self, ApiError> {
        let mut list = runs(edge, uid, name).await?;
        list.retain(|r| r.state != RunState::Created);
        let newest = list.pop();
        let run = if options.previous { list.pop() } else { newest };
        let run = run.ok_or_else(|| {
            ApiError::bad_request(if options.previous {
                format!("previous terminated container \"{name}\" in pod \"{pod}\" not found")
            } else {
                format!("container \"{name}\" in pod \"{pod}\" is waiting to start: ContainerCreating")
            })
        })?;
        let since_time = match &options.since_time {
            Some(text) => Some(text.parse().map_err(|e| ApiError::bad_request(format!("sinceTime: {e}")))?),
            None => options.since_seconds.and_then(|s| Timestamp::now().saturating_sub(SignedDuration::from_secs(s)).ok()),
        };
        Ok(Self {
            path: log_path(&edge.dir(uid), name, run.attempt),
            follow: options.follow && matches!(run.state, RunState::Running(_)),
            timestamps: options.timestamps,
            since: since_time,
            tail: options.tail_lines.map(|n| usize::try_from(n).unwrap_or_default()),
            limit: options.limit_bytes.map(|n| usize::try_from(n).unwrap_or_default()),
        })
    }

    /// Sends it.
    pub async fn copy(mut self, mut stream: Stream) -> Result<(), StreamError> {
        let result = self.send(&mut stream).await;
        match result {
            Ok(()) => Ok(()),
            Err(CopyError::Stream(e)) => Err(e),
            Err(CopyError::File(e)) => stream.send(FromNode::Failed(ApiError::internal(format!("{}: {e}", self.path.display())))).await,
        }
    }

    async fn send(&mut self, stream: &mut Stream) -> Result<(), CopyError> {
        let mut file = match File::open(&self.path).await {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()), // it printed nothing yet
            Err(e) => return Err(e.into()),
        };
        // Watched before it is read: nothing written in between is missed.
        let mut changes = if self.follow { Some(Changes::of(&self.path)?) } else { None };
        if let Some(lines) = self.tail {
            let from = tail_offset(&mut file, lines).await?;
            file.seek(SeekFrom::Start(from)).await?;
        }
        let mut pending = BytesMut::new();
        loop {
            let ended = match &mut changes {
                Some(changes) => changes.closed,
                None => true,
            };
            self.drain(&mut file, &mut pending, stream).await?;
            if ended || self.limit == Some(0) {
                return Ok(());
            }
            if let Some(changes) = &mut changes {
                tokio::select! {
                    changed = changes.wait() => changed?,
                    () = stream.closed() => return Ok(()),
                }
            }
        }
    }

    /// Sends what the file has from here on.
    async fn drain(&mut self, file: &mut File, pending: &mut BytesMut, stream: &mut Stream) -> Result<(), CopyError> {
        loop {
            pending.reserve(PIECE);
            let n = file.read_buf(pending).await?;
            let mut out = Vec::with_capacity(pending.len());
            while let Some(end) = pending.iter().position(|b| *b == b'\n') {
                let line = pending.split_to(end + 1);
                self.render(line.get(..end).unwrap_or_default(), &mut out);
            }
            if let Some(limit) = &mut self.limit {
                out.truncate(*limit);
                *limit -= out.len();
            }
            if !out.is_empty() {
                stream.send(FromNode::Data(Bytes::from(out))).await?;
            }
            if n == 0 || self.limit == Some(0) {
                return Ok(());
            }
        }
    }

    fn render(&self, line: &[u8], out: &mut Vec<u8>) {
        let Some(line) = parse(line) else { return };
        if self.since.is_some_and(|since| line.time < since) {
            return;
        }
        if self.timestamps {
            out.extend_from_slice(line.stamp.as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(line.text);
        if line.full {
            out.push(b'\n');
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    File(#[from] io::Error),
}

/// Where the last `lines` lines begin.
async fn tail_offset(file: &mut File, lines: usize) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0)).await?;
    if lines == 0 {
        return Ok(end);
    }
    let last = end;
    let mut seen = 0;
    let mut buffer = vec![0; PIECE];
    while end > 0 {
        let start = end.saturating_sub(PIECE as u64);
        file.seek(SeekFrom::Start(start)).await?;
        let length = usize::try_from(end - start).unwrap_or(PIECE);
        let piece = buffer.get_mut(..length).unwrap_or_default();
        file.read_exact(piece).await?;
        for (i, byte) in piece.iter().enumerate().rev() {
            let at = start + i as u64;
            if *byte == b'\n' && at + 1 < last {
                seen += 1;
                if seen == lines {
                    return Ok(at + 1);
                }
            }
        }
        end = start;
    }
    Ok(0)
}

/// The kernel's notifications of one file: written, or closed by its writer, which is the container's end.
struct Changes {
    events: Receiver,
    closed: bool,
}

/// `struct inotify_event` without its name: watch, mask, cookie, length of the name; see inotify(7).
const EVENT: usize = 16;

impl Changes {
    fn of(path: &PathBuf) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&fd, path, WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::DELETE_SELF)?;
        // What a pipe's end does is what is needed here: wait until it is readable, and read.
        Ok(Self { events: Receiver::from_owned_fd_unchecked(fd)?, closed: false })
    }

    async fn wait(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        self.events.readable().await?;
        match self.events.try_read(&mut buffer) {
            Ok(n) => self.closed |= ends(buffer.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

/// Whether one of these events is the writer's end.
fn ends(mut events: &[u8]) -> bool {
    let last = ReadFlags::CLOSE_WRITE | ReadFlags::DELETE_SELF | ReadFlags::IGNORED;
    while let Some(header) = events.first_chunk::<EVENT>() {
        let word = |at: usize| header.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes);
        if ReadFlags::from_bits_retain(word(4)).intersects(last) {
            return true;
        }
        events = events.get(EVENT + word(12) as usize..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tails() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text: String = (0..5000).map(|i| format!("{i} line\n")).collect();
        std::fs::write(&path, &text).unwrap();
        let mut file = File::open(&path).await.unwrap();
        for (lines, want) in [(0, ""), (1, "4999 line\n"), (2, "4998 line\n4999 line\n"), (9000, text.as_str())] {
            let from = usize::try_from(tail_offset(&mut file, lines).await.unwrap()).unwrap();
            assert_eq!(&text[from..], want, "{lines}");
        }
    }
}
