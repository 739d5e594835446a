//! Finds the Services whose rules nft refuses, so that the others are served.
use super::ruleset::{Ruleset, ruleset};
use super::unserved::Unserved;
use crate::nft::{self, NftError};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use std::sync::Arc;

/// The rules of those Services that nft takes, each by itself; the others are told with what nft says. It is asked as often as it takes to find those
/// by halving.
///
/// # Errors
/// When nft can't be asked.
pub async fn servable(services: &[Arc<Service>], slices: &[Arc<EndpointSlice>], node: &str) -> Result<(Ruleset, Vec<Unserved>), NftError> {
    let (mut good, mut refused, mut open) = (Vec::new(), Vec::new(), vec![services]);
    while let Some(part) = open.pop() {
        match nft::check(&ruleset(part, slices, node).0.whole()).await {
            Ok(()) => good.extend_from_slice(part),
            Err(NftError::Refused(why)) => match part {
                [] => return Err(NftError::Refused(why)),
                [one] => refused.push(told(one, &why)),
                many => open.extend(<[_; 2]>::from(many.split_at(many.len() / 2))),
            },
            Err(other) => return Err(other),
        }
    }
    let (rules, unserved) = ruleset(&good, slices, node);
    refused.extend(unserved);
    Ok((rules, refused))
}

fn told(service: &Service, why: &str) -> Unserved {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let first = why.lines().next().unwrap_or_default();
    Unserved { namespace: text(&service.metadata.namespace), name: text(&service.metadata.name), why: format!("nft refuses its rules: {first}") }
}
