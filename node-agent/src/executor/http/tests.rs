use super::*;
use k8s_openapi::api::core::v1::HTTPHeader;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers a path with what the table says, and what it was asked, word for word.
async fn server(answers: &'static [(&'static str, &'static str)]) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(tcp.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap();
            let path = request.split(' ').nth(1).unwrap().to_owned();
            log.lock().unwrap().push(request);
            let answer = answers.iter().find(|(p, _)| *p == path).map_or("404", |(_, a)| a);
            let (status, location) = answer.split_once(' ').unwrap_or((answer, ""));
            let text = format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 2\r\n\r\nhi");
            tcp.write_all(text.as_bytes()).await.unwrap();
        }
    });
    (port, asked)
}

fn target(port: u16, path: &str, headers: &[(&str, &str)]) -> Target {
    let given: Vec<HTTPHeader> = headers.iter().map(|(name, value)| HTTPHeader { name: (*name).to_owned(), value: (*value).to_owned() }).collect();
    Target { url: Url::of_action(false, "127.0.0.1", port, path), headers: Headers::new(&given, "probe") }
}

#[tokio::test]
async fn redirects_within_the_host_are_followed_and_others_are_the_answer() {
    const ANSWERS: &[(&str, &str)] = &[
        ("/fail", "500"),
        ("/to-fail", "302 /fail"),
        ("/ok", "200"),
        ("/twice", "307 to-ok"),
        ("/to-ok", "308 /ok"),
        ("/away", "302 http://other.example/x"),
        ("/nowhere", "302 "),
        ("/many", "300 /fail"),
        ("/loop", "301 /loop"),
        ("/bad", "302 ftp://127.0.0.1/"),
    ];
    let (port, asked) = server(ANSWERS).await;
    let rows = [("/to-fail", Ok(500)), ("/twice", Ok(200)), ("/away", Ok(302)), ("/nowhere", Ok(302)), ("/many", Ok(300)), ("/missing", Ok(404))];
    for (path, want) in rows {
        let answer = get(&target(port, path, &[]), Duration::from_secs(5)).await;
        assert_eq!(answer.as_ref().map(|a| a.status), want, "{path}");
        assert_eq!(answer.unwrap().body, b"hi");
    }
    asked.lock().unwrap().clear();
    let endless = get(&target(port, "/loop", &[]), Duration::from_secs(5)).await;
    assert_eq!(endless, Err(format!("Get \"http://127.0.0.1:{port}/loop\": stopped after 10 redirects")));
    assert_eq!(asked.lock().unwrap().len(), 10);
    let bad = get(&target(port, "/bad", &[]), Duration::from_secs(5)).await;
    assert_eq!(bad, Err(format!("Get \"http://127.0.0.1:{port}/bad\": unsupported protocol scheme \"ftp\"")));
}

#[tokio::test]
async fn the_request_on_the_wire() {
    let (port, asked) = server(&[("/a%20b", "200"), ("/go", "302 /a%20b")]).await;
    let headers = [("user-agent", "me"), ("x-probe-id", "7"), ("Host", "web.example")];
    get(&target(port, "/a b", &headers), Duration::from_secs(5)).await.unwrap();
    let want = "GET /a%20b HTTP/1.1\r\nHost: web.example\r\nUser-Agent: me\r\nAccept: */*\r\nX-Probe-Id: 7\r\nConnection: close\r\n\r\n";
    assert_eq!(asked.lock().unwrap().pop().unwrap(), want);
    get(&target(port, "/go", &headers), Duration::from_secs(5)).await.unwrap();
    assert_eq!(asked.lock().unwrap().pop().unwrap(), want, "a relative redirect keeps the host");
}
