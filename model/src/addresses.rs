//! IP addresses and CIDR ranges as Kubernetes' older fields take them, and the sentences with which it refuses the others.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest text that is read as an address with zeros before its numbers, in bytes.
const LOOSE_MAX: usize = 64;
pub(crate) const IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const CIDR: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// The address that `text` means, also where an IPv4 address has zeros before its numbers. Nobody may be sent to such an address, because others read these
/// zeros as octal.
pub fn parse_loose(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| {
        let bare = |n: &str| if n.is_empty() || n.bytes().any(|b| b != b'0') { n.trim_start_matches('0').to_owned() } else { "0".to_owned() };
        let plain = (text.len() <= LOOSE_MAX).then(|| text.split('.').map(bare).collect::<Vec<_>>().join("."))?;
        plain.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    })
}

/// What is wrong with `text` as the address of an endpoint, or as one at which a Service is reached from outside.
pub fn endpoint(text: &str) -> Vec<String> {
    let Some(ip) = parse_loose(text).map(|ip| ip.to_canonical()) else { return vec!["must be a valid IP address".to_owned()] };
    let (local, multicast) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets().starts_with(&[224, 0, 0])),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments().first().is_some_and(|s| s & 0xff0f == 0xff02)),
    };
    let rules = [
        (ip.is_unspecified(), "may not be unspecified"),
        (ip.is_loopback(), "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    ];
    let sentence = |why: &str| if ip.is_unspecified() { format!("{why} ({text})") } else { why.to_owned() };
    rules.into_iter().filter(|(broken, _)| *broken).map(|(_, why)| sentence(why)).collect()
}

/// What is wrong with `text` as a range of addresses: `10.9.8.0/24`.
pub fn cidr(text: &str) -> Vec<String> {
    let parsed = text.split_once('/').and_then(|(address, length)| {
        let digits = !length.is_empty() && length.len() <= LOOSE_MAX && length.bytes().all(|b| b.is_ascii_digit());
        let (ip, bits) = (parse_loose(address)?, length.parse::<u32>().ok().filter(|_| digits)?);
        let zeros = address.parse::<IpAddr>().is_err() || (length.len() > 1 && length.starts_with('0'));
        (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, bits, zeros))
    });
    let why = match parsed {
        None => CIDR,
        Some((_, _, true)) => "must not have leading 0s in IP or prefix length",
        Some((IpAddr::V6(v6), ..)) if v6.to_ipv4_mapped().is_some() => "must not have an IPv4-mapped IPv6 address",
        Some((ip, bits, _)) if has_bits_beyond(ip, bits) => "must not have bits set beyond the prefix length",
        Some(_) => return Vec::new(),
    };
    vec![why.to_owned()]
}

fn has_bits_beyond(ip: IpAddr, bits: u32) -> bool {
    match ip {
        IpAddr::V4(v4) => u32::from(v4).checked_shl(bits).is_some_and(|rest| rest != 0),
        IpAddr::V6(v6) => u128::from(v6).checked_shl(bits).is_some_and(|rest| rest != 0),
    }
}

/// What is wrong with `text` as an IP address in a field that takes forms other than the canonical one.
pub fn ip(text: &str) -> Vec<String> {
    let why = match text.parse() {
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => "must not be an IPv4-mapped IPv6 address",
        Ok(_) => return Vec::new(),
        Err(_) if parse_loose(text).is_some() => "must not have leading 0s",
        Err(_) => IP,
    };
    vec![why.to_owned()]
}

/// What is wrong with `text` as an IP address in a field that takes only the canonical form.
pub fn canonical_ip(text: &str) -> Vec<String> {
    match (ip(text), text.parse::<IpAddr>()) {
        (loose, Ok(ip)) if loose.is_empty() && ip.to_string() != text => vec![format!("must be in canonical form (\"{ip}\")")],
        (loose, _) => loose,
    }
}

/// What is wrong with `text` as a range of addresses in a field that takes only the canonical form.
pub fn canonical_cidr(text: &str) -> Vec<String> {
    let loose = cidr(text);
    match text.split_once('/').map(|(address, length)| (address.parse::<IpAddr>(), length)) {
        Some((Ok(ip), length)) if loose.is_empty() && format!("{ip}/{length}") != text => vec![format!("must be in canonical form (\"{ip}/{length}\")")],
        _ => loose,
    }
}

/// The range that `text` means: its first address and the number of bits that all of its addresses share.
pub fn parse_cidr(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let (ip, bits) = (parse_loose(address)?, length.parse::<u32>().ok().filter(|_| length.bytes().all(|b| b.is_ascii_digit()))?);
    (bits <= if ip.is_ipv4() { 32 } else { 128 }).then_some((ip, bits))
}

/// Whether the first of two ranges holds all of the second, and more.
pub fn is_wider(outer: (IpAddr, u32), inner: (IpAddr, u32)) -> bool {
    let same = match (outer.0, inner.0) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).checked_shr(32_u32.saturating_sub(outer.1)).unwrap_or_default() == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).checked_shr(128_u32.saturating_sub(outer.1)).unwrap_or_default() == 0,
        _ => false,
    };
    same && outer.1 < inner.1
}

/// What is wrong with `text` as an IPv6 address in a field that takes only the canonical form.
pub fn canonical_v6(text: &str) -> Vec<String> {
    let loose = ip(text);
    match text.parse::<Ipv6Addr>() {
        Ok(ip) if loose.is_empty() && ip.to_string() != text => vec![format!("must be in canonical form (\"{ip}\")")],
        _ => loose,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (text, expected) in [
            ("10.0.0.1", ""),
            ("2001:db8::1", ""),
            ("224.0.1.1", ""),
            ("x", "must be a valid IP address"),
            ("0.0.0.0", "may not be unspecified (0.0.0.0)"),
            ("::", "may not be unspecified (::)"),
            ("127.9.9.9", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
            ("::ffff:127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
            ("0127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
            ("::1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
            ("169.254.169.254", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
            ("fe80::1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
            ("224.0.0.9", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
            ("ff02::1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        ] {
            assert_eq!(endpoint(text).join("; "), expected, "{text}");
        }
    }

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("10.9.8.0/24", ""),
            ("0.0.0.0/0", ""),
            ("1.2.3.4/32", ""),
            ("2001:db8::/64", ""),
            ("::/0", ""),
            ("10.0.0.0", CIDR),
            ("10.0.0.0/33", CIDR),
            ("10.0.0.0/+8", CIDR),
            ("10.0.0.0/", CIDR),
            ("::/129", CIDR),
            ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
            ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
            ("::ffff:1.2.3.0/120", "must not have an IPv4-mapped IPv6 address"),
            ("10.0.0.1/24", "must not have bits set beyond the prefix length"),
            ("2001:db8::1/64", "must not have bits set beyond the prefix length"),
        ] {
            assert_eq!(cidr(text).join("; "), expected, "{text}");
        }
        for (outer, inner, wider) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("0.0.0.0/0", "10.1.0.0/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("::/0", "fe80::/64", true),
            ("2001:db8::/32", "2001:db9::/64", false),
            ("::/0", "10.0.0.0/8", false),
            ("10.0.0.0/16", "10.0.0.0/8", false),
        ] {
            assert_eq!(is_wider(parse_cidr(outer).unwrap(), parse_cidr(inner).unwrap()), wider, "{outer} {inner}");
        }
        assert_eq!([parse_cidr("10.0.0.0"), parse_cidr("10.0.0.0/+8"), parse_cidr("10.0.0.0/33")], [None; 3]);
        let forms = [canonical_ip("10.0.0.1"), canonical_ip("FE80::1"), canonical_ip("x"), canonical_cidr("2001:db8::/64"), canonical_cidr("2001:DB8::/64")];
        assert_eq!(forms.concat(), ["must be in canonical form (\"fe80::1\")", IP, "must be in canonical form (\"2001:db8::/64\")"]);
        assert_eq!([canonical_v6("fe80::1"), canonical_v6("FE80::1")].concat(), ["must be in canonical form (\"fe80::1\")"]);
    }

    #[test]
    fn addresses() {
        for text in ["1.2.3.4", "::1", "FE80:0:0:0:0:0:0:0abc"] {
            assert_eq!(ip(text), Vec::<String>::new(), "{text}");
        }
        for text in ["", "1.2.3", "01.2.3.4", "::ffff:1.2.3.4", "fe80::1%eth0", "1.2.3.4/8", "é.1.1.1"] {
            assert!(!ip(text).is_empty(), "{text}");
        }
        assert_eq!([ip("010.0.0.1"), ip("10.00.0.1"), ip("x")].concat(), ["must not have leading 0s", "must not have leading 0s", IP]);
    }
}
