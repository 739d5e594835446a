//! A request's body while it arrives, whether or not anyone wants it.
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::time::Duration;

/// How far a body that nobody wants is read on, in bytes, and how long.
const READ_ON: usize = 16 * 1024 * 1024;
const READ_ON_FOR: Duration = Duration::from_secs(30);

/// A request's body, as it arrives.
///
/// An answer may be given before the body has come, and without a look at it: 404, 405, 413. What is left of the body when this is dropped is taken in
/// behind the answer and thrown away, up to a limit: dropping it at once would reset the HTTP/2 stream, and a client that is cut off while it sends
/// may not read the answer.
pub struct Upload(Option<Incoming>);

impl From<Incoming> for Upload {
    fn from(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Upload {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The client's breaking off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        match &mut self.0 {
            Some(body) => next(body).await,
            None => Ok(None),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(body) = self.0.take().filter(|b| !b.is_end_stream()) {
            tokio::spawn(tokio::time::timeout(READ_ON_FOR, read_on(body)));
        }
    }
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = body.frame().await.transpose()? {
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

async fn read_on(mut body: Incoming) {
    let mut size = 0;
    while let Ok(Some(data)) = next(&mut body).await {
        size += data.len();
        if size > READ_ON {
            break;
        }
    }
}
