//! Taints of nodes and the tolerations of pods.
use k8s_openapi::api::core::v1::Toleration as ApiToleration;
use serde_json::Value;
use std::sync::Arc;

/// What a taint does to pods that don't tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Keeps them off.
    NoSchedule,
    /// Makes the node the last choice.
    PreferNoSchedule,
    /// Keeps them off and evicts those that run.
    NoExecute,
}

impl Effect {
    /// From the API's word.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "NoSchedule" => Some(Self::NoSchedule),
            "PreferNoSchedule" => Some(Self::PreferNoSchedule),
            "NoExecute" => Some(Self::NoExecute),
            _ => None,
        }
    }
}

/// A node's taint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Taint {
    /// Key.
    pub key: Arc<str>,
    /// Value; `""` for none.
    pub value: Arc<str>,
    /// What it does.
    pub effect: Effect,
}

impl Taint {
    /// From a node's JSON; `None` where its effect is none.
    pub fn from_json(taint: &Value) -> Option<Self> {
        let text = |field: &str| taint.get(field).and_then(Value::as_str).unwrap_or_default();
        Some(Self { key: text("key").into(), value: text("value").into(), effect: Effect::parse(text("effect"))? })
    }
}

/// Which taints a pod bears.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    key: Arc<str>,
    /// `None`: any value.
    value: Option<Arc<str>>,
    /// `None`: any effect. An effect that doesn't exist tolerates nothing and is dropped when parsed.
    effect: Option<Effect>,
}

impl Toleration {
    /// From the API's form; `None` for one that tolerates nothing.
    pub fn parse(t: &ApiToleration) -> Option<Self> {
        let value = match t.operator.as_deref().unwrap_or_default() {
            "" | "Equal" => Some(t.value.as_deref().unwrap_or_default().into()),
            "Exists" => None,
            _ => return None,
        };
        let effect = match t.effect.as_deref().unwrap_or_default() {
            "" => None,
            text => Some(Effect::parse(text)?),
        };
        Some(Self { key: t.key.as_deref().unwrap_or_default().into(), value, effect })
    }
    /// The same from a pod's JSON.
    pub fn from_json(toleration: &Value) -> Option<Self> {
        Self::parse(&serde_json::from_value(toleration.clone()).ok()?)
    }
    /// Whether it covers a taint.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.effect.is_none_or(|e| e == taint.effect) && (self.key.is_empty() || self.key == taint.key) && self.value.as_ref().is_none_or(|v| *v == taint.value)
    }
    /// Whether it may be meant for taints of this effect.
    pub fn is_for(&self, effect: Effect) -> bool {
        self.effect.is_none_or(|e| e == effect)
    }
}
