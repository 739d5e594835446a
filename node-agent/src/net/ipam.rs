//! Chooses the address of the next pod from the node's range.
use ipnet::Ipv4Net;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Addresses of one range, given in turn so that a freed one rests as long as possible.
#[derive(Debug)]
pub struct Ipam {
    first: u32,
    size: u32,
    next: u32,
    used: BTreeSet<Ipv4Addr>,
}

impl Ipam {
    /// All of `range` but its network, its first (the gateway's) and its broadcast address.
    pub fn new(range: Ipv4Net) -> Self {
        let first = u32::from(range.network()).saturating_add(2);
        Self { first, size: u32::from(range.broadcast()).saturating_sub(first), next: 0, used: BTreeSet::new() }
    }

    /// Marks an address as used.
    pub fn take(&mut self, ip: Ipv4Addr) {
        if self.used.insert(ip) {
            self.next = u32::from(ip).wrapping_sub(self.first).wrapping_add(1);
        }
    }

    /// A free address, now used; `None` when there is none.
    pub fn next(&mut self) -> Option<Ipv4Addr> {
        let candidates = (0..self.size).map(|i| Ipv4Addr::from(self.first + (self.next.wrapping_add(i)) % self.size));
        let ip = candidates.into_iter().find(|ip| !self.used.contains(ip))?;
        self.take(ip);
        Some(ip)
    }

    /// This address, now used, if it is one of the range's and free.
    pub fn again(&mut self, ip: Ipv4Addr) -> Option<Ipv4Addr> {
        let within = u32::from(ip).checked_sub(self.first).is_some_and(|n| n < self.size);
        (within && self.used.insert(ip)).then_some(ip)
    }

    /// Gives an address back.
    pub fn free(&mut self, ip: Ipv4Addr) {
        self.used.remove(&ip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_in_turn_and_end() {
        let mut ipam = Ipam::new("10.0.0.0/29".parse().unwrap());
        let given: Vec<String> = std::iter::from_fn(|| ipam.next()).map(|ip| ip.to_string()).collect();
        assert_eq!(given, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        ipam.free("10.0.0.3".parse().unwrap());
        assert_eq!(ipam.next(), "10.0.0.3".parse().ok());
        assert_eq!(ipam.next(), None);
    }

    #[test]
    fn a_freed_address_rests() {
        let mut ipam = Ipam::new("10.0.0.0/24".parse().unwrap());
        let first = ipam.next().unwrap();
        ipam.free(first);
        assert_ne!(ipam.next(), Some(first));
        ipam.take("10.0.0.254".parse().unwrap());
        assert_eq!(ipam.next(), Some(first));
    }
}
