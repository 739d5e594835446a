//! Managed fields and server-side apply: who owns which field of an object (`metadata.managedFields`), and what follows when somebody writes or applies.
//! The rules are those of the Kubernetes documentation, "Server-Side Apply", and of structured-merge-diff, on which it stands.
//!
//! * [`FieldSet`]: a set of fields, as `fieldsV1` writes it;
//! * [`before`]: who owned what before a write;
//! * [`updated`]: what an ordinary write makes of the owners;
//! * [`applied`]: what applying a configuration makes of the object and its owners;
//! * [`check`]: whether a configuration is what the schema says;
//! * [`same_time`]: takes back the time of a write that changed nothing else;
//! * [`Writer`]: for whom;
//! * [`Forms`]: the versions of an object that others write.
//!
//! Objects, schema and version of a call belong together. With [`NoForms`], sets are of one form of an object, whatever form a client uses.
mod apply;
mod compare;
mod conflict;
mod entries;
mod forms;
mod key;
mod last_applied;
mod merge;
mod of_object;
mod prune;
mod reconcile;
mod remove;
mod rows;
mod set;
mod typed;
mod types;
mod update;
mod writer;

pub use apply::applied;
pub use conflict::{ApplyError, Conflict};
pub use entries::{Entries, Entry, before, put_value};
pub use rows::Rows;
pub use set::FieldSet;
pub use typed::check;
pub use update::{same_time, updated};
pub use writer::{Form, Forms, NoForms, Writer};

#[cfg(test)]
mod tests;
