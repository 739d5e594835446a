//! Which of the names that a definition asks for it gets, and the conditions that say so.
use crate::kind::Kinds;
use crate::object::Object;
use crate::time;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Whether a condition of a definition is true.
pub fn is_true(crd: &Object, condition: &str) -> bool {
    crd.list_at(&["status", "conditions"]).iter().any(|c| c["type"] == *condition && c["status"] == "True")
}

/// Whether a definition's resource is served.
pub fn is_established(crd: &Object) -> bool {
    is_true(crd, "Established")
}

/// Names of resources, and kinds with those of their lists, that others of a group have.
#[derive(Debug, Default)]
pub struct Taken {
    /// Plural, singular and short names.
    pub resources: BTreeSet<String>,
    /// Kinds and kinds of lists.
    pub kinds: BTreeSet<String>,
}

impl Taken {
    /// What other definitions of the same group have got, and what is built in.
    pub fn by_others<'a>(crd: &Object, all: impl IntoIterator<Item = &'a Object>, kinds: &Kinds) -> Self {
        let mut taken = Self::default();
        for row in kinds.rows().iter().filter(|row| row.schema.builtin().is_some() && *row.group == *crd.str_at(&["spec", "group"])) {
            taken.resources.extend([&row.resource, &row.singular].into_iter().chain(&row.short_names).map(ToString::to_string));
            taken.kinds.extend([row.kind.to_string(), row.list_kind()]);
        }
        let others = all.into_iter().filter(|o| o.name() != crd.name() && o.str_at(&["spec", "group"]) == crd.str_at(&["spec", "group"]));
        for other in others {
            let accepted = |key: &str| other.str_at(&["status", "acceptedNames", key]).to_owned();
            taken.resources.extend(["plural", "singular"].map(accepted).into_iter().filter(|n| !n.is_empty()));
            taken.resources.extend(other.list_at(&["status", "acceptedNames", "shortNames"]).iter().filter_map(Value::as_str).map(str::to_owned));
            taken.kinds.extend(["kind", "listKind"].map(accepted).into_iter().filter(|n| !n.is_empty()));
        }
        taken
    }
}

/// The first name that is taken, as a reason and a message; with the names that can be had.
fn accept(crd: &Object, taken: &Taken) -> (Map<String, Value>, Option<(&'static str, String)>) {
    let mut accepted = crd.at(&["status", "acceptedNames"]).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut conflict = None;
    let mut refused = |reason: &'static str, name: &str| conflict = conflict.take().or_else(|| Some((reason, format!("{name:?} is already in use"))));
    for (key, reason, names) in [
        ("plural", "PluralConflict", &taken.resources),
        ("singular", "SingularConflict", &taken.resources),
        ("kind", "KindConflict", &taken.kinds),
        ("listKind", "ListKindConflict", &taken.kinds),
    ] {
        let wanted = crd.str_at(&["spec", "names", key]);
        if names.contains(wanted) && accepted.get(key).and_then(Value::as_str) != Some(wanted) {
            refused(reason, wanted);
        } else {
            accepted.insert(key.to_owned(), wanted.into());
        }
    }
    let short = crd.list_at(&["spec", "names", "shortNames"]);
    match short.iter().filter_map(Value::as_str).find(|name| taken.resources.contains(*name)) {
        Some(name) => refused("ShortNamesConflict", name),
        None => set_list(&mut accepted, "shortNames", short),
    }
    set_list(&mut accepted, "categories", crd.list_at(&["spec", "names", "categories"]));
    (accepted, conflict)
}

fn set_list(names: &mut Map<String, Value>, key: &str, list: &[Value]) {
    match list {
        [] => _ = names.remove(key),
        list => _ = names.insert(key.to_owned(), list.to_vec().into()),
    }
}

/// The status that a definition has.
pub fn status_of(crd: &Object) -> Value {
    crd.at(&["status"]).filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}))
}

/// The status that a definition is to have: its names, and the conditions `NamesAccepted` and `Established`.
pub fn status(crd: &Object, taken: &Taken, now: Timestamp) -> Value {
    let (accepted, conflict) = accept(crd, taken);
    let mut status = status_of(crd);
    status["acceptedNames"] = accepted.into();
    let (names, established) = match &conflict {
        None => (
            ("True", "NoConflicts", "no conflicts found".to_owned()),
            Some(("True", "InitialNamesAccepted", "the initial names have been accepted".to_owned())),
        ),
        // whose names were accepted once keeps them
        Some((reason, message)) => {
            let not_yet = ("False", "NotAccepted", "not all names are accepted".to_owned());
            (("False", *reason, message.clone()), (!is_established(crd)).then_some(not_yet))
        }
    };
    set_condition(&mut status, "NamesAccepted", names, now);
    established.into_iter().for_each(|established| set_condition(&mut status, "Established", established, now));
    status
}

/// Sets a condition; its time is that of the last change of its status.
pub fn set_condition(status: &mut Value, kind: &str, (value, reason, message): (&str, &str, String), now: Timestamp) {
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    let mut condition = json!({"type": kind, "status": value, "reason": reason, "message": message, "lastTransitionTime": time::format(now)});
    match conditions.iter_mut().find(|c| c["type"] == kind) {
        Some(old) => {
            if old["status"] == value {
                condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}
