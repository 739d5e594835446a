//! Which names, label keys and values Kubernetes accepts, and the sentences with which it refuses the others. Fields of objects and the formats of the
//! expression language are held against the same functions.
use std::borrow::Cow;

/// Longest DNS label.
pub const LABEL_MAX: usize = 63;
/// Longest DNS subdomain.
pub const SUBDOMAIN_MAX: usize = 253;
/// Longest name of a kernel's parameter.
pub const SYSCTL_MAX: usize = 253;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED_FORM: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ENV_NAME: &str = "a valid environment variable name must consist only of printable ASCII characters other than '='";
const SUBDOMAIN_UNDERSCORE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const HEADER: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const CONDITION_REASON: &str = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";
const IDENTIFIER: &str = "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')";
const PORT_NAME_FORM: &str = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";

fn lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// Whether `text` isn't empty, starts and ends with `end`, and has only `middle` between.
fn shaped(text: &str, end: impl Fn(u8) -> bool, middle: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if end(*first) && end(*last)) && bytes.iter().all(|b| middle(*b))
}

fn is_label_shaped(text: &str) -> bool {
    shaped(text, lower, |b| lower(b) || b == b'-')
}

fn is_name_part(text: &str) -> bool {
    shaped(text, |b| b.is_ascii_alphanumeric(), |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn too_long(max: usize) -> String {
    format!("must be no more than {max} characters")
}

/// The same of keys and values of labels, of which Kubernetes says it in other words.
fn too_many_bytes(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// Collects the sentences of the rules that are broken.
fn broken(rules: &[(bool, &str)], length: usize, max: usize) -> Vec<String> {
    let long = (length > max).then(|| too_long(max));
    long.into_iter().chain(rules.iter().filter(|(holds, _)| !holds).map(|(_, text)| (*text).to_owned())).collect()
}

/// What is wrong with `text` as an RFC 1123 label (namespaces, services' pods, containers); empty when nothing is.
pub fn dns_label(text: &str) -> Vec<String> {
    let rule = if text.contains('.') && text.split('.').all(is_label_shaped) { "must not contain dots" } else { LABEL };
    broken(&[(is_label_shaped(text), rule)], text.len(), LABEL_MAX)
}
/// What is wrong with `text` as an RFC 1035 label (services).
pub fn dns_1035_label(text: &str) -> Vec<String> {
    broken(&[(is_label_shaped(text) && text.as_bytes().first().is_some_and(u8::is_ascii_lowercase), LABEL_1035)], text.len(), LABEL_MAX)
}
/// What is wrong with `text` as an RFC 1123 subdomain: the rule of most names.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    broken(&[(text.split('.').all(is_label_shaped), SUBDOMAIN)], text.len(), SUBDOMAIN_MAX)
}
/// What is wrong with `text` as a pattern of hosts: `*.example.com`.
pub fn wildcard_subdomain(text: &str) -> Vec<String> {
    let form = text.strip_prefix("*.").is_some_and(|rest| rest.split('.').all(is_label_shaped));
    broken(&[(form, WILDCARD)], text.len(), SUBDOMAIN_MAX)
}
/// What is wrong with `text` as the reason of a condition.
pub fn condition_reason(text: &str) -> Vec<String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let form = shaped(text, word, |b| word(b) || matches!(b, b',' | b':')) && text.starts_with(|c: char| c.is_ascii_alphabetic());
    broken(&[(form, CONDITION_REASON)], 0, 0)
}
/// What is wrong with `text` as an RFC 1123 subdomain that may have underscores: the rule of DNS search paths.
pub fn dns_subdomain_underscore(text: &str) -> Vec<String> {
    let part = |part: &str| shaped(part.strip_prefix('_').unwrap_or(part), lower, |b| lower(b) || matches!(b, b'-' | b'_'));
    broken(&[(text.split('.').all(part), SUBDOMAIN_UNDERSCORE)], text.len(), SUBDOMAIN_MAX)
}
/// What is wrong with `text` as the name of an HTTP header.
pub fn http_header(text: &str) -> Vec<String> {
    let form = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    broken(&[(form, HEADER)], 0, 0)
}
/// What is wrong with `text` as one segment of a URL's path: the rule of RBAC's names.
pub fn path_segment(text: &str) -> Vec<String> {
    if matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    ['/', '%'].into_iter().filter(|c| text.contains(*c)).map(|c| format!("may not contain '{c}'")).collect()
}
/// What is wrong with `text` as a qualified name: a label's key, a resource's name, a finalizer.
pub fn qualified_name(text: &str) -> Vec<String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if name.contains('/') {
        return vec![QUALIFIED_FORM.to_owned()];
    }
    let mut all = match prefix {
        Some("") => vec!["prefix part must be non-empty".to_owned()],
        Some(prefix) => {
            let long = (prefix.len() > SUBDOMAIN_MAX).then(|| too_many_bytes(SUBDOMAIN_MAX));
            let form = broken(&[(prefix.split('.').all(is_label_shaped), SUBDOMAIN)], 0, 0);
            long.into_iter().chain(form).map(|e| format!("prefix part {e}")).collect()
        }
        None => Vec::new(),
    };
    if name.is_empty() {
        all.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        all.push(format!("name part {}", too_many_bytes(LABEL_MAX)));
    }
    if !is_name_part(name) {
        all.push(QUALIFIED.to_owned());
    }
    all
}
/// What is wrong with `text` as a label's value.
pub fn label_value(text: &str) -> Vec<String> {
    let long = (text.len() > LABEL_MAX).then(|| too_many_bytes(LABEL_MAX));
    long.into_iter().chain(broken(&[(text.is_empty() || is_name_part(text), VALUE)], 0, 0)).collect()
}
/// What is wrong with `text` as a key of a ConfigMap or Secret.
pub fn config_key(text: &str) -> Vec<String> {
    let form = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let mut all = broken(&[(form, CONFIG_KEY)], text.len(), SUBDOMAIN_MAX);
    match text {
        "." => all.push("must not be '.'".to_owned()),
        ".." => all.push("must not be '..'".to_owned()),
        t if t.starts_with("..") => all.push("must not start with '..'".to_owned()),
        _ => {}
    }
    all
}
/// What is wrong with `text` as an identifier of the language C, whatever its length.
pub fn c_identifier(text: &str) -> Vec<String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let form = text.bytes().all(word) && text.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    broken(&[(form, IDENTIFIER)], 0, 0)
}
/// What is wrong with `text` as an environment variable's name.
pub fn env_name(text: &str) -> Vec<String> {
    let form = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    broken(&[(form, ENV_NAME)], 0, 0)
}
/// What is wrong with `text` as a port's name (IANA service name).
pub fn port_name(text: &str) -> Vec<String> {
    let form = !text.is_empty() && text.bytes().all(|b| lower(b) || b == b'-');
    let letter = text.bytes().any(|b| b.is_ascii_lowercase());
    let ends = !text.starts_with('-') && !text.ends_with('-');
    let mut all = broken(
        &[
            (form, PORT_NAME_FORM),
            (letter, "must contain at least one letter (a-z)"),
            (!text.contains("--"), "must not contain consecutive hyphens"),
            (ends, "must not begin or end with a hyphen"),
        ],
        0,
        0,
    );
    if text.len() > 15 {
        all.insert(0, too_long(15));
    }
    all
}

/// `text` as something that a name begins with: what is checked of it instead, because a dash at its end is none at the end of the name. The letter takes the
/// place of the dash and of what is before it, as in Kubernetes.
pub fn masked_prefix(text: &str) -> Cow<'_, str> {
    let before = text.strip_suffix('-').and_then(|before| text.get(..before.len().checked_sub(1)?));
    before.map_or(Cow::Borrowed(text), |before| Cow::Owned(format!("{before}a")))
}
/// Whether `text` is the name of a kernel's parameter: words of lower case letters, digits, `-` and `_`, with dots or slashes between.
pub fn is_sysctl(text: &str) -> bool {
    text.len() <= SYSCTL_MAX && text.split(['.', '/']).all(is_sysctl_word)
}
/// Whether `text` is one word of the name of a kernel's parameter.
pub fn is_sysctl_word(text: &str) -> bool {
    shaped(text, lower, |b| lower(b) || matches!(b, b'-' | b'_'))
}

/// Whether `text` is an RFC 1123 label.
pub fn is_dns_label(text: &str) -> bool {
    dns_label(text).is_empty()
}
/// Whether `text` is an RFC 1123 subdomain.
pub fn is_dns_subdomain(text: &str) -> bool {
    dns_subdomain(text).is_empty()
}
/// Whether `text` is a qualified name.
pub fn is_qualified_name(text: &str) -> bool {
    qualified_name(text).is_empty()
}
/// Whether `text` is a label's value.
pub fn is_label_value(text: &str) -> bool {
    label_value(text).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_and_refused() {
        type Rule = fn(&str) -> Vec<String>;
        let cases: &[(Rule, &[&str], &[&str])] = &[
            (dns_label, &["a", "a-b", "1a", "0"], &["", "A", "-a", "a-", "a.b", "a_b", "é"]),
            (dns_1035_label, &["a", "a-1"], &["1a", "", "a."]),
            (dns_subdomain, &["a.b", "a", "1.2"], &["", "a..b", ".a", "a.", "A.b", "a_b"]),
            (qualified_name, &["a", "A_b.c", "example.com/a"], &["", "/a", "a/", "a/b/c", "-a", "EX.com/a"]),
            (label_value, &["", "A", "a.b_c-d"], &["-", "a b", "a/b"]),
            (config_key, &["a.b", "KEY_1", "-", ".hidden"], &["", ".", "..", "..a", "a/b"]),
            (env_name, &["A", "a.b", "1", "my var"], &["", "A=B", "ä"]),
            (port_name, &["http", "p-1"], &["", "80", "a--b", "-a", "Http", "sixteen-letters-"]),
            (path_segment, &["system:node", "A B"], &[".", "..", "a/b", "a%b"]),
            (dns_subdomain_underscore, &["_tcp.a_b.c", "a"], &["", "__a", "a_", "a..b", "A"]),
            (wildcard_subdomain, &["*.a", "*.a-b.c"], &["*", "a.*", "*a", "*.*.a", "*.", "a"]),
            (condition_reason, &["A", "a_1", "A:B,c_"], &["", "1a", "_a", "a:", "a-b", "é"]),
            (http_header, &["X-A", "1"], &["", "a b", "a:b", "a\r\nb", "ä"]),
            (c_identifier, &["a", "_", "A_1"], &["", "1", "a-b", "a.b", "é"]),
        ];
        for (rule, good, bad) in cases {
            good.iter().for_each(|t| assert_eq!(rule(t), Vec::<String>::new(), "{t}"));
            bad.iter().for_each(|t| assert!(!rule(t).is_empty(), "{t}"));
        }
    }

    #[test]
    fn length() {
        assert_eq!(dns_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(
            [label_value(&"a".repeat(64)), qualified_name(&"a".repeat(64))].concat(),
            ["must be no more than 63 bytes", "name part must be no more than 63 bytes"]
        );
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        assert!(is_dns_subdomain(&["a"; 127].join(".")));
        assert!(!is_dns_subdomain(&"a".repeat(254)));
    }

    #[test]
    fn prefixes_and_parameters_of_the_kernel() {
        let masked = [("", ""), ("-", "-"), ("a", "a"), ("a-", "a"), ("ab-", "aa"), ("a--", "aa"), ("é-", "é-"), ("A-b", "A-b")];
        masked.iter().for_each(|(text, want)| assert_eq!(masked_prefix(text), *want, "{text}"));
        for (text, good) in [("kernel.msgmax", true), ("net/ipv4/conf.eth0_1-a", true), ("", false), ("a..b", false), ("A", false), ("a.-b", false)] {
            assert_eq!(is_sysctl(text), good, "{text}");
        }
        assert!(is_sysctl(&"a".repeat(253)) && !is_sysctl(&"a".repeat(254)));
    }
}
