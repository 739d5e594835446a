//! What a call costs, by the sizes of its arguments: `interpreter/runtimecost.go` of cel-go, and `k8s.io/apiserver/pkg/cel/library/cost.go`.
use crate::value::Value;

/// What reading a text costs by character.
pub const TRAVERSAL: f64 = 0.1;
/// What a pattern costs by character.
pub const PATTERN: f64 = 0.25;
/// What a question to the authorizer costs: two of them are within one expression's limit.
pub const CHECK: u64 = 350_000;

/// A size times a factor, rounded up.
pub fn part(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

/// What going through all of a value costs; not more than `limit` matters.
fn traversal(value: &Value<'_>, limit: u64) -> u64 {
    let mut cost = 0_u64;
    match value {
        Value::String(text) => return (text.len() as f64 * TRAVERSAL) as u64,
        Value::Bytes(bytes) => return (bytes.len() as f64 * TRAVERSAL) as u64,
        Value::List(list) => {
            for item in list.iter().flatten() {
                // empty lists within lists cost nothing, but time
                cost = cost.saturating_add(traversal(&item, limit.saturating_sub(cost)).max(1));
                if cost > limit {
                    break;
                }
            }
        }
        Value::Map(map) => {
            for (key, inner) in map.entries().unwrap_or_default() {
                let left = limit.saturating_sub(cost);
                cost = cost.saturating_add(traversal(&key, left)).saturating_add(traversal(&inner, left).max(1));
                if cost > limit {
                    break;
                }
            }
        }
        _ => return 1,
    }
    cost
}

/// What comparing all elements with all others costs.
pub fn self_compared(items: &[Value<'_>]) -> u64 {
    compared(u64::try_from(items.len()).unwrap_or(u64::MAX), items.first())
}

fn compared(size: u64, first: Option<&Value<'_>>) -> u64 {
    let factor = if matches!(first, Some(Value::String(_) | Value::Bytes(_))) { 2.0 + TRAVERSAL } else { 2.0 };
    ((size.saturating_mul(size) as f64 * factor) as u64).saturating_add(11)
}

fn joined(list: &Value<'_>, separator: Option<&Value<'_>>) -> u64 {
    let Value::List(list) = list else { return 0 };
    let items: u64 = list.iter().flatten().map(|item| item.size()).fold(0, u64::saturating_add);
    let between = u64::try_from(list.len().saturating_sub(1)).unwrap_or_default();
    items.saturating_add(separator.map_or(0, Value::size).saturating_mul(between))
}

/// The cost of reading a selector: it becomes a list of requirements.
pub fn selector(length: u64) -> u64 {
    10 + part(length, TRAVERSAL) + part(part(length, 0.5), 50.0)
}

/// What a call costs; not more than `limit` matters.
pub fn of(function: &str, args: &[Value<'_>], limit: u64) -> u64 {
    let size = |at: usize| args.get(at).map_or(0, Value::size);
    match (function, args) {
        ("check", _) => CHECK,
        ("fieldSelector" | "labelSelector", [_, _]) => selector(size(1)),
        ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" | "includes", [first, ..]) => traversal(first, limit),
        ("url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver", _) => {
            part(size(0), TRAVERSAL)
        }
        ("ip", [Value::String(_)]) => part(size(0), TRAVERSAL),
        ("replace" | "split" | "ip.isCanonical", _) => part(size(0), 2.0 * TRAVERSAL),
        ("join", [list, rest @ ..]) => part(joined(list, rest.first()), 2.0 * TRAVERSAL),
        ("find" | "findAll", [_, _, ..]) | ("matches", [_, _]) => part(size(0).saturating_add(1), TRAVERSAL).saturating_mul(part(size(1), PATTERN)),
        ("containsIP" | "containsCIDR", [_, other]) => {
            let base = part(2 * size(0), TRAVERSAL);
            let masked = if function == "containsCIDR" { part(size(0), TRAVERSAL) + 1 } else { 0 };
            base + masked + if matches!(other, Value::String(_)) { part(size(1), TRAVERSAL) } else { 0 }
        }
        ("validate", [Value::Opaque(crate::opaque::Opaque::Format(format)), _]) => {
            part(size(1).saturating_add(1), TRAVERSAL).saturating_mul(part(format.pattern_size, PATTERN))
        }
        ("_==_" | "_!=_", [Value::Opaque(_), _]) => 1,
        ("startsWith" | "endsWith", _) => part(size(1), TRAVERSAL),
        ("bytes", [Value::String(_)]) | ("string", [Value::Bytes(_)]) | ("strings.quote" | "format", _) => part(size(0), TRAVERSAL),
        ("@in", [_, Value::List(_)]) => size(1),
        ("_==_" | "_!=_", _) => part(size(0).min(size(1)), TRAVERSAL),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [Value::String(_) | Value::Bytes(_), _]) => part(size(0).min(size(1)), TRAVERSAL),
        ("_+_", [Value::String(_) | Value::Bytes(_), _]) => part(size(0).saturating_add(size(1)), TRAVERSAL),
        ("contains", [Value::String(_), _]) => part(size(0), TRAVERSAL).saturating_mul(part(size(1), TRAVERSAL)),
        ("sets.contains" | "sets.intersects", _) => size(0).saturating_mul(size(1)).saturating_add(1),
        ("sets.equivalent", _) => size(0).saturating_mul(size(1)).saturating_mul(2).saturating_add(1),
        ("slice", [_, Value::Int(start), Value::Int(end)]) => u64::try_from(end.saturating_sub(*start)).unwrap_or_default().saturating_add(11),
        ("lists.range", [Value::Int(n)]) => u64::try_from(*n).unwrap_or_default().saturating_add(11),
        ("reverse", _) => size(0).saturating_add(11),
        ("flatten", [_, rest @ ..]) => {
            let depth = match rest {
                [Value::Int(depth)] => u64::try_from(*depth).unwrap_or(1),
                _ => 1,
            };
            size(0).saturating_mul(depth).saturating_add(11)
        }
        ("distinct" | "sort", [Value::List(list)]) => compared(size(0), list.get(0).ok().as_ref()),
        _ => 1,
    }
}
