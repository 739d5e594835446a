//! A simulated node machine.
use crate::lab::{HIDE_HYBRID, Lab};
use crate::{eventually, output, run, sh, whalesong};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where a registry on the machine itself is reached without TLS. Each machine has a loopback of its own.
pub const REGISTRY: &str = "127.0.0.1:5000";

/// A machine of its own as far as its processes can tell: own network, mounts, host name, IPC and process numbers.
pub struct Machine {
    /// Its host name: `node1`.
    pub name: String,
    /// Its address on the lab's bridge.
    pub address: String,
    dir: PathBuf,
    netns: String,
    cable: String,
    images: PathBuf,
    /// The first process of its PID namespace, as this machine sees it.
    init: Option<u32>,
    unshare: Option<Child>,
}

impl Machine {
    /// Boots machine `i` (1 to 200) of a lab.
    ///
    /// # Panics
    /// When the kernel refuses a namespace.
    pub fn boot(lab: &Lab, i: u8) -> Self {
        let (netns, cable, address) = (lab.netns(i), lab.cable(i), lab.address(10 + i));
        let dir = lab.path().join(format!("node{i}"));
        std::fs::create_dir_all(&dir).unwrap();
        run(&mut sh(&format!(
            "ip netns add {netns}; ip link add {cable} type veth peer name eth0 netns {netns}; ip link set {cable} master {bridge} up
             ip -n {netns} addr add {address}/24 dev eth0; ip -n {netns} link set lo up; ip -n {netns} link set eth0 up; ip -n {netns} route add default via {gateway}",
            bridge = lab.bridge(),
            gateway = lab.address(1),
        )));
        let mut machine = Self { name: format!("node{i}"), address, dir, netns, cable, images: lab.images().to_owned(), init: None, unshare: None };
        machine.power_on();
        machine
    }

    /// Boots it again after [`Machine::pull_plug`]; its disk is as it was.
    ///
    /// # Panics
    /// When it is on already or can't be started.
    pub fn power_on(&mut self) {
        assert!(self.unshare.is_none(), "{} is on", self.name);
        std::fs::write(self.dir.join("storage.conf"), self.storage_conf()).unwrap();
        std::fs::write(self.dir.join("registries.conf"), format!("[[registry]]\nlocation = \"{REGISTRY}\"\ninsecure = true\n")).unwrap();
        let ready = self.dir.join("ready");
        match std::fs::remove_file(&ready) {
            Ok(()) => {}
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::NotFound),
        }
        let script = format!(
            "hostname {name}; mount -t tmpfs run /run; {HIDE_HYBRID}; mount -t tmpfs shm /dev/shm; mkdir -p /run/lock /run/netns
             echo 1 > /proc/sys/net/ipv4/ip_forward
             : > {ready}; exec sleep infinity",
            name = self.name,
            ready = ready.display()
        );
        let log = File::create(self.dir.join("machine.log")).unwrap();
        let mut unshare = Command::new("nsenter");
        unshare.arg(format!("--net=/run/netns/{}", self.netns));
        unshare.args(["unshare", "-m", "-u", "-i", "-p", "-f", "--kill-child=SIGKILL", "--mount-proc", "--propagation", "slave", "bash", "-c", &script]);
        let child = unshare.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let pid = child.id();
        self.unshare = Some(child);
        eventually("the machine boots", Duration::from_secs(10), || ready.exists().then_some(()).ok_or_else(|| "no sign of it".into()));
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        self.init = Some(children.split_whitespace().next().unwrap().parse().unwrap());
    }

    fn storage_conf(&self) -> String {
        format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{root}\"\nrunroot = \"/run/containers/storage\"\n[storage.options]\nadditionalimagestores = [\"{images}\"]\n",
            root = self.dir.join("containers").display(),
            images = self.images.join("root").display()
        )
    }

    /// A command that runs on it.
    ///
    /// # Panics
    /// When it is off.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let init = self.init.unwrap_or_else(|| panic!("{} is off", self.name));
        let mut c = Command::new("nsenter");
        c.args(["-t", &init.to_string(), "-n", "-m", "-u", "-i", "-p", "--"]).arg(program);
        c.env("CONTAINERS_STORAGE_CONF", self.dir.join("storage.conf")).env("CONTAINERS_REGISTRIES_CONF", self.dir.join("registries.conf"));
        c
    }

    /// The file of its network namespace.
    pub fn netns(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.netns)
    }

    /// A shell script that runs on it; its output.
    ///
    /// # Panics
    /// When it fails.
    pub fn sh(&self, script: &str) -> String {
        run(self.command("bash").arg("-ec").arg(script))
    }

    /// Starts `whalesong` on it in the background, its output in `<name>.log` of the machine's directory.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn whalesong(&self, args: &[&str], log: &str) -> Child {
        let log = File::options().create(true).append(true).open(self.dir.join(log)).unwrap();
        self.command(whalesong()).args(args).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// Its disk.
    pub fn disk(&self) -> &Path {
        &self.dir
    }

    /// `kill -9` of everything on it, at once.
    pub fn pull_plug(&mut self) {
        let Some(mut unshare) = self.unshare.take() else { return };
        if let Some(init) = self.init.take() {
            output(Command::new("kill").args(["-9", &init.to_string()]));
        }
        unshare.wait().unwrap();
        // what its containers had mounted goes with its mount namespace; their cgroups stay behind
        let script = format!("for c in /sys/fs/cgroup/*/; do find $c -depth -type d -path '*{}*' -exec rmdir {{}} \\; 2>/dev/null; done; true", self.netns);
        output(Command::new("bash").arg("-c").arg(script));
    }

    /// Pulls its network cable.
    ///
    /// # Panics
    /// When there is no such link.
    pub fn unplug(&self) {
        run(Command::new("ip").args(["link", "set", &self.cable, "down"]));
    }

    /// Puts its network cable back.
    ///
    /// # Panics
    /// When there is no such link.
    pub fn plug(&self) {
        run(Command::new("ip").args(["link", "set", &self.cable, "up"]));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.pull_plug();
        output(Command::new("ip").args(["link", "del", &self.cable]));
    }
}
