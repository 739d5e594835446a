//! How verbs ask webhooks: `ask.rs` asks one, `mutate.rs` and `validate.rs` ask those that a write concerns.
mod ask;
mod mutate;
mod validate;

pub(super) use mutate::Drafted;
