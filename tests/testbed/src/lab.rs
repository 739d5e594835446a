//! A bridge that simulated machines hang on, and the images that they share.
use crate::{output, run, sh};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Shell lines that make Podman usable on machines with a hybrid cgroup hierarchy; they change only the caller's own mount namespace.
pub const HIDE_HYBRID: &str = "mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified || true";

/// One test's network, with its own directory on a tmpfs.
pub struct Lab {
    /// Everything of this lab; unmounted and removed at the end.
    dir: TempDir,
    /// Which /24 it has, and part of the names of its links.
    subnet: u8,
    /// Holds `subnet` against tests in other processes.
    _claim: File,
    images: PathBuf,
}

impl Lab {
    /// A lab of its own.
    ///
    /// # Panics
    /// When this isn't root, or something that it needs is missing.
    pub fn new() -> Self {
        Self::with_images(images())
    }

    /// The same with this image store; `root` in it is what Podman reads.
    ///
    /// # Panics
    /// As [`Lab::new`].
    pub fn with_images(images: PathBuf) -> Self {
        assert!(rustix::process::geteuid().is_root(), "the end-to-end tests need root: they make network namespaces and run Podman");
        let (subnet, claim) = claim_subnet();
        let dir = tempfile::Builder::new().prefix("whalesong-lab-").tempdir().unwrap();
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=6g", "lab"]).arg(dir.path()));
        let lab = Self { dir, subnet, _claim: claim, images };
        lab.clear_links();
        let bridge = lab.bridge();
        run(&mut sh(&format!("ip link add {bridge} type bridge; ip addr add {}/24 dev {bridge}; ip link set {bridge} up", lab.address(1))));
        lab
    }

    /// The lab's directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
    /// The image store that all machines read.
    pub fn images(&self) -> &Path {
        &self.images
    }
    /// The bridge's name.
    pub fn bridge(&self) -> String {
        format!("wslab{}", self.subnet)
    }
    /// An address of the lab's /24; 1 is this machine's own.
    pub fn address(&self, host: u8) -> String {
        format!("10.90.{}.{host}", self.subnet)
    }
    /// The name of machine `i`'s network namespace.
    pub fn netns(&self, i: u8) -> String {
        format!("wslab{}-{i}", self.subnet)
    }
    /// The name of this end of machine `i`'s cable.
    pub fn cable(&self, i: u8) -> String {
        format!("wsl{}n{i}", self.subnet)
    }

    fn clear_links(&self) {
        let (bridge, cables) = (self.bridge(), format!("wsl{}n", self.subnet));
        let script = format!(
            "for l in {bridge} $(ip -br link | awk -F'[@ ]' '/^{cables}[0-9]/ {{ print $1 }}'); do ip link del $l 2>/dev/null; done
             for n in $(ip netns list | awk '/^{bridge}-/ {{ print $1 }}'); do ip netns del $n; done; true",
        );
        run(Command::new("bash").arg("-c").arg(script));
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.clear_links();
        // what servers that were killed held in memory
        let script = r#"find "$0" -path '*/nats/staging' -type l | while read -r note; do rm -rf "$(readlink "$note")"; done"#;
        output(Command::new("bash").args(["-c", script]).arg(self.dir.path()));
        output(Command::new("umount").args(["-R", "-l"]).arg(self.dir.path()));
    }
}

fn claim_subnet() -> (u8, File) {
    for subnet in 0..=255 {
        let file = File::create(std::env::temp_dir().join(format!("whalesong-lab-{subnet}.lock"))).unwrap();
        if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok() {
            return (subnet, file);
        }
    }
    panic!("256 labs are in use on this machine")
}

/// The store with `localhost/busybox:1` and `localhost/web:v1` and `:v2`, made once and read by all machines.
fn images() -> PathBuf {
    let root = crate::target_dir().join("e2e-images");
    std::fs::create_dir_all(&root).unwrap();
    let lock = File::create(root.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/images");
    run(Command::new("bash").arg(script).env("STORE", &root));
    root
}
