//! Headers of what is passed on: those that are between a client and this server go no further, and neither does what says who the client is.
use super::location::Place;
use crate::auth::subprotocol;
use crate::body::text;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Those of one connection.
const OF_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// Those by which a pod would let others' pages read what this server answers.
const OF_OTHER_SITES: [HeaderName; 4] =
    [header::ACCESS_CONTROL_ALLOW_CREDENTIALS, header::ACCESS_CONTROL_ALLOW_HEADERS, header::ACCESS_CONTROL_ALLOW_METHODS, header::ACCESS_CONTROL_ALLOW_ORIGIN];

/// Whether another protocol is asked for.
pub(super) fn upgrade(headers: &HeaderMap) -> bool {
    let words = text(headers, header::CONNECTION).unwrap_or_default().split(',');
    headers.contains_key(header::UPGRADE) && words.map(str::trim).any(|word| word.eq_ignore_ascii_case("upgrade"))
}

/// Without what is a connection's own; the switch to another protocol stays where it is meant for the other side.
fn passed(headers: &HeaderMap, switches: bool) -> HeaderMap {
    let named: Vec<String> =
        headers.get_all(header::CONNECTION).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(|w| w.trim().to_ascii_lowercase()).collect();
    let own = |name: &HeaderName| OF_CONNECTION.contains(name) || named.iter().any(|n| n == name.as_str());
    let mut out: HeaderMap = headers.iter().filter(|(name, _)| !own(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    if let Some(protocol) = headers.get(header::UPGRADE).filter(|_| switches) {
        out.insert(header::UPGRADE, protocol.clone());
        out.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    out
}

/// A request's headers, as the pod gets them.
pub(super) fn outward(headers: &HeaderMap, place: &Place) -> HeaderMap {
    let mut out = passed(headers, upgrade(headers));
    let secret = |name: &HeaderName| *name == header::AUTHORIZATION || name.as_str().starts_with("impersonate-") || name.as_str().starts_with("x-remote-");
    let secrets: Vec<HeaderName> = out.keys().filter(|name| secret(name)).cloned().collect();
    secrets.iter().for_each(|name| _ = out.remove(name));
    subprotocol::forget(&mut out);
    // pages are changed on their way, which compressed ones can't be
    if text(headers, header::ACCEPT).unwrap_or_default().contains("text/html") {
        out.remove(header::ACCEPT_ENCODING);
    }
    let rows = [
        (header::HOST, place.host.clone()),
        (HeaderName::from_static("x-forwarded-host"), place.host.clone()),
        (HeaderName::from_static("x-forwarded-proto"), "https".to_owned()),
        (HeaderName::from_static("x-forwarded-uri"), format!("{}{}", place.prefix, place.path.split('?').next().unwrap_or_default())),
    ];
    for (name, value) in rows {
        if let Ok(value) = HeaderValue::from_str(&value) {
            out.insert(name, value);
        }
    }
    out
}

/// A response's headers, as the client gets them.
pub(super) fn inward(headers: &HeaderMap, place: &Place, switched: bool) -> HeaderMap {
    let mut out = passed(headers, switched);
    OF_OTHER_SITES.iter().for_each(|name| _ = out.remove(name));
    let location = text(headers, header::LOCATION).unwrap_or_default();
    if let Some(seen) = Some(location).filter(|l| !l.is_empty()).and_then(|location| HeaderValue::from_str(&place.seen(location)).ok()) {
        out.insert(header::LOCATION, seen);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use state_client::connect::ProxyTarget;

    fn headers(rows: &[(&str, &str)]) -> HeaderMap {
        rows.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    fn place() -> Place {
        let text = str::to_owned;
        let target = ProxyTarget { node: text("n"), namespace: text("a"), pod: text("p"), uid: text("u"), address: text("10.0.0.1"), port: 80, tls: false };
        Place::new(&"/api/v1/proxy/x".parse().unwrap(), "/x", &headers(&[("host", "api")]), &target)
    }

    #[test]
    fn what_is_the_clients_own_stays_here() {
        let got = outward(
            &headers(&[
                ("authorization", "Bearer secret"),
                ("impersonate-user", "root"),
                ("x-remote-group", "system:masters"),
                ("connection", "close, x-hop"),
                ("x-hop", "1"),
                ("te", "trailers"),
                ("accept", "text/html,*/*"),
                ("accept-encoding", "gzip"),
                ("x-kept", "1"),
                ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.YQ, chat"),
            ]),
            &place(),
        );
        let mut rows: Vec<String> = got.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        rows.sort();
        assert_eq!(
            rows,
            [
                "accept: text/html,*/*",
                "host: api",
                "sec-websocket-protocol: chat",
                "x-forwarded-host: api",
                "x-forwarded-proto: https",
                "x-forwarded-uri: /api/v1/proxy/x",
                "x-kept: 1"
            ]
        );
    }

    #[test]
    fn a_switch_is_passed_on() {
        let asked = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "k")]);
        assert!(upgrade(&asked) && !upgrade(&headers(&[("upgrade", "h2c")])));
        let got = outward(&asked, &place());
        assert_eq!((text(&got, header::UPGRADE).unwrap_or_default(), text(&got, header::CONNECTION).unwrap_or_default()), ("websocket", "Upgrade"));
        assert!(!inward(&asked, &place(), false).contains_key(header::UPGRADE));
    }

    #[test]
    fn answers_lead_back() {
        let got = inward(&headers(&[("location", "/y"), ("access-control-allow-origin", "*"), ("set-cookie", "a=b")]), &place(), false);
        assert_eq!(got, headers(&[("location", "/api/v1/proxy/y"), ("set-cookie", "a=b")]));
    }
}
