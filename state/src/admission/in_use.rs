//! StorageObjectInUseProtection: claims and volumes get the finalizers that keep them while they are used.
use super::step::{Admit, Effects, Refusal, Step};
use model::Object;
use model::storage::{CLAIM_PROTECTION, VOLUME_PROTECTION};

/// The step.
pub struct InUseProtection;

const PROTECTED: [(&str, &str); 2] = [("persistentvolumeclaims", CLAIM_PROTECTION), ("persistentvolumes", VOLUME_PROTECTION)];

impl Step for InUseProtection {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        let Some((_, finalizer)) = PROTECTED.iter().find(|(resource, _)| request.creates("", resource)) else { return Ok(()) };
        if !object.finalizers().any(|name| name == *finalizer) {
            let all: Vec<String> = object.finalizers().chain([*finalizer]).map(str::to_owned).collect();
            object.set(&["metadata", "finalizers"], all);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::fixture::MapLookup;
    use model::kinds;
    use serde_json::json;
    use state_client::User;

    #[test]
    fn claims_and_volumes_begin_with_their_finalizer() {
        let (user, view, kinds) = (User::default(), MapLookup::default(), kinds::builtin());
        let rows = [
            ("persistentvolumeclaims", json!([]), json!([CLAIM_PROTECTION])),
            ("persistentvolumeclaims", json!(["a/b", CLAIM_PROTECTION]), json!(["a/b", CLAIM_PROTECTION])),
            ("persistentvolumes", json!(["a/b"]), json!(["a/b", VOLUME_PROTECTION])),
            ("configmaps", json!(["a/b"]), json!(["a/b"])),
        ];
        for (resource, finalizers, want) in rows {
            let kind = kinds.resource("", resource).unwrap();
            let mut object = Object::from_value(json!({"metadata": {"name": "x", "finalizers": finalizers}})).unwrap();
            let request = Admit { user: &user, kind, subresource: None, old: None, view: &view, entropy: 0 };
            InUseProtection.admit(&request, &mut object, &mut Effects::default()).unwrap();
            assert_eq!(object.at(&["metadata", "finalizers"]), Some(&want), "{resource}");
        }
    }
}
