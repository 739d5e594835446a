//! The resources that plug-ins read: each says which, and the scheduler watches the union.

/// A resource of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    /// Its group.
    pub group: &'static str,
    /// Its name.
    pub resource: &'static str,
}

impl Watched {
    /// Pods.
    pub const PODS: Self = Self { group: "", resource: "pods" };
    /// Nodes.
    pub const NODES: Self = Self { group: "", resource: "nodes" };
    /// Namespaces.
    pub const NAMESPACES: Self = Self { group: "", resource: "namespaces" };
    /// Claims of volumes.
    pub const CLAIMS: Self = Self { group: "", resource: "persistentvolumeclaims" };
    /// Volumes.
    pub const VOLUMES: Self = Self { group: "", resource: "persistentvolumes" };
    /// Storage classes.
    pub const STORAGE_CLASSES: Self = Self { group: "storage.k8s.io", resource: "storageclasses" };
    /// Disruption budgets.
    pub const BUDGETS: Self = Self { group: "policy", resource: "poddisruptionbudgets" };
}
