//! What a kind is, and **the** table of kinds. Discovery, OpenAPI, routes, tables, watches and RBAC names derive from its rows.
use crate::custom::PrintedPath;
use crate::object::Object;
use crate::schema::KindSchema;
use crate::strategy::Strategy;
use crate::subresource::Subresource;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster.
    Cluster,
}

/// Where objects of a kind are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// In the log, for good.
    Log,
    /// In a short-lived stream of its own: gone `ttl` after the last write.
    Ephemeral {
        /// How long an object stays after its last write; `None`: until deleted, but only its last version is kept.
        ttl: Option<Duration>,
    },
}

/// How a printed cell is computed from an object at a time, which is there for ages.
pub type Compute = fn(&Object, jiff::Timestamp) -> Value;

/// What fills a printed column.
#[derive(Clone)]
pub enum Cell {
    /// A function.
    Computed(Compute),
    /// What a path of a custom resource's definition leads to.
    Path(Arc<PrintedPath>),
}

impl Cell {
    /// The cell of an object.
    pub fn of(&self, object: &Object, now: jiff::Timestamp) -> Value {
        match self {
            Self::Computed(compute) => compute(object, now),
            Self::Path(path) => path.print(object, now),
        }
    }
}

/// One printed column: `metav1.TableColumnDefinition` and how to fill it.
#[derive(Clone)]
pub struct Column {
    /// Heading, as Kubernetes prints it in mixed case: `Ready`.
    pub name: Cow<'static, str>,
    /// OpenAPI type: `string`, `integer`, `boolean`, `number`, `date`.
    pub kind: Cow<'static, str>,
    /// OpenAPI format: `name` for the name's column, mostly `""`.
    pub format: Cow<'static, str>,
    /// One sentence.
    pub description: Cow<'static, str>,
    /// 0 is always shown, 1 only with `-o wide`.
    pub priority: i32,
    /// The cell.
    pub cell: Cell,
}

/// A field that field selectors may name, and where it is: `("spec.nodeName", &["spec", "nodeName"])`.
pub type SelectableField = (&'static str, &'static [&'static str]);

/// The same, as a row has it: those of custom resources aren't known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selectable {
    /// As selectors name it.
    pub label: Box<str>,
    /// Where it is.
    pub path: Vec<Box<str>>,
}

impl From<&SelectableField> for Selectable {
    fn from((label, path): &SelectableField) -> Self {
        Self { label: (*label).into(), path: path.iter().map(|step| (*step).into()).collect() }
    }
}

/// How a form of a kind follows from the one that is stored, and the other way round.
#[derive(Clone, Debug)]
pub enum Conversion {
    /// By functions.
    Functions {
        /// The stored form of an object.
        inward: fn(&Object) -> Object,
        /// The form in which a stored object is shown.
        outward: fn(&Object) -> Object,
    },
    /// Only `apiVersion` differs.
    Rename {
        /// That of the stored form.
        stored: Arc<str>,
        /// That of the form that is shown.
        shown: Arc<str>,
    },
}

fn renamed(object: &Object, api_version: &str) -> Object {
    let mut object = object.clone();
    object.set(&["apiVersion"], api_version);
    object
}

impl Conversion {
    /// The stored form of an object.
    pub fn inward(&self, object: &Object) -> Object {
        match self {
            Self::Functions { inward, .. } => inward(object),
            Self::Rename { stored, .. } => renamed(object, stored),
        }
    }
    /// The form in which a stored object is shown.
    pub fn outward(&self, object: &Object) -> Object {
        match self {
            Self::Functions { outward, .. } => outward(object),
            Self::Rename { shown, .. } => renamed(object, shown),
        }
    }
}

/// Where the number of replicas and the selector of a kind's objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The replicas that are desired.
    pub desired: Vec<Box<str>>,
    /// Those that there are.
    pub current: Vec<Box<str>>,
    /// The selector of pods; a text in a custom resource.
    pub selector: Option<Vec<Box<str>>>,
}

impl Default for ScalePaths {
    /// Those of every built-in kind.
    fn default() -> Self {
        let path = |steps: [&str; 2]| steps.map(Box::from).to_vec();
        Self { desired: path(["spec", "replicas"]), current: path(["status", "replicas"]), selector: Some(path(["spec", "selector"])) }
    }
}

/// Whose objects a row shows in a form of its own.
#[derive(Clone, Debug)]
pub struct StoredAs {
    /// The group of the row that keeps them.
    pub group: Arc<str>,
    /// Its resource.
    pub resource: Arc<str>,
    /// Between the two forms.
    pub conversion: Conversion,
}

/// Of whose objects a row's are made when somebody reads them: they aren't stored. They have the same names and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedFrom {
    /// The group of the row that keeps those.
    pub group: Arc<str>,
    /// Its resource.
    pub resource: Arc<str>,
}

/// One row of the table of kinds: one version of a kind. The first row of a group and resource is the one in whose form objects are stored.
#[derive(Clone)]
pub struct Kind {
    /// API group; `""` for the core group.
    pub group: Arc<str>,
    /// Version: `v1`.
    pub version: Arc<str>,
    /// Name: `Pod`.
    pub kind: Arc<str>,
    /// Plural resource name: `pods`.
    pub resource: Arc<str>,
    /// Singular name: `pod`.
    pub singular: Arc<str>,
    /// Short names: `po`.
    pub short_names: Vec<Arc<str>>,
    /// Categories: `all`.
    pub categories: Vec<Arc<str>>,
    /// Namespaced or not.
    pub scope: Scope,
    /// What may be done with the whole: of `get list watch create update patch delete deletecollection`. A row with none isn't served: objects are stored
    /// in its form, and shown in others.
    pub verbs: Vec<&'static str>,
    /// Parts and actions with an address of their own.
    pub subresources: Vec<Subresource>,
    /// Printed columns.
    pub columns: Vec<Column>,
    /// What field selectors may name, besides `metadata.name` and `metadata.namespace`.
    pub selectable: Vec<Selectable>,
    /// Where it is kept.
    pub bucket: Bucket,
    /// Whether `metadata.generation` counts changes outside of metadata and status.
    pub generation: bool,
    /// Another row whose objects this one shows in its own form: `events.k8s.io` shows core Events, `autoscaling/v1` those of `autoscaling/v2`.
    pub stored_as: Option<StoredAs>,
    /// Another resource, of whose objects this one's are made: `metrics.k8s.io` has what pods and nodes use.
    pub derived_from: Option<DerivedFrom>,
    /// Its schema.
    pub schema: KindSchema,
    /// Where the Scale of its objects is.
    pub scale: ScalePaths,
    /// Its own rules.
    pub strategy: &'static dyn Strategy,
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        let version = &self.version;
        if self.group.is_empty() { version.to_string() } else { format!("{}/{version}", self.group) }
    }
    /// The stored form of an object of this row.
    pub fn inward(&self, object: Object) -> Object {
        match &self.stored_as {
            Some(other) => other.conversion.inward(&object),
            None => object,
        }
    }
    /// The form in which this row shows a stored object, where it is another one.
    pub fn outward(&self, stored: &Object) -> Option<Object> {
        self.stored_as.as_ref().map(|other| other.conversion.outward(stored))
    }
    /// The kind of a list: `PodList`.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }
    /// Its subresource of this name.
    pub fn subresource(&self, name: &str) -> Option<Subresource> {
        self.subresources.iter().find(|sub| sub.name() == name).copied()
    }
    /// Whether it has this subresource.
    pub fn has(&self, sub: Subresource) -> bool {
        self.subresources.contains(&sub)
    }
    /// Whether anybody can ask for it.
    pub fn is_served(&self) -> bool {
        !self.verbs.is_empty()
    }
    /// Whether objects live in a namespace.
    pub fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.kind)
    }
}

/// Rows by group, and within by a name.
type Index = HashMap<Arc<str>, HashMap<Arc<str>, Vec<Arc<Kind>>>>;

/// The rows of a group that have a name.
fn named<'a>(index: &'a Index, group: &str, name: &str) -> &'a [Arc<Kind>] {
    index.get(group).and_then(|names| names.get(name)).map_or(&[], Vec::as_slice)
}

/// The table of kinds, looked up by resource or by kind. A value: a CRD makes a new one with more rows.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    rows: Vec<Arc<Kind>>,
    by_resource: Index,
    by_kind: Index,
    by_version: Index,
    /// Those that show objects of another group.
    elsewhere: Vec<Arc<Kind>>,
}

impl Kinds {
    /// A table of these rows.
    pub fn new(rows: impl IntoIterator<Item = Kind>) -> Self {
        rows.into_iter().fold(Self::default(), Self::with)
    }
    /// This table with one row more: a further version of what it has, or a new kind.
    #[must_use]
    pub fn with(mut self, row: Kind) -> Self {
        let row = Arc::new(row);
        for (index, name) in [(&mut self.by_resource, &row.resource), (&mut self.by_kind, &row.kind), (&mut self.by_version, &row.version)] {
            index.entry(row.group.clone()).or_default().entry(name.clone()).or_default().push(row.clone());
        }
        if row.stored_as.as_ref().is_some_and(|other| other.group != row.group) {
            self.elsewhere.push(row.clone());
        }
        self.rows.push(row);
        self
    }
    /// This table without the rows of this group and resource.
    #[must_use]
    pub fn without(mut self, group: &str, resource: &str) -> Self {
        let others = |row: &Arc<Kind>| *row.group != *group || *row.resource != *resource;
        self.rows.retain(others);
        self.elsewhere.retain(others);
        for names in [&mut self.by_resource, &mut self.by_kind, &mut self.by_version].into_iter().filter_map(|index| index.get_mut(group)) {
            names.retain(|_, rows| {
                rows.retain(others);
                !rows.is_empty()
            });
        }
        self
    }
    /// All rows, in the order of the table.
    pub fn rows(&self) -> &[Arc<Kind>] {
        &self.rows
    }
    /// What is served of a group in a version, in the order of the table.
    pub fn served_in(&self, group: &str, version: &str) -> impl Iterator<Item = &Arc<Kind>> {
        named(&self.by_version, group, version).iter().filter(|row| row.is_served())
    }
    /// By group and plural resource name: the version that is stored.
    pub fn resource(&self, group: &str, resource: &str) -> Option<&Arc<Kind>> {
        named(&self.by_resource, group, resource).first()
    }
    /// By group, version and plural resource name.
    pub fn served(&self, group: &str, version: &str, resource: &str) -> Option<&Arc<Kind>> {
        named(&self.by_resource, group, resource).iter().find(|k| *k.version == *version && k.is_served())
    }
    /// The rows that show the same objects as the row `stored`, in which they are stored: that one first.
    pub fn forms(&self, stored: &Kind) -> Vec<&Arc<Kind>> {
        let same = named(&self.by_resource, &stored.group, &stored.resource).iter();
        let elsewhere = |row: &&Arc<Kind>| row.stored_as.as_ref().is_some_and(|other| other.group == stored.group && other.resource == stored.resource);
        same.chain(self.elsewhere.iter().filter(elsewhere)).filter(|row| row.is_served()).collect()
    }
    /// By group and kind: the version that is stored.
    pub fn kind(&self, group: &str, kind: &str) -> Option<&Arc<Kind>> {
        named(&self.by_kind, group, kind).first()
    }
    /// By `apiVersion` and `kind` as objects and owner references write them; the version must be served.
    pub fn of(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        named(&self.by_kind, group, kind).iter().find(|k| *k.version == *version)
    }
}
