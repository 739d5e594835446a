//! Events about objects: repeated ones are counted, similar ones are combined, and a source that says too much about one object is cut short, with the
//! limits that Kubernetes' event correlator has by default. Pure: time comes in, writes come out.
use crate::api::{Body, PatchKind, Request, Verb};
use jiff::{SignedDuration, Timestamp};
use model::time::format;
use model::{Key, Object};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// So many series are remembered; when there are more, the half that was silent the longest is forgotten.
const REMEMBERED: usize = 4096;
/// More than so many similar events within [`SIMILAR_WITHIN`] are combined into one.
const SIMILAR_MAX: usize = 10;
const SIMILAR_WITHIN: SignedDuration = SignedDuration::from_secs(600);
/// One source may tell so many events about one object at once, then one each [`REFILL_SECONDS`].
const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;

/// An event to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// About which object: `v1.ObjectReference`.
    pub about: Value,
    /// `Warning` instead of `Normal`.
    pub warning: bool,
    /// Machine-readable: `ScalingReplicaSet`.
    pub reason: Cow<'static, str>,
    /// For people.
    pub message: String,
}

/// Who reports events.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The component: `kubelet`.
    pub component: &'a str,
    /// The node that it is on; `""` where that doesn't matter.
    pub host: &'a str,
}

/// A write of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum EventWrite {
    /// A new event.
    Create(Box<Object>),
    /// One more of a series: a merge patch.
    Count(Key, Value),
}

impl EventWrite {
    /// The event that is counted up, which may be gone.
    pub fn counted(&self) -> Option<&Key> {
        match self {
            Self::Create(_) => None,
            Self::Count(key, _) => Some(key),
        }
    }

    /// The request that writes it.
    pub fn request(self) -> Request {
        match self {
            Self::Create(object) => Request::new(Verb::Create, "", "events", object.namespace(), "").body(Body::Object(object)),
            Self::Count(key, patch) => {
                let request = Request::new(Verb::Patch, "", "events", &key.namespace, &key.name);
                request.body(Body::Patch(PatchKind::Merge, patch.to_string().into()))
            }
        }
    }
}

#[derive(Debug)]
struct Series {
    key: Key,
    count: u64,
    last: Timestamp,
}

#[derive(Debug)]
struct Similar {
    /// Hashes of the messages.
    messages: Vec<u64>,
    since: Timestamp,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// What is remembered of events, by hashes of what makes them alike: their texts may be long.
#[derive(Debug, Default)]
pub struct EventCorrelator {
    hasher: RandomState,
    series: HashMap<u64, Series>,
    similar: HashMap<u64, Similar>,
    buckets: HashMap<u64, Bucket>,
    serial: u64,
}

impl EventCorrelator {
    /// The write that records what `source` says, if it isn't too much.
    pub fn record(&mut self, source: Source<'_>, record: &EventRecord, now: Timestamp) -> Option<EventWrite> {
        let object = (source.component, uid(record));
        if !self.admits(self.hasher.hash_one(object), now) {
            return None;
        }
        let said = self.hasher.hash_one(&record.message);
        let combined = self.is_one_of_many(self.hasher.hash_one((object, &record.reason)), said, now);
        let message = if combined { format!("(combined from similar events): {}", record.message) } else { record.message.clone() };
        let identity = self.hasher.hash_one(Identity::of(source, record, (!combined).then_some(said)));
        if let Some(series) = self.series.get_mut(&identity) {
            series.count += 1;
            series.last = now;
            let patch = json!({"count": series.count, "lastTimestamp": format(now), "message": message});
            return Some(EventWrite::Count(series.key.clone(), patch));
        }
        self.serial += 1;
        let object = event(source, record, &message, now, self.serial);
        let key = Key::new("", "events", object.namespace(), object.name());
        forget_oldest(&mut self.series, |s| s.last);
        self.series.insert(identity, Series { key, count: 1, last: now });
        Some(EventWrite::Create(Box::new(object)))
    }

    /// The event of `key` is gone or was never there: its series begins anew.
    pub fn forget(&mut self, key: &Key) {
        self.series.retain(|_, s| s.key != *key);
    }

    fn admits(&mut self, object: u64, now: Timestamp) -> bool {
        forget_oldest(&mut self.buckets, |b| b.at);
        let bucket = self.buckets.entry(object).or_insert(Bucket { tokens: BURST, at: now });
        let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
        bucket.tokens = (bucket.tokens + passed / REFILL_SECONDS).min(BURST);
        bucket.at = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }

    /// Whether so many different events were alike that this one is combined with them.
    fn is_one_of_many(&mut self, alike: u64, message: u64, now: Timestamp) -> bool {
        forget_oldest(&mut self.similar, |s| s.since);
        let similar = self.similar.entry(alike).or_insert_with(|| Similar { messages: Vec::new(), since: now });
        if now.duration_since(similar.since) > SIMILAR_WITHIN {
            *similar = Similar { messages: Vec::new(), since: now };
        }
        let known = similar.messages.contains(&message);
        if !known && similar.messages.len() < SIMILAR_MAX {
            similar.messages.push(message);
            return false;
        }
        !known
    }
}

/// What makes two events one series. Combined ones are a series whatever they say.
#[derive(Hash)]
struct Identity<'a> {
    component: &'a str,
    about: [&'a str; 5],
    warning: bool,
    reason: &'a str,
    message: Option<u64>,
}

impl<'a> Identity<'a> {
    fn of(source: Source<'a>, record: &'a EventRecord, message: Option<u64>) -> Self {
        let about = ["kind", "namespace", "name", "uid", "fieldPath"].map(|field| record.about[field].as_str().unwrap_or_default());
        Self { component: source.component, about, warning: record.warning, reason: &record.reason, message }
    }
}

fn uid(record: &EventRecord) -> &str {
    record.about["uid"].as_str().unwrap_or_default()
}

fn forget_oldest<T>(map: &mut HashMap<u64, T>, age: impl Fn(&T) -> Timestamp) {
    if map.len() >= REMEMBERED {
        let mut ages: Vec<Timestamp> = map.values().map(&age).collect();
        let (_, median, _) = ages.select_nth_unstable(REMEMBERED / 2);
        let median = *median;
        map.retain(|_, v| age(v) > median);
    }
}

/// Events about what has no namespace live in `default`.
fn event(source: Source<'_>, record: &EventRecord, message: &str, now: Timestamp, serial: u64) -> Object {
    let about = &record.about;
    let namespace = about["namespace"].as_str().filter(|n| !n.is_empty()).unwrap_or("default");
    let name = format!("{}.{:x}{:04x}", about["name"].as_str().unwrap_or_default(), now.as_nanosecond().unsigned_abs() / 1000, serial & 0xffff);
    let mut reporter = json!({"component": source.component});
    if !source.host.is_empty() {
        reporter["host"] = json!(source.host);
    }
    let time = format(now);
    let fields = [
        ("apiVersion", json!("v1")),
        ("kind", json!("Event")),
        ("metadata", json!({"name": name, "namespace": namespace})),
        ("involvedObject", about.clone()),
        ("reason", json!(record.reason)),
        ("message", json!(message)),
        ("type", json!(if record.warning { "Warning" } else { "Normal" })),
        ("count", json!(1)),
        ("firstTimestamp", json!(time)),
        ("lastTimestamp", json!(time)),
        ("source", reporter),
        ("reportingComponent", json!(source.component)),
        ("reportingInstance", json!(source.host)),
    ];
    let mut object = Object::default();
    fields.into_iter().for_each(|(field, value)| object.set(&[field], value));
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: Source<'_> = Source { component: "c", host: "" };

    fn record(message: &str) -> EventRecord {
        let about = json!({"kind": "Pod", "namespace": "a", "name": "x", "uid": "1"});
        EventRecord { about, warning: true, reason: "Failed".into(), message: message.to_owned() }
    }
    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    #[test]
    fn a_repeated_event_is_counted() {
        let mut r = EventCorrelator::default();
        let Some(EventWrite::Create(first)) = r.record(C, &record("m"), at(0)) else { panic!("created") };
        assert_eq!((first.str_at(&["type"]), first.int_at(&["count"]), first.namespace()), ("Warning", Some(1), "a"));
        let Some(EventWrite::Count(key, patch)) = r.record(C, &record("m"), at(9)) else { panic!("counted") };
        assert_eq!((&*key.name, &patch["count"], &patch["lastTimestamp"]), (first.name(), &json!(2), &json!("1970-01-01T00:00:09Z")));
        r.forget(&key);
        assert!(matches!(r.record(C, &record("m"), at(10)), Some(EventWrite::Create(_))));
    }

    #[test]
    fn another_container_another_type_and_another_source_are_other_series() {
        let mut r = EventCorrelator::default();
        let (mut container, mut normal) = (record("m"), record("m"));
        container.about["fieldPath"] = json!("spec.containers{c}");
        normal.warning = false;
        let others = [(C, record("m")), (C, container), (C, normal), (Source { component: "d", host: "n1" }, record("m"))];
        assert!(others.iter().all(|(source, record)| matches!(r.record(*source, record, at(0)), Some(EventWrite::Create(_)))));
        let Some(EventWrite::Create(there)) = r.record(Source { component: "e", host: "n1" }, &record("m"), at(0)) else { panic!("created") };
        assert_eq!((there.at(&["source"]), there.str_at(&["reportingInstance"])), (Some(&json!({"component": "e", "host": "n1"})), "n1"));
    }

    #[test]
    fn many_similar_events_are_combined_and_a_flood_is_cut() {
        let mut r = EventCorrelator::default();
        let writes: Vec<_> = (0..40).map(|i| r.record(C, &record(&format!("m{i}")), at(i))).collect();
        assert_eq!(writes.iter().filter(|w| matches!(w, Some(EventWrite::Create(_)))).count(), 11);
        assert_eq!(writes.iter().flatten().count(), 25);
        let Some(Some(EventWrite::Count(_, patch))) = writes.get(24) else { panic!("combined") };
        assert_eq!((&patch["count"], &patch["message"]), (&json!(15), &json!("(combined from similar events): m24")));
        assert!(r.record(C, &record("late"), at(301)).is_some(), "the bucket refills");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut r = EventCorrelator::default();
        for i in 0..3 * REMEMBERED {
            let mut about_another = record("m");
            about_another.about["uid"] = json!(i.to_string());
            assert!(r.record(C, &about_another, at(i64::try_from(i).unwrap())).is_some());
        }
        assert!([r.series.len(), r.similar.len(), r.buckets.len()].iter().all(|n| *n <= REMEMBERED));
    }
}
