//! Selectors, amounts and times: small languages with a printed form.
use crate::bodies::KINDS;
use crate::input::{text, two};
use model::Object;
use model::quantity::Quantity;
use model::selector::{FieldSelector, LabelSelector};
use model::time as times;
use serde_json::Value;

/// A label selector and the object that it is tried on.
pub fn labels(bytes: &[u8]) {
    let (selector, object) = two(bytes);
    let object = Object::from_json(object).unwrap_or_default();
    if let Some(selector) = text(selector).and_then(|t| LabelSelector::parse(t).ok()) {
        let printed = LabelSelector::parse(&selector.to_string());
        assert_eq!(printed.as_ref(), Ok(&selector), "a selector is read back as printed");
        selector.matches(object.labels());
    }
    if let Some(selector) = serde_json::from_slice::<Value>(selector).ok().and_then(|v| LabelSelector::from_json(&v).ok()) {
        selector.matches(object.labels());
    }
}

/// A field selector of pods, and the object that it is tried on.
pub fn fields(bytes: &[u8]) {
    let (selector, object) = two(bytes);
    let (Some(selector), Some(kind)) = (text(selector), KINDS.resource("", "pods")) else { return };
    if let Ok(selector) = FieldSelector::parse(selector, kind) {
        assert_eq!(FieldSelector::parse(&selector.to_string(), kind).as_ref(), Ok(&selector), "a selector is read back as printed");
        selector.matches(&Object::from_json(object).unwrap_or_default());
    }
}

/// An amount's printed form means what it prints, and doesn't lose what can be printed.
pub fn quantity(bytes: &[u8]) {
    let Some(amount) = text(bytes).and_then(|t| t.parse::<Quantity>().ok()) else { return };
    let again = amount.to_string().parse::<Quantity>();
    assert!(again.as_ref().is_ok_and(|again| *again >= amount), "an amount is never rounded down");
    // 62.5Ki is printed as 64000, which by itself is 64k
    let twice = again.as_ref().ok().and_then(|again| again.to_string().parse().ok());
    assert_eq!(twice, again.ok(), "what was printed once is exact");
    _ = (amount.milli(), amount.value(), amount + amount, amount - Quantity::from_milli(1));
}

/// A time.
pub fn time(bytes: &[u8]) {
    let Some(time) = text(bytes).and_then(times::parse) else { return };
    let printed = times::format(time);
    assert_eq!(times::parse(&printed).map(times::format), Some(printed));
    times::human_duration(times::seconds_between(time, jiff::Timestamp::UNIX_EPOCH));
    assert_eq!(times::parse(&times::format_micro(time)).map(times::format_micro), Some(times::format_micro(time)));
}
