//! A request's body while it arrives, whether or not anyone wants it.
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::time::Duration;
use tokio::sync::oneshot;

/// How far a body that nobody wants is read on, in bytes, and how long.
const READ_ON: usize = 16 * 1024 * 1024;
const READ_ON_FOR: Duration = Duration::from_secs(30);

/// A request's body, as it arrives.
pub struct Upload {
    body: Option<Incoming>,
    whole: Option<Bytes>,
    leave: Option<oneshot::Sender<Incoming>>,
}

/// What becomes of a body that is not wanted to its end.
pub struct Rest(oneshot::Receiver<Incoming>);

impl Upload {
    /// A body to be read, and what will be left of it.
    pub fn new(body: Incoming) -> (Self, Rest) {
        let (leave, left) = oneshot::channel();
        (Self { body: Some(body), whole: None, leave: Some(leave) }, Rest(left))
    }

    /// A body that is here already.
    pub fn whole(body: Bytes) -> Self {
        Self { body: None, whole: Some(body), leave: None }
    }

    /// Whether nothing more comes of it.
    pub fn is_over(&self) -> bool {
        self.whole.as_ref().is_none_or(Bytes::is_empty) && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The client's breaking off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        match &mut self.body {
            Some(body) => next(body).await,
            None => Ok(self.whole.take()),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let Some((rest, leave)) = rest.zip(self.leave.take())
            && leave.send(rest).is_err()
        {
            tracing::trace!("nobody answers this request any more");
        }
    }
}

impl Rest {
    /// Takes in, up to a limit, what nobody wanted of the body. The answer goes out after that, be it a 404, 405 or 413 that needed no body: a client
    /// that hears of an error while it sends may break off in a way that makes the request malformed (curl ends its HTTP/2 stream before the length
    /// that it announced), and then it gets a reset beside the answer.
    pub async fn take_in(mut self) {
        if let Ok(body) = self.0.try_recv()
            && tokio::time::timeout(READ_ON_FOR, read_on(body)).await.is_err()
        {
            tracing::debug!("a body that nobody wants takes too long");
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
