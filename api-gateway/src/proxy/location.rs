//! Addresses of what is passed on: what the pod is asked for, and how the links that it answers with lead back through here.
use crate::body::text;
use http::{HeaderMap, Uri, header};
use state_client::connect::ProxyTarget;

/// Where a request goes, and where its client believes to be.
pub(super) struct Place {
    /// The path before what the pod is asked for: `/api/v1/namespaces/n/pods/p/proxy`.
    pub prefix: String,
    /// The path, with its query, that the pod is asked for.
    pub path: String,
    /// The host that the client asked.
    pub host: String,
    /// What the pod may call itself.
    own: [String; 2],
}

impl Place {
    /// Of a request whose path ends with `rest`, to a pod.
    pub fn new(uri: &Uri, rest: &str, headers: &HeaderMap, target: &ProxyTarget) -> Self {
        let prefix = uri.path().strip_suffix(rest).unwrap_or(uri.path()).to_owned();
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{query}", if rest.is_empty() { "/" } else { rest });
        let host = match text(headers, header::HOST).unwrap_or_default() {
            "" => uri.authority().map(ToString::to_string).unwrap_or_default(),
            host => host.to_owned(),
        };
        let own = [target.address.clone(), format!("{}:{}", target.address, target.port)];
        Self { prefix, path, host, own }
    }

    /// An address that the pod answers with, as the client is to use it: those of the pod itself lead through here.
    pub fn seen(&self, address: &str) -> String {
        let (host, path) = match address.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))) {
            Some((_, rest)) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
            None => match address.strip_prefix("//") {
                Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
                None => ("", address),
            },
        };
        let foreign = !host.is_empty() && host != self.host && !self.own.iter().any(|own| own == host);
        let path = if !host.is_empty() && path.is_empty() { "/" } else { path };
        if foreign || !path.starts_with('/') {
            return address.to_owned();
        }
        within(&self.prefix, path)
    }
}

/// An absolute path below a prefix, unless it is there.
pub(super) fn within(prefix: &str, path: &str) -> String {
    let is_there = path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']));
    if is_there { path.to_owned() } else { format!("{prefix}{path}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(uri: &str, rest: &str) -> Place {
        let headers = HeaderMap::from_iter([(header::HOST, "api:6443".parse().unwrap())]);
        let text = str::to_owned;
        let target = ProxyTarget { node: text("n"), namespace: text("a"), pod: text("p"), uid: text("u"), address: text("10.0.0.1"), port: 80, tls: false };
        Place::new(&uri.parse().unwrap(), rest, &headers, &target)
    }

    #[test]
    fn a_request_is_split() {
        let got = place("/api/v1/namespaces/a/pods/p:80/proxy/x%2Fy/?a=b", "/x%2Fy/");
        assert_eq!((got.prefix.as_str(), got.path.as_str()), ("/api/v1/namespaces/a/pods/p:80/proxy", "/x%2Fy/?a=b"));
        let got = place("/api/v1/namespaces/a/pods/p/proxy", "");
        assert_eq!((got.prefix.as_str(), got.path.as_str()), ("/api/v1/namespaces/a/pods/p/proxy", "/"));
    }

    #[test]
    fn links_to_the_pod_lead_through_here() {
        let place = place("/api/v1/namespaces/a/pods/p/proxy/x", "/x");
        let p = "/api/v1/namespaces/a/pods/p/proxy";
        let rows = [
            ("/y?a=b#c", format!("{p}/y?a=b#c")),
            ("http://10.0.0.1/y", format!("{p}/y")),
            ("http://10.0.0.1:80", format!("{p}/")),
            ("https://api:6443/y/", format!("{p}/y/")),
            ("//api:6443/y", format!("{p}/y")),
            ("http://example.com/y", "http://example.com/y".to_owned()),
            ("//example.com/y", "//example.com/y".to_owned()),
            ("y", "y".to_owned()),
            ("?a=http://10.0.0.1/", "?a=http://10.0.0.1/".to_owned()),
            (&format!("{p}/y"), format!("{p}/y")),
            (&format!("{p}y"), format!("{p}{p}y")),
        ];
        for (given, want) in rows {
            assert_eq!(place.seen(given), want, "{given}");
        }
    }
}
