//! The headers of a probe's or a hook's request: those that are given take the place of the default ones.
use k8s_openapi::api::core::v1::HTTPHeader;
use std::collections::BTreeMap;

/// What Kubernetes' agents of this version say they are: `kube-probe/1.37`.
const VERSION: &str = "1.37";
/// What a request says by itself.
const OWN: [&str; 5] = ["host", "user-agent", "content-length", "transfer-encoding", "trailer"];

/// A request's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// `Host`, where it is given.
    pub host: Option<String>,
    /// `User-Agent`, unless it was taken away.
    pub agent: Option<String>,
    /// The others, by name in lower case.
    pub others: Vec<(String, String)>,
}

impl Headers {
    /// Those that are given, and the default ones for a purpose (`probe`, `lifecycle`). An empty `User-Agent` or `Accept` takes the default one away.
    pub fn new(given: &[HTTPHeader], purpose: &str) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for header in given {
            all.entry(header.name.to_ascii_lowercase()).or_default().push(header.value.clone());
        }
        let first = |name: &str| all.get(name).map(|values| values.first().cloned().unwrap_or_default());
        let (host, agent, accept) = (first("host"), first("user-agent"), first("accept"));
        match accept.as_deref() {
            None => drop(all.insert("accept".to_owned(), vec!["*/*".to_owned()])),
            Some("") => drop(all.remove("accept")),
            Some(_) => {}
        }
        let agent = agent.unwrap_or_else(|| format!("kube-{purpose}/{VERSION}"));
        let others = all.into_iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
        Self {
            host: host.filter(|h| !h.is_empty()),
            agent: Some(agent).filter(|a| !a.is_empty()),
            others: others.flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(given: &[(&str, &str)]) -> String {
        let given: Vec<HTTPHeader> = given.iter().map(|(name, value)| HTTPHeader { name: (*name).to_owned(), value: (*value).to_owned() }).collect();
        let Headers { host, agent, others } = Headers::new(&given, "probe");
        let own = [("host", host), ("user-agent", agent)].into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        own.chain(others.iter().map(|(name, value)| format!("{name}={value}"))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn given_headers_take_the_place_of_the_default_ones() {
        let rows: [(&[(&str, &str)], &str); 8] = [
            (&[], "user-agent=kube-probe/1.37 accept=*/*"),
            (&[("User-Agent", "x")], "user-agent=x accept=*/*"),
            (&[("user-agent", "x"), ("USER-AGENT", "y")], "user-agent=x accept=*/*"),
            (&[("User-Agent", ""), ("Accept", "")], ""),
            (&[("accept", "text/plain")], "user-agent=kube-probe/1.37 accept=text/plain"),
            (&[("Host", "web"), ("Content-Length", "5")], "host=web user-agent=kube-probe/1.37 accept=*/*"),
            (&[("Host", "")], "user-agent=kube-probe/1.37 accept=*/*"),
            (&[("X-B", "2"), ("x-b", "3"), ("X-A", "")], "user-agent=kube-probe/1.37 accept=*/* x-a= x-b=2 x-b=3"),
        ];
        for (given, want) in rows {
            assert_eq!(shown(given), want, "{given:?}");
        }
    }
}
