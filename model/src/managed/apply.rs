//! What applying a configuration makes of an object and its owners.
use super::Writer;
use super::compare::compare;
use super::entries::{BEFORE, Entries, Entry};
use super::merge::merge;
use super::of_object::of_object;
use super::prune::prune;
use super::set::FieldSet;
use super::update::account;
use crate::error::{ApiError, Cause, CauseReason, Details, Reason};
use crate::object::Object;
use crate::schema::Node;
use serde_json::{Value, json};

/// What `kubectl apply` without server-side apply leaves behind.
const LAST_APPLIED: [&str; 3] = ["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"];

/// Fields that somebody else owns with another value.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Who.
    pub manager: String,
    /// In which version.
    pub api_version: String,
    /// Through which subresource.
    pub subresource: String,
    /// Whether he applied them, rather than wrote them.
    pub applied: bool,
    /// When he wrote them; said of who updated.
    pub time: Option<String>,
    /// Which.
    pub fields: Vec<String>,
}

impl Conflict {
    /// The manager as Kubernetes names him: with version and time where he wrote by an ordinary request.
    fn whose(&self) -> String {
        let subresource = if self.subresource.is_empty() { String::new() } else { format!(" with subresource {:?}", self.subresource) };
        let version = if self.applied { String::new() } else { format!(" using {}", self.api_version) };
        let time = self.time.as_ref().map(|t| format!(" at {t}")).unwrap_or_default();
        format!("{:?}{subresource}{version}{time}", self.manager)
    }
}

/// Why a configuration can't be applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// Others own what it changes.
    #[error("conflicts")]
    Conflicts(Vec<Conflict>),
    /// It can't be merged.
    #[error("{0}")]
    Malformed(String),
}

impl ApplyError {
    /// As the API says it: 409 with a cause for each field, or 400.
    pub fn to_api(&self) -> ApiError {
        let conflicts = match self {
            Self::Malformed(why) => return ApiError::bad_request(why.clone()),
            Self::Conflicts(conflicts) => conflicts,
        };
        let causes: Vec<Cause> = conflicts
            .iter()
            .flat_map(|c| c.fields.iter().map(move |field| (c, field)))
            .map(|(c, field)| Cause { reason: CauseReason::FieldManagerConflict, field: field.clone(), message: format!("conflict with {}", c.whose()) })
            .collect();
        let message = match conflicts.as_slice() {
            [one] if one.fields.len() == 1 => format!("1 conflict: conflict with {}: {}", one.whose(), one.fields.concat()),
            many => {
                let fields = |c: &Conflict| c.fields.iter().map(|field| format!("\n- {field}")).collect::<String>();
                let each: Vec<String> = many.iter().map(|c| format!("conflicts with {}:{}", c.whose(), fields(c))).collect();
                format!("{} conflicts: {}", causes.len(), each.join("\n"))
            }
        };
        let details = Some(Box::new(Details { causes, ..Details::default() }));
        ApiError { details, ..ApiError::new(Reason::Conflict, format!("Apply failed with {message}")) }
    }
}

/// Applies a configuration to an object, or to nothing.
///
/// # Errors
/// [`ApplyError::Conflicts`] without `force`; [`ApplyError::Malformed`] for lists whose items can't be told apart.
pub fn applied(live: Option<&Object>, configuration: &Object, node: &Node, writer: &Writer<'_>, force: bool) -> Result<Object, ApplyError> {
    let mut entries = live.map(Entries::of).unwrap_or_default();
    if let Some(live) = live.filter(|_| entries.0.is_empty()) {
        entries = before_first(live, node, writer);
    }
    let mut merged = live.cloned().unwrap_or_default();
    merge(&mut merged.0, &configuration.0, node).map_err(ApplyError::Malformed)?;
    let own = of_object(&configuration.0, node, writer.covers);
    let at = entries.0.iter().position(|e| e.is_of(writer, true));
    let before = at.map(|at| entries.0.remove(at));
    if let Some(before) = &before {
        let others = entries.0.iter().fold(own.clone(), |all, e| all.union(&e.fields));
        let gone = before.fields.clone().difference(&others);
        prune(&mut merged.0, node, gone.view(), others.view());
    }
    let nothing = Object::default();
    let found = compare(&live.unwrap_or(&nothing).0, &merged.0, node, writer.covers);
    if !force {
        let conflicts = conflicts(&entries, &found.changed, live, node, writer);
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflicts(conflicts));
        }
    }
    let mut entries = account(entries, found, writer, true);
    let time = match before {
        Some(before) if before.fields == own => before.time,
        _ => writer.time.to_owned(),
    };
    entries.0.push(Entry { time, ..Entry::new(writer, true, own) });
    keep_last_applied(&mut merged, live, configuration, writer);
    entries.put(&mut merged);
    Ok(merged)
}

/// Who owns what of an object that nobody owned: who was there before, with all of it.
fn before_first(live: &Object, node: &Node, writer: &Writer<'_>) -> Entries {
    let fields = of_object(&live.0, node, |_| true);
    let writer = Writer { manager: BEFORE, subresource: "", ..*writer };
    Entries(vec![Entry::new(&writer, false, fields)])
}

/// Fields with other values than those that others gave them. What a client-side apply of the same tool left is no conflict with it.
fn conflicts(entries: &Entries, changed: &FieldSet, live: Option<&Object>, node: &Node, writer: &Writer<'_>) -> Vec<Conflict> {
    let last = live.filter(|_| writer.manager == "kubectl").and_then(last_applied).map(|o| of_object(&o.0, node, writer.covers));
    let mut out = Vec::new();
    for entry in &entries.0 {
        let mut common = entry.fields.clone().intersection(changed);
        if let Some(last) = last.as_ref().filter(|_| entry.manager == BEFORE) {
            common = common.difference(last);
        }
        if !common.is_empty() {
            out.push(Conflict {
                manager: entry.manager.clone(),
                api_version: entry.api_version.clone(),
                subresource: entry.subresource.clone(),
                applied: entry.applied,
                time: (!entry.applied && !entry.time.is_empty()).then(|| entry.time.clone()),
                fields: common.paths(),
            });
        }
    }
    out
}

fn last_applied(object: &Object) -> Option<Object> {
    Object::from_json(object.str_at(&LAST_APPLIED).as_bytes()).ok()
}

/// Where `kubectl` has kept what it applied last, it is kept current, so that it can go back to applying by itself.
fn keep_last_applied(merged: &mut Object, live: Option<&Object>, configuration: &Object, writer: &Writer<'_>) {
    if writer.manager != "kubectl" || live.is_none_or(|l| l.at(&LAST_APPLIED).is_none()) {
        return;
    }
    let mut kept = configuration.clone();
    kept.remove(&LAST_APPLIED);
    kept.remove(&["metadata", "managedFields"]);
    if kept.at(&["metadata", "annotations"]).is_none() {
        kept.set(&["metadata", "annotations"], json!({}));
    }
    merged.set(&LAST_APPLIED, format!("{}\n", Value::Object(kept.0)));
}
