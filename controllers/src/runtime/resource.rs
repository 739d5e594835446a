//! Names of resources, as constants where controllers name them and from the table of kinds where they come from rows.
use model::{Key, Kind, Kinds, custom};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Group and plural name of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group; `""` for the core group.
    pub group: Cow<'static, str>,
    /// Plural name.
    pub name: Cow<'static, str>,
}

impl Resource {
    /// Stands for every resource, in outputs of controllers that go through all kinds.
    pub const ANY: Self = Self::new("*", "*");
    /// ClusterRoles.
    pub const CLUSTER_ROLES: Self = Self::new("rbac.authorization.k8s.io", "clusterroles");
    /// ConfigMaps.
    pub const CONFIG_MAPS: Self = Self::new("", "configmaps");
    /// ControllerRevisions.
    pub const CONTROLLER_REVISIONS: Self = Self::new("apps", "controllerrevisions");
    /// CronJobs.
    pub const CRON_JOBS: Self = Self::new("batch", "cronjobs");
    /// DaemonSets.
    pub const DAEMON_SETS: Self = Self::new("apps", "daemonsets");
    /// Deployments.
    pub const DEPLOYMENTS: Self = Self::new("apps", "deployments");
    /// Endpoints.
    pub const ENDPOINTS: Self = Self::new("", "endpoints");
    /// EndpointSlices.
    pub const ENDPOINT_SLICES: Self = Self::new("discovery.k8s.io", "endpointslices");
    /// Events.
    pub const EVENTS: Self = Self::new("", "events");
    /// Jobs.
    pub const JOBS: Self = Self::new("batch", "jobs");
    /// Leases.
    pub const LEASES: Self = Self::new("coordination.k8s.io", "leases");
    /// Namespaces.
    pub const NAMESPACES: Self = Self::new("", "namespaces");
    /// Nodes.
    pub const NODES: Self = Self::new("", "nodes");
    /// PersistentVolumeClaims.
    pub const CLAIMS: Self = Self::new("", "persistentvolumeclaims");
    /// Pods.
    pub const PODS: Self = Self::new("", "pods");
    /// ReplicaSets.
    pub const REPLICA_SETS: Self = Self::new("apps", "replicasets");
    /// ReplicationControllers.
    pub const REPLICATION_CONTROLLERS: Self = Self::new("", "replicationcontrollers");
    /// Secrets.
    pub const SECRETS: Self = Self::new("", "secrets");
    /// ServiceAccounts.
    pub const SERVICE_ACCOUNTS: Self = Self::new("", "serviceaccounts");
    /// Definitions of custom resources.
    pub const DEFINITIONS: Self = Self::new(custom::DEFINITIONS.0, custom::DEFINITIONS.1);
    /// Services.
    pub const SERVICES: Self = Self::new("", "services");
    /// StatefulSets.
    pub const STATEFUL_SETS: Self = Self::new("apps", "statefulsets");
    /// Classes of volumes.
    pub const STORAGE_CLASSES: Self = Self::new("storage.k8s.io", "storageclasses");
    /// Volumes.
    pub const VOLUMES: Self = Self::new("", "persistentvolumes");

    /// A resource that is known at compile time.
    pub const fn new(group: &'static str, name: &'static str) -> Self {
        Self { group: Cow::Borrowed(group), name: Cow::Borrowed(name) }
    }
    /// A resource that is known at run time only.
    pub fn named(group: &str, name: &str) -> Self {
        Self { group: Cow::Owned(group.to_owned()), name: Cow::Owned(name.to_owned()) }
    }
    /// The resource of a row of the table of kinds.
    pub fn of_kind(kind: &Kind) -> Self {
        Self { group: Cow::Owned(kind.group.to_string()), name: Cow::Owned(kind.resource.to_string()) }
    }
    /// Of a table those whose objects are watched: they are stored as themselves and live long enough to own or be owned.
    pub fn watched(kinds: &Kinds) -> Vec<Self> {
        // custom resources come and go: the engine follows their definitions
        let lasting = |k: &&Arc<Kind>| k.schema.custom().is_none() && k.stored_as.is_none() && ["list", "watch"].iter().all(|v| k.verbs.contains(v));
        kinds.rows().iter().filter(lasting).map(|k| Self::of_kind(k)).filter(|r| *r != Self::EVENTS).collect()
    }
    /// The resource of a key.
    pub fn of_key(key: &Key) -> Self {
        Self { group: Cow::Owned(key.group.to_string()), name: Cow::Owned(key.resource.to_string()) }
    }
    /// The key of an object of this resource.
    pub fn key(&self, namespace: &str, name: &str) -> Key {
        Key::new(&*self.group, &*self.name, namespace, name)
    }
    /// Whether `key` names an object of this resource.
    pub fn holds(&self, key: &Key) -> bool {
        *self.group == *key.group && *self.name == *key.resource
    }
    /// Whether this is `other` or stands for it.
    pub fn covers(&self, other: &Self) -> bool {
        *self == Self::ANY || self == other
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() { f.write_str(&self.name) } else { write!(f, "{}.{}", self.name, self.group) }
    }
}
