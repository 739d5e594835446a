//! The files of one log, read one after the other as if they were one.
use crate::executor::log_files;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::io::{self, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::net::unix::pipe::Receiver;

/// How much is read at once.
pub const PIECE: usize = 32 << 10;
/// How long the runtime takes at most to begin a new file when one was put aside.
const GAP: Duration = Duration::from_secs(2);

/// How often a log's files are listed to find one among them that is there.
const LOOKS: usize = 3;

/// One file of a log, open.
pub struct Part {
    /// The file, where reading goes on.
    pub file: File,
    changes: Option<Changes>,
}

/// What follows when a file has been read to its end.
pub enum Next {
    /// More is in the next file: this one is complete.
    File(PathBuf),
    /// More may come.
    Wait,
    /// That was all.
    End,
}

impl Part {
    /// Opens a file of the log; `follow`: it will be waited for what comes.
    pub async fn open(path: &Path, follow: bool) -> io::Result<Self> {
        let file = File::open(path).await?;
        // Watched before it is read: nothing written in between is missed.
        let changes = if follow { Some(Changes::of(&file, path.parent().unwrap_or(path))?) } else { None };
        Ok(Self { file, changes })
    }

    /// What follows this file in the log that is written to `live`, once it has been read to its end.
    pub async fn next(&self, live: &Path) -> io::Result<Next> {
        let mine = self.file.metadata().await?;
        let same = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (mine.dev(), mine.ino()));
        let (mut list, mut at) = (Vec::new(), None);
        // One that is renamed at this moment may be missed, by both of its names.
        for _ in 0..LOOKS {
            list = log_files(live);
            at = list.iter().position(same);
            if at.is_some() || mine.nlink() == 0 {
                break;
            }
        }
        // One that isn't there any more was the oldest.
        let after = at.map_or(if mine.nlink() == 0 { 0 } else { list.len() }, |at| at + 1);
        if let Some(path) = list.get(after) {
            return Ok(Next::File(path.clone()));
        }
        let complete = list.last().is_some_and(|path| path == live) && self.changes.as_ref().is_some_and(|c| c.closed);
        Ok(if self.changes.is_none() || complete || list.is_empty() { Next::End } else { Next::Wait })
    }

    /// Waits until something happens to the file, or to the log's files; whether it did. Where a new file is due, not for long.
    pub async fn wait(&mut self, live: &Path) -> io::Result<bool> {
        let Some(changes) = &mut self.changes else { return Ok(false) };
        if live.exists() {
            return changes.wait().await.map(|()| true);
        }
        tokio::time::timeout(GAP, changes.wait()).await.map_or(Ok(false), |waited| waited.map(|()| true))
    }
}

/// Opens the log that is written to `live` where its last `lines` lines begin, or its beginning; `None` when there is nothing.
pub async fn begin(live: &Path, lines: Option<usize>, follow: bool) -> io::Result<Option<Part>> {
    let mut missing = lines;
    let mut list = log_files(live);
    if lines.is_none() {
        list.truncate(1);
    }
    let mut part = None;
    for path in list.iter().rev() {
        let mut older = Part::open(path, follow).await?;
        if let Some(lines) = missing {
            let (from, left) = tail_offset(&mut older.file, lines).await?;
            older.file.seek(SeekFrom::Start(from)).await?;
            missing = Some(left);
        }
        part = Some(older);
        if missing == Some(0) {
            break;
        }
    }
    Ok(part)
}

/// Where the last `lines` lines begin, and how many of them the file doesn't have.
async fn tail_offset(file: &mut File, lines: usize) -> io::Result<(u64, usize)> {
    let mut end = file.seek(SeekFrom::End(0)).await?;
    if lines == 0 || end == 0 {
        return Ok((end, lines));
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
                    return Ok((at + 1, 0));
                }
            }
        }
        end = start;
    }
    Ok((0, lines - seen - 1))
}

/// The kernel's notifications of one file (written, or closed by its writer, which is the container's end or the file's) and of its directory.
struct Changes {
    events: Receiver,
    closed: bool,
}

/// `struct inotify_event` without its name: watch, mask, cookie, length of the name; see inotify(7).
const EVENT: usize = 16;

impl Changes {
    fn of(file: &File, dir: &Path) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // By its descriptor: its name may be another file's by now.
        inotify::add_watch(&fd, format!("/proc/self/fd/{}", file.as_raw_fd()), WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE)?;
        inotify::add_watch(&fd, dir, WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE)?;
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
    while let Some(header) = events.first_chunk::<EVENT>() {
        let word = |at: usize| header.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes);
        if ReadFlags::from_bits_retain(word(4)).intersects(ReadFlags::CLOSE_WRITE | ReadFlags::IGNORED) {
            return true;
        }
        events = events.get(EVENT + word(12) as usize..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rest(live: &Path, lines: Option<usize>) -> String {
        let mut text = String::new();
        let Some(mut part) = begin(live, lines, false).await.unwrap() else { return text };
        loop {
            part.file.read_to_string(&mut text).await.unwrap();
            match part.next(live).await.unwrap() {
                Next::File(path) => part = Part::open(&path, false).await.unwrap(),
                Next::Wait | Next::End => return text,
            }
        }
    }

    #[tokio::test]
    async fn tails_of_one_file_and_of_several() {
        let text = |from: usize, to: usize| (from..to).map(|i| format!("{i} line\n")).collect::<String>();
        for cuts in [vec![0, 5000], vec![0, 10, 4998, 5000], vec![0, 2000, 5000, 5000]] {
            let dir = tempfile::tempdir().unwrap();
            let live = dir.path().join("0.log");
            for (i, cut) in cuts.windows(2).enumerate() {
                let path = if i + 2 == cuts.len() { live.clone() } else { dir.path().join(format!("0.log.{i}")) };
                std::fs::write(path, text(cut[0], cut[1])).unwrap();
            }
            for (lines, from) in [(Some(0), 5000), (Some(1), 4999), (Some(2), 4998), (Some(3000), 2000), (Some(4995), 5), (Some(9000), 0), (None, 0)] {
                assert_eq!(rest(&live, lines).await, text(from, 5000), "{lines:?} {cuts:?}");
            }
        }
    }
}
