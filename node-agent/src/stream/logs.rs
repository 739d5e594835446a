//! `kubectl logs`: reads a run's log, over all its files; follows it by the kernel's notifications, until the run has ended.
use super::absent;
use super::find::runs;
use super::follow::{self, Next, PIECE, Part};
use crate::executor::{Executor, log_path};
use crate::logs::{parse, stamp};
use crate::runtime::RunState;
use bus::{Duplex, StreamError};
use bytes::{Bytes, BytesMut};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use model::ApiError;
use state_client::node::{FromNode, LogOptions, ToNode};
use std::io;
use std::path::PathBuf;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// The longest line of a log file: a runtime writes pieces of 8 KiB.
const LINE_MAX: usize = 1 << 20;

/// A log to be sent.
pub struct Source {
    live: PathBuf,
    follow: bool,
    timestamps: bool,
    since: Option<Timestamp>,
    tail: Option<usize>,
    limit: Option<usize>,
    /// Whether what comes next is the beginning of a line.
    begins: bool,
}

impl Source {
    /// The log that the options mean.
    ///
    /// # Errors
    /// 400 in the kubelet's words, when there is none.
    pub async fn find(executor: &Executor, pod: &Pod, name: &str, options: &LogOptions) -> Result<Self, ApiError> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let mut list = runs(executor, uid, name).await?;
        list.retain(|r| r.state != RunState::Created);
        let newest = list.pop();
        let run = if options.previous { list.pop() } else { newest };
        let run = run.ok_or_else(|| ApiError::bad_request(absent::why(pod, name, options.previous)))?;
        let since_time = match &options.since_time {
            Some(text) => Some(text.parse().map_err(|e| ApiError::bad_request(format!("sinceTime: {e}")))?),
            None => options.since_seconds.and_then(|s| Timestamp::now().saturating_sub(SignedDuration::from_secs(s)).ok()),
        };
        Ok(Self {
            live: log_path(&executor.dir(uid), name, run.attempt),
            follow: options.follow && matches!(run.state, RunState::Running(_)),
            timestamps: options.timestamps,
            since: since_time,
            tail: options.tail_lines.map(|n| usize::try_from(n).unwrap_or_default()),
            limit: options.limit_bytes.map(|n| usize::try_from(n).unwrap_or_default()),
            begins: true,
        })
    }

    /// Sends it.
    pub async fn copy(mut self, mut stream: Duplex<FromNode, ToNode>) -> Result<(), StreamError> {
        let result = self.send(&mut stream).await;
        match result {
            Ok(()) => Ok(()),
            Err(CopyError::Stream(e)) => Err(e),
            Err(CopyError::File(e)) => stream.send(FromNode::Failed(ApiError::internal(format!("{}: {e}", self.live.display())))).await,
        }
    }

    async fn send(&mut self, stream: &mut Duplex<FromNode, ToNode>) -> Result<(), CopyError> {
        let Some(mut part) = self.begin().await? else { return Ok(()) }; // it printed nothing yet
        let mut pending = BytesMut::new();
        loop {
            // Asked before it is read: a file that another one follows, or that is closed, is complete.
            let next = part.next(&self.live).await?;
            self.drain(&mut part.file, &mut pending, stream).await?;
            if self.limit == Some(0) {
                return Ok(());
            }
            match next {
                Next::End => return Ok(()),
                Next::File(path) => match Part::open(&path, self.follow).await {
                    Ok(opened) => part = opened,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {} // it was put aside itself
                    Err(e) => return Err(e.into()),
                },
                Next::Wait => tokio::select! {
                    changed = part.wait(&self.live) => if !changed? { return Ok(()) },
                    () = stream.closed() => return Ok(()),
                },
            }
        }
    }

    async fn begin(&self) -> io::Result<Option<Part>> {
        match follow::begin(&self.live, self.tail, self.follow).await {
            // It was put aside meanwhile, which doesn't happen twice within a moment.
            Err(e) if e.kind() == io::ErrorKind::NotFound => follow::begin(&self.live, self.tail, self.follow).await,
            other => other,
        }
    }

    /// Sends what the file has from here on.
    async fn drain(&mut self, file: &mut File, pending: &mut BytesMut, stream: &mut Duplex<FromNode, ToNode>) -> Result<(), CopyError> {
        loop {
            pending.reserve(PIECE);
            let n = file.read_buf(pending).await?;
            let mut out = Vec::with_capacity(pending.len());
            while let Some(end) = pending.iter().position(|b| *b == b'\n') {
                let line = pending.split_to(end + 1);
                self.render(line.get(..end).unwrap_or_default(), &mut out);
            }
            // No runtime writes a line that long; what it is the rest of is none either.
            if pending.len() > LINE_MAX {
                pending.clear();
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

    fn render(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(line) = parse(line) else { return };
        let begins = std::mem::replace(&mut self.begins, line.full || line.text.is_empty());
        if self.since.is_some_and(|since| line.time < since) {
            return;
        }
        if self.timestamps && begins {
            out.extend_from_slice(stamp(line.time).as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn source(timestamps: bool, since: Option<&str>) -> Source {
        let since = since.map(|s| s.parse().unwrap());
        Source { live: PathBuf::new(), follow: false, timestamps, since, tail: None, limit: None, begins: true }
    }

    #[test]
    fn times_stand_at_the_beginnings_of_lines_in_one_form() {
        let log = "2026-01-01T02:00:00.1+02:00 stdout P ab\n2026-01-01T00:00:00.123456789+00:00 stdout P c\nnonsense\n\
                   2026-01-01T00:00:01Z stdout F \n2026-01-01T00:00:02Z stderr F d\n2026-01-01T00:00:03.5Z stdout F \n";
        let rows = [
            (false, None, "abc\nd\n\n"),
            (true, None, "2026-01-01T00:00:00.100000000Z abc\n2026-01-01T00:00:02.000000000Z d\n2026-01-01T00:00:03.500000000Z \n"),
            (true, Some("2026-01-01T00:00:02Z"), "2026-01-01T00:00:02.000000000Z d\n2026-01-01T00:00:03.500000000Z \n"),
        ];
        for (timestamps, since, want) in rows {
            let (mut source, mut out) = (source(timestamps, since), Vec::new());
            log.lines().for_each(|line| source.render(line.as_bytes(), &mut out));
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }
}
