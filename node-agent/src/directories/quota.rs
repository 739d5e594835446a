//! Keeps a directory within its size by the project quotas of XFS and ext4, where the file system was mounted with them and their programs are there.
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// How long a program may take: it goes through all that is in a directory.
const LONGEST: Duration = Duration::from_secs(300);

/// What keeps directories of a file system within their sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcer {
    /// XFS that is mounted there with `prjquota`.
    Xfs(PathBuf),
    /// ext4 that is mounted there with `prjquota`.
    Ext4(PathBuf),
    /// Nothing, and why.
    None(String),
}

impl Enforcer {
    /// What there is for the file system that a directory is on.
    pub fn of(dir: &Path) -> Self {
        let table = match (std::fs::read("/proc/self/mountinfo"), dir.canonicalize()) {
            (Ok(table), Ok(dir)) => return find(&table, &dir),
            (Err(e), _) | (_, Err(e)) => e,
        };
        Self::None(table.to_string())
    }

    /// Sets a directory's size.
    ///
    /// # Errors
    /// Why it isn't enforced.
    pub async fn set(&self, dir: &Path, project: u32, bytes: u64) -> Result<(), String> {
        for (program, arguments) in self.commands(dir, project, bytes)? {
            run(program, &arguments).await?;
        }
        Ok(())
    }

    /// What is run for that.
    fn commands(&self, dir: &Path, project: u32, bytes: u64) -> Result<Vec<(&'static str, Vec<String>)>, String> {
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| format!("{} is no text", path.display()));
        match self {
            Self::None(why) => Err(why.clone()),
            Self::Xfs(mounted) => {
                let path = text(dir)?;
                // the program has a language of its own
                if !path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-%".contains(c)) {
                    return Err(format!("xfs_quota does not understand the path {path:?}"));
                }
                let command = |line: String| vec!["-x".to_owned(), "-c".to_owned(), line];
                let mut assign = command(format!("project -s -p {path} {project}"));
                let mut limit = command(format!("limit -p bhard={bytes} {project}"));
                assign.push(text(mounted)?);
                limit.push(text(mounted)?);
                Ok(vec![("xfs_quota", assign), ("xfs_quota", limit)])
            }
            Self::Ext4(mounted) => {
                let kib = bytes.div_ceil(1024).to_string();
                let assign = ["-R", "-p", &project.to_string(), "+P", &text(dir)?].map(str::to_owned).to_vec();
                let limit = ["-P", &project.to_string(), "0", &kib, "0", "0", &text(mounted)?].map(str::to_owned).to_vec();
                Ok(vec![("chattr", assign), ("setquota", limit)])
            }
        }
    }
}

async fn run(program: &str, arguments: &[String]) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
    match tokio::time::timeout(LONGEST, command.output()).await {
        Ok(Ok(done)) if done.status.success() => Ok(()),
        Ok(Ok(done)) => Err(format!("{program} failed: {}", String::from_utf8_lossy(&done.stderr).trim())),
        Ok(Err(e)) => {
            let mut why = format!("{program} cannot be run: {e}");
            if e.kind() == std::io::ErrorKind::NotFound {
                // writing to a String can't fail
                write!(why, "; it comes with {}", if program == "xfs_quota" { "xfsprogs" } else { "quota and e2fsprogs" }).map_err(|e| e.to_string())?;
            }
            Err(why)
        }
        Err(_) => Err(format!("{program} took longer than {LONGEST:?}")),
    }
}

/// Reads the kernel's mount table: the mount that holds a directory is the longest, and of equal ones the last.
fn find(table: &[u8], dir: &Path) -> Enforcer {
    let text = String::from_utf8_lossy(table);
    let mount = |line: &str| -> Option<(PathBuf, String, String)> {
        let (before, after) = line.split_once(" - ")?;
        let target = crate::mounts::targets(before.as_bytes()).next()?;
        let mut fields = after.split(' ');
        let (kind, _source, options) = (fields.next()?, fields.next()?, fields.next()?);
        Some((target, kind.to_owned(), options.to_owned()))
    };
    let holds = |(target, ..): &(PathBuf, String, String)| dir.starts_with(target);
    let Some((target, kind, options)) = text.lines().filter_map(mount).filter(holds).max_by_key(|(target, ..)| target.components().count()) else {
        return Enforcer::None("no file system holds the directory".to_owned());
    };
    let counted = options.split(',').any(|option| matches!(option, "prjquota" | "pquota"));
    match (kind.as_str(), counted) {
        ("xfs", true) => Enforcer::Xfs(target),
        ("ext4", true) => Enforcer::Ext4(target),
        ("xfs" | "ext4", false) => Enforcer::None(format!("{kind} at {} is mounted without prjquota", target.display())),
        _ => Enforcer::None(format!("{kind} at {} has no project quotas", target.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"21 1 0:1 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/x\n\
        22 21 8:1 / /xfs rw shared:2 - xfs /dev/sda1 rw,attr2,prjquota\n\
        23 21 8:2 / /ext rw - ext4 /dev/sda2 rw,prjquota\n\
        24 22 8:3 / /xfs/plain rw - xfs /dev/sda3 rw,noquota\n";

    #[test]
    fn the_file_system_decides() {
        let rows = [
            ("/xfs/volumes/a", Enforcer::Xfs("/xfs".into())),
            ("/ext", Enforcer::Ext4("/ext".into())),
            ("/xfs/plain/a", Enforcer::None("xfs at /xfs/plain is mounted without prjquota".into())),
            ("/var/lib", Enforcer::None("overlay at / has no project quotas".into())),
            ("/xfsother", Enforcer::None("overlay at / has no project quotas".into())),
        ];
        for (dir, want) in rows {
            assert_eq!(find(TABLE, Path::new(dir)), want, "{dir}");
        }
    }

    #[test]
    fn programs_get_the_directory_its_project_and_the_size() {
        let lines = |enforcer: Enforcer, dir: &str| {
            let commands = enforcer.commands(Path::new(dir), 7, 1500);
            commands.map(|all| all.into_iter().map(|(program, words)| format!("{program} {}", words.join(" "))).collect::<Vec<_>>())
        };
        assert_eq!(lines(Enforcer::Xfs("/x".into()), "/x/v").unwrap(), ["xfs_quota -x -c project -s -p /x/v 7 /x", "xfs_quota -x -c limit -p bhard=1500 7 /x"]);
        assert_eq!(lines(Enforcer::Ext4("/e".into()), "/e/v").unwrap(), ["chattr -R -p 7 +P /e/v", "setquota -P 7 0 2 0 0 /e"]);
        assert!(lines(Enforcer::Xfs("/x".into()), "/x/a b").is_err());
        assert_eq!(lines(Enforcer::None("why".into()), "/x"), Err("why".to_owned()));
    }
}
