//! Who may read a service account's token: the pod's users and nobody else, where the pod says who they are.
use k8s_openapi::api::core::v1::Pod;

/// A file's permissions and owner (`None`: root).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Permissions.
    pub mode: i32,
    /// User.
    pub owner: Option<u32>,
}

/// How a token is to be read. `default` is the volume's own mode, for a pod that says nothing of users; an `fsGroup` is given access where the file is
/// written.
pub fn of_token(pod: &Pod, default: i32) -> Access {
    let owner = only_user(pod);
    let context = crate::pod::spec(pod).security_context.as_ref();
    let restricted = owner.is_some() || context.is_some_and(|c| c.fs_group.is_some());
    Access { mode: if restricted { 0o600 } else { default }, owner }
}

/// The user that all of the pod's containers run as, if they say so and agree.
fn only_user(pod: &Pod) -> Option<u32> {
    let spec = crate::pod::spec(pod);
    let common = spec.security_context.as_ref().and_then(|c| c.run_as_user);
    let plain = spec.containers.iter().chain(crate::pod::inits(pod)).map(|c| &c.security_context);
    let debug = spec.ephemeral_containers.iter().flatten().map(|c| &c.security_context);
    let mut users = plain.chain(debug).map(|own| own.as_ref().and_then(|c| c.run_as_user).or(common));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn access(spec: Value) -> Access {
        of_token(&serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap(), 0o644)
    }

    fn runs_as(user: Option<i64>) -> Value {
        json!({"name": "c", "securityContext": {"runAsUser": user}})
    }

    #[test]
    fn a_token_is_for_the_users_of_its_pod() {
        let (a, b, none) = (runs_as(Some(1000)), runs_as(Some(2000)), json!({"name": "n"}));
        let rows = [
            (json!({"containers": [none]}), 0o644, None),
            (json!({"containers": [a, a]}), 0o600, Some(1000)),
            (json!({"containers": [a, b]}), 0o644, None),
            (json!({"containers": [a, none]}), 0o644, None),
            (json!({"containers": [a, none], "securityContext": {"runAsUser": 1000}}), 0o600, Some(1000)),
            (json!({"containers": [none], "securityContext": {"runAsUser": 0}}), 0o600, Some(0)),
            (json!({"containers": [a], "initContainers": [b]}), 0o644, None),
            (json!({"containers": [a], "initContainers": [a]}), 0o600, Some(1000)),
            (json!({"containers": [a], "ephemeralContainers": [none]}), 0o644, None),
            (json!({"containers": [none], "securityContext": {"fsGroup": 5}}), 0o600, None),
            (json!({"containers": [a, b], "securityContext": {"fsGroup": 5}}), 0o600, None),
            (json!({"containers": [a], "securityContext": {"fsGroup": 5}}), 0o600, Some(1000)),
        ];
        for (spec, mode, owner) in rows {
            assert_eq!(access(spec.clone()), Access { mode, owner }, "{spec}");
        }
    }
}
