//! Which two SPDY streams of a port-forward are one connection: one for its bytes, one for what went wrong. Pure; `Instant`s are given.
use super::session::header;
use super::spdy::Headers;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long one stream of a pair waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// Both streams of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The stream of its bytes.
    pub data: u32,
    /// The stream of what went wrong.
    pub error: u32,
    /// The port to connect to.
    pub port: u16,
}

/// What a new stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A connection's bytes.
    Data,
    /// What went wrong with it.
    Error,
}

struct Half {
    kind: Kind,
    id: u32,
    since: Instant,
}

/// The streams that wait for their other one, by what names their connection.
#[derive(Default)]
pub struct Pairs(HashMap<String, Half>);

/// A stream's kind and port; `None` when its headers don't say both.
pub fn kind(headers: &Headers) -> Option<(Kind, u16)> {
    let port = header(headers, "port").parse::<u16>().ok().filter(|p| *p > 0)?;
    match header(headers, "streamType") {
        "data" => Some((Kind::Data, port)),
        "error" => Some((Kind::Error, port)),
        _ => None,
    }
}

/// What names a stream's connection. Clients without `requestID` open an error stream and then, as their next one, its data stream.
fn request(id: u32, kind: Kind, headers: &Headers) -> String {
    match (header(headers, "requestID"), kind) {
        ("", Kind::Error) => id.to_string(),
        ("", Kind::Data) => id.saturating_sub(2).to_string(),
        (given, _) => given.to_owned(),
    }
}

/// What becomes of a new stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It waits for its other one.
    Waits,
    /// Its connection is complete.
    Paired(Pair),
    /// Another stream of its kind waits under the same name.
    Duplicate,
}

impl Pairs {
    /// Adds a stream, whose kind and port are known.
    pub fn add(&mut self, id: u32, (kind, port): (Kind, u16), headers: &Headers, now: Instant) -> Added {
        let name = request(id, kind, headers);
        match (self.0.get(&name), kind) {
            (None, _) => {
                self.0.insert(name, Half { kind, id, since: now });
                return Added::Waits;
            }
            (Some(half), _) if half.kind == kind => return Added::Duplicate,
            _ => {}
        }
        let other = self.0.remove(&name).map_or(0, |half| half.id);
        Added::Paired(match kind {
            Kind::Data => Pair { data: id, error: other, port },
            Kind::Error => Pair { data: other, error: id, port },
        })
    }

    /// Forgets a stream that its client has ended.
    pub fn forget(&mut self, id: u32) {
        self.0.retain(|_, half| half.id != id);
    }

    /// When the next stream has waited too long.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|half| half.since + PATIENCE).min()
    }

    /// Takes out the streams that have waited too long.
    pub fn expired(&mut self, now: Instant) -> Vec<u32> {
        self.0.extract_if(|_, half| now >= half.since + PATIENCE).map(|(_, half)| half.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(kind: &str, port: &str, request: &str) -> Headers {
        [("streamtype", kind), ("port", port), ("requestid", request)].map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec()
    }

    #[test]
    fn kinds() {
        assert_eq!(kind(&headers("data", "80", "0")), Some((Kind::Data, 80)));
        assert_eq!(kind(&headers("error", "1", "")), Some((Kind::Error, 1)));
        for (kind_, port) in [("data", "0"), ("data", "70000"), ("data", ""), ("stdin", "80"), ("", "80")] {
            assert_eq!(kind(&headers(kind_, port, "0")), None, "{kind_} {port}");
        }
    }

    #[test]
    fn streams_pair_in_any_order() {
        let (now, mut pairs) = (Instant::now(), Pairs::default());
        let mut add = |id, kind, request| pairs.add(id, (kind, 80), &headers("", "", request), now);
        assert_eq!(add(1, Kind::Error, "0"), Added::Waits);
        assert_eq!(add(3, Kind::Data, "1"), Added::Waits);
        assert_eq!(add(5, Kind::Data, "1"), Added::Duplicate);
        assert_eq!(add(7, Kind::Error, "1"), Added::Paired(Pair { data: 3, error: 7, port: 80 }));
        assert_eq!(add(9, Kind::Data, "0"), Added::Paired(Pair { data: 9, error: 1, port: 80 }));
        assert_eq!(add(11, Kind::Error, ""), Added::Waits);
        assert_eq!(add(13, Kind::Data, ""), Added::Paired(Pair { data: 13, error: 11, port: 80 }));
    }

    #[test]
    fn halves_expire() {
        let (now, mut pairs) = (Instant::now(), Pairs::default());
        assert_eq!(pairs.deadline(), None);
        pairs.add(1, (Kind::Error, 80), &headers("", "", "a"), now);
        pairs.add(3, (Kind::Error, 80), &headers("", "", "b"), now + PATIENCE);
        pairs.add(5, (Kind::Error, 80), &headers("", "", "c"), now);
        pairs.forget(5);
        assert_eq!(pairs.deadline(), Some(now + PATIENCE));
        assert_eq!(pairs.expired(now + PATIENCE), vec![1]);
        assert_eq!(pairs.deadline(), Some(now + PATIENCE * 2));
    }
}
