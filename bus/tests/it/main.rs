//! The bus as its users have it, mostly on a real `nats-server`. One program, so that it is linked once.
#[cfg(test)]
mod common;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod impairment;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod local;
#[cfg(test)]
mod micro;
#[cfg(test)]
mod nats;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tls;
