//! The table of kinds as definitions come, change and go.
use super::rows;
use crate::kind::Kinds;
use crate::object::Object;

/// The group and resource of the definitions themselves.
pub const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// Whether a resource, or one of its kind, is built in.
fn is_builtin(kinds: &Kinds, group: &str, resource: &str, kind: &str) -> bool {
    let builtin = |row: Option<&std::sync::Arc<crate::kind::Kind>>| row.is_some_and(|row| row.schema.builtin().is_some());
    builtin(kinds.resource(group, resource)) || builtin(kinds.kind(group, kind))
}

/// A table with the rows of a definition as it is now; none where it isn't established. What is built in stays.
pub fn with_definition(kinds: &Kinds, crd: &Object) -> Kinds {
    let names = |key: &str| crd.str_at(&["spec", "names", key]);
    let (group, resource) = (crd.str_at(&["spec", "group"]), names("plural"));
    if is_builtin(kinds, group, resource, names("kind")) {
        return kinds.clone();
    }
    rows(crd).into_iter().fold(kinds.clone().without(group, resource), Kinds::with)
}

/// A table with what is built in alone.
pub fn without_definitions(kinds: &Kinds) -> Kinds {
    let custom = kinds.rows().iter().filter(|row| row.schema.custom().is_some());
    custom.fold(kinds.clone(), |table, row| table.without(&row.group, &row.resource))
}

/// A table without the rows of the definition of this name, `<resource>.<group>`.
pub fn without_definition(kinds: &Kinds, name: &str) -> Kinds {
    match name.split_once('.') {
        Some((resource, group)) if !is_builtin(kinds, group, resource, "") => kinds.clone().without(group, resource),
        _ => kinds.clone(),
    }
}
