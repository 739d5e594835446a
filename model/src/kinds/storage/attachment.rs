//! VolumeAttachments: which volume is to be attached to which node.
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, keep, map, text, with_field};
use crate::kinds::volume::{Use, default_source, validate_spec};
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

const SOURCE: &str = "spec.source";
const EITHER: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
/// Most bytes of what a driver says of an attachment.
const METADATA_BYTES: usize = 256 << 10;
/// Most bytes of what it says of an error.
const MESSAGE_BYTES: usize = 1024;

/// The rules of VolumeAttachments.
pub(in crate::kinds) static ATTACHMENT: VolumeAttachment = VolumeAttachment;

/// The rules of VolumeAttachments.
pub(in crate::kinds) struct VolumeAttachment;

impl Strategy for VolumeAttachment {
    fn unconditional_update(&self) -> bool {
        false
    }
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn default(&self, attachment: &mut Object) {
        if attachment.at(&["spec", "source", "inlineVolumeSpec"]).is_some_and(Value::is_object) {
            with_field(attachment, "spec", |spec| spec.pointer_mut("/source/inlineVolumeSpec").into_iter().for_each(default_source));
        }
    }
    fn prepare_create(&self, attachment: &mut Object) {
        attachment.set(&["status"], json!({"attached": false}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, attachment: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let source = attachment.at(&["spec", "source"]).unwrap_or(&Value::Null);
        let volume = source.get("persistentVolumeName").and_then(Value::as_str);
        match (source.get("inlineVolumeSpec"), volume) {
            (None, None) => checks.required(SOURCE, EITHER),
            (Some(_), Some(_)) => checks.add(Cause::forbidden(SOURCE, EITHER)),
            (None, Some("")) => checks.required(format_args!("{SOURCE}.persistentVolumeName"), "must specify non empty persistentVolumeName"),
            (None, Some(_)) => {}
            (Some(inline), None) => validate_spec(&mut checks, &format_args!("{SOURCE}.inlineVolumeSpec"), inline, Use::Inline),
        }
        let node = attachment.str_at(&["spec", "nodeName"]);
        checks.all("spec.nodeName", node, names::dns_subdomain(node));
        if let Some(name) = volume {
            checks.all(format_args!("{SOURCE}.persistentVolumeName"), name, names::dns_subdomain(name));
        }
        checks.0
    }
    fn validate_status(&self, new: &Object, _old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let status = new.at(&["status"]).unwrap_or(&Value::Null);
        let words = map(status, "attachmentMetadata").into_iter().flatten();
        if words.map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum::<usize>() > METADATA_BYTES {
            checks.add(Cause::too_long("status.attachmentMetadata", METADATA_BYTES));
        }
        for (field, error) in ["attachError", "detachError"].into_iter().filter_map(|field| Some((field, status.get(field)?))) {
            if text(error, "message").len() > MESSAGE_BYTES {
                checks.add(Cause::too_long(format_args!("status.{field}.message"), MESSAGE_BYTES));
            }
            if let Some(code) = int(error, "errorCode").filter(|code| *code < 0) {
                let why = "must be between 0 and 2147483647, inclusive";
                checks.add(Cause::invalid(format_args!("status.{field}.errorCode"), &code.into(), why));
            }
        }
        checks.0
    }
}
