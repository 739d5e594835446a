//! Questions to the authorizer.
use crate::authorizer::{Authorizing, Check};
use crate::opaque::Opaque;
use crate::value::Value;
use std::sync::Arc;

/// Calls a function of the authorizer's.
pub fn call<'a>(function: &str, args: &[Value<'a>]) -> Option<Value<'a>> {
    let [Value::Opaque(target), rest @ ..] = args else { return None };
    let text = |at: usize| match rest.get(at) {
        Some(Value::String(text)) => Box::from(&**text),
        _ => Box::default(),
    };
    Some(Value::Opaque(match (function, target) {
        ("path", Opaque::Authorizer(who)) => Opaque::PathCheck(who.clone(), Arc::new(Check { path: Some(text(0)), ..check(who) })),
        ("group", Opaque::Authorizer(who)) => Opaque::GroupCheck(who.clone(), Arc::new(Check { group: text(0), ..check(who) })),
        ("serviceAccount", Opaque::Authorizer(who)) => {
            Opaque::Authorizer(Authorizing { authorizer: who.authorizer, service_account: Some(Arc::new((text(0), text(1)))), request: None })
        }
        ("resource", Opaque::GroupCheck(who, check)) => Opaque::ResourceCheck(who.clone(), Arc::new(Check { resource: text(0), ..(**check).clone() })),
        ("check", Opaque::PathCheck(who, check) | Opaque::ResourceCheck(who, check)) => {
            Opaque::Decision(Arc::new(who.authorizer.decide(&Check { verb: text(0), ..(**check).clone() })))
        }
        (function, Opaque::ResourceCheck(who, check)) => {
            let mut check = (**check).clone();
            match function {
                "subresource" => check.subresource = text(0),
                "namespace" => check.namespace = text(0),
                "name" => check.name = text(0),
                "fieldSelector" => check.field_selector = text(0),
                "labelSelector" => check.label_selector = text(0),
                _ => return None,
            }
            Opaque::ResourceCheck(who.clone(), Arc::new(check))
        }
        (function, Opaque::Decision(decision)) => {
            return Some(match function {
                "allowed" => Value::Bool(decision.allowed),
                "reason" => decision.reason.to_string().into(),
                "errored" => Value::Bool(decision.error.is_some()),
                "error" => decision.error.as_deref().unwrap_or_default().to_owned().into(),
                _ => return None,
            });
        }
        _ => return None,
    }))
}

fn check(who: &Authorizing<'_>) -> Check {
    Check { service_account: who.service_account.as_deref().cloned(), ..Check::default() }
}
