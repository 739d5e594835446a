use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// A Podman that begins each connection's answer so, and never ends it.
fn podman(said: &'static [u8], again: bool) -> (tempfile::TempDir, Http) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("podman.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                assert!(stream.read(&mut asked).await.unwrap() > 0);
                loop {
                    if stream.write_all(said).await.is_err() {
                        return;
                    }
                    if !again {
                        std::future::pending::<()>().await;
                    }
                }
            });
        }
    });
    let http = Http::new(&socket).within(Duration::from_millis(50));
    (dir, http)
}

const OPEN: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_podman_that_never_answers_is_given_up() {
    for said in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", OPEN] {
        let (_dir, http) = podman(said, false);
        let calls = async {
            let late = |e: RuntimeError| assert!(matches!(&e, RuntimeError::Unreachable(why) if why.contains("within 50ms")), "{e} after {said:?}");
            late(http.call(Method::GET, "/x", None).await.unwrap_err());
            if said.is_empty() {
                late(http.json::<Value>(Method::GET, "/x", None).await.unwrap_err());
                late(http.upgrade("/x", None).await.map(drop).unwrap_err());
                late(http.lines(Method::GET, "/x", &[], None).await.map(drop).unwrap_err());
            }
            if said == OPEN {
                let mut lines = http.lines(Method::GET, "/x", &[], Some(Duration::from_millis(50))).await.unwrap();
                late(lines.next::<Value>().await.unwrap_err());
            }
        };
        tokio::time::timeout(Duration::from_secs(10), calls).await.expect("each call ends");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("podman.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let piece = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let server = tokio::spawn(async move {
        let mut sent = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            stream.write_all(OPEN).await.unwrap();
            let mut n = 0_usize;
            while stream.write_all(&piece).await.is_ok() {
                n += piece.len();
            }
            sent.push(n);
        }
        sent
    });
    let http = Http::new(&socket);
    let read = async {
        http.call(Method::GET, "/x", None).await.unwrap_err();
        http.lines(Method::GET, "/x", &[], None).await.unwrap().next::<Value>().await.unwrap_err();
        server.await.unwrap()
    };
    let sent = tokio::time::timeout(Duration::from_secs(60), read).await.expect("each is given up");
    assert!(sent[0] < ANSWER_MAX * 2 && sent[1] < LINE_MAX * 4, "{sent:?}");
}

#[tokio::test]
async fn lines_are_decoded_one_by_one() {
    let (_dir, http) = podman(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"a\": 1}\n\n[2]\nno\n", false);
    let mut lines = http.lines(Method::GET, "/x", &[], None).await.unwrap();
    let mut got = Vec::new();
    while let Ok(Some(line)) = lines.next::<Value>().await {
        got.push(line.to_string());
    }
    assert_eq!(got, ["{\"a\":1}", "[2]"]);
}
