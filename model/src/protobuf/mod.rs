//! Kubernetes' protobuf (`application/vnd.kubernetes.protobuf`) as typed clients send and ask for it, brought into JSON and made of it by one table for all kinds.
//!
//! Fields that aren't known are left out. A zero (`""`, `0`, `false`) is left out too where Go's JSON would leave it out, because Go's protobuf always
//! writes fields that are no pointers; the table says which fields keep theirs.
mod decode;
mod encode;
mod fields;
mod put;
mod table;
mod wire;

pub use decode::{MEDIA_TYPE, decode};
pub use encode::{encode, event, is_kind, list};
pub use wire::Error;
