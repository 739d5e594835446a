//! The store on a real nats-server.
mod fixture;
mod writes;
