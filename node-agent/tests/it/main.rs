//! The agent with real Podman, in a machine of its own, against a state that only remembers.
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod pods;
#[cfg(test)]
mod state;
