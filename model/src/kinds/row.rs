//! Builds a row of the table in one expression.
use crate::kind::{Bucket, Column, Conversion, DerivedFrom, Kind, ScalePaths, Scope, SelectableField, StoredAs};
use crate::strategy::{Observed, Plain, Strategy};
use crate::subresource::Subresource;
use std::sync::Arc;

/// A row being built.
pub(super) struct Row(Kind);

/// A namespaced kind with all verbs, kept in the log, without rules, columns or subresources of its own.
pub(super) fn row(group: &str, version: &str, kind: &str, resource: &str) -> Row {
    let package = match group {
        "" => "api.core",
        "apiextensions.k8s.io" => "apiextensions-apiserver.pkg.apis.apiextensions",
        "metrics.k8s.io" => "metrics.pkg.apis.metrics",
        "apiregistration.k8s.io" => "kube-aggregator.pkg.apis.apiregistration",
        _ => &format!("api.{}", group.split('.').next().unwrap_or(group)),
    };
    Row(Kind {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        resource: resource.into(),
        singular: kind.to_ascii_lowercase().into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        verbs: vec!["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        subresources: Vec::new(),
        columns: Vec::new(),
        selectable: Vec::new(),
        bucket: Bucket::Log,
        generation: false,
        stored_as: None,
        derived_from: None,
        schema: format!("io.k8s.{package}.{version}.{kind}").as_str().into(),
        scale: ScalePaths::default(),
        strategy: &Plain,
    })
}

impl Row {
    /// Short names for `kubectl`.
    pub(super) fn short<const N: usize>(mut self, names: [&str; N]) -> Self {
        self.0.short_names = names.into_iter().map(Arc::from).collect();
        self
    }
    /// A singular name that isn't the kind in lower case.
    pub(super) fn singular(mut self, name: &str) -> Self {
        self.0.singular = name.into();
        self
    }
    /// In the category `all`.
    pub(super) fn all(self) -> Self {
        self.category("all")
    }
    /// In a category.
    pub(super) fn category(mut self, name: &str) -> Self {
        self.0.categories.push(name.into());
        self
    }
    /// Cluster-scoped.
    pub(super) fn cluster(mut self) -> Self {
        self.0.scope = Scope::Cluster;
        self
    }
    /// With these subresources.
    pub(super) fn with<const N: usize>(mut self, subresources: [Subresource; N]) -> Self {
        self.0.subresources.extend(subresources);
        self
    }
    /// With a status of its own.
    pub(super) fn status(self) -> Self {
        self.with([Subresource::STATUS])
    }
    /// With a status, which clients don't set with the rest, and no other rules of its own than those that are declared.
    pub(super) fn observed(self) -> Self {
        self.strategy(&Observed).status()
    }
    /// With replicas that can be scaled.
    pub(super) fn scale(self) -> Self {
        self.with([Subresource::SCALE])
    }
    /// With a generation that counts changes of what is desired.
    pub(super) fn generation(mut self) -> Self {
        self.0.generation = true;
        self
    }
    /// Not deletable as a collection.
    pub(super) fn one_at_a_time(mut self) -> Self {
        self.0.verbs.retain(|v| *v != "deletecollection");
        self
    }
    /// A question that is answered, not an object that is kept.
    pub(super) fn answered(mut self) -> Self {
        self.0.verbs = vec!["create"];
        self
    }
    /// Made of the objects of another row when they are read.
    pub(super) fn derived_from(mut self, group: &str, resource: &str) -> Self {
        self.0.derived_from = Some(DerivedFrom { group: group.into(), resource: resource.into() });
        self.0.verbs = vec!["get", "list"];
        self
    }
    /// What field selectors may name.
    pub(super) fn select(mut self, fields: &[SelectableField]) -> Self {
        self.0.selectable = fields.iter().map(Into::into).collect();
        self
    }
    /// Kept elsewhere than in the log.
    pub(super) fn bucket(mut self, bucket: Bucket) -> Self {
        self.0.bucket = bucket;
        self
    }
    /// Another form of what another row keeps.
    pub(super) fn stored_as(mut self, group: &str, resource: &str, conversion: Conversion) -> Self {
        self.0.stored_as = Some(StoredAs { group: group.into(), resource: resource.into(), conversion });
        self
    }
    /// Printed columns.
    pub(super) fn columns(mut self, columns: Vec<Column>) -> Self {
        self.0.columns = columns;
        self
    }
    /// Rules of its own.
    pub(super) fn strategy(mut self, strategy: &'static dyn Strategy) -> Self {
        self.0.strategy = strategy;
        self
    }
    /// The finished row.
    pub(super) fn build(self) -> Kind {
        self.0
    }
}
