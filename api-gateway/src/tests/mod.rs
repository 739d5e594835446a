//! The gateway over real TLS, with a small `state` and a small node on the same bus.
mod cluster;
mod encodings;
mod http;
mod kubectl;
