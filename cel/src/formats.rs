//! The formats of Kubernetes' library, `format.dns1123Label()` and so on, with the messages of `k8s.io/apimachinery/pkg/util/validation`.
use crate::patterns;
use regex::Regex;
use std::sync::LazyLock;

/// What a text must be.
#[derive(Debug, PartialEq, Eq)]
pub struct Format {
    /// Its name in expressions.
    pub name: &'static str,
    /// The size that the cost of a check is in proportion to.
    pub pattern_size: u64,
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// All formats.
static FORMATS: [Format; 13] = [
    Format { name: "dns1123Label", pattern_size: 30 },
    Format { name: "dns1123Subdomain", pattern_size: 60 },
    Format { name: "dns1035Label", pattern_size: 30 },
    Format { name: "qualifiedName", pattern_size: 60 },
    Format { name: "dns1123LabelPrefix", pattern_size: 30 },
    Format { name: "dns1123SubdomainPrefix", pattern_size: 60 },
    Format { name: "dns1035LabelPrefix", pattern_size: 30 },
    Format { name: "labelValue", pattern_size: 40 },
    Format { name: "uri", pattern_size: 2048 },
    Format { name: "uuid", pattern_size: 89 },
    Format { name: "byte", pattern_size: 84 },
    Format { name: "date", pattern_size: 128 },
    Format { name: "datetime", pattern_size: 128 },
];

static UUID: LazyLock<Option<Regex>> = LazyLock::new(|| patterns::compile("^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$").ok());

/// The format of a name.
pub fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

fn starts_and_ends(text: &str, edge: fn(u8) -> bool, inside: fn(u8) -> bool) -> bool {
    text.bytes().next().is_some_and(edge) && text.bytes().last().is_some_and(edge) && text.bytes().all(|b| edge(b) || inside(b))
}

fn lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn is_label(text: &str) -> bool {
    starts_and_ends(text, lower, |b| b == b'-')
}

fn is_name(text: &str) -> bool {
    starts_and_ends(text, |b| b.is_ascii_alphanumeric(), |b| matches!(b, b'-' | b'_' | b'.'))
}

fn limited(text: &str, max: usize, holds: bool, why: &str) -> Vec<String> {
    let mut out = Vec::new();
    if text.len() > max {
        out.push(format!("must be no more than {max} characters"));
    }
    if !holds {
        out.push(why.to_owned());
    }
    out
}

fn subdomain(text: &str) -> Vec<String> {
    limited(text, 253, text.split('.').all(is_label), SUBDOMAIN)
}

fn qualified(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((_, name)) if name.contains('/') => {
            return vec![format!("a qualified name {}", NAME_PART.trim_start_matches("name part "))];
        }
        Some(("", name)) => {
            out.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            out.extend(subdomain(prefix).into_iter().map(|why| format!("prefix part {why}")));
            name
        }
    };
    if name.is_empty() {
        out.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        out.push("name part must be no more than 63 characters".to_owned());
    }
    if !is_name(name) {
        out.push(NAME_PART.to_owned());
    }
    out
}

impl Format {
    /// What is wrong with a text.
    pub fn validate(&self, text: &str) -> Vec<String> {
        let one = |holds: bool, why: &str| if holds { Vec::new() } else { vec![why.to_owned()] };
        // a prefix may end with a dash, since something follows
        let masked = match text.strip_suffix('-') {
            Some(before) if self.name.ends_with("Prefix") && !before.is_empty() => format!("{before}a"),
            _ => text.to_owned(),
        };
        match self.name {
            "dns1123Label" | "dns1123LabelPrefix" => limited(&masked, 63, is_label(&masked), LABEL),
            "dns1123Subdomain" | "dns1123SubdomainPrefix" => subdomain(&masked),
            "dns1035Label" | "dns1035LabelPrefix" => {
                limited(&masked, 63, is_label(&masked) && masked.starts_with(|c: char| c.is_ascii_lowercase()), LABEL_1035)
            }
            "qualifiedName" => qualified(text),
            "labelValue" => limited(text, 63, text.is_empty() || is_name(text), LABEL_VALUE),
            "uri" => match crate::url::Url::parse(text) {
                Ok(_) => Vec::new(),
                Err(e) => vec![e.to_string().replacen("URL parse error during conversion from string: ", "", 1)],
            },
            "uuid" => one(UUID.as_ref().is_some_and(|uuid| uuid.is_match(text)), "does not match the UUID format"),
            "byte" => {
                use base64::Engine as _;
                one(!text.is_empty() && base64::engine::general_purpose::STANDARD.decode(text).is_ok(), "invalid base64")
            }
            "date" => one(text.len() == 10 && crate::time::date_or_time(text).is_ok(), "invalid date"),
            _ => one(crate::time::timestamp(text).is_ok(), "invalid datetime"),
        }
    }
}
