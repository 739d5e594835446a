//! Owners of fields are compared in the versions in which they wrote. Between versions of a custom resource that only a webhook converts, the pure rules are
//! run, the webhook is asked for the forms that they missed, and they are run again.
use crate::form;
use crate::pipeline::Pipeline;
use crate::request_context::RequestContext;
use crate::write::{self, WriteOf};
use model::managed::{Form, Forms, Rows};
use model::{ApiError, Object, time};
use serde_json::Value;
use std::sync::{Mutex, PoisonError};

/// How often rules are run for one write. Each owner's version needs four forms at most, one after the other.
const RUNS: usize = 64;

/// A form that is asked for: of this object, in this version.
type Wanted = (Object, String);

/// The forms of an object that are known: those that follow from it, and those that a webhook was asked for.
#[derive(Debug)]
struct KnownForms<'a> {
    rows: &'a Rows,
    converted: Vec<(Wanted, Object)>,
    missing: Mutex<Vec<Wanted>>,
}

impl KnownForms<'_> {
    fn take_missing(&self) -> Vec<Wanted> {
        std::mem::take(&mut self.missing.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Forms for KnownForms<'_> {
    fn form(&self, object: &Object, api_version: &str) -> Form<'_> {
        match self.rows.form(object, api_version) {
            Form::Unknown => {}
            known => return known,
        }
        let Some(node) = self.rows.node(api_version) else { return Form::Unknown };
        if let Some((_, known)) = self.converted.iter().find(|((from, to), _)| to == api_version && from == object) {
            return Form::Is(known.clone(), node);
        }
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = (object.clone(), api_version.to_owned());
        if !missing.contains(&wanted) {
            missing.push(wanted);
        }
        Form::Unknown
    }
}

impl Pipeline {
    /// Runs a pure step of a write that compares forms of an object. The step is run again as long as it misses some.
    ///
    /// # Errors
    /// What the webhook that converts says.
    pub(crate) async fn with_forms<T: Send>(&self, call: &RequestContext, step: impl Fn(&WriteOf<'_>) -> T + Send + Sync) -> Result<T, ApiError> {
        if form::webhook(&call.kind).is_none() || call.forms.0.is_empty() {
            return Ok(step(&call.write()));
        }
        Box::pin(self.with_converted_forms(call, step)).await
    }

    async fn with_converted_forms<T: Send>(&self, call: &RequestContext, step: impl Fn(&WriteOf<'_>) -> T + Send + Sync) -> Result<T, ApiError> {
        let mut known = KnownForms { rows: &call.forms, converted: Vec::new(), missing: Mutex::default() };
        for _ in 0..RUNS {
            let made = step(&WriteOf { forms: &known, ..call.write() });
            let missing = known.take_missing();
            if missing.is_empty() {
                return Ok(made);
            }
            for wanted in missing {
                let Some(kind) = call.forms.0.iter().find(|kind| kind.api_version() == wanted.1) else { continue };
                let converted = self.outward(call, kind, &wanted.0).await?.into_owned();
                known.converted.push((wanted, converted));
            }
        }
        Err(ApiError::internal(format!("the owners of fields of {} write in too many versions", call.kind.kind)))
    }

    /// Records who owns which field of an admitted object, as [`write::record`] does.
    ///
    /// # Errors
    /// What the webhook that converts says.
    pub(crate) async fn record(&self, call: &RequestContext, new: &mut Object, old: Option<&Object>, owners: Option<Value>) -> Result<(), ApiError> {
        let now = time::format(call.now);
        let by = call.recorded_as(&now);
        if form::webhook(&call.kind).is_none() {
            write::record(&call.write(), new, old, owners, &by);
            return Ok(());
        }
        let unrecorded = &*new;
        let recorded = |of: &WriteOf<'_>| {
            let mut next = unrecorded.clone();
            write::record(of, &mut next, old, owners.clone(), &by);
            next
        };
        *new = self.with_forms(call, recorded).await?;
        Ok(())
    }
}
