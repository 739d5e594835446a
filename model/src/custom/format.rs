//! The formats of texts that Kubernetes checks in custom resources; others mean nothing.
use crate::names;
use base64::{Engine, engine::general_purpose::STANDARD};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Whether a text has a format; every text has one that isn't known.
pub fn holds(format: &str, text: &str) -> bool {
    match format {
        "date-time" => crate::time::parse(text).is_some(),
        "date" => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        "duration" => duration(text),
        "byte" => STANDARD.decode(text).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => cidr(text),
        "mac" => mac(text),
        "uri" => uri(text),
        "email" => email(text),
        "hostname" => text.len() <= 255 && text.split('.').all(|label| names::is_dns_label(&label.to_ascii_lowercase())),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => uuid(format, text),
        "hexcolor" => text.strip_prefix('#').is_some_and(|t| matches!(t.len(), 3 | 6) && t.bytes().all(|b| b.is_ascii_hexdigit())),
        "k8s-short-name" => names::is_dns_label(text),
        "k8s-long-name" => names::is_dns_subdomain(text),
        _ => true,
    }
}

/// Numbers with units, as Go's `time.ParseDuration` takes them.
fn duration(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    if text == "0" {
        return true;
    }
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, unit) = rest.split_at(digits);
        if number.parse::<f64>().is_err() {
            return false;
        }
        let Some(after) = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"].iter().find_map(|u| unit.strip_prefix(u)) else { return false };
        rest = after;
    }
    !text.is_empty()
}

fn cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let bits = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= bits)
}

fn mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        let shaped = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        shaped && !rest.is_empty() && !rest.contains(char::is_whitespace)
    }) || text.starts_with('/')
}

fn email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !text.contains(char::is_whitespace))
}

fn uuid(format: &str, text: &str) -> bool {
    let compact: String = text.chars().filter(|c| *c != '-').collect();
    let version = format.strip_prefix("uuid").and_then(|v| v.chars().next());
    compact.len() == 32 && compact.bytes().all(|b| b.is_ascii_hexdigit()) && version.is_none_or(|v| compact.chars().nth(12) == Some(v))
}
