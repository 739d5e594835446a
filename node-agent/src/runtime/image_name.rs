//! Names of images: `[host[:port]/]path[:tag][@digest]`, and what is meant where a part is left out.

/// Where names without a host lead, as everywhere in Kubernetes.
const HUB: &str = "docker.io";

/// Host and the rest; no host where the first step can't be one.
fn split(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), rest),
        _ => (None, name),
    }
}

/// The registry that an image comes from.
pub fn registry(image: &str) -> &str {
    split(image).0.unwrap_or(HUB)
}

/// The name with nothing left out but the tag: `nginx` is `docker.io/library/nginx`.
pub fn full(image: &str) -> String {
    match split(image) {
        (Some(_), _) => image.to_owned(),
        (None, path) if path.contains('/') => format!("{HUB}/{path}"),
        (None, path) => format!("{HUB}/library/{path}"),
    }
}

/// `registry.example:5000`, `[::1]:5000`. What ends with a colon is no host but a way to something else: `dir:/etc`.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let label = |l: &str| !l.is_empty() && !l.starts_with('-') && !l.ends_with('-') && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let address = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    port.is_none_or(|p| p.parse::<u16>().is_ok()) && (address || name.split('.').all(label))
}

/// Whether it is a name.
///
/// # Errors
/// Why not.
pub fn check(image: &str) -> Result<(), &'static str> {
    const BAD: &str = "invalid reference format";
    let (name, digest) = image.split_once('@').map_or((image, None), |(n, d)| (n, Some(d)));
    let (path, tag) = match name.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (name, None),
    };
    let tag_ok =
        tag.is_none_or(|t| !t.is_empty() && t.len() <= 128 && t.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) && !t.starts_with(['.', '-']));
    let digest_ok = digest.is_none_or(|d| {
        d.split_once(':').is_some_and(|(algorithm, hex)| !algorithm.is_empty() && hex.len() >= 32 && hex.chars().all(|c| c.is_ascii_hexdigit()))
    });
    let (host, rest) = split(path);
    let host_ok = host.is_none_or(is_host);
    if rest.chars().any(|c| c.is_ascii_uppercase()) {
        return Err("invalid reference format: repository name must be lowercase");
    }
    let step_ok = |s: &str| {
        let executor = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        executor(s.chars().next()) && executor(s.chars().last()) && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
    };
    if tag_ok && digest_ok && host_ok && rest.split('/').all(step_ok) { Ok(()) } else { Err(BAD) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for good in [
            "nginx",
            "nginx:1.27",
            "localhost/busybox:1",
            "[::1]:5000/a",
            "registry:5000/a/b_c:x",
            "a.b/c@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "nginx:",
            "a//b",
            "!",
            "a:b c",
            "-x",
            "a/",
            "x@sha256:1",
            "dir:/etc",
            "docker-archive:/etc/x",
            "docker://x",
            "a.b:/x",
            "a.b:99999/x",
            "[x]/y",
            "../x",
            "./x",
            "a.-/x",
        ] {
            assert_eq!(check(bad), Err("invalid reference format"), "{bad}");
        }
        assert_eq!(check("Nginx"), Err("invalid reference format: repository name must be lowercase"));
    }

    #[test]
    fn what_is_left_out_is_the_hub() {
        for (image, host, want) in [
            ("nginx", "docker.io", "docker.io/library/nginx"),
            ("nginx:1", "docker.io", "docker.io/library/nginx:1"),
            ("team/app", "docker.io", "docker.io/team/app"),
            ("r:5000/x", "r:5000", "r:5000/x"),
            ("localhost/x:1", "localhost", "localhost/x:1"),
        ] {
            assert_eq!((registry(image), full(image).as_str()), (host, want));
        }
    }
}
