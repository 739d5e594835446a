//! The pipeline, asked over a bus as components ask it, on a real nats-server.
#![cfg(test)]
mod access;
mod addresses;
mod crud;
mod deletion;
mod evictions;
mod fences;
mod fixture;
mod nodes;
mod places;
mod put;
mod quotas;
mod rights;
mod security;
mod subresources;
mod usage;
mod watches;
