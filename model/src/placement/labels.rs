//! Labels and what selects by them, in a compact form that is parsed once and compared often.
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The node label that makes each node a topology domain of its own.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// What has labels, in whatever form.
pub trait Labelled {
    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str>;
}

/// Labels of an object, sorted by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Labels(Vec<(Arc<str>, Arc<str>)>);

impl Labels {
    /// The value of a label.
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.binary_search_by(|(k, _)| (**k).cmp(key)).ok()?;
        self.0.get(found).map(|(_, v)| &**v)
    }
}

impl Labelled for Labels {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key)
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

/// What a requirement asks of one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum LabelOperator {
    In(Vec<Arc<str>>),
    NotIn(Vec<Arc<str>>),
    Exists,
    DoesNotExist,
    Gt(i64),
    Lt(i64),
    /// An expression that Kubernetes can't evaluate: it matches nothing.
    Invalid,
}

/// One expression over one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    key: Arc<str>,
    op: LabelOperator,
}

impl Requirement {
    /// `key` has one of `values`.
    pub fn is_in(key: &str, values: impl IntoIterator<Item = String>) -> Self {
        Self { key: key.into(), op: LabelOperator::In(values.into_iter().map(Arc::from).collect()) }
    }
    /// `key` is absent or has none of `values`.
    pub fn not_in(key: &str, values: impl IntoIterator<Item = String>) -> Self {
        Self { key: key.into(), op: LabelOperator::NotIn(values.into_iter().map(Arc::from).collect()) }
    }
    fn parse(key: &str, operator: &str, values: &[String]) -> Self {
        let number = || match values {
            [one] => one.parse::<i64>().ok(),
            _ => None,
        };
        let all = || values.iter().map(|v| Arc::from(v.as_str())).collect();
        let op = match operator {
            "In" if !values.is_empty() => LabelOperator::In(all()),
            "NotIn" if !values.is_empty() => LabelOperator::NotIn(all()),
            "Exists" => LabelOperator::Exists,
            "DoesNotExist" => LabelOperator::DoesNotExist,
            "Gt" => number().map_or(LabelOperator::Invalid, LabelOperator::Gt),
            "Lt" => number().map_or(LabelOperator::Invalid, LabelOperator::Lt),
            _ => LabelOperator::Invalid,
        };
        Self { key: key.into(), op }
    }
    /// Whether a value (`None`: the key is absent) satisfies it.
    fn accepts(&self, value: Option<&str>) -> bool {
        let number = |v: &str| v.parse::<i64>().ok();
        match &self.op {
            LabelOperator::In(set) => value.is_some_and(|v| set.iter().any(|s| &**s == v)),
            LabelOperator::NotIn(set) => value.is_none_or(|v| set.iter().all(|s| &**s != v)),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
            LabelOperator::Gt(bound) => value.and_then(number).is_some_and(|v| v > *bound),
            LabelOperator::Lt(bound) => value.and_then(number).is_some_and(|v| v < *bound),
            LabelOperator::Invalid => false,
        }
    }
}

/// A label selector: all requirements hold. No selector at all ([`Selector::nothing`]) selects nothing, an empty one everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selector(Option<Vec<Requirement>>);

impl Selector {
    /// Selects nothing.
    pub fn nothing() -> Self {
        Self(None)
    }
    /// From the API's form; an absent selector selects nothing.
    pub fn parse(selector: Option<&LabelSelector>) -> Self {
        let Some(selector) = selector else { return Self::nothing() };
        let mut all: Vec<Requirement> = selector.match_labels.iter().flatten().map(|(k, v)| Requirement::is_in(k, [v.clone()])).collect();
        all.extend(selector.match_expressions.iter().flatten().map(|e| Requirement::parse(&e.key, &e.operator, e.values.as_deref().unwrap_or_default())));
        Self(Some(all))
    }
    /// The same with one requirement more; a selector of nothing stays that.
    #[must_use]
    pub fn and(mut self, requirement: Requirement) -> Self {
        if let Some(all) = self.0.as_mut() {
            all.push(requirement);
        }
        self
    }
    /// Whether it selects an object with these labels.
    pub fn matches(&self, labels: &impl Labelled) -> bool {
        self.0.as_ref().is_some_and(|all| all.iter().all(|r| r.accepts(labels.label(&r.key))))
    }
}

/// One term of a node selector: all of its expressions and fields hold. An empty term matches no node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeTerm {
    labels: Vec<Requirement>,
    names: Vec<Requirement>,
}

impl NodeTerm {
    /// From the API's form. The one field that Kubernetes knows is `metadata.name`.
    pub fn parse(term: &NodeSelectorTerm) -> Self {
        let parse = |e: &NodeSelectorRequirement| Requirement::parse(&e.key, &e.operator, e.values.as_deref().unwrap_or_default());
        let field = |e: &NodeSelectorRequirement| match e.key.as_str() {
            "metadata.name" => parse(e),
            _ => Requirement { key: e.key.as_str().into(), op: LabelOperator::Invalid },
        };
        Self { labels: term.match_expressions.iter().flatten().map(parse).collect(), names: term.match_fields.iter().flatten().map(field).collect() }
    }
    /// Whether a node of this name with these labels matches.
    pub fn matches(&self, name: &str, labels: &impl Labelled) -> bool {
        let empty = self.labels.is_empty() && self.names.is_empty();
        !empty && self.names.iter().all(|r| r.accepts(Some(name))) && self.labels.iter().all(|r| r.accepts(labels.label(&r.key)))
    }
    /// The node names that its fields leave; `None`: any.
    fn pinned(&self) -> Option<BTreeSet<Arc<str>>> {
        let sets = self.names.iter().filter_map(|r| match &r.op {
            LabelOperator::In(names) => Some(names.iter().cloned().collect::<BTreeSet<_>>()),
            _ => None,
        });
        sets.reduce(|a, b| a.intersection(&b).cloned().collect())
    }
}

/// The nodes that required node affinity names one by one (a DaemonSet's pods do); `None` when some term leaves more than named nodes.
pub fn pinned_names(terms: &[NodeTerm]) -> Option<BTreeSet<Arc<str>>> {
    let mut all = BTreeSet::new();
    for term in terms {
        all.extend(term.pinned()?);
    }
    (!terms.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>().into()
    }

    #[test]
    fn every_operator_on_a_present_an_other_and_an_absent_value() {
        let n1 = labels(&[("zone", "a"), ("cores", "8")]);
        let rows: &[(&str, &str, &[&str], bool)] = &[
            ("zone", "In", &["a", "b"], true),
            ("zone", "In", &["b"], false),
            ("rack", "In", &["a"], false),
            ("zone", "NotIn", &["a"], false),
            ("zone", "NotIn", &["b"], true),
            ("rack", "NotIn", &["b"], true),
            ("zone", "Exists", &[], true),
            ("rack", "Exists", &[], false),
            ("zone", "DoesNotExist", &[], false),
            ("rack", "DoesNotExist", &[], true),
            ("cores", "Gt", &["4"], true),
            ("cores", "Gt", &["8"], false),
            ("cores", "Lt", &["9"], true),
            ("zone", "Lt", &["9"], false),
            ("rack", "Gt", &["1"], false),
            ("cores", "Gt", &["x"], false),
            ("zone", "Near", &["a"], false),
        ];
        for (key, op, values, expected) in rows {
            let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
            let requirement = NodeSelectorRequirement { key: (*key).to_owned(), operator: (*op).to_owned(), values: Some(values) };
            let term = NodeTerm::parse(&NodeSelectorTerm { match_expressions: Some(vec![requirement]), match_fields: None });
            assert_eq!(term.matches("n1", &n1), *expected, "{key} {op}");
        }
    }

    #[test]
    fn an_absent_selector_selects_nothing_and_an_empty_one_everything() {
        let pod = labels(&[("app", "web")]);
        assert!(!Selector::parse(None).matches(&pod));
        assert!(Selector::parse(Some(&LabelSelector::default())).matches(&pod));
        assert!(!Selector::parse(None).and(Requirement::is_in("app", ["web".to_owned()])).matches(&pod));
    }

    #[test]
    fn an_empty_node_term_matches_no_node_and_fields_pin_names() {
        let empty = NodeTerm::parse(&NodeSelectorTerm::default());
        assert!(!empty.matches("n1", &Labels::default()));
        let field = NodeSelectorRequirement { key: "metadata.name".to_owned(), operator: "In".to_owned(), values: Some(vec!["n2".to_owned()]) };
        let term = NodeTerm::parse(&NodeSelectorTerm { match_expressions: None, match_fields: Some(vec![field]) });
        assert!(term.matches("n2", &Labels::default()) && !term.matches("n1", &Labels::default()));
        assert_eq!(pinned_names(std::slice::from_ref(&term)), Some(BTreeSet::from(["n2".into()])));
        assert_eq!(pinned_names(&[term, empty]), None);
    }
}
