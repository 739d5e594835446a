//! The agent with real Podman, in a machine of its own, against a state that only remembers.
mod machine;
mod pods;
mod state;
