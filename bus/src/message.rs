//! The kinds of messages: a call gets one reply, an open request starts a stream, and a notice is heard by all who listen. The type of a message names the
//! service that receives it, or the topic that it is about.
use crate::address::Caller;
use serde::{Serialize, de::DeserializeOwned};

/// Anything that may cross the bus.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {}
impl<T: Serialize + DeserializeOwned + Send + 'static> Message for T {}

/// A request that gets one reply.
pub trait Call: Message {
    /// What comes back. Failures that the receiver means to tell are part of it.
    type Reply: Message;
    /// The service that answers: two words, `state.api`. Part of the subject.
    const SERVICE: &'static str;
}

/// A request that opens a stream in both directions.
pub trait Open: Message {
    /// Frames from the opener.
    type Up: Message;
    /// Frames to the opener.
    type Down: Message;
    /// What the acceptor says when it doesn't accept.
    type Refusal: Message;
    /// The service that accepts: two words, `node.stream`.
    const SERVICE: &'static str;
}

/// Something that is told to all who listen, and that nobody answers. Who doesn't listen at that moment misses it.
pub trait Notice: Message + Clone {
    /// What it is about: two words, `node.usage`. Part of the subject.
    const TOPIC: &'static str;
}

/// A message with who sent it.
#[derive(Debug)]
pub struct Incoming<Q> {
    /// The message.
    pub message: Q,
    /// Who sent it, vouched for.
    pub caller: Caller,
}
