//! The store on a real nats-server.
#![cfg(test)]
mod buckets;
mod faults;
mod fixture;
mod measure;
mod pages;
mod watches;
mod writes;
