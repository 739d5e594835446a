//! Ingresses and their classes, network policies, and the addresses of Services.
mod addresses;
mod ingress;
mod ingress_class;
mod policy;

pub(super) use addresses::{IP_ADDRESS, SERVICE_CIDR};
pub(super) use ingress::INGRESS;
pub(super) use ingress_class::INGRESS_CLASS;
pub(super) use policy::NETWORK_POLICY;

#[cfg(test)]
mod ingress_tests;
#[cfg(test)]
mod tests;
