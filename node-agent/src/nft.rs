//! Hands whole rulesets to nftables: each script is one transaction.
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a ruleset may take.
const LONGEST: Duration = Duration::from_secs(60);

/// Why a ruleset wasn't taken.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// nft isn't there.
    #[error("nft cannot be started ({0}): install nftables")]
    NotInstalled(std::io::Error),
    /// The script didn't get to it.
    #[error("nft did not read its script: {0}")]
    Pipe(std::io::Error),
    /// It doesn't come to an end.
    #[error("nft took longer than {0:?}")]
    Late(Duration),
    /// It refused.
    #[error("nft refused the ruleset: {0}")]
    Refused(String),
}

/// Applies a script, wholly or not at all.
///
/// # Errors
/// [`NftError`], with nft's words.
pub async fn apply(script: &str) -> Result<(), NftError> {
    run(&["-f", "-"], script).await
}

/// Whether nftables would take a script; nothing is changed.
///
/// # Errors
/// [`NftError`], with nft's words.
pub async fn check(script: &str) -> Result<(), NftError> {
    run(&["-c", "-f", "-"], script).await
}

async fn run(args: &[&str], script: &str) -> Result<(), NftError> {
    let mut child = Command::new("nft")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(NftError::NotInstalled)?;
    // What isn't done in time is killed with this future.
    let talk = async {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(script.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let out = tokio::time::timeout(LONGEST, talk).await.map_err(|_| NftError::Late(LONGEST))?.map_err(NftError::Pipe)?;
    if out.status.success() { Ok(()) } else { Err(NftError::Refused(String::from_utf8_lossy(&out.stderr).into_owned())) }
}
