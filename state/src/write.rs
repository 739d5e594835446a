//! The pure halves of create and update: what is made of an object before and after it passes admission, and what is refused.
//!
//! A new object: [`propose_new`], admission, [`finish_new`]. A change: [`propose_change`], [`cover`], admission, [`finish_change`].
use crate::form;
use crate::meta;
use jiff::Timestamp;
use model::managed::{self, Forms, Writer};
use model::schema::KindSchema;
use model::subresource::Effect;
use model::{ApiError, Cause, Kind, Object, Subresource, custom, meta as model_meta, rules, time};
use serde_json::Value;

/// What a write is of.
#[derive(Clone, Copy)]
pub struct WriteOf<'a> {
    /// The kind as the client sees it.
    pub kind: &'a Kind,
    /// The kind in whose form objects are worked on.
    pub row: &'a Kind,
    /// The subresource.
    pub sub: Option<Subresource>,
    /// The object's forms in the versions that others write.
    pub forms: &'a dyn Forms,
}

impl WriteOf<'_> {
    /// An object as its client sees it, where that is another form than the one that is worked on.
    fn shown(&self, object: &Object) -> Option<Object> {
        if form::webhook(self.kind).is_some() { None } else { self.kind.outward(object) }
    }
}

/// Gives a new object its name, where it has none, its UID, time and defaults.
pub fn propose_new(of: &WriteOf<'_>, object: &mut Object, entropy: u64, uid: &str, now: Timestamp) {
    meta::generate_name(object, entropy);
    meta::stamp(of.row, object, uid, &time::format(now));
    default(of, object);
}

/// By whom a write is recorded among the owners of fields.
#[derive(Clone, Copy)]
pub struct RecordedAs<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// When.
    pub time: &'a str,
    /// Whether it applies a configuration: then the owners are found already.
    pub applies: bool,
}

/// Everything of an object.
fn all(_: &str) -> bool {
    true
}

/// The writer of `of`, for the rules of managed fields; `api_version` is that of the stored form.
pub fn writer<'a>(of: &WriteOf<'a>, by: &RecordedAs<'a>, api_version: &'a str) -> Writer<'a> {
    let covers: fn(&str) -> bool = match of.sub {
        None if of.row.has(Subresource::STATUS) => |field| field != "status",
        Some(Subresource::STATUS) if of.row.strategy.status_has_metadata() => |field| matches!(field, "metadata" | "status"),
        Some(Subresource::STATUS) => |field| field == "status",
        _ => all,
    };
    Writer { manager: by.manager, api_version, subresource: of.sub.map_or("", Subresource::name), time: by.time, covers, forms: of.forms }
}

/// Records who owns which field of an admitted object; `owners` are those before, as [`managed::before`] found them. Actions leave them as they are, and
/// who applies has found them already.
pub fn record(of: &WriteOf<'_>, new: &mut Object, old: Option<&Object>, owners: Option<Value>, by: &RecordedAs<'_>) {
    let action = of.sub.is_some_and(|sub| matches!(sub.effect(), Effect::Action | Effect::Connection));
    let kind = of.kind;
    let Some(node) = kind.schema.node().filter(|_| !action && !by.applies) else { return managed::put_value(new, owners) };
    let api_version = kind.api_version();
    let writer = writer(of, by, &api_version);
    let Some(mut shown) = of.shown(new) else { return managed::updated(new, old, owners, node, &writer) };
    let before = old.and_then(|old| of.shown(old));
    managed::updated(&mut shown, before.as_ref(), owners, node, &writer);
    managed::put_value(new, shown.remove(&["metadata", "managedFields"]));
}

/// Fills in what a client left out: what is declared, then what the kind's own code says.
fn default(of: &WriteOf<'_>, object: &mut Object) {
    match &of.row.schema {
        KindSchema::Builtin(name) => rules::default(name, object),
        // the version that the client writes has defaults of its own
        KindSchema::Custom(stored) => custom::default(&mut object.0, &of.kind.schema.custom().unwrap_or(stored).schema),
    }
    of.row.strategy.default(object);
}

/// Makes an admitted object what is stored.
///
/// # Errors
/// 422 with every refused field.
pub fn finish_new(of: &WriteOf<'_>, object: &mut Object) -> Result<(), ApiError> {
    prepare_new(of, object);
    check_new(of, object)
}

/// The part of [`finish_new`] that changes the object.
pub fn prepare_new(of: &WriteOf<'_>, object: &mut Object) {
    of.row.strategy.prepare_create(object);
}

/// The part of [`finish_new`] that refuses. A custom resource is judged by the schema of the version that its client writes.
///
/// # Errors
/// As [`finish_new`].
pub fn check_new(of: &WriteOf<'_>, object: &Object) -> Result<(), ApiError> {
    let mut causes = wrong(of, object);
    causes.extend(refused_by_expressions(of, object, None, &causes));
    causes.extend(of.kind.strategy.validate_create(object));
    refuse(of, object, causes)
}

/// Makes a proposal one of the present object: with all that no client may change.
///
/// # Errors
/// 409 for a proposal that was made of another object of the same name, or of an older form of it.
pub fn propose_change(of: &WriteOf<'_>, new: &mut Object, old: &Object) -> Result<(), ApiError> {
    check_built_on(of.kind, new, old)?;
    meta::carry_over(new, old);
    new.set(&["metadata", "resourceVersion"], old.resource_version());
    Ok(())
}

/// What of a proposal the request's address covers, with its defaults; the rest stays as it was.
pub fn cover(of: &WriteOf<'_>, new: Object, old: &Object) -> Object {
    let mut new = part(of, new, old);
    if of.sub.is_none_or(Subresource::is_desired) {
        default(of, &mut new);
    }
    new
}

/// What somebody who was asked made of the object `before`, made one that may be written: with all that only the system says, what the request's address
/// doesn't cover as it was, and with defaults.
///
/// # Errors
/// 400 for another object.
pub fn taken(of: &WriteOf<'_>, mut new: Object, before: &Object, old: Option<&Object>) -> Result<Object, ApiError> {
    meta::check_kind(of.row, &mut new)?;
    meta::check_namespace(of.row, &mut new, before.namespace())?;
    if old.is_some() {
        meta::check_name(&mut new, before.name())?;
    }
    meta::keep(&mut new, before);
    if new.name().is_empty() {
        new.set(&["metadata", "name"], before.name());
    }
    let mut new = old.map_or_else(|| new.clone(), |old| part(of, new.clone(), old));
    if of.sub.is_none_or(Subresource::is_desired) {
        default(of, &mut new);
    }
    Ok(new)
}

/// Makes an admitted change what is stored.
///
/// # Errors
/// 422 with every refused field.
pub fn finish_change(of: &WriteOf<'_>, new: &mut Object, old: &Object) -> Result<(), ApiError> {
    prepare_change(of, new, old);
    check_change(of, new, old)?;
    count_change(of, new, old);
    Ok(())
}

/// The first part of [`finish_change`].
pub fn prepare_change(of: &WriteOf<'_>, new: &mut Object, old: &Object) {
    match of.sub {
        None => of.row.strategy.prepare_update(new, old),
        Some(Subresource::STATUS) => of.row.strategy.prepare_status(new, old),
        Some(_) => {}
    }
}

/// The part of [`finish_change`] that refuses.
///
/// # Errors
/// As [`finish_change`].
pub fn check_change(of: &WriteOf<'_>, new: &Object, old: &Object) -> Result<(), ApiError> {
    match of.sub {
        Some(Subresource::STATUS) => changed_status(of, new, old),
        // an action says itself what it may change
        Some(sub) if matches!(sub.effect(), Effect::Action | Effect::Connection) => Ok(()),
        _ => changed_object(of, new, old),
    }
}

/// The last part of [`finish_change`].
pub fn count_change(of: &WriteOf<'_>, new: &mut Object, old: &Object) {
    let action = of.sub.is_some_and(|sub| matches!(sub.effect(), Effect::Action | Effect::Connection));
    if of.sub != Some(Subresource::STATUS) && !action {
        meta::count_generation(of.row, new, old);
    }
}

fn refuse(of: &WriteOf<'_>, object: &Object, causes: Vec<Cause>) -> Result<(), ApiError> {
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid(&of.kind.group, &of.kind.kind, object.name(), causes)) }
}

fn wrong(of: &WriteOf<'_>, object: &Object) -> Vec<Cause> {
    let mut causes = model_meta::validate(of.row, object);
    causes.extend(match &of.row.schema {
        KindSchema::Builtin(name) => rules::validate(name, object),
        KindSchema::Custom(stored) => custom::validate(&object.0, &of.kind.schema.custom().unwrap_or(stored).schema),
    });
    // a kind that is stored as another has rules of its own for what is stored
    causes.extend(of.kind.strategy.validate(object));
    causes
}

/// Checks a changed object. What was wrong with it before may stay as it is: an object that was stored when less was refused
/// can still be changed elsewhere, and deleted.
///
/// # Errors
/// 422 with every refused field.
fn changed_object(of: &WriteOf<'_>, new: &Object, old: &Object) -> Result<(), ApiError> {
    let mut causes = model_meta::validate_update(new, old);
    causes.extend(of.row.schema.builtin().map(|name| rules::validate_update(name, new, old)).unwrap_or_default());
    causes.extend(new_causes(of, new, old));
    causes.extend(match of.sub {
        Some(part) => of.kind.strategy.validate_part(part, new, old),
        None => of.kind.strategy.validate_update(new, old),
    });
    refuse(of, new, causes)
}

/// Checks the labels and annotations that came with a status, where they are others than before.
///
/// # Errors
/// 422 with every refused field.
fn changed_words(of: &WriteOf<'_>, new: &Object, old: &Object) -> Result<(), ApiError> {
    if (new.labels(), new.annotations()) == (old.labels(), old.annotations()) { Ok(()) } else { refuse(of, new, model_meta::validate(of.row, new)) }
}

/// Checks a changed status, and the words that came with it.
///
/// # Errors
/// 422 with every refused field.
fn changed_status(of: &WriteOf<'_>, new: &Object, old: &Object) -> Result<(), ApiError> {
    changed_words(of, new, old)?;
    let mut causes = match &of.row.schema {
        KindSchema::Builtin(name) => rules::validate_status(name, new, old),
        KindSchema::Custom(_) => new_causes(of, new, old),
    };
    causes.extend(of.row.strategy.validate_status(new, old));
    refuse(of, new, causes)
}

/// What is refused of `new` and wasn't of `old`.
fn new_causes(of: &WriteOf<'_>, new: &Object, old: &Object) -> Vec<Cause> {
    let mut causes = wrong(of, new);
    if !causes.is_empty() {
        let before = wrong(of, old);
        causes.retain(|cause| !before.contains(cause));
    }
    causes.extend(refused_by_expressions(of, new, Some(old), &causes));
    causes
}

/// What the rules in CEL of a custom resource refuse; `causes` are known already.
fn refused_by_expressions(of: &WriteOf<'_>, new: &Object, old: Option<&Object>, causes: &[Cause]) -> Vec<Cause> {
    of.kind.schema.custom().map(|custom| custom::expressions::refused(custom, new, old, causes)).unwrap_or_default()
}

/// Refuses a change that was made to another object of the same name, or to an older form of it.
fn check_built_on(kind: &Kind, new: &Object, old: &Object) -> Result<(), ApiError> {
    let (group, resource, name) = (&kind.group, &kind.resource, old.name());
    if !new.uid().is_empty() && new.uid() != old.uid() {
        let why = format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", new.uid(), old.uid());
        return Err(ApiError::conflict(group, resource, name, why));
    }
    match new.resource_version() {
        "" | "0" => Ok(()),
        same if same == old.resource_version() => Ok(()),
        _ => Err(ApiError::modified(group, resource, name)),
    }
}

/// `old` with the status of `new`, and with its labels and annotations where the kind lets those who write a status change them. Mostly only the status
/// differs: comparing the rest is several times cheaper than a copy of it.
fn status_of(mut new: Object, old: &Object, with_metadata: bool) -> Object {
    new.0.retain(|field, _| field == "status" || old.0.contains_key(field));
    for (field, value) in old.0.iter().filter(|(field, _)| *field != "status") {
        match new.0.get(field) {
            Some(given) if given == value => {}
            Some(Value::Object(given)) if with_metadata && field == "metadata" => {
                let metadata = model_meta::with_words_of(Some(value), given);
                new.0.insert(field.clone(), metadata.into());
            }
            _ => _ = new.0.insert(field.clone(), value.clone()),
        }
    }
    new
}

/// What of `new` the request's address covers; the rest stays as it was.
fn part(of: &WriteOf<'_>, new: Object, old: &Object) -> Object {
    let with = |mut into: Object, path: &[&str], from: &Object| {
        match from.at(path) {
            Some(value) => into.set(path, value.clone()),
            None => _ = into.remove(path),
        }
        into
    };
    match (of.sub, of.sub.map(Subresource::effect)) {
        (None, _) if of.row.has(Subresource::STATUS) => with(new, &["status"], old),
        (Some(Subresource::STATUS), _) => status_of(new, old, of.row.strategy.status_has_metadata()),
        (Some(sub), Some(Effect::Part(field))) => of.row.strategy.narrow(sub, with(old.clone(), field, &new), old.clone()),
        _ => new,
    }
}
