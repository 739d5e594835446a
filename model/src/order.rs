//! The order of fields in the JSON that is sent. JSON maps have no order, but Kubernetes sends the fields of its Go structs in a fixed one, and people and
//! programs rely on the first fields: `kind`, `apiVersion`, `metadata`, and the name within that.
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

/// Which fields of a map come first and last, each in turn, and the orders of maps within. All others come between, sorted by name.
pub struct Order {
    first: &'static [&'static str],
    last: &'static [&'static str],
    within: &'static [(&'static str, &'static Order)],
}

/// Of objects, lists and `Status`.
pub static OBJECT: Order = Order {
    first: &["kind", "apiVersion", "metadata"],
    last: &["status", "message", "reason", "details", "code"],
    within: &[("metadata", &METADATA), ("details", &DETAILS)],
};

/// Of `ObjectMeta` and `ListMeta`.
pub static METADATA: Order = Order {
    first: &["name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "continue", "remainingItemCount"],
    last: &[
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
        "managedFields",
    ],
    within: &[],
};

/// Of what a `Status` is about.
static DETAILS: Order = Order { first: &["name", "group", "kind", "uid", "causes", "retryAfterSeconds"], last: &[], within: &[("causes", &CAUSE)] };

static CAUSE: Order = Order { first: &["reason", "message", "field"], last: &[], within: &[] };

impl Order {
    /// The fields of `map` in this order.
    pub fn fields<'a>(&'static self, map: &'a Map<String, Value>) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.fields_with(map, None)
    }

    /// The same with a value of its own for one of the fields that have a place, whether `map` has it or not.
    pub fn fields_with<'a>(&'static self, map: &'a Map<String, Value>, own: Option<(&'static str, &'a Value)>) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let at = move |name: &&'static str| match own {
            Some(own) if own.0 == *name => Some(own),
            _ => map.get(*name).map(|value| (*name, value)),
        };
        let between = map.iter().map(|(name, value)| (name.as_str(), value)).filter(|(name, _)| !self.first.contains(name) && !self.last.contains(name));
        self.first.iter().filter_map(at).chain(between).chain(self.last.iter().filter_map(at))
    }

    fn of(&self, field: &str) -> Option<&'static Self> {
        self.within.iter().find(|(name, _)| *name == field).map(|(_, order)| *order)
    }
}

/// A value in an order; the items of a list have the list's.
pub struct Ordered<'a>(pub &'static Order, pub &'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(order, value) = self;
        match value {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in order.fields(fields) {
                    match order.of(name) {
                        Some(order) => map.serialize_entry(name, &Ordered(order, value))?,
                        None => map.serialize_entry(name, value)?,
                    }
                }
                map.end()
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(|item| Ordered(order, item))),
            value => value.serialize(serializer),
        }
    }
}

/// The JSON of an object, a list or a `Status` in the order of its fields.
pub fn json(value: &Value) -> Vec<u8> {
    // a map with texts for keys always serialises
    serde_json::to_vec(&Ordered(&OBJECT, value)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json_text: &str) -> String {
        String::from_utf8(json(&serde_json::from_str(json_text).unwrap())).unwrap()
    }

    #[test]
    fn as_kubernetes_sends_them() {
        let same = [
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"m","reason":"Invalid","details":{"name":"n","group":"g","kind":"k","causes":[{"reason":"r","message":"m","field":"f"}]},"code":422}"#,
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"n","generateName":"g","namespace":"s","uid":"u","resourceVersion":"1","generation":1,"creationTimestamp":"t","labels":{"a":"b"},"annotations":{"name":"z"},"finalizers":["f"]},"spec":{"b":[{"z":1}],"metadata":{"a":1,"name":"x"}},"status":{"details":2}}"#,
            r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1","continue":"c","remainingItemCount":2},"items":[]}"#,
            r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"n"},"binaryData":{},"data":{},"immutable":true}"#,
            r#"[{"kind":"A","apiVersion":"v1"},7,"x",null]"#,
        ];
        for json in same {
            assert_eq!(text(json), json);
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(names in proptest::collection::btree_set("kind|apiVersion|metadata|status|message|code|name|[a-z]{1,4}", 0..12)) {
            let object: Map<String, Value> = names.into_iter().map(|name| { let value = Value::from(name.len()); (name, value) }).collect();
            let object = Value::from(Map::from_iter([("metadata".to_owned(), Value::from(object.clone()))].into_iter().chain(object)));
            proptest::prop_assert_eq!(serde_json::from_slice::<Value>(&json(&object)).unwrap(), object);
        }
    }
}
