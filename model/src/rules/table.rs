//! The table of rules, decompressed on first use, with what leads to a rule.
use super::rule::Definition;
#[cfg(test)]
use super::rule::Rule;
use crate::schema::{self, Node};
use flate2::read::GzDecoder;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

/// Made by `cargo run -p xtask -- rules`.
static FILE: &[u8] = include_bytes!("../../schema/rules.json.gz");

/// All rules.
#[derive(Default)]
pub struct Table {
    definitions: HashMap<Box<str>, Definition>,
    /// Definitions that have rules or lead to some that do.
    reaching: HashSet<Box<str>>,
}

impl Table {
    /// The one table.
    pub fn get() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        // the file is part of the program: the tests of this module would show if it were broken
        TABLE.get_or_init(|| Self::new(serde_json::from_reader(GzDecoder::new(FILE)).unwrap_or_default()))
    }

    fn new(definitions: HashMap<Box<str>, Definition>) -> Self {
        let mut table = Self { reaching: definitions.keys().cloned().collect(), definitions };
        // each round finds those that are one step further away
        loop {
            let further: Vec<Box<str>> = schema::definitions()
                .filter(|(name, node)| !table.reaching.contains(*name) && node.properties.values().any(|child| table.reaches(child)))
                .map(|(name, _)| name.into())
                .collect();
            if further.is_empty() {
                return table;
            }
            table.reaching.extend(further);
        }
    }

    /// The rules of a definition.
    pub fn definition(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    /// The rule of a field of a definition.
    #[cfg(test)]
    pub fn rule(&self, name: &str, field: &str) -> Option<&Rule> {
        self.definitions.get(name)?.get(field)
    }

    /// Whether something below a node has rules.
    pub fn reaches(&self, node: &Node) -> bool {
        let below = |child: &Option<Box<Node>>| child.as_deref().is_some_and(|c| self.reaches(c));
        match &node.reference {
            Some(name) => self.reaching.contains(name),
            None => below(&node.items) || below(&node.values) || node.properties.values().any(|c| self.reaches(c)),
        }
    }

    /// Whether something of a definition, or below it, has rules.
    pub fn concerns(&self, definition: &str) -> bool {
        self.reaching.contains(definition)
    }

    /// All definitions with their rules.
    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = (&str, &Definition)> {
        self.definitions.iter().map(|(name, definition)| (&**name, definition))
    }
}
