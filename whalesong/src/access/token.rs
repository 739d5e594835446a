//! Join tokens: what a machine needs to become a node, in one word.
//!
//! `<digest>.<seed>`: the SHA-256 digest (hexadecimal) of the cluster's CA, by which the machine knows the server, or `plain` where the server speaks no
//! TLS; and the seed of a NATS key that may ask to join and nothing else. The cluster keeps the key's public half and when it ends.
use bus::keys::NatsKey;
use bus::{Pin, Trust};
use std::fmt;
use std::str::FromStr;

/// What stands for the digest where the server speaks no TLS.
const PLAIN: &str = "plain";

/// A join token.
pub struct JoinToken {
    pin: Option<[u8; 32]>,
    key: NatsKey,
}

impl JoinToken {
    /// A new one, for the cluster with this CA (PEM).
    ///
    /// # Errors
    /// The reason in words when that is no certificate.
    pub fn new(ca: Option<&str>) -> Result<Self, String> {
        Ok(Self { pin: ca.map(Pin::digest).transpose()?, key: NatsKey::generate() })
    }

    /// What the cluster knows it by; its bearer's name on the bus.
    pub fn public(&self) -> String {
        self.key.public()
    }

    /// The seed of its key.
    ///
    /// # Errors
    /// When the key has none.
    pub fn seed(&self) -> std::io::Result<String> {
        self.key.seed()
    }

    /// Which server its bearer trusts, and where the CA is seen.
    pub fn trust(&self) -> (Trust, Option<Pin>) {
        match self.pin.map(Pin::new) {
            Some(pin) => (Trust::Pinned(pin.clone()), Some(pin)),
            None => (Trust::System, None),
        }
    }

    /// The token as a person copies it.
    ///
    /// # Errors
    /// When the key has no seed.
    pub fn text(&self) -> std::io::Result<String> {
        let digest = self.pin.map_or_else(|| PLAIN.to_owned(), |digest| Pin::hex(&digest));
        Ok(format!("{digest}.{}", self.key.seed()?))
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({})", self.key.public())
    }
}

impl FromStr for JoinToken {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (authority, seed) = text.trim().split_once('.').ok_or("it has no dot")?;
        let pin = match authority {
            PLAIN => None,
            hex => Some(Pin::from_hex(hex).ok_or("it doesn't begin with the digest of a CA")?),
        };
        Ok(Self { pin, key: NatsKey::from_seed(seed)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_and_others_are_refused() {
        let plain = JoinToken::new(None).unwrap();
        let pinned = JoinToken { pin: Some([0xa7; 32]), key: NatsKey::generate() };
        for token in [&plain, &pinned] {
            let back: JoinToken = token.text().unwrap().parse().unwrap();
            assert_eq!((back.public(), back.pin), (token.public(), token.pin));
            assert!(!format!("{token:?}").contains(&token.seed().unwrap()), "a log doesn't tell it");
        }
        let seed = plain.seed().unwrap();
        let wrong =
            ["", ".", "plain", "plain.", "plain.SUX", &format!(".{seed}"), &format!("{}.{seed}", "a".repeat(63)), &format!("{}.{seed}", "é".repeat(32))];
        for text in wrong {
            assert!(text.parse::<JoinToken>().is_err(), "{text}");
        }
        assert!(JoinToken::new(Some("nonsense")).is_err());
    }
}
