//! Which protocols a stream is served with, and which of them a client gets. Pure.
//!
//! Source: `wsstream` and `httpstream` in `k8s.io/streaming`, and the kubelet's `remotecommand` and `portforward`. Each protocol is one row.
use http::{HeaderMap, HeaderName, header};

/// The header that carries the protocols offered and the one chosen, on an upgrade to SPDY.
pub const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// The header that carries the protocols served, when none of them was offered.
pub const ACCEPTED_PROTOCOLS: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");

/// A protocol and what it differs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Its name in the headers; empty for that of a WebSocket whose client names none.
    pub name: &'static str,
    /// Whether messages are text in base64.
    pub base64: bool,
    /// Whether the end is told as a `Status` in JSON; otherwise only a failure is, as plain text.
    pub status: bool,
    /// Whether a client may close a single channel.
    pub close: bool,
    /// Whether a client with a terminal opens a stream for its size. Only SPDY's clients open streams.
    pub resize: bool,
}

const fn row(name: &'static str) -> Protocol {
    Protocol { name, base64: false, status: false, close: false, resize: false }
}

const fn base64(name: &'static str) -> Protocol {
    Protocol { base64: true, ..row(name) }
}

/// What one kind of stream is served with.
#[derive(Debug)]
pub struct Served {
    /// Subprotocols of a WebSocket.
    pub websocket: &'static [Protocol],
    /// Protocols over SPDY/3.1; none when streams of this kind have no such form.
    pub spdy: &'static [Protocol],
}

/// Exec and attach.
pub static REMOTE_COMMAND: Served = Served {
    websocket: &[
        row(""),
        row("channel.k8s.io"),
        base64("base64.channel.k8s.io"),
        Protocol { status: true, ..row("v4.channel.k8s.io") },
        Protocol { status: true, ..base64("v4.base64.channel.k8s.io") },
        Protocol { status: true, close: true, ..row("v5.channel.k8s.io") },
    ],
    spdy: &[
        Protocol { status: true, resize: true, ..row("v4.channel.k8s.io") },
        Protocol { resize: true, ..row("v3.channel.k8s.io") },
        row("v2.channel.k8s.io"),
        row("channel.k8s.io"),
    ],
};

/// The subprotocol of a WebSocket that carries SPDY frames for port-forward.
pub const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// Port-forward.
pub static PORT_FORWARD: Served =
    Served { websocket: &[row(TUNNEL), row(""), row("v4.channel.k8s.io"), base64("v4.base64.channel.k8s.io")], spdy: &[row("portforward.k8s.io")] };

/// Logs.
pub static LOG: Served = Served { websocket: &[row(""), row("binary.k8s.io"), base64("base64.binary.k8s.io")], spdy: &[] };

/// The upgrade that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// To a WebSocket.
    WebSocket,
    /// To SPDY/3.1.
    Spdy,
}

/// The words of a header that lists them with commas, however many such headers there are.
pub(crate) fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim).filter(|w| !w.is_empty())
}

/// The upgrade that the headers ask for; `None` for none or another one.
pub fn upgrade(headers: &HeaderMap) -> Option<Upgrade> {
    let has = |name, word: &str| words(headers, name).any(|w| w.eq_ignore_ascii_case(word));
    match has(header::CONNECTION, "upgrade") {
        true if has(header::UPGRADE, "websocket") => Some(Upgrade::WebSocket),
        true if has(header::UPGRADE, "SPDY/3.1") => Some(Upgrade::Spdy),
        _ => None,
    }
}

/// Why a client gets no protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoProtocol {
    /// It offers none where it has to: 400 with this text.
    Unnamed(String),
    /// It offers none that is served: 403 with this text.
    Unknown(String),
}

/// The first protocol of the client's that is served.
///
/// # Errors
/// [`NoProtocol`]; a WebSocket's client needn't name one.
pub fn choose(upgrade: Upgrade, headers: &HeaderMap, served: &Served) -> Result<Protocol, NoProtocol> {
    match upgrade {
        Upgrade::WebSocket => {
            let offered: Vec<&str> = words(headers, header::SEC_WEBSOCKET_PROTOCOL).collect();
            let offered = if offered.is_empty() { vec![""] } else { offered };
            first_common(&offered, served.websocket).ok_or_else(|| NoProtocol::Unknown(String::new()))
        }
        Upgrade::Spdy => {
            let offered: Vec<&str> = words(headers, STREAM_PROTOCOL).collect();
            if offered.is_empty() {
                return Err(NoProtocol::Unnamed(unnamed(headers)));
            }
            first_common(&offered, served.spdy).ok_or_else(|| {
                let names: Vec<&str> = served.spdy.iter().map(|p| p.name).collect();
                let (client, server) = (offered.join(" "), names.join(" "));
                NoProtocol::Unknown(format!("unable to upgrade: unable to negotiate protocol: client supports [{client}], server accepts [{server}]\n"))
            })
        }
    }
}

fn first_common(offered: &[&str], served: &[Protocol]) -> Option<Protocol> {
    offered.iter().find_map(|o| served.iter().find(|s| s.name == *o)).copied()
}

fn unnamed(headers: &HeaderMap) -> String {
    let given: Vec<&str> = headers.get_all(STREAM_PROTOCOL).iter().filter_map(|v| v.to_str().ok()).collect();
    if given.is_empty() {
        return format!("unable to upgrade: header X-Stream-Protocol-Version does not exist in request with {} headers\n", headers.keys_len());
    }
    format!("unable to upgrade: header X-Stream-Protocol-Version contains [{}], but no valid protocols\n", given.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|v| (name.clone(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn subprotocols_of_websockets() {
        let of =
            |values: &[&'static str], served: &Served| choose(Upgrade::WebSocket, &headers(header::SEC_WEBSOCKET_PROTOCOL, values), served).map(|p| p.name);
        for (offered, served, chosen) in [
            (&[][..], &REMOTE_COMMAND, Some("")),
            (&["v5.channel.k8s.io, channel.k8s.io"], &REMOTE_COMMAND, Some("v5.channel.k8s.io")),
            (&["x", "v4.base64.channel.k8s.io,v4.channel.k8s.io"], &REMOTE_COMMAND, Some("v4.base64.channel.k8s.io")),
            (&["base64url.bearer.authorization.k8s.io.YQ, base64.channel.k8s.io"], &REMOTE_COMMAND, Some("base64.channel.k8s.io")),
            (&["v2.channel.k8s.io"], &REMOTE_COMMAND, None),
            (&["V4.channel.k8s.io"], &REMOTE_COMMAND, None),
            (&[TUNNEL], &REMOTE_COMMAND, None),
            (&[TUNNEL], &PORT_FORWARD, Some(TUNNEL)),
            (&["channel.k8s.io"], &PORT_FORWARD, None),
            (&[], &PORT_FORWARD, Some("")),
            (&["base64.binary.k8s.io"], &LOG, Some("base64.binary.k8s.io")),
            (&["v4.channel.k8s.io"], &LOG, None),
        ] {
            assert_eq!(of(offered, served).ok(), chosen, "{offered:?}");
        }
    }

    #[test]
    fn protocols_over_spdy() {
        let of = |values: &[&'static str], served| choose(Upgrade::Spdy, &headers(STREAM_PROTOCOL, values), served);
        for (offered, chosen) in [
            (&["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"][..], "v4.channel.k8s.io"),
            (&["v5.channel.k8s.io, v3.channel.k8s.io"], "v3.channel.k8s.io"),
            (&["channel.k8s.io"], "channel.k8s.io"),
        ] {
            assert_eq!(of(offered, &REMOTE_COMMAND).map(|p| p.name), Ok(chosen), "{offered:?}");
        }
        assert_eq!(of(&["portforward.k8s.io"], &PORT_FORWARD).map(|p| p.name), Ok("portforward.k8s.io"));
        let refused = "unable to upgrade: unable to negotiate protocol: client supports [a b], server accepts [portforward.k8s.io]\n";
        assert_eq!(of(&["a", "b"], &PORT_FORWARD), Err(NoProtocol::Unknown(refused.to_owned())));
        let unnamed = |values: &[&'static str]| matches!(of(values, &REMOTE_COMMAND), Err(NoProtocol::Unnamed(_)));
        assert!(unnamed(&[]) && unnamed(&[""]) && unnamed(&[" , "]) && !unnamed(&["x"]));
    }

    #[test]
    fn upgrades() {
        let of = |connection, to| {
            let mut all = headers(header::CONNECTION, &[connection]);
            all.extend(headers(header::UPGRADE, &[to]));
            upgrade(&all)
        };
        assert_eq!(of("keep-alive, Upgrade", "WebSocket"), Some(Upgrade::WebSocket));
        assert_eq!(of("Upgrade", "SPDY/3.1"), Some(Upgrade::Spdy));
        assert_eq!(of("close", "websocket"), None);
        assert_eq!(of("upgrade", "h2c"), None);
    }
}
