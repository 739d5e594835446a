//! Addresses and blocks of them, as `net/netip` of Go reads them and Kubernetes restricts it.
use crate::error::EvalError;
use std::fmt;
use std::net::IpAddr;

/// A block of addresses; the address may have bits behind the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// An address of it.
    pub address: IpAddr,
    /// How many of its bits all of them have.
    pub bits: u8,
}

/// Reads an address.
///
/// # Errors
/// It is none, has a zone, or is an IPv4 address in the form of an IPv6 one.
pub fn address(text: &str) -> Result<IpAddr, EvalError> {
    if text.contains('%') {
        return Err(EvalError::value(format!("IP address {text:?} with zone value is not allowed")));
    }
    let parsed: IpAddr = text
        .parse()
        .map_err(|_| EvalError::value(format!("IP Address {text:?} parse error during conversion from string: ParseAddr({text:?}): unable to parse IP")))?;
    match parsed {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err(EvalError::value(format!("IPv4-mapped IPv6 address {text:?} is not allowed"))),
        other => Ok(other),
    }
}

/// Reads a block.
///
/// # Errors
/// It is none.
pub fn block(text: &str) -> Result<Block, EvalError> {
    let invalid = || EvalError::value(format!("network address parse error during conversion from string: netip.ParsePrefix({text:?}): invalid"));
    let (start, bits) = text.split_once('/').ok_or_else(invalid)?;
    let start = if start.contains('%') { return Err(invalid()) } else { start.parse::<IpAddr>().map_err(|_| invalid())? };
    if matches!(start, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        return Err(EvalError::value(format!("IPv4-mapped IPv6 address {text:?} is not allowed")));
    }
    let canonical = bits.bytes().all(|b| b.is_ascii_digit()) && (bits.len() == 1 || !bits.starts_with('0'));
    let bits: u8 = bits.parse().ok().filter(|bits| canonical && *bits <= width(start)).ok_or_else(invalid)?;
    Ok(Block { address: start, bits })
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// The bits of an address before a prefix' end.
fn prefix(address: IpAddr, bits: u8) -> u128 {
    let behind = u32::from(width(address) - bits.min(width(address)));
    number(address).checked_shr(behind).unwrap_or_default()
}

impl Block {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && prefix(address, self.bits) == prefix(self.address, self.bits)
    }

    /// Whether all of another is in it.
    pub fn contains_block(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }

    /// It with the first of its addresses.
    #[must_use]
    pub fn masked(&self) -> Self {
        let behind = u32::from(width(self.address) - self.bits);
        let first = prefix(self.address, self.bits).checked_shl(behind).unwrap_or_default();
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(first).unwrap_or_default().into()),
            IpAddr::V6(_) => IpAddr::V6(first.into()),
        };
        Self { address, bits: self.bits }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// What an address is, by the name of the function that asks.
pub fn is(address: IpAddr, function: &str) -> bool {
    match (function, address) {
        ("isUnspecified", a) => a.is_unspecified(),
        ("isLoopback", a) => a.is_loopback(),
        ("isLinkLocalMulticast", IpAddr::V4(v4)) => v4.octets().starts_with(&[224, 0, 0]),
        ("isLinkLocalMulticast", IpAddr::V6(v6)) => v6.segments().first().is_some_and(|s| s & 0xff0f == 0xff02),
        ("isLinkLocalUnicast", IpAddr::V4(v4)) => v4.is_link_local(),
        ("isLinkLocalUnicast", IpAddr::V6(v6)) => v6.is_unicast_link_local(),
        (_, IpAddr::V4(v4)) => !v4.is_unspecified() && !v4.is_loopback() && !v4.is_multicast() && !v4.is_link_local() && !v4.is_broadcast(),
        (_, IpAddr::V6(v6)) => !v6.is_unspecified() && !v6.is_loopback() && !v6.is_multicast() && !v6.is_unicast_link_local(),
    }
}
