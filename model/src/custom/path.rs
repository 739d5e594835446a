//! The paths of printed columns: the part of JSONPath that Kubernetes takes there, `.status.conditions[?(@.type=="Ready")].status`.
use crate::object::Object;
use crate::time;
use serde_json::Value;

/// Most steps of a path.
const STEPS_MAX: usize = 100;

/// One step.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(Box<str>),
    /// The item at an index; below zero from the end.
    Index(i64),
    /// All items or fields.
    All,
    /// The items whose field at this path is, or isn't, this value.
    Where(Vec<Step>, bool, Value),
}

/// A path, and how what it leads to is printed.
#[derive(Clone, Debug, PartialEq)]
pub struct PrintedPath {
    steps: Vec<Step>,
    kind: Box<str>,
}

impl PrintedPath {
    /// Parses a path such as `.spec.replicas` for a column of an OpenAPI type.
    ///
    /// # Errors
    /// A sentence about what isn't understood.
    pub fn parse(text: &str, kind: &str) -> Result<Self, String> {
        let text = text.trim();
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        Ok(Self { steps: Parser { rest: inner.strip_prefix('$').unwrap_or(inner) }.steps()?, kind: kind.into() })
    }

    /// What a column shows of an object: `null` where the path leads nowhere.
    pub fn print(&self, object: &Object, now: jiff::Timestamp) -> Value {
        let root = Value::Object(object.0.clone());
        let mut found = Vec::new();
        follow(&root, &self.steps, &mut found);
        let Some(value) = found.first() else { return Value::Null };
        match (&*self.kind, value) {
            ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => (*value).clone(),
            ("string", Value::Null) => Value::Null,
            ("string", other) => other.to_string().into(),
            ("integer", Value::Number(n)) => n.as_i64().or_else(|| n.as_f64().map(|f| f as i64)).map_or(Value::Null, Value::from),
            ("date", Value::String(text)) => time::parse(text).map_or_else(|| "<invalid>".into(), |_| time::age_of(text, now).into()),
            _ => Value::Null,
        }
    }
}

fn follow<'v>(value: &'v Value, steps: &[Step], found: &mut Vec<&'v Value>) {
    let Some((step, rest)) = steps.split_first() else {
        found.push(value);
        return;
    };
    match (step, value) {
        (Step::Field(name), Value::Object(map)) => map.get(&**name).into_iter().for_each(|v| follow(v, rest, found)),
        (Step::Index(at), Value::Array(items)) => {
            let at = if *at < 0 { items.len().checked_sub(usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX)) } else { usize::try_from(*at).ok() };
            at.and_then(|at| items.get(at)).into_iter().for_each(|v| follow(v, rest, found));
        }
        (Step::All, Value::Array(items)) => items.iter().for_each(|v| follow(v, rest, found)),
        (Step::All, Value::Object(map)) => map.values().for_each(|v| follow(v, rest, found)),
        (Step::Where(path, equal, wanted), Value::Array(items)) => {
            for item in items {
                let mut of = Vec::new();
                follow(item, path, &mut of);
                if of.first().is_some_and(|found| (*found == wanted) == *equal) {
                    follow(item, rest, found);
                }
            }
        }
        _ => {}
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn steps(&mut self) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        while !self.rest.is_empty() {
            if steps.len() == STEPS_MAX {
                return Err("the path has too many steps".to_owned());
            }
            if let Some(rest) = self.rest.strip_prefix('.') {
                self.rest = rest;
                let name = self.name();
                match name.as_str() {
                    "" if self.rest.starts_with('[') => {}
                    "" if self.rest.is_empty() => {}
                    "" => return Err(format!("unrecognized character in {:?}", self.rest)),
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Field(name.into())),
                }
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                let end = close(rest).ok_or("unterminated array")?;
                let (inner, after) = rest.split_at(end);
                self.rest = after.get(1..).unwrap_or_default();
                steps.push(bracket(inner.trim())?);
            } else {
                return Err(format!("unrecognized character in {:?}", self.rest));
            }
        }
        Ok(steps)
    }

    /// A field's name; a backslash makes a dot a part of it.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => name.extend(chars.next().map(|(_, c)| c)),
                '.' | '[' => {
                    self.rest = self.rest.get(at..).unwrap_or_default();
                    return name;
                }
                c => name.push(c),
            }
        }
        self.rest = "";
        name
    }
}

/// Where the bracket that was opened before `text` closes.
fn close(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Result<Step, String> {
    if inner == "*" {
        return Ok(Step::All);
    }
    if let Some(name) = quoted(inner) {
        return Ok(Step::Field(name.into()));
    }
    if let Some(condition) = inner.strip_prefix("?(").and_then(|c| c.strip_suffix(')')) {
        let (left, equal, right) = condition
            .split_once("==")
            .map(|(l, r)| (l, true, r))
            .or_else(|| condition.split_once("!=").map(|(l, r)| (l, false, r)))
            .ok_or("only == and != are understood in filters")?;
        let path = left.trim().strip_prefix('@').ok_or("a filter must begin with @")?;
        let right = right.trim();
        let wanted = match quoted(right) {
            Some(text) => Value::from(text),
            None => serde_json::from_str(right).map_err(|_| format!("unrecognized value {right:?}"))?,
        };
        return Ok(Step::Where(Parser { rest: path }.steps()?, equal, wanted));
    }
    inner.parse().map(Step::Index).map_err(|_| format!("invalid array index {inner:?}"))
}

fn quoted(text: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths() {
        let object = json!({"spec": {"n": 3, "f": 1.5, "on": true, "a.b": "x", "list": [1, 2, 3], "made": "2026-01-01T00:00:00Z"},
            "status": {"conditions": [{"type": "A", "status": "False"}, {"type": "Ready", "status": "True"}]}});
        let object = Object::from_value(object).unwrap();
        let cases = [
            (".spec.n", "integer", json!(3)),
            (".spec.f", "integer", json!(1)),
            (".spec.f", "number", json!(1.5)),
            (".spec.n", "string", json!("3")),
            ("{.spec.on}", "boolean", json!(true)),
            (".spec.a\\.b", "string", json!("x")),
            (".spec['a.b']", "string", json!("x")),
            (".spec.list[-1]", "integer", json!(3)),
            (".spec.list[*]", "integer", json!(1)),
            (".spec.list", "string", json!("[1,2,3]")),
            (".status.conditions[?(@.type==\"Ready\")].status", "string", json!("True")),
            (".status.conditions[?(@.type != 'Ready')].status", "string", json!("False")),
            (".spec.made", "date", json!("10s")),
            (".spec.none", "string", Value::Null),
            (".spec.on", "integer", Value::Null),
        ];
        let now = "2026-01-01T00:00:10Z".parse().unwrap();
        for (path, kind, want) in cases {
            assert_eq!(PrintedPath::parse(path, kind).unwrap().print(&object, now), want, "{path}");
        }
        for bad in ["spec", ".a[", ".a[x]", ".a[?(@.b<1)]", ".a..b"] {
            assert!(PrintedPath::parse(bad, "string").is_err(), "{bad}");
        }
    }
}
