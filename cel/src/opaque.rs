//! The values of Kubernetes' libraries.
use crate::authorizer::{Authorizing, Check, Decision};
use crate::formats::Format;
use crate::net::Block;
use crate::quantity::Quantity;
use crate::semver::Semver;
use crate::types::opaque;
use crate::url::Url;
use std::net::IpAddr;
use std::sync::Arc;

/// A value of Kubernetes' libraries.
#[derive(Clone, Debug, PartialEq)]
pub enum Opaque<'a> {
    /// An address.
    Ip(IpAddr),
    /// A block of addresses.
    Cidr(Block),
    /// A URL.
    Url(Arc<Url>),
    /// A quantity.
    Quantity(Quantity),
    /// A semantic version.
    Semver(Arc<Semver>),
    /// A format.
    Format(&'static Format),
    /// The authorizer.
    Authorizer(Authorizing<'a>),
    /// A check of a path.
    PathCheck(Authorizing<'a>, Arc<Check>),
    /// The start of a check of a resource.
    GroupCheck(Authorizing<'a>, Arc<Check>),
    /// A check of a resource.
    ResourceCheck(Authorizing<'a>, Arc<Check>),
    /// What a check said.
    Decision(Arc<Decision>),
}

impl Opaque<'_> {
    /// The name of its type.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ip(_) => opaque::IP,
            Self::Cidr(_) => opaque::CIDR,
            Self::Url(_) => opaque::URL,
            Self::Quantity(_) => opaque::QUANTITY,
            Self::Semver(_) => opaque::SEMVER,
            Self::Format(_) => opaque::FORMAT,
            Self::Authorizer(_) => opaque::AUTHORIZER,
            Self::PathCheck(..) => opaque::PATH_CHECK,
            Self::GroupCheck(..) => opaque::GROUP_CHECK,
            Self::ResourceCheck(..) => opaque::RESOURCE_CHECK,
            Self::Decision(_) => opaque::DECISION,
        }
    }

    /// The size that costs are in proportion to.
    pub fn size(&self) -> usize {
        match self {
            Self::Ip(IpAddr::V4(_)) => 4,
            Self::Ip(IpAddr::V6(_)) => 16,
            Self::Cidr(block) => usize::from(block.bits).div_ceil(8),
            _ => 1,
        }
    }
}
