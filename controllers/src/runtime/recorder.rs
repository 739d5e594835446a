//! Events: repeated ones are counted, similar ones are combined, and a source that chatters about one object is cut short, with the
//! limits that Kubernetes' event correlator has by default.
use super::plan::EventRecord;
use super::queue::later;
use super::resource::Resource;
use jiff::{SignedDuration, Timestamp};
use model::{Key, Object};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};

/// So many series are remembered; the one that was silent the longest is forgotten first.
const REMEMBERED: usize = 4096;
/// More than so many similar events within [`SIMILAR_WITHIN`] are combined into one.
const SIMILAR_MAX: usize = 10;
const SIMILAR_WITHIN: SignedDuration = SignedDuration::from_secs(600);
/// One source may tell so many events about one object at once, then one each [`REFILL_SECONDS`].
const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;

/// A write of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum EventWrite {
    /// A new event.
    Create(Box<Object>),
    /// One more of a series: a merge patch.
    Count(Key, Value),
}

#[derive(Debug)]
struct Series {
    key: Key,
    count: u64,
    last: Timestamp,
}

#[derive(Debug)]
struct Similar {
    messages: BTreeSet<String>,
    since: Timestamp,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Timestamp,
}

/// What is remembered of events. Pure: time comes in, writes come out.
#[derive(Debug, Default)]
pub struct Recorder {
    series: HashMap<String, Series>,
    similar: HashMap<String, Similar>,
    buckets: HashMap<String, Bucket>,
    serial: u64,
}

impl Recorder {
    /// The write that records what `component` notes, if it isn't too much.
    pub fn record(&mut self, component: &str, note: &EventRecord, now: Timestamp) -> Option<EventWrite> {
        if !self.admits(&format!("{component} {}", note.about["uid"]), now) {
            return None;
        }
        let message = self.combined(format!("{component} {} {}", note.about["uid"], note.reason), &note.message, now);
        let identity = identity(component, note, &message);
        if let Some(series) = self.series.get_mut(&identity) {
            series.count += 1;
            series.last = now;
            let patch = json!({"count": series.count, "lastTimestamp": seconds(now), "message": message});
            return Some(EventWrite::Count(series.key.clone(), patch));
        }
        self.serial += 1;
        let object = event(component, note, &message, now, self.serial);
        let key = Resource::EVENTS.key(object.namespace(), object.name());
        forget_oldest(&mut self.series, |s| s.last);
        self.series.insert(identity, Series { key, count: 1, last: now });
        Some(EventWrite::Create(Box::new(object)))
    }

    /// The event of `key` is gone or was never there: its series begins anew.
    pub fn forget(&mut self, key: &Key) {
        self.series.retain(|_, s| s.key != *key);
    }

    fn admits(&mut self, object: &str, now: Timestamp) -> bool {
        forget_oldest(&mut self.buckets, |b| b.at);
        let bucket = self.buckets.entry(object.to_owned()).or_insert(Bucket { tokens: BURST, at: now });
        let passed = now.duration_since(bucket.at).as_secs_f64().max(0.0);
        bucket.tokens = (bucket.tokens + passed / REFILL_SECONDS).min(BURST);
        bucket.at = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }

    fn combined(&mut self, alike: String, message: &str, now: Timestamp) -> String {
        forget_oldest(&mut self.similar, |s| s.since);
        let similar = self.similar.entry(alike).or_insert_with(|| Similar { messages: BTreeSet::new(), since: now });
        if later(similar.since, SIMILAR_WITHIN) < now {
            *similar = Similar { messages: BTreeSet::new(), since: now };
        }
        if similar.messages.len() < SIMILAR_MAX {
            similar.messages.insert(message.to_owned());
        }
        if similar.messages.contains(message) { message.to_owned() } else { format!("(combined from similar events): {message}") }
    }
}

/// What makes two events one series. Combined ones are a series whatever they say.
fn identity(component: &str, note: &EventRecord, message: &str) -> String {
    let message = if message.starts_with("(combined") { "" } else { message };
    let about = &note.about;
    format!("{component}/{}/{}/{}/{}/{}/{message}", about["kind"], about["namespace"], about["name"], about["uid"], note.reason)
}

fn forget_oldest<T>(map: &mut HashMap<String, T>, age: impl Fn(&T) -> Timestamp) {
    if map.len() >= REMEMBERED {
        let mut ages: Vec<Timestamp> = map.values().map(&age).collect();
        let (_, median, _) = ages.select_nth_unstable(REMEMBERED / 2);
        let median = *median;
        map.retain(|_, v| age(v) > median);
    }
}

fn event(component: &str, note: &EventRecord, message: &str, now: Timestamp, serial: u64) -> Object {
    let about = &note.about;
    let namespace = about["namespace"].as_str().filter(|n| !n.is_empty()).unwrap_or("default");
    let name = format!("{}.{:x}{:04x}", about["name"].as_str().unwrap_or_default(), now.as_nanosecond().unsigned_abs() / 1000, serial & 0xffff);
    let mut object = Object::default();
    object.set(&["apiVersion"], "v1");
    object.set(&["kind"], "Event");
    object.set(&["metadata"], json!({"name": name, "namespace": namespace}));
    object.set(&["involvedObject"], about.clone());
    object.set(&["reason"], note.reason);
    object.set(&["message"], message);
    object.set(&["type"], if note.warning { "Warning" } else { "Normal" });
    object.set(&["count"], 1);
    object.set(&["firstTimestamp"], seconds(now));
    object.set(&["lastTimestamp"], seconds(now));
    object.set(&["source"], json!({"component": component}));
    object.set(&["reportingComponent"], component);
    object.set(&["reportingInstance"], "");
    object
}

/// `metav1.Time`: whole seconds.
pub fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(message: &str) -> EventRecord {
        EventRecord { about: json!({"kind": "Pod", "namespace": "a", "name": "x", "uid": "1"}), warning: true, reason: "Failed", message: message.to_owned() }
    }
    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    #[test]
    fn a_repeated_event_is_counted() {
        let mut r = Recorder::default();
        let Some(EventWrite::Create(first)) = r.record("c", &note("m"), at(0)) else { panic!("created") };
        assert_eq!((first.str_at(&["type"]), first.int_at(&["count"]), first.namespace()), ("Warning", Some(1), "a"));
        let Some(EventWrite::Count(key, patch)) = r.record("c", &note("m"), at(9)) else { panic!("counted") };
        assert_eq!((&*key.name, &patch["count"], &patch["lastTimestamp"]), (first.name(), &json!(2), &json!("1970-01-01T00:00:09Z")));
        r.forget(&key);
        assert!(matches!(r.record("c", &note("m"), at(10)), Some(EventWrite::Create(_))));
    }

    #[test]
    fn many_similar_events_are_combined_and_a_flood_is_cut() {
        let mut r = Recorder::default();
        let writes: Vec<_> = (0..40).map(|i| r.record("c", &note(&format!("m{i}")), at(i))).collect();
        assert_eq!(writes.iter().filter(|w| matches!(w, Some(EventWrite::Create(_)))).count(), 11);
        assert_eq!(writes.iter().flatten().count(), 25);
        let Some(Some(EventWrite::Count(_, patch))) = writes.get(24) else { panic!("combined") };
        assert_eq!((&patch["count"], &patch["message"]), (&json!(15), &json!("(combined from similar events): m24")));
        assert!(r.record("c", &note("late"), at(301)).is_some(), "the bucket refills");
    }
}
