//! `whalesong down`: removes what `up` left running.
use crate::agent::socket;
use crate::cli::DownArgs;
use crate::data::Data;
use crate::failure::Failure;
use crate::join;
use crate::purge;
use node_agent::AgentOptions;

/// Removes the node's pods and network, and with `--purge` the data.
///
/// # Errors
/// When the directory holds no data of a cluster, a process still holds it, or Podman refuses.
pub async fn down(args: DownArgs) -> Result<(), Failure> {
    let root = join::root(args.data.as_ref());
    if !root.is_dir() {
        println!("There is nothing in {}", root.display());
        return Ok(());
    }
    let root = purge::known(&root)?;
    let data = Data::hold(&root)?;
    let options = AgentOptions { podman: socket(args.podman.as_deref()), data_dir: data.join("node"), ..AgentOptions::default() };
    let removed = node_agent::remove_all(&options).await.map_err(|e| Failure::new(e.to_string(), ""))?;
    println!("Removed {removed} pods and the node's network");
    bus::server::forget(&data.join("nats")).map_err(|e| Failure::new(format!("what NATS held in memory can't be removed ({e})"), ""))?;
    if args.purge {
        let left = purge::purge(data.root())?;
        match left.as_slice() {
            [] => println!("Removed {}", data.root().display()),
            left => println!("Removed the cluster's data; {} still holds what isn't of it: {}", data.root().display(), left.join(", ")),
        }
    }
    Ok(())
}
