//! CustomResourceDefinitions: their defaults, and what is refused of them. The rules are those of Kubernetes' API reference of
//! `apiextensions.k8s.io/v1` and of its documentation of custom resources.
use super::path::PrintedPath;
use super::{names, version_schema};
use crate::error::Cause;
use crate::kinds::fields::Checks;
use crate::kinds::webhooks;
use crate::names::{dns_1035_label, dns_subdomain};
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What holds a definition until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// Domains whose names need the approval of Kubernetes' community.
const PROTECTED: [&str; 2] = ["k8s.io", "kubernetes.io"];
const APPROVED: &str = "api-approved.kubernetes.io";
/// Most selectable fields of a version.
const SELECTABLE_MAX: usize = 8;
const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 9] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password", "name"];

/// The rules of CustomResourceDefinitions.
pub static STRATEGY: Definition = Definition;

/// The rules of CustomResourceDefinitions.
pub struct Definition;

impl Strategy for Definition {
    fn default(&self, crd: &mut Object) {
        let kind = crd.str_at(&["spec", "names", "kind"]).to_owned();
        let mut fill = |path: &[&str], value: String| {
            if crd.str_at(path).is_empty() && !kind.is_empty() {
                crd.set(path, value);
            }
        };
        fill(&["spec", "names", "singular"], kind.to_lowercase());
        fill(&["spec", "names", "listKind"], format!("{kind}List"));
        if crd.at(&["spec"]).is_some() && crd.str_at(&["spec", "conversion", "strategy"]).is_empty() {
            crd.set(&["spec", "conversion", "strategy"], "None");
        }
        if let Some(Value::Object(service)) = crd.at_mut(&["spec", "conversion", "webhook", "clientConfig", "service"]) {
            service.entry("port").or_insert(443.into());
        }
    }
    fn prepare_create(&self, crd: &mut Object) {
        crd.set(&["status"], json!({"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": []}));
        remember_stored(crd);
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        if let Some(status) = old.at(&["status"]) {
            new.set(&["status"], status.clone());
        }
        remember_stored(new);
    }
    fn cleanup_finalizer(&self) -> Option<&'static str> {
        Some(CLEANUP)
    }
    fn prepare_delete(&self, crd: &mut Object) {
        let mut status = names::status_of(crd);
        let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon".to_owned();
        let now = crate::time::parse(crd.str_at(&["metadata", "deletionTimestamp"])).unwrap_or_default();
        names::set_condition(&mut status, "Terminating", ("True", "InstanceDeletionPending", message), now);
        crd.set(&["status"], status);
    }
    fn validate(&self, crd: &Object) -> Vec<Cause> {
        let mut causes = identity(crd);
        causes.extend(versions(crd));
        causes.extend(conversion(crd));
        causes
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut causes = Vec::new();
        let mut fixed: Vec<&[&str]> = vec![&["spec", "group"], &["spec", "names", "plural"]];
        if names::is_established(old) {
            fixed.extend([&["spec", "scope"][..], &["spec", "names", "kind"]]);
        }
        for path in fixed.into_iter().filter(|path| new.at(path) != old.at(path)) {
            causes.push(Cause::invalid(path.join("."), new.at(path).unwrap_or(&Value::Null), "field is immutable"));
        }
        causes.extend(stored(new));
        causes
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        stored(new)
    }
}

/// Adds the version in which objects are stored now to those in which some may be.
fn remember_stored(crd: &mut Object) {
    let stored = crd.list_at(&["spec", "versions"]).iter().find(|v| v["storage"] == true).map(|v| v["name"].clone());
    let mut all = crd.list_at(&["status", "storedVersions"]).to_vec();
    if let Some(stored) = stored.filter(|s| !all.contains(s)) {
        all.push(stored);
        crd.set(&["status", "storedVersions"], all);
    }
}

/// The versions in which objects may be stored are versions of the definition.
fn stored(crd: &Object) -> Vec<Cause> {
    let path = "status.storedVersions";
    let stored = crd.list_at(&["status", "storedVersions"]);
    let list = Value::Array(stored.to_vec());
    if stored.is_empty() {
        return vec![Cause::invalid(path, &list, "must have at least one stored version")];
    }
    let versions = crd.list_at(&["spec", "versions"]);
    let mut causes = Vec::new();
    for version in versions.iter().filter(|v| v["storage"] == true && !stored.contains(&v["name"])) {
        causes.push(Cause::invalid(path, &list, format!("must have the storage version {}", version["name"].as_str().unwrap_or_default())));
    }
    for (i, name) in stored.iter().enumerate().filter(|(_, name)| !versions.iter().any(|v| v["name"] == **name)) {
        let name_text = name.as_str().unwrap_or_default();
        let why = format!(
            "missing from spec.versions; {name_text} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name_text} and removes {name_text} from status.storedVersions"
        );
        causes.push(Cause::invalid(format!("{path}[{i}]"), name, why));
    }
    causes
}

/// Group, names and scope.
fn identity(crd: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (group, plural) = (crd.str_at(&["spec", "group"]), crd.str_at(&["spec", "names", "plural"]));
    if crd.name() != format!("{plural}.{group}") {
        causes.push(Cause::invalid("metadata.name", &crd.name().into(), "must be spec.names.plural+\".\"+spec.group"));
    }
    match group {
        "" => causes.push(Cause::required("spec.group", "")),
        group => {
            causes.extend(dns_subdomain(group).into_iter().map(|e| Cause::invalid("spec.group", &group.into(), e)));
            if !group.contains('.') {
                causes.push(Cause::invalid("spec.group", &group.into(), "should be a domain with at least one dot"));
            }
        }
    }
    match crd.str_at(&["spec", "scope"]) {
        "" => causes.push(Cause::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => causes.push(Cause::not_supported("spec.scope", &other.into(), &["Cluster", "Namespaced"])),
    }
    for key in ["plural", "singular", "kind", "listKind"] {
        let (path, name) = (format!("spec.names.{key}"), crd.str_at(&["spec", "names", key]));
        match key {
            _ if name.is_empty() => causes.push(Cause::required(&path, "")),
            "plural" | "singular" => causes.extend(dns_1035_label(name).into_iter().map(|e| Cause::invalid(&path, &name.into(), e))),
            _ => causes.extend(
                dns_1035_label(&name.to_lowercase())
                    .into_iter()
                    .map(|e| Cause::invalid(&path, &name.into(), format!("may have mixed case, but should otherwise match: {e}"))),
            ),
        }
    }
    let (kind, list) = (crd.str_at(&["spec", "names", "kind"]), crd.str_at(&["spec", "names", "listKind"]));
    if !kind.is_empty() && kind == list {
        causes.push(Cause::invalid("spec.names.listKind", &list.into(), "kind and listKind may not be the same"));
    }
    for key in ["shortNames", "categories"] {
        for (i, name) in crd.list_at(&["spec", "names", key]).iter().enumerate() {
            let text = name.as_str().unwrap_or_default();
            causes.extend(dns_1035_label(text).into_iter().map(|e| Cause::invalid(format!("spec.names.{key}[{i}]"), name, e)));
        }
    }
    causes.extend(approval(crd, group));
    causes
}

/// Groups of Kubernetes' own domains need an annotation that says who approved them.
fn approval(crd: &Object, group: &str) -> Option<Cause> {
    let protected = PROTECTED.iter().any(|domain| group == *domain || group.ends_with(&format!(".{domain}")));
    if !protected {
        return None;
    }
    let path = format!("metadata.annotations[{APPROVED}]");
    match crd.str_at(&["metadata", "annotations", APPROVED]) {
        "" => Some(Cause::required(
            path,
            "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
        )),
        text if text.starts_with("unapproved") || text.starts_with("https://") || text.starts_with("http://") => None,
        text => Some(Cause::invalid(
            path,
            &text.into(),
            "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111",
        )),
    }
}

fn versions(crd: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (mut seen, mut duplicate) = (BTreeSet::new(), false);
    let versions = crd.list_at(&["spec", "versions"]);
    for (i, version) in versions.iter().enumerate() {
        let (path, name) = (format!("spec.versions[{i}]"), version["name"].as_str().unwrap_or_default());
        duplicate |= !seen.insert(name);
        let errors = dns_1035_label(name);
        if !errors.is_empty() {
            causes.push(Cause::invalid(format!("{path}.name"), &name.into(), errors.join(",")));
        }
        causes.extend(deprecation(version, &path));
        causes.extend(version_schema::check(version, &path));
        causes.extend(subresources(version, &path));
        causes.extend(columns(version, &path));
        causes.extend(selectable(version, &path));
    }
    let list = || Value::Array(versions.to_vec());
    if duplicate {
        causes.push(Cause::invalid("spec.versions", &list(), "must contain unique version names"));
    }
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        causes.push(Cause::invalid("spec.versions", &list(), "must have exactly one version marked as storage version"));
    }
    if crd.at(&["spec", "preserveUnknownFields"]) == Some(&Value::Bool(true)) {
        causes.push(Cause::invalid("spec.preserveUnknownFields", &true.into(), "must be false"));
    }
    causes
}

fn deprecation(version: &Value, path: &str) -> Option<Cause> {
    let warning = version.get("deprecationWarning").and_then(Value::as_str)?;
    let why = match warning {
        _ if version["deprecated"] != true => "can only be set for deprecated versions",
        "" => "must not be an empty string",
        text if text.len() > 256 => "must be <= 256 characters long",
        text if text.chars().any(char::is_control) => "must only contain printable UTF-8 characters",
        _ => return None,
    };
    Some(Cause::invalid(format!("{path}.deprecationWarning"), &warning.into(), why))
}

fn subresources(version: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(scale) = version.pointer("/subresources/scale") else { return causes };
    let at = format!("{path}.subresources.scale");
    for (key, within) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
        match scale[key].as_str().unwrap_or_default() {
            "" => causes.push(Cause::required(format!("{at}.{key}"), "")),
            text if simple(text).is_none() => causes.push(Cause::invalid(format!("{at}.{key}"), &text.into(), "should be a json path under spec or status")),
            text if !text.starts_with(within) => {
                let why = format!("should be a json path under {}", within.trim_end_matches('.'));
                causes.push(Cause::invalid(format!("{at}.{key}"), &text.into(), why));
            }
            _ => {}
        }
    }
    if let Some(text) = scale["labelSelectorPath"].as_str().filter(|t| !t.starts_with(".spec.") && !t.starts_with(".status.")) {
        causes.push(Cause::invalid(format!("{at}.labelSelectorPath"), &text.into(), "should be a json path under either .spec or .status"));
    }
    causes
}

/// The steps of a path of fields alone: `.spec.replicas`.
fn simple(path: &str) -> Option<Vec<&str>> {
    let steps: Vec<&str> = path.strip_prefix('.')?.split('.').collect();
    let named = |s: &&str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    steps.iter().all(named).then_some(steps)
}

fn columns(version: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (i, column) in version["additionalPrinterColumns"].as_array().into_iter().flatten().enumerate() {
        let (at, text) = (format!("{path}.additionalPrinterColumns[{i}]"), |key: &str| column[key].as_str().unwrap_or_default());
        if text("name").is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        }
        match text("type") {
            "" => causes.push(Cause::required(format!("{at}.type"), format!("must be one of {}", COLUMN_TYPES.join(",")))),
            kind if !COLUMN_TYPES.contains(&kind) => {
                causes.push(Cause::invalid(format!("{at}.type"), &kind.into(), format!("must be one of {}", COLUMN_TYPES.join(","))));
            }
            _ => {}
        }
        if !text("format").is_empty() && !COLUMN_FORMATS.contains(&text("format")) {
            causes.push(Cause::invalid(format!("{at}.format"), &text("format").into(), format!("must be one of {}", COLUMN_FORMATS.join(","))));
        }
        match PrintedPath::parse(text("jsonPath"), text("type")) {
            _ if text("jsonPath").is_empty() => causes.push(Cause::required(format!("{at}.jsonPath"), "")),
            Err(why) => causes.push(Cause::invalid(format!("{at}.jsonPath"), &text("jsonPath").into(), why)),
            Ok(_) => {}
        }
    }
    causes
}

fn selectable(version: &Value, path: &str) -> Vec<Cause> {
    let fields: Vec<&Value> = version["selectableFields"].as_array().into_iter().flatten().collect();
    let mut causes = Vec::new();
    if fields.len() > SELECTABLE_MAX {
        causes.push(Cause::too_many(format!("{path}.selectableFields"), fields.len(), SELECTABLE_MAX));
    }
    let mut seen = BTreeSet::new();
    for (i, field) in fields.into_iter().enumerate() {
        let (at, text) = (format!("{path}.selectableFields[{i}].jsonPath"), field["jsonPath"].as_str().unwrap_or_default());
        let Some(steps) = simple(text) else {
            let cause = if text.is_empty() { Cause::required(at, "") } else { Cause::invalid(at, &text.into(), "is an invalid path: must be a simple path") };
            causes.push(cause);
            continue;
        };
        if !seen.insert(text) {
            causes.push(Cause::duplicate(&at, &text.into()));
        }
        if steps.first() == Some(&"metadata") {
            causes.push(Cause::invalid(&at, &text.into(), "must not point to fields in metadata"));
            continue;
        }
        let root = version.pointer("/schema/openAPIV3Schema");
        let found = steps.iter().try_fold(root, |node, step| Some(node?.get("properties")?.get(*step))).flatten();
        match found.map(|node| node["type"].as_str().unwrap_or_default()) {
            None => causes.push(Cause::invalid(&at, &text.into(), "is an invalid path: does not refer to a valid field")),
            Some("string" | "boolean" | "integer") => {}
            Some(_) => causes.push(Cause::invalid(&at, &text.into(), "must point to a field of type string, boolean or integer")),
        }
    }
    causes
}

/// How the webhook of a conversion is reached, and which reviews it understands. Kubernetes names these fields by their places in an older version.
fn by_webhook(crd: &Object) -> Vec<Cause> {
    let mut checks = Checks::default();
    let (path, versions) = ("spec.conversion.webhookClientConfig", "spec.conversion.conversionReviewVersions");
    match crd.at(&["spec", "conversion", "webhook", "clientConfig"]) {
        Some(client) => webhooks::client(&mut checks, &path, client),
        None => checks.required(path, "required when strategy is set to Webhook"),
    }
    let given = crd.list_at(&["spec", "conversion", "webhook", "conversionReviewVersions"]);
    if given.is_empty() {
        checks.required(versions, "");
        return checks.0;
    }
    let mut seen = BTreeSet::new();
    for (i, version) in given.iter().enumerate() {
        let text = version.as_str().unwrap_or_default();
        if !seen.insert(text) {
            checks.add(Cause::invalid(format!("{versions}[{i}]"), version, "duplicate version"));
            continue;
        }
        checks.extend(dns_1035_label(text).into_iter().map(|e| Cause::invalid(format!("{versions}[{i}]"), version, e)));
    }
    if !given.iter().any(|version| version == "v1" || version == "v1beta1") {
        checks.add(Cause::invalid(versions, &Value::Array(given.to_vec()), "must include at least one of v1, v1beta1"));
    }
    checks.0
}

fn conversion(crd: &Object) -> Vec<Cause> {
    let path = "spec.conversion";
    let mut causes = Vec::new();
    let webhook = crd.at(&["spec", "conversion", "webhook"]);
    match crd.str_at(&["spec", "conversion", "strategy"]) {
        "" => causes.push(Cause::required(format!("{path}.strategy"), "")),
        "None" => {
            for (key, field) in [("clientConfig", "webhookClientConfig"), ("conversionReviewVersions", "conversionReviewVersions")] {
                if webhook.and_then(|webhook| webhook.get(key)).is_some() {
                    causes.push(Cause::forbidden(format!("{path}.{field}"), "should not be set when strategy is not set to Webhook"));
                }
            }
        }
        "Webhook" => causes.extend(by_webhook(crd)),
        other => causes.push(Cause::not_supported(format!("{path}.strategy"), &other.into(), &["None", "Webhook"])),
    }
    causes
}
