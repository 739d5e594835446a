//! Connections to the hosts that probes and hooks name.
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Names that are looked up at once: each takes a thread until the resolver gives up, whoever stopped waiting for it.
const LOOKUPS: usize = 32;

/// Connects. A probe's host is mostly an address; where it is a name, not many are looked up at once.
pub async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    static LOOKING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(LOOKUPS)));
    if let Ok(address) = host.parse::<IpAddr>() {
        return TcpStream::connect((address, port)).await;
    }
    let turn = LOOKING.clone().acquire_owned().await.map_err(io::Error::other)?;
    let name = host.to_owned();
    let look = move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
        drop(turn);
        found
    };
    let addresses = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)??;
    TcpStream::connect(addresses.as_slice()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_by_address_and_name() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost"] {
            dial(host, port).await.unwrap();
        }
        assert!(dial("", port).await.is_err());
    }
}
