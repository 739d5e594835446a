//! Maps callers on the bus to the Kubernetes users as which their requests are authorised.
use bus::{Caller, Role};
use model::{ApiError, Reason};
use state_client::User;
use state_client::identity::user;

pub use state_client::identity::{AUTHENTICATED, MASTERS, NODE_PREFIX, NODES, OWN, own};

/// The user that a request of `caller` is made for. `named` is [`state_client::Request::user`]: only a gateway speaks for others.
///
/// # Errors
/// 401 when a gateway doesn't say for whom; 403 when somebody else does.
pub fn resolve(caller: &Caller, named: Option<User>) -> Result<User, ApiError> {
    let own = match caller.role {
        Role::Gateway => return named.ok_or_else(ApiError::unauthorized),
        Role::State => own(),
        Role::Admin => user("admin", &[MASTERS, AUTHENTICATED]),
        Role::Scheduler => user("system:kube-scheduler", &[AUTHENTICATED]),
        Role::Controllers => user("system:kube-controller-manager", &[AUTHENTICATED]),
        Role::Agent => user(format!("{NODE_PREFIX}{}", caller.name), &[NODES, AUTHENTICATED]),
        Role::Join => return Err(ApiError::new(Reason::Forbidden, format!("{caller} may only ask to join"))),
        Role::Client => return Err(ApiError::new(Reason::Forbidden, format!("{caller} may only ask a gateway"))),
    };
    match named {
        Some(other) if other.name != own.name => Err(ApiError::new(Reason::Forbidden, format!("{caller} may not speak for \"{}\" on the bus", other.name))),
        _ => Ok(own),
    }
}

/// The node that a user is, if it is one. Whoever says that he is a node but not which is `""`, which is the name of none.
pub fn node(user: &User) -> Option<&str> {
    let name = user.name.strip_prefix(NODE_PREFIX)?;
    user.groups.iter().any(|g| g == NODES).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_users() {
        let cases = [
            (Role::Agent, "n1", "system:node:n1", NODES),
            (Role::Scheduler, "s", "system:kube-scheduler", AUTHENTICATED),
            (Role::Controllers, "c", "system:kube-controller-manager", AUTHENTICATED),
            (Role::Admin, "root", "admin", MASTERS),
            (Role::State, "s", "system:apiserver", MASTERS),
        ];
        for (role, name, want, group) in cases {
            let user = resolve(&Caller::new(role, name), None).unwrap();
            assert_eq!(user.name, want);
            assert!(user.groups.iter().any(|g| g == group), "{user:?}");
        }
    }

    #[test]
    fn only_a_gateway_speaks_for_others_and_it_must() {
        let alice = user("alice", &[AUTHENTICATED]);
        assert_eq!(resolve(&Caller::new(Role::Gateway, "g"), Some(alice.clone())), Ok(alice.clone()));
        assert_eq!(resolve(&Caller::new(Role::Gateway, "g"), None).unwrap_err().code(), 401);
        assert_eq!(resolve(&Caller::new(Role::Agent, "n1"), Some(alice)).unwrap_err().code(), 403);
    }
}
