//! Roles and bindings.
use super::{AGE, NAME, at, text, wide};
use crate::kind::Column;
use crate::object::Object;

pub(in crate::kinds) fn role() -> Vec<Column> {
    vec![NAME, super::column("Created At", "string", "date-time", "When it was created", |o, _| o.creation_timestamp().into())]
}

pub(in crate::kinds) fn binding() -> Vec<Column> {
    vec![
        NAME,
        text("Role", "What is granted", |o, _| format!("{}/{}", o.str_at(&["roleRef", "kind"]), o.str_at(&["roleRef", "name"])).into()),
        AGE,
        wide(text("Users", "To which users", |o, _| subjects(o, "User").into())),
        wide(text("Groups", "To which groups", |o, _| subjects(o, "Group").into())),
        wide(text("ServiceAccounts", "To which service accounts", |o, _| subjects(o, "ServiceAccount").into())),
    ]
}

fn subjects(binding: &Object, kind: &str) -> String {
    let named = binding.list_at(&["subjects"]).iter().filter(|s| at(s, "kind") == kind);
    let name = |s| if kind == "ServiceAccount" { format!("{}/{}", at(s, "namespace"), at(s, "name")) } else { at(s, "name") };
    named.map(name).collect::<Vec<_>>().join(", ")
}
