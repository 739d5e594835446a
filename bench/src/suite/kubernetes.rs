//! Kubernetes as it is measured beside Whalesong: etcd, kube-apiserver, kube-controller-manager and kube-scheduler on this machine, with their
//! defaults but for what would hold them back on one machine: no limits on the requests of their clients, no elections.
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

const TOKEN: &str = "bench";
/// No client waits because of a limit of its own.
const UNLIMITED: [&str; 3] = ["--kube-api-qps=100000", "--kube-api-burst=100000", "--leader-elect=false"];

/// Its programs, and the ports of one cluster.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    programs: PathBuf,
    etcd: u16,
    peers: u16,
    api: u16,
}

impl Kubernetes {
    /// With programs from a directory, on ports that are free now.
    ///
    /// # Errors
    /// When there are no ports, or a program isn't there.
    pub fn new(programs: &Path) -> io::Result<Self> {
        for program in ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let path = programs.join(program);
            fs::metadata(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        }
        // held together, so that they differ
        let held = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let [etcd, peers, api] = held.each_ref().map(|listener| listener.local_addr().map(|address| address.port()));
        Ok(Self { programs: programs.to_owned(), etcd: etcd?, peers: peers?, api: api? })
    }

    fn program(&self, name: &str) -> Command {
        Command::new(self.programs.join(name))
    }

    /// etcd and the API server, with the kubeconfig of an administrator in `data`.
    ///
    /// # Errors
    /// When a file can't be written, or `openssl` isn't there.
    pub fn api(&self, data: &Path) -> io::Result<[Command; 2]> {
        let tokens = data.join("tokens.csv");
        fs::write(&tokens, format!("{TOKEN},bench,bench,system:masters\n"))?;
        fs::write(data.join("kubeconfig"), self.kubeconfig().to_string())?;
        let key = data.join("accounts.key");
        let made = Command::new("openssl").args(["genrsa", "-out"]).arg(&key).arg("2048").output()?;
        if !made.status.success() {
            return Err(io::Error::other(format!("openssl genrsa: {}", String::from_utf8_lossy(&made.stderr))));
        }
        let (clients, peers) = (format!("http://127.0.0.1:{}", self.etcd), format!("http://127.0.0.1:{}", self.peers));
        let mut etcd = self.program("etcd");
        etcd.arg("--data-dir").arg(data.join("etcd")).args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        etcd.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers, "--initial-cluster", &format!("default={peers}")]);
        let mut api = self.program("kube-apiserver");
        api.args(["--etcd-servers", &clients, "--bind-address", "127.0.0.1", "--secure-port", &self.api.to_string(), "--cert-dir"])
            .arg(data.join("certificates"));
        api.args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16", "--service-account-issuer=https://kubernetes.default.svc"]);
        api.arg("--token-auth-file").arg(tokens).arg("--service-account-key-file").arg(&key).arg("--service-account-signing-key-file").arg(&key);
        Ok([etcd, api])
    }

    /// The controllers and the scheduler: both give up when the API doesn't answer yet.
    pub fn controllers(&self, data: &Path) -> [Command; 2] {
        let mut controllers = self.program("kube-controller-manager");
        controllers.arg("--service-account-private-key-file").arg(data.join("accounts.key"));
        let mut all = [controllers, self.program("kube-scheduler")];
        all.iter_mut().for_each(|command| _ = command.args(UNLIMITED).arg("--kubeconfig").arg(data.join("kubeconfig")));
        all
    }

    /// JSON is YAML.
    fn kubeconfig(&self) -> serde_json::Value {
        let cluster = serde_json::json!({"server": format!("https://127.0.0.1:{}", self.api), "insecure-skip-tls-verify": true});
        serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": cluster}],
            "users": [{"name": "bench", "user": {"token": TOKEN}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("etcd"), "").expect("written");
        let error = Kubernetes::new(directory.path()).expect_err("there is no API server");
        assert!(error.to_string().contains("kube-apiserver"), "{error}");
    }
}
