//! What an item of a LimitRange refuses, in Kubernetes' words.
use model::Object;
use model::quantity::Quantity;
use model::resource_list::{ResourceList, of_pod};
use serde_json::Value;

/// What is asked for: at least, and at most.
#[derive(Debug, Default)]
pub struct Asked {
    /// Requests.
    pub requests: ResourceList,
    /// Limits.
    pub limits: ResourceList,
}

impl Asked {
    /// By one container.
    pub fn of(container: &Value) -> Self {
        let part = |field: &str| ResourceList::of(container.pointer(&format!("/resources/{field}")));
        Self { requests: part("requests"), limits: part("limits") }
    }
    /// By a pod as a whole.
    pub fn of_pod(pod: &Object) -> Self {
        let total = |field: &str| of_pod(pod, field, |_, container| ResourceList::of(container.pointer(&format!("/resources/{field}"))));
        Self { requests: total("requests"), limits: total("limits") }
    }
}

/// Above so many units thousandths aren't compared.
const MILLI_MAX: i128 = i64::MAX as i128 / 1_000;

/// One constraint: of which type of things, on which resource, and the amount that it has.
struct Constraint<'a> {
    kind: &'a str,
    resource: &'a str,
    amount: Quantity,
}

/// What is refused of a container or a pod.
pub fn broken(item: &Value, kind: &str, asked: &Asked) -> Vec<String> {
    all(item, kind, asked, &[("min", |c, asked| c.minimum(asked)), ("max", |c, asked| c.maximum(asked)), ("maxLimitRequestRatio", |c, asked| c.ratio(asked))])
}

/// What is refused of something that has requests only.
pub fn broken_by_requests(item: &Value, kind: &str, asked: &Asked) -> Vec<String> {
    all(item, kind, asked, &[("min", |c, asked| c.minimum(asked)), ("max", |c, asked| c.maximum_request(asked))])
}

/// A field of an item, and what it refuses.
type Rule = (&'static str, fn(&Constraint<'_>, &Asked) -> Option<String>);

fn all(item: &Value, kind: &str, asked: &Asked, rules: &[Rule]) -> Vec<String> {
    let mut broken = Vec::new();
    for (field, rule) in rules {
        for (resource, amount) in ResourceList::of(item.get(*field)).0 {
            broken.extend(rule(&Constraint { kind, resource: &resource, amount }, asked));
        }
    }
    broken
}

/// Amounts in a unit in which all of them can be compared: thousandths, unless one is too large for these.
fn comparable<const N: usize>(amounts: [Quantity; N]) -> [i128; N] {
    let thousandths = amounts.iter().all(|amount| amount.value() <= MILLI_MAX);
    amounts.map(|amount| if thousandths { amount.milli() } else { amount.value() })
}

impl Constraint<'_> {
    fn request(&self, asked: &Asked) -> Option<Quantity> {
        asked.requests.0.get(self.resource).copied()
    }
    fn limit(&self, asked: &Asked) -> Option<Quantity> {
        asked.limits.0.get(self.resource).copied()
    }
    /// The requests, the limits and the constraint's amount, nothing where they aren't said.
    fn values(&self, asked: &Asked) -> [i128; 3] {
        let or_zero = |amount: Option<Quantity>| amount.unwrap_or(Quantity::ZERO);
        comparable([or_zero(self.request(asked)), or_zero(self.limit(asked)), self.amount])
    }
    /// A constraint on how much is used, at its `end`, and how it is broken.
    fn usage(&self, end: &str, why: impl std::fmt::Display) -> Option<String> {
        Some(format!("{end} {} usage per {} is {}{why}", self.resource, self.kind, self.amount))
    }

    fn minimum(&self, asked: &Asked) -> Option<String> {
        let [request, limit, least] = self.values(asked);
        match (self.request(asked), self.limit(asked)) {
            (None, _) => self.usage("minimum", ".  No request is specified"),
            (Some(given), _) if request < least => self.usage("minimum", format_args!(", but request is {given}")),
            (_, Some(given)) if limit < least => self.usage("minimum", format_args!(", but limit is {given}")),
            _ => None,
        }
    }

    fn maximum(&self, asked: &Asked) -> Option<String> {
        let [request, limit, most] = self.values(asked);
        match (self.request(asked), self.limit(asked)) {
            (_, None) => self.usage("maximum", ".  No limit is specified"),
            (_, Some(given)) if limit > most => self.usage("maximum", format_args!(", but limit is {given}")),
            (Some(given), _) if request > most => self.usage("maximum", format_args!(", but request is {given}")),
            _ => None,
        }
    }

    fn maximum_request(&self, asked: &Asked) -> Option<String> {
        let [request, _, most] = self.values(asked);
        match self.request(asked) {
            None => self.usage("maximum", ".  No request is specified"),
            Some(given) if request > most => self.usage("maximum", format_args!(", but request is {given}")),
            Some(_) => None,
        }
    }

    fn ratio(&self, asked: &Asked) -> Option<String> {
        let [request, limit, _] = self.values(asked);
        let said = |why: std::fmt::Arguments<'_>| Some(format!("{} max limit to request ratio per {} is {}, but {why}", self.resource, self.kind, self.amount));
        if self.request(asked).is_none() || request == 0 {
            return said(format_args!("no request is specified or request is 0"));
        }
        if self.limit(asked).is_none() || limit == 0 {
            return said(format_args!("no limit is specified or limit is 0"));
        }
        let ratio = limit as f64 / request as f64;
        let (observed, most) =
            if self.amount.value() <= MILLI_MAX { (ratio * 1_000.0, self.amount.milli() as f64) } else { (ratio, self.amount.value() as f64) };
        if observed > most { said(format_args!("provided ratio is {ratio:.6}")) } else { None }
    }
}
