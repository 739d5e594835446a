//! The formats of Kubernetes' library, `format.dns1123Label()` and so on. Those of names are the rules that hold for names everywhere.
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

impl Format {
    /// What is wrong with a text.
    pub fn validate(&self, text: &str) -> Vec<String> {
        let one = |holds: bool, why: &str| if holds { Vec::new() } else { vec![why.to_owned()] };
        let text = if self.name.ends_with("Prefix") { &*names::masked_prefix(text) } else { text };
        match self.name.trim_end_matches("Prefix") {
            "dns1123Label" => names::dns_label(text),
            "dns1123Subdomain" => names::dns_subdomain(text),
            "dns1035Label" => names::dns_1035_label(text),
            "qualifiedName" => names::qualified_name(text),
            "labelValue" => names::label_value(text),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_refused_as_names_are() {
        let long = "a".repeat(64);
        let cases = [
            ("dns1123Label", "a-1", None),
            ("dns1123Label", "a.b", Some("must not contain dots")),
            ("dns1123Label", "a-", Some("a lowercase RFC 1123 label must consist of")),
            ("dns1123LabelPrefix", "a-", None),
            ("dns1123LabelPrefix", "-", Some("a lowercase RFC 1123 label must consist of")),
            ("dns1123Subdomain", "A", Some("a lowercase RFC 1123 subdomain must consist of")),
            ("dns1123SubdomainPrefix", "a.b-", None),
            ("dns1035Label", "1a", Some("a DNS-1035 label must consist of")),
            ("dns1035LabelPrefix", "ab-", None),
            ("qualifiedName", "a.b/c", None),
            ("qualifiedName", "a/b/c", Some("a valid label key must consist of")),
            ("qualifiedName", &*long, Some("name part must be no more than 63 bytes")),
            ("labelValue", "", None),
            ("labelValue", &*long, Some("must be no more than 63 bytes")),
            ("uuid", "123", Some("does not match the UUID format")),
            ("byte", "YQ==", None),
            ("date", "2021-02-30", Some("invalid date")),
            ("datetime", "2021-01-01T00:00:00Z", None),
            ("uri", "https://a/b", None),
        ];
        for (name, text, want) in cases {
            let found = named(name).unwrap().validate(text);
            let first = found.first().map(String::as_str);
            assert!(
                found.len() <= 1 && first.is_some() == want.is_some() && want.is_none_or(|want| first.unwrap().starts_with(want)),
                "{name} {text}: {found:?}"
            );
        }
    }
}
