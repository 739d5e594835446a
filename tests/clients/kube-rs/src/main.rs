//! An operator of kube-rs: it applies its own definition, reconciles Lamps with a finalizer, and serves an admission webhook.
mod controller;
mod lamp;
mod webhook;

use kube::Client;
use std::{error::Error, net::SocketAddr, path::PathBuf};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(certificate)) = (arguments.next(), arguments.next()) else {
        return Err("usage: kube-rs-operator ADDRESS CERTIFICATE, the file where the webhook's certificate goes".into());
    };
    let (listen, certificate): (SocketAddr, PathBuf) = (listen.parse()?, certificate.into());
    let client = Client::try_default().await?;
    lamp::define(client.clone()).await?;
    let webhook = webhook::serve(listen, certificate);
    tokio::select! {
        served = webhook => served,
        () = controller::run(client) => Ok(()),
    }
}
