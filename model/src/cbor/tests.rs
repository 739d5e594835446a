use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn read(bytes: &[u8]) -> Result<Value, Error> {
    decode(bytes).map(|json| serde_json::from_slice(&json).unwrap())
}

fn written(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&serde_json::to_vec(value).unwrap(), &mut out).unwrap();
    out
}

#[test]
fn values() {
    let cases = [
        ("00", json!(0)),
        ("1818", json!(24)),
        ("1b7fffffffffffffff", json!(i64::MAX)),
        ("20", json!(-1)),
        ("3b7fffffffffffffff", json!(i64::MIN)),
        ("f4", json!(false)),
        ("f5", json!(true)),
        ("f6", json!(null)),
        ("f93e00", json!(1.5)),
        ("f90080", json!(0.000_007_629_394_531_25)),
        ("f9c400", json!(-4.0)),
        ("fa47c35000", json!(100_000.0)),
        ("fb3ff199999999999a", json!(1.1)),
        ("6161", json!("a")),
        ("4161", json!("a")),
        ("7f616161626163ff", json!("abc")),
        ("5f41614162ff", json!("ab")),
        ("83010203", json!([1, 2, 3])),
        ("9f9f8080ff9f8080ffff", json!([[[], []], [[], []]])),
        ("a24161016162820203", json!({"a": 1, "b": [2, 3]})),
        ("bf616101ff", json!({"a": 1})),
        ("d9d9f7a0", json!({})),
        ("d82a6161", json!("a")),
        ("d5420001", json!("AAE")),
        ("d6420001", json!("AAE=")),
        ("d742abcd", json!("abcd")),
        ("d6a1416141ff", json!({"a": "/w=="})),
        ("c074323031332d30332d32315432303a30343a30305a", json!("2013-03-21T20:04:00Z")),
        ("c11a514b67b0", json!("2013-03-21T20:04:00Z")),
        ("c1fb41d452d9ec200000", json!("2013-03-21T20:04:00.5Z")),
    ];
    for (bytes, want) in cases {
        assert_eq!(read(&hex(bytes)), Ok(want), "{bytes}");
    }
}

#[test]
fn what_is_refused() {
    let cases = [
        ("1b8000000000000000", Error::Overflow),
        ("3b8000000000000000", Error::Overflow),
        ("f97e00", Error::NotFinite),
        ("fa7f800000", Error::NotFinite),
        ("fbfff0000000000000", Error::NotFinite),
        ("f7", Error::Simple(23)),
        ("f0", Error::Simple(16)),
        ("f8ff", Error::Simple(255)),
        ("6180", Error::Utf8),
        ("4180", Error::Utf8),
        ("a1418001", Error::Utf8),
        ("a2616101416102", Error::Duplicate("a".into())),
        ("a10102", Error::Key),
        ("a1d6416101", Error::Key),
        ("c24101", Error::Tag(2)),
        ("c34101", Error::Tag(3)),
        ("c04161", Error::Tag(0)),
        ("c06161", Error::Tag(0)),
        ("c1f6", Error::Tag(1)),
        ("c16161", Error::Tag(1)),
        ("c11b7fffffffffffffff", Error::Tag(1)),
        ("0000", Error::Trailing(1)),
    ];
    for (bytes, want) in cases {
        assert_eq!(read(&hex(bytes)), Err(want), "{bytes}");
    }
    for bytes in [
        "",
        "18",
        "1c",
        "ff",
        "5f6161ff",
        "7f7f6161ffff",
        "61",
        "82",
        "9f",
        "bf6161",
        "a16161",
        "d6",
        "fb",
        "f9",
        "5bffffffffffffffff",
        "9bffffffffffffffff",
        "bbffffffffffffffff",
    ] {
        assert!(matches!(read(&hex(bytes)), Err(Error::Malformed(_))), "{bytes}: {:?}", read(&hex(bytes)));
    }
}

#[test]
fn depth_is_bounded() {
    for head in [0x81, 0xc6, 0xd6] {
        let deep = |depth| [vec![head; depth], vec![0xf6]].concat();
        assert!(read(&deep(100)).is_ok());
        assert_eq!(decode(&deep(DEPTH + 1)), Err(Error::Depth));
        assert_eq!(decode(&vec![head; 1_000_000]), Err(Error::Depth));
    }
}

#[test]
fn texts_are_written_as_byte_strings() {
    assert_eq!(written(&json!({"a": "b", "c": [1, -1, null, 1.5]})), hex("d9d9f7a24161416241638401 20f6fb3ff8000000000000".replace(' ', "").as_str()));
    let long: Vec<u32> = (0..300).collect();
    assert_eq!(written(&json!(long)).get(..6), Some(hex("d9d9f799012c").as_slice()));
    assert_eq!(read(&written(&json!(u64::MAX))), Ok(json!(18_446_744_073_709_551_615.0)));
}

#[test]
fn events_follow_one_another() {
    let mut out = Vec::new();
    event(&mut out, "ADDED", br#"{"a":1}"#).unwrap();
    assert_eq!(read(&out), Ok(json!({"type": "ADDED", "object": {"a": 1}})));
    let before = out.clone();
    assert!(event(&mut out, "ADDED", b"{").is_err());
    assert_eq!(out, before);
}

fn any_json() -> impl Strategy<Value = Value> {
    // fractions that JSON has exactly
    let number = any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0));
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), number, "\\PC{0,40}".prop_map(Value::from)];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let map = proptest::collection::btree_map("\\PC{0,8}", inner.clone(), 0..8).prop_map(|map| Value::Object(map.into_iter().collect()));
        prop_oneof![map, proptest::collection::vec(inner, 0..8).prop_map(Value::Array)]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in any_json()) {
        prop_assert_eq!(read(&written(&value)), Ok(value));
    }

    #[test]
    fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        read(&bytes).ok();
    }
}
