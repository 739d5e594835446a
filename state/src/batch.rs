//! A batch of requests: it is let in as a whole, its requests are worked on together, and they share what they may take.
use crate::fencing;
use crate::flow_control::{self, InFlightRequest};
use crate::identity;
use crate::pipeline::Pipeline;
use bus::{Caller, Class, Incoming, Role};
use futures::StreamExt;
use model::ApiError;
use state_client::{Batch, Reply, Request, User};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Requests of one batch that are worked on at once.
const AT_ONCE: usize = 1_024;
/// Bytes of the replies to one batch, about.
const REPLIES: usize = 64 << 20;

/// Works on all requests of a batch at once, so that their commits share the log's next write. Replies keep the order.
pub(crate) async fn answer(pipeline: &Pipeline, mut asked: Incoming<Batch>) -> <Batch as bus::Call>::Reply {
    let all = asked.message.0.len();
    let admitted = match let_in(pipeline, &mut asked).await {
        Ok(admitted) => admitted,
        Err(refusal) => return vec![Err(refusal); all],
    };
    let caller = asked.caller;
    let bounds = Bounds::of(caller.role.class());
    let room = AtomicUsize::new(bounds.bytes);
    let one = async |request| {
        // what others of the batch were answered takes room until all are
        if room.load(Ordering::Relaxed) == 0 {
            return Err(flow_control::too_many());
        }
        let reply = pipeline.handle_inside(&caller, Box::new(request)).await;
        let took = reply.as_ref().map_or(0, size);
        room.update(Ordering::Relaxed, Ordering::Relaxed, |room| room.saturating_sub(took));
        reply
    };
    let replies = futures::stream::iter(asked.message.0.into_iter().map(one)).buffered(bounds.at_once).collect().await;
    drop(admitted);
    replies
}

/// Lets a batch in: as a whole it counts as one.
async fn let_in(pipeline: &Pipeline, asked: &mut Incoming<Batch>) -> Result<InFlightRequest, ApiError> {
    let requests = &mut asked.message.0;
    let speaks_for_itself = asked.caller.role != Role::Gateway;
    let user = if speaks_for_itself { identity::resolve(&asked.caller, None)? } else { User::default() };
    let bytes = requests.iter().map(flow_control::weight).sum::<usize>() + requests.len() * size_of::<Request>();
    let admitted = pipeline.batches().enter(&asked.caller, &user, bytes)?;
    fenced(pipeline, &asked.caller, requests).await?;
    admitted.take_seat().await?;
    Ok(admitted)
}

/// What the requests of one batch may take together.
struct Bounds {
    /// Requests that are worked on at once.
    at_once: usize,
    /// Bytes of their replies: when these are used up, the rest is refused.
    bytes: usize,
}

impl Bounds {
    fn of(class: Class) -> Self {
        match class {
            Class::Control => Self { at_once: AT_ONCE, bytes: REPLIES },
            Class::Nodes | Class::Users => Self { at_once: AT_ONCE / 16, bytes: REPLIES / 4 },
        }
    }
}

fn size(reply: &Reply) -> usize {
    match reply {
        Reply::Object { object, .. } => object.json().len(),
        Reply::List(list) => list.items.iter().map(|item| item.json().len()).sum(),
        Reply::Json { json, .. } => json.len(),
    }
}

/// One question for a whole batch that is asked under one lease; others ask for themselves.
async fn fenced(pipeline: &Pipeline, caller: &Caller, requests: &mut [Request]) -> Result<(), ApiError> {
    let write = requests.iter().find(|r| r.fence.is_some() && fencing::writes(r.verb));
    let Some(write) = write.filter(|write| requests.iter().all(|r| r.fence == write.fence)) else { return Ok(()) };
    if let Some(fence) = &write.fence {
        pipeline.fences().admit(caller, fence, (write.verb, &write.resource, &write.name)).await?;
    }
    requests.iter_mut().for_each(|request| request.fence = None);
    Ok(())
}
