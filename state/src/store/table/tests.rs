//! What stays in memory.
use super::*;
use crate::store::window::FRESH;
use model::Object;
use serde_json::json;

const KEEP: Duration = Duration::from_secs(60);

fn key(i: usize) -> Key {
    Key::new("", "pods", "a", format!("p{i}"))
}

fn written(i: usize, revision: u64) -> Arc<Stored> {
    let object = Object::from_value(json!({"metadata": {"name": format!("p{i}"), "uid": "u", "labels": {"a": "b"}}})).unwrap();
    let encoded = Stored::encode(&object).unwrap();
    let stored = Stored::decode(key(i), revision, &encoded).unwrap();
    assert_eq!(stored.object().uid(), "u");
    Arc::new(stored)
}

/// Watchers parse what is news, and writers what they replace; of all that, only what is news stays.
#[test]
fn what_was_parsed_does_not_stay() {
    const OBJECTS: usize = 500;
    let table = Table::new("", "pods", 0, WindowLimits::default());
    let mut revision = 0;
    for _ in 0..3 {
        for i in 0..OBJECTS {
            let parsed = table.read().get("a", &format!("p{i}")).map(|old| old.own().object().uid().to_owned());
            assert_eq!(parsed.is_some(), revision >= OBJECTS as u64);
            revision += 1;
            table.apply(&key(i), revision, Entry::Put(written(i, revision)), Instant::now(), KEEP);
        }
    }
    let data = table.read();
    let parsed_now = data.after("", None).filter(|o| o.is_parsed()).count();
    assert!(parsed_now <= FRESH, "{parsed_now} of {OBJECTS} objects are held parsed");
    let in_window = data.window().from(0).unwrap().flat_map(|c| [Some(c.new.clone()), c.old.clone()]).flatten().filter(|o| o.is_parsed()).count();
    assert!(in_window <= 2 * FRESH, "{in_window} of {revision} changes hold parsed objects");
}

/// A selector over old objects, and a reader that lags behind, leave nothing parsed.
#[test]
fn reading_what_is_no_longer_news_keeps_nothing() {
    let table = Table::new("", "pods", 0, WindowLimits::default());
    for i in 0..=FRESH {
        table.apply(&key(i), i as u64 + 1, Entry::Put(written(i, i as u64 + 1)), Instant::now(), KEEP);
    }
    let data = table.read();
    let old = data.get("a", "p0").unwrap();
    assert_eq!(old.read(|o| o.label("a").map(str::to_owned)).as_deref(), Some("b"));
    assert_eq!(old.uid(), "u");
    let own = old.own();
    assert!(own.object().uid() == "u" && own.is_parsed());
    assert!(!old.is_parsed());
    let first = data.window().from(0).unwrap().next().unwrap();
    assert!(!first.new.read(|o| o.uid().is_empty()) && !first.new.is_parsed());
    let news = data.get("a", "p1").unwrap();
    assert!(news.is_parsed());
}

/// A load of everything that exists parses nothing, and what is read of it by selectors isn't kept either.
#[test]
fn a_load_keeps_json_only() {
    let table = Table::new("", "pods", 0, WindowLimits::default());
    table.replace((0..10).map(|i| (key(i), i as u64 + 1, Entry::Put(written(i, i as u64 + 1)))).collect(), 10, KEEP);
    let data = table.read();
    assert!(data.after("", None).all(|o| o.read(|o| o.uid() == "u") && !o.is_parsed()));
}

/// A load takes a while: what it read first may be gone when it ends.
#[test]
fn what_is_deleted_during_a_load_is_gone_after_it() {
    let table = Table::new("", "pods", 0, WindowLimits::default());
    let again = written(2, 6);
    let entries = vec![
        (key(1), 3, Entry::Put(written(1, 3))),
        (key(2), 4, Entry::Put(written(2, 4))),
        (key(1), 5, Entry::Deleted(written(1, 5))),
        (key(2), 5, Entry::Ended),
        (key(2), 6, Entry::Put(again)),
    ];
    table.replace(entries, 6, KEEP);
    assert_eq!((table.last(&key(1)), table.last(&key(2))), (Last::Marker(5), Last::Live(6)));
    assert_eq!(table.read().count(""), 1);
}
