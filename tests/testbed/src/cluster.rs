//! A cluster on simulated machines, and `kubectl` against it.
use crate::lab::Lab;
use crate::machine::Machine;
use crate::{eventually, output, run, whalesong};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// `whalesong up` on `node1` of a lab of its own.
pub struct Cluster {
    /// The machines: the first runs the control plane and its own node, the others an agent each.
    pub machines: Vec<Machine>,
    processes: Vec<Child>,
    /// Keep it last: machines go before their network.
    pub lab: Lab,
}

impl Cluster {
    /// A cluster of one machine, with its node unless `args` say `--no-node`; up when the API answers.
    ///
    /// # Panics
    /// When it doesn't come up within twenty seconds; its log is printed.
    pub fn start(args: &[&str]) -> Self {
        let mut cluster = Self::booted();
        cluster.up(args);
        cluster
    }

    /// One machine, with nothing on it yet.
    pub fn booted() -> Self {
        Self::booted_on(Lab::new())
    }

    /// The same on this lab.
    pub fn booted_on(lab: Lab) -> Self {
        let machine = Machine::boot(&lab, 1);
        Self { machines: vec![machine], processes: Vec::new(), lab }
    }

    /// The same as five processes, one role each, over a NATS server of its own.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn start_roles() -> Self {
        let mut cluster = Self::start_control_plane();
        cluster.again("agent");
        cluster
    }

    /// The same with simulated nodes instead of a real one, in a process that is told to with `agent --hollow`.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn start_hollow(nodes: u32) -> Self {
        let mut cluster = Self::start_control_plane();
        let (data, nodes) = (cluster.data(), nodes.to_string());
        let child = cluster.machines[0].whalesong(&["agent", "--hollow", &nodes, "--data", data.to_str().unwrap(), "--log", "info"], "agent.log");
        cluster.processes.push(child);
        cluster
    }

    /// The processes of the control plane, one role each, over a NATS server of its own.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn start_control_plane() -> Self {
        let mut cluster = Self::booted();
        let (machine, data) = (&cluster.machines[0], cluster.data());
        let data = data.to_str().unwrap();
        let nats = machine.command("nats-server").args(["-js", "-a", "127.0.0.1", "-sd", &format!("{data}-nats")]).stderr(std::process::Stdio::null()).spawn();
        let mut processes = vec![nats.unwrap()];
        eventually("nats-server listens", Duration::from_secs(10), || {
            let out = output(machine.command("bash").args(["-c", "exec 3<>/dev/tcp/127.0.0.1/4222"]));
            if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
        });
        processes.push(machine.whalesong(&["state", "--data", data], "state.log"));
        eventually("the keys are made", Duration::from_secs(10), || {
            cluster.data().join("pki/sa.pub").exists().then_some(()).ok_or_else(|| "not yet".to_owned())
        });
        cluster.processes = processes;
        for role in ["gateway", "scheduler", "controllers"] {
            cluster.again(role);
        }
        cluster
    }

    /// Starts one role on the first machine.
    ///
    /// # Panics
    /// When it can't be started, or the API doesn't answer afterwards.
    pub fn again(&mut self, role: &str) {
        self.role(role, &self.data());
    }

    /// The same, on a data directory of its own.
    ///
    /// # Panics
    /// As [`Cluster::again`].
    pub fn role(&mut self, role: &str, data: &Path) {
        let (data, listen, kubeconfig) = (data.to_str().unwrap(), format!("{}:6443", self.machines[0].address), self.data().join("kubeconfig"));
        let own: &[&str] = match role {
            "gateway" => &["--listen", &listen, "--kubeconfig", kubeconfig.to_str().unwrap()],
            "agent" => &["--node-name", "node1"],
            _ => &[],
        };
        let args = [&[role, "--data", data, "--log", "info"], own].concat();
        let child = self.machines[0].whalesong(&args, "up.log");
        self.processes.push(child);
        self.answers();
    }

    /// What `whalesong status` says.
    ///
    /// # Panics
    /// When it fails.
    pub fn status(&self) -> String {
        run(self.machines[0].command(whalesong()).args(["status", "--data"]).arg(self.data()))
    }

    /// Starts `whalesong up` on the first machine.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub fn up(&mut self, args: &[&str]) {
        let (data, listen) = (self.data(), format!("{}:6443", self.machines[0].address));
        let mut all = vec!["up", "--data", data.to_str().unwrap(), "--listen", &listen, "--log", "info"];
        all.extend_from_slice(args);
        let child = self.machines[0].whalesong(&all, "up.log");
        self.processes.push(child);
        self.answers();
    }

    /// Starts a program on the first machine, which ends with the cluster.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn run_beside(&mut self, program: &str, args: &[&str]) {
        let child = self.machines[0].command(program).args(args).stderr(std::process::Stdio::null()).spawn();
        self.processes.push(child.unwrap());
    }

    fn answers(&self) {
        eventually("the API answers", Duration::from_secs(20), || {
            let out = output(&mut self.kubectl(&["get", "--raw", "/readyz"]));
            if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
        });
    }

    /// The control plane's data directory.
    pub fn data(&self) -> PathBuf {
        self.machines[0].disk().join("data")
    }

    /// What the control plane logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.machines[0].disk().join("up.log")).unwrap_or_default()
    }

    /// The process of `whalesong up` (its nsenter).
    ///
    /// # Panics
    /// When it isn't running.
    pub fn control_plane(&mut self) -> &mut Child {
        self.processes.last_mut().unwrap()
    }

    /// Boots one more machine with an agent of its own.
    ///
    /// # Panics
    /// When the agent's credentials can't be made.
    pub fn join(&mut self) -> &Machine {
        let i = u8::try_from(self.machines.len() + 1).unwrap();
        let machine = Machine::boot(&self.lab, i);
        self.machines.push(machine);
        self.agent(self.machines.len() - 1);
        self.machines.last().unwrap()
    }

    /// Runs `whalesong` on the first machine, with its data.
    pub fn whalesong(&self, args: &[&str]) -> Command {
        let mut command = self.machines[0].command(whalesong());
        command.args(args).arg("--data").arg(self.data());
        command
    }

    /// Starts the agent of a machine that has joined, again after it or its machine was stopped.
    ///
    /// # Panics
    /// When the join token can't be made.
    pub fn agent(&mut self, machine: usize) {
        let token = run(&mut self.whalesong(&["token", "--node", &self.machines[machine].name]));
        std::fs::write(self.machines[machine].disk().join("token"), &token).unwrap();
        self.agent_with(machine, &["--token", token.trim()]);
    }

    /// The same with these arguments to be let in.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn agent_with(&mut self, machine: usize, access: &[&str]) {
        let (cidr, machine) = (Self::pod_cidr(machine), &self.machines[machine]);
        let nats = format!("nats://{}:4222", self.machines[0].address);
        let own = machine.disk().join("data");
        let args = ["agent", "--nats", &nats, "--node-name", &machine.name, "--pod-cidr", &cidr, "--data", own.to_str().unwrap(), "--log", "info"];
        let args = [&args[..], access].concat();
        let child = machine.whalesong(&args, "agent.log");
        self.processes.push(child);
    }

    /// The addresses of a joined machine's pods, by its place among the machines.
    pub fn pod_cidr(machine: usize) -> String {
        format!("10.244.{}.0/24", machine + 1)
    }

    /// `kubectl` with the administrator's kubeconfig.
    pub fn kubectl(&self, args: &[&str]) -> Command {
        let mut c = Command::new("kubectl");
        c.env("KUBECONFIG", self.data().join("kubeconfig")).env("KUBECACHEDIR", self.lab.path().join("cache")).args(args);
        c
    }

    /// Runs `kubectl`; what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn k(&self, args: &[&str]) -> String {
        run(&mut self.kubectl(args))
    }

    /// Runs `kubectl`, which must fail; what it complained of.
    ///
    /// # Panics
    /// When it succeeds.
    pub fn k_fails(&self, args: &[&str]) -> String {
        let out = output(&mut self.kubectl(args));
        assert!(!out.status.success(), "kubectl {args:?} succeeded: {}", String::from_utf8_lossy(&out.stdout));
        String::from_utf8_lossy(&out.stderr).into_owned()
    }

    /// An object or list as JSON.
    ///
    /// # Panics
    /// When `kubectl get` fails.
    pub fn get(&self, args: &[&str]) -> Value {
        let mut all = vec!["get", "-o", "json"];
        all.extend_from_slice(args);
        serde_json::from_str(&self.k(&all)).unwrap()
    }

    /// Waits until a node is Ready.
    ///
    /// # Panics
    /// When it isn't within a minute and a half.
    pub fn node_ready(&self, node: &str) {
        eventually("the node registers", Duration::from_secs(60), || {
            let out = output(&mut self.kubectl(&["get", "node", node]));
            if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
        });
        self.k(&["wait", "--for=condition=Ready", &format!("node/{node}"), "--timeout=30s"]);
    }

    /// Applies a manifest.
    ///
    /// # Panics
    /// When `kubectl apply` fails.
    pub fn apply(&self, manifest: &str) -> String {
        let file = self.lab.path().join("manifest.yaml");
        // kubectl takes what begins with a brace for JSON
        std::fs::write(&file, format!("---\n{manifest}")).unwrap();
        self.k(&["apply", "-f", file.to_str().unwrap()])
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for machine in &self.machines {
                for name in ["up.log", "agent.log"] {
                    let log = std::fs::read_to_string(machine.disk().join(name)).unwrap_or_default();
                    let from = log.len().saturating_sub(6000);
                    let from = (from..log.len()).find(|i| log.is_char_boundary(*i)).unwrap_or(0);
                    eprintln!("--- {} {name}\n{}", machine.name, &log[from..]);
                }
            }
        }
        // Their nsenters first: one whose program was stopped is stopped too, and a machine isn't gone before it has taken notice.
        for child in &mut self.processes {
            if let Err(e) = child.kill().and_then(|()| child.wait()) {
                eprintln!("a process of the cluster can't be ended: {e}");
            }
        }
        for machine in &mut self.machines {
            machine.pull_plug();
        }
    }
}

/// One HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status code.
    pub code: u16,
    /// Its body, where that is JSON.
    pub body: Value,
    /// Its body as it came.
    pub text: String,
}

impl Cluster {
    /// One HTTP request to the API, as the administrator or (with `Bearer …`) as somebody else.
    ///
    /// # Panics
    /// When curl can't be run or gets no answer.
    pub fn http(&self, method: &str, path: &str, headers: &[&str], body: Option<&[u8]>) -> Answer {
        let pki = self.data().join("pki");
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "20", "-X", method, "-w", "\n%{http_code}", "--cacert"]).arg(pki.join("ca.crt"));
        if !headers.iter().any(|h| h.starts_with("Authorization:")) {
            curl.arg("--cert").arg(pki.join("admin.crt")).arg("--key").arg(pki.join("admin.key"));
        }
        for header in headers {
            curl.args(["-H", header]);
        }
        if let Some(bytes) = body {
            let file = self.lab.path().join("body");
            std::fs::write(&file, bytes).unwrap();
            curl.arg("--data-binary").arg(format!("@{}", file.display()));
        }
        let out = run(curl.arg(format!("https://{}:6443{path}", self.machines[0].address)));
        let (text, code) = out.rsplit_once('\n').unwrap();
        Answer { code: code.parse().unwrap(), body: serde_json::from_str(text).unwrap_or(Value::Null), text: text.to_owned() }
    }
}
