//! Checks an object against the rules of its definition.
use super::format;
use super::rule::{Rule, is_set};
use super::table::Table;
use crate::error::Cause;
use crate::object::Object;
use crate::schema::{self, Node};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt::{self, Display};

/// What of an object breaks the rules of the definition `name` (`io.k8s.api.batch.v1.Job`) and of those below it.
pub fn validate(name: &str, object: &Object) -> Vec<Cause> {
    let mut causes = Vec::new();
    let table = Table::get();
    if let Some(node) = schema::definition(name).filter(|_| table.concerns(name)) {
        Check { table, causes: &mut causes }.map(&object.0, name, node, &Path::Top);
    }
    causes
}

/// Where a value is; written out only when something is wrong there.
pub(super) enum Path<'a> {
    /// The object.
    Top,
    /// A field.
    Field(&'a Path<'a>, &'a str),
    /// An item.
    Index(&'a Path<'a>, usize),
    /// An entry of a map.
    Key(&'a Path<'a>, &'a str),
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Top => Ok(()),
            Path::Field(Path::Top, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, i) => write!(f, "{parent}[{i}]"),
            Path::Key(parent, key) => write!(f, "{parent}[{key}]"),
        }
    }
}

struct Check<'c> {
    table: &'static Table,
    causes: &'c mut Vec<Cause>,
}

impl Check<'_> {
    fn map(&mut self, map: &Map<String, Value>, name: &str, node: &Node, path: &Path<'_>) {
        for (field, rule) in self.table.definition(name).into_iter().flatten() {
            if field.is_empty() {
                self.whole(map, rule, path);
                continue;
            }
            let place = Path::Field(path, field);
            self.value(map.get(&**field), rule, node.properties.get(field), &place);
            if is_set(map.get(&**field)) {
                for missing in rule.requires.iter().filter(|other| !is_set(map.get(&***other))) {
                    self.causes.push(Cause::required(Path::Field(path, missing), format!("must be set when {} is set", Path::Field(path, field))));
                }
            }
        }
        for (field, value) in map {
            let child = node.properties.get(field.as_str());
            if let Some(child) = child.filter(|child| self.table.reaches(child)) {
                self.below(value, child, &Path::Field(path, field));
            }
        }
    }

    /// What is below a value, by its own definition.
    fn below(&mut self, value: &Value, node: &Node, path: &Path<'_>) {
        let (name, node) = node.resolve();
        match value {
            Value::Object(map) if node.values.is_some() => {
                for (key, value) in map {
                    node.values.iter().for_each(|inner| self.below(value, inner, &Path::Key(path, key)));
                }
            }
            Value::Object(map) => self.map(map, name.unwrap_or_default(), node, path),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    node.items.iter().for_each(|inner| self.below(item, inner, &Path::Index(path, i)));
                }
            }
            _ => {}
        }
    }

    /// What is declared of one value.
    fn value(&mut self, value: Option<&Value>, rule: &Rule, node: Option<&Node>, path: &Path<'_>) {
        let Some(value) = value.filter(|v| rule.sets(Some(v))) else {
            if rule.required {
                self.causes.push(Cause::required(path, ""));
            }
            return;
        };
        if let Some(why) = &rule.forbidden {
            self.causes.push(Cause::forbidden(path, why));
        }
        match value {
            Value::String(text) => self.text(text, rule, path),
            Value::Number(number) => self.number(number.as_i64(), value, rule, path),
            Value::Array(items) => self.items(items, rule, node, path),
            Value::Object(map) => self.entries(map, rule, path),
            Value::Bool(_) | Value::Null => {}
        }
        if let Some(format) = rule.format {
            self.causes.extend(format::check(format, value, path));
        }
    }

    fn text(&mut self, text: &str, rule: &Rule, path: &Path<'_>) {
        if !rule.choices.is_empty() && !rule.choices.iter().any(|c| **c == *text) {
            let supported: Vec<&str> = rule.choices.iter().map(|c| &**c).collect();
            self.causes.push(Cause::not_supported(path, &text.into(), &supported));
        }
        if let Some(most) = rule.max_bytes.filter(|most| text.len() > *most) {
            self.causes.push(Cause::too_long(path, most));
        } else if let Some(most) = rule.max_length.filter(|most| text.len() > *most && text.chars().count() > *most) {
            self.causes.push(Cause::too_many_characters(path, most));
        }
    }

    fn number(&mut self, number: Option<i64>, value: &Value, rule: &Rule, path: &Path<'_>) {
        let Some(number) = number else { return };
        if let Some(least) = rule.minimum.filter(|least| number < *least) {
            self.causes.push(Cause::invalid(path, value, format!("must be greater than or equal to {least}")));
        }
        if let Some(most) = rule.maximum.filter(|most| number > *most) {
            self.causes.push(Cause::invalid(path, value, format!("must be less than or equal to {most}")));
        }
    }

    fn items(&mut self, items: &[Value], rule: &Rule, node: Option<&Node>, path: &Path<'_>) {
        if let Some(most) = rule.max_items.filter(|most| items.len() > *most) {
            self.causes.push(Cause::too_many(path, items.len(), most));
            return;
        }
        let keys = if rule.unique_by.is_empty() { node.map_or(&[][..], |n| &n.list_keys) } else { &rule.unique_by };
        let mut seen = HashSet::new();
        for (i, item) in items.iter().enumerate() {
            let place = Path::Index(path, i);
            if let Some(each) = &rule.each {
                self.value(Some(item), each, None, &place);
            }
            let id = match keys {
                [] => item.to_string(),
                keys => keys.iter().map(|key| item.get(&**key).unwrap_or(&Value::Null).to_string()).collect::<Vec<_>>().join("/"),
            };
            if (rule.unique || !rule.unique_by.is_empty()) && !seen.insert(id) {
                self.causes.push(Cause::duplicate(&place, keys_of(item, keys).as_ref().unwrap_or(item)));
            }
        }
    }

    fn entries(&mut self, map: &Map<String, Value>, rule: &Rule, path: &Path<'_>) {
        if let Some(most) = rule.max_items.filter(|most| map.len() > *most) {
            self.causes.push(Cause::too_many(path, map.len(), most));
        }
        for (key, value) in map {
            if let Some(each) = &rule.each_key {
                self.value(Some(&Value::from(key.as_str())), each, None, path);
            }
            if let Some(each) = &rule.each {
                self.value(Some(value), each, None, &Path::Key(path, key));
            }
        }
        for (field, rule) in &rule.fields {
            self.value(map.get(&**field), rule, None, &Path::Field(path, field));
        }
        self.whole(map, rule, path);
    }

    /// What holds for a map's fields together.
    fn whole(&mut self, map: &Map<String, Value>, rule: &Rule, path: &Path<'_>) {
        let given = |members: &[Box<str>]| members.iter().filter(|m| map.get(&***m).is_some_and(|v| !v.is_null())).cloned().collect::<Vec<_>>();
        let names = |members: &[Box<str>]| members.iter().map(|m| format!("`{m}`")).collect::<Vec<_>>().join(", ");
        let several = |members: &[Box<str>]| Value::from(format!("{{{}}}", names(&given(members))));
        match given(&rule.one_of).len() {
            _ if rule.one_of.is_empty() => {}
            0 => self.causes.push(Cause::invalid(path, &"".into(), format!("must specify one of: {}", names(&rule.one_of)))),
            1 => {}
            _ => self.causes.push(Cause::invalid(path, &several(&rule.one_of), format!("must specify exactly one of: {}", names(&rule.one_of)))),
        }
        if given(&rule.at_most_one_of).len() > 1 {
            self.causes.push(Cause::invalid(path, &several(&rule.at_most_one_of), format!("must specify at most one of: {}", names(&rule.at_most_one_of))));
        }
    }
}

/// The part of an item that tells it from the others: one key's value, or a map of several.
fn keys_of(item: &Value, keys: &[Box<str>]) -> Option<Value> {
    match keys {
        [] => None,
        [key] => item.get(&**key).cloned(),
        keys => Some(keys.iter().filter_map(|key| Some((key.to_string(), item.get(&**key)?.clone()))).collect::<Map<_, _>>().into()),
    }
}
