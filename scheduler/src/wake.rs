//! Which changes of the cluster may make a waiting pod schedulable. Each filter plug-in names the changes that concern it.
use std::ops::{BitOr, BitOrAssign};

/// A set of happenings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wake(u16);

impl Wake {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A node came.
    pub const NODE_ADDED: Self = Self(1);
    /// A node went, and with it perhaps an empty domain.
    pub const NODE_REMOVED: Self = Self(1 << 1);
    /// A node's labels changed.
    pub const NODE_LABELS: Self = Self(1 << 2);
    /// A node's taints changed, or it was (un)cordoned.
    pub const NODE_TAINTS: Self = Self(1 << 3);
    /// A node's allocatable resources changed.
    pub const NODE_ALLOCATABLE: Self = Self(1 << 4);
    /// A pod on a node went or finished.
    pub const POD_GONE: Self = Self(1 << 5);
    /// A pod came to a node.
    pub const POD_PLACED: Self = Self(1 << 6);
    /// A pod on a node has other labels, or began to terminate.
    pub const POD_CHANGED: Self = Self(1 << 7);
    /// A namespace came or has other labels.
    pub const NAMESPACE: Self = Self(1 << 8);
    /// A claim came or changed.
    pub const CLAIM: Self = Self(1 << 9);
    /// A volume came or changed.
    pub const VOLUME: Self = Self(1 << 10);
    /// A storage class came or changed.
    pub const STORAGE_CLASS: Self = Self(1 << 11);

    /// Whether the two have something in common.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// The union.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Wake {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl BitOrAssign for Wake {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.and(other);
    }
}
