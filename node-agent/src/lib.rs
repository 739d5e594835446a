//! A node's agent: runs the node's pods with Podman and reports what happens to them; keeps services' addresses in nftables.
pub mod net;
pub mod nft;
pub mod runtime;
