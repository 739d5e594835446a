//! Forms that a value must have, by the names of Kubernetes' declarative validation where it has one.
use crate::addresses;
use crate::error::Cause;
use crate::kinds::pod;
use crate::names;
use crate::quantity::Quantity;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Display;

/// Longest name of a resource pool.
const POOL_MAX: usize = 253;

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A DNS label.
    K8sShortName,
    /// A DNS subdomain.
    K8sLongName,
    /// A DNS subdomain in letters of any case.
    K8sLongNameCaseless,
    /// A label's key.
    K8sLabelKey,
    /// A label's key with a prefix.
    K8sPrefixedLabelKey,
    /// A label's value.
    K8sLabelValue,
    /// A name that can be part of a path.
    K8sPathSegmentName,
    /// Names of DNS, divided by slashes.
    K8sResourcePoolName,
    /// A domain and an identifier of C: `dra.example.com/model`.
    K8sResourceFullyQualifiedName,
    /// A resource's name outside of Kubernetes' own domain.
    K8sExtendedResourceName,
    /// A UUID in lower case.
    K8sUuid,
    /// A DNS label that begins with a letter.
    #[serde(rename = "dns1035-label")]
    Dns1035Label,
    /// A key of a ConfigMap.
    ConfigKey,
    /// A label selector.
    LabelSelector,
    /// A number of a port.
    Port,
    /// A number or the name of a port.
    PortOrName,
    /// A name of a port.
    PortName,
    /// An IP address.
    Ip,
    /// A range of IP addresses.
    Cidr,
    /// A quantity that isn't negative.
    NotNegative,
    /// A quantity above zero.
    Positive,
    /// A number that isn't negative, or a percentage.
    NumberOrPercent,
}

/// What is wrong with the form of a value. A value of another type than the form has is refused by the schema, not here.
pub fn check(format: Format, value: &Value, path: &dyn Display) -> Vec<Cause> {
    let invalid = |detail: String| Cause::invalid(path, value, detail);
    let each = |errors: Vec<String>| errors.into_iter().map(invalid).collect();
    match (format, value) {
        (Format::LabelSelector, selector) => pod::selector_causes(path, selector),
        (Format::Port, Value::Number(number)) => port(number.as_i64()).into_iter().map(invalid).collect(),
        (Format::PortOrName, Value::Number(number)) => port(number.as_i64()).into_iter().map(invalid).collect(),
        (Format::NotNegative | Format::Positive, amount) => amounts(amount, format).into_iter().map(invalid).collect(),
        (Format::NumberOrPercent, amount) => number_or_percent(amount).into_iter().map(invalid).collect(),
        (format, Value::String(text)) => each(texts(format, text)),
        _ => Vec::new(),
    }
}

fn texts(format: Format, text: &str) -> Vec<String> {
    match format {
        Format::K8sShortName => names::dns_label(text),
        Format::K8sLongName => names::dns_subdomain(text),
        Format::K8sLongNameCaseless => names::dns_subdomain(&text.to_ascii_lowercase()),
        Format::K8sLabelKey => names::qualified_name(text),
        Format::K8sPrefixedLabelKey => prefixed(text),
        Format::K8sLabelValue => names::label_value(text),
        Format::K8sPathSegmentName => names::path_segment(text),
        Format::K8sResourcePoolName => pool(text),
        Format::K8sResourceFullyQualifiedName => fully_qualified(text),
        Format::K8sExtendedResourceName => extended(text),
        Format::K8sUuid => uuid(text),
        Format::Dns1035Label => names::dns_1035_label(text),
        Format::ConfigKey => names::config_key(text),
        Format::PortName | Format::PortOrName => names::port_name(text),
        Format::Ip => addresses::ip(text),
        Format::Cidr => addresses::cidr(text),
        Format::LabelSelector | Format::Port | Format::NotNegative | Format::Positive | Format::NumberOrPercent => Vec::new(),
    }
}

fn port(number: Option<i64>) -> Option<String> {
    let wrong = number.is_none_or(|n| !(1..=65_535).contains(&n));
    wrong.then(|| "must be between 1 and 65535, inclusive".to_owned())
}

fn prefixed(text: &str) -> Vec<String> {
    let mut errors = names::qualified_name(text);
    if errors.is_empty() && !text.contains('/') {
        errors.push("a prefix is required".to_owned());
    }
    errors
}

fn pool(text: &str) -> Vec<String> {
    if text.len() > POOL_MAX {
        return vec![format!("must be no more than {POOL_MAX} characters")];
    }
    text.split('/').flat_map(names::dns_subdomain).collect()
}

fn fully_qualified(text: &str) -> Vec<String> {
    let Some((domain, name)) = text.split_once('/') else { return vec!["a fully qualified name must be a domain and a name separated by a slash".to_owned()] };
    let mut errors = names::dns_subdomain(domain);
    errors.extend(names::c_identifier(name));
    errors
}

fn extended(text: &str) -> Vec<String> {
    let ours = text.split_once('/').is_some_and(|(domain, _)| domain == "kubernetes.io" || domain.ends_with(".kubernetes.io"));
    if !text.contains('/') || ours {
        return vec!["a name must be outside of the kubernetes.io domain, with a prefix".to_owned()];
    }
    if text.starts_with("requests.") {
        return vec!["a name must not start with \"requests.\"".to_owned()];
    }
    names::qualified_name(&format!("requests.{text}"))
}

fn uuid(text: &str) -> Vec<String> {
    let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let shaped = text.len() == 36 && text.bytes().enumerate().all(|(i, b)| if matches!(i, 8 | 13 | 18 | 23) { b == b'-' } else { lower(b) });
    if shaped { Vec::new() } else { vec!["must be a lowercase UUID in 8-4-4-4-12 format".to_owned()] }
}

fn amounts(value: &Value, format: Format) -> Option<String> {
    let amount = Quantity::from_json(value).ok()?;
    match format {
        Format::Positive if amount.is_negative() || amount.is_zero() => Some("must be greater than zero".to_owned()),
        Format::NotNegative if amount.is_negative() => Some("must be greater than or equal to 0".to_owned()),
        _ => None,
    }
}

fn number_or_percent(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.strip_suffix('%').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) => None,
        Value::String(_) => Some(
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
                .to_owned(),
        ),
        number => number.as_i64().filter(|n| *n < 0).map(|_| "must be greater than or equal to 0".to_owned()),
    }
}
