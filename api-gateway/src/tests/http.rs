//! What HTTP clients see.
use super::cluster::{Cluster, read};
use crate::{Gateway, GatewayError, GatewayOptions};
use http_body_util::BodyExt;
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";
const TABLE: (&str, &str) = ("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");

#[tokio::test]
async fn create_read_list_delete() {
    let c = Cluster::start().await;
    let (code, got) = c.ask("POST", PODS, &[], json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}).to_string()).await;
    assert_eq!((code, &got["metadata"]["name"]), (201, &json!("a")));
    let yaml = "apiVersion: v1\nkind: Pod\nmetadata: {name: b}\n";
    assert_eq!(c.ask("POST", PODS, &[("content-type", "application/yaml")], yaml).await.0, 201);
    let (code, list) = c.ask("GET", PODS, &[], "").await;
    assert_eq!((code, list["items"].as_array().unwrap().len(), &list["kind"]), (200, 3, &json!("PodList")));
    let (_, table) = c.ask("GET", PODS, &[TABLE], "").await;
    assert_eq!((&table["kind"], &table["rows"][2]["cells"][0]), (&json!("Table"), &json!("first")));
    assert_eq!(c.ask("DELETE", &format!("{PODS}/a"), &[], "").await.0, 200);
    let (code, gone) = c.ask("GET", &format!("{PODS}/a"), &[], "").await;
    assert_eq!((code, &gone["reason"], &gone["message"]), (404, &json!("NotFound"), &json!("pods \"a\" not found")));
}

#[tokio::test]
async fn protobuf_bodies() {
    let c = Cluster::start().await;
    let protobuf = [("content-type", "application/vnd.kubernetes.protobuf"), ("accept", "application/json")];
    // an envelope with apiVersion and kind, and in it metadata with a name
    let pod = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x05\x0a\x03\x0a\x01a";
    let (code, got) = c.ask("POST", PODS, &protobuf, pod.as_slice()).await;
    assert_eq!((code, &got["kind"], &got["metadata"]["name"]), (201, &json!("Pod"), &json!("a")));
    // gracePeriodSeconds: 0
    let options = b"k8s\0\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions\x12\x02\x08\x00";
    assert_eq!(c.ask("DELETE", &format!("{PODS}/a"), &protobuf, options.as_slice()).await.0, 200);
    assert_eq!(c.ask("GET", &format!("{PODS}/a"), &[], "").await.0, 404);
}

/// Method, path, headers, body, and the status that comes back.
type Case<'a> = (&'a str, String, Vec<(&'a str, &'a str)>, Vec<u8>, u16);

#[tokio::test]
async fn bad_input() {
    let c = Cluster::start().await;
    let big = vec![b' '; crate::body::LIMIT + 1];
    let cases: Vec<Case<'_>> = vec![
        ("POST", PODS.into(), vec![], b"{nope".to_vec(), 400),
        ("POST", PODS.into(), vec![], vec![], 400),
        ("POST", PODS.into(), vec![], big, 413),
        ("POST", PODS.into(), vec![("content-type", "application/vnd.kubernetes.protobuf")], b"k8s".to_vec(), 400),
        ("PATCH", format!("{PODS}/first"), vec![("content-type", "application/vnd.kubernetes.protobuf")], b"k8s\0".to_vec(), 415),
        ("PATCH", format!("{PODS}/first"), vec![("content-type", "application/json")], b"{}".to_vec(), 415),
        ("POST", format!("{PODS}?dryRun=Some"), vec![], b"{}".to_vec(), 422),
        ("DELETE", format!("{PODS}/first"), vec![], b"{\"kind\":\"Pod\"}".to_vec(), 400),
        ("PUT", PODS.into(), vec![], b"{}".to_vec(), 405),
        ("POST", format!("{PODS}/first"), vec![], b"{}".to_vec(), 405),
        ("POST", "/api/v1/pods".into(), vec![], b"{}".to_vec(), 405),
        ("GET", format!("{PODS}/first/nope"), vec![], vec![], 404),
        ("GET", "/api/v1/pods/first".into(), vec![], vec![], 404),
        ("GET", "/api/v2/pods".into(), vec![], vec![], 404),
        ("GET", "/apis/none/v1".into(), vec![], vec![], 404),
        ("GET", "/nowhere".into(), vec![], vec![], 404),
        ("GET", PODS.into(), vec![("accept", "text/html")], vec![], 406),
        ("GET", format!("{PODS}?limit=x"), vec![], vec![], 400),
        ("GET", format!("{PODS}/first/exec?command=ls&stdout=1"), vec![], vec![], 400),
        ("GET", format!("{PODS}/first/log?tailLines=-1"), vec![], vec![], 422),
        ("GET", format!("{PODS}/first/log?container=x"), vec![], vec![], 400),
        ("POST", "/api/v1".into(), vec![], vec![], 405),
    ];
    for (method, path, headers, body, want) in cases {
        let (code, status) = c.ask(method, &path, &headers, body).await;
        assert_eq!(code, want, "{method} {path} {headers:?} {status}");
        assert!(status.is_string() || (status["kind"] == "Status" && status["code"] == want), "{method} {path}: {status}");
    }
}

#[tokio::test]
async fn who_asks() {
    let c = Cluster::start().await;
    let as_anyone = |headers: &'static [(&'static str, &'static str)], path: &'static str| c.send(false, "GET", path, headers, "");
    for path in ["/healthz", "/livez", "/readyz?verbose", "/version"] {
        assert_eq!(as_anyone(&[], path).await.status(), 200, "{path}");
    }
    for path in [PODS, "/api", "/apis", "/nowhere", "/metrics"] {
        assert_eq!(as_anyone(&[], path).await.status(), 403, "{path}");
    }
    assert_eq!(as_anyone(&[("authorization", "Bearer wrong")], "/version").await.status(), 401);
    let warning = |r: hyper::Response<hyper::body::Incoming>| r.headers().get("warning").map(|v| v.to_str().unwrap().to_owned());
    let first = "/api/v1/namespaces/default/pods/first";
    assert_eq!(warning(as_anyone(&[("authorization", "Bearer sesame")], first).await).as_deref(), Some("299 - \"as alice\""));
    assert_eq!(warning(c.send(true, "GET", first, &[], "").await).as_deref(), Some("299 - \"as admin\""));
    assert_eq!(warning(c.send(true, "GET", first, &[("impersonate-user", "bob")], "").await).as_deref(), Some("299 - \"as bob\""));
    let (code, status) = c.ask("GET", first, &[("impersonate-user", "forbidden")], "").await;
    assert_eq!((code, &status["reason"]), (403, &json!("Forbidden")));
    assert_eq!(as_anyone(&[("authorization", "Bearer sesame"), ("impersonate-user", "bob")], first).await.status(), 403);
}

#[tokio::test]
async fn discovery_and_metrics() {
    let c = Cluster::start().await;
    let named = |list: &Value, field: &str| list.as_array().unwrap().iter().any(|r| r[field] == "pods");
    assert!(named(&c.ask("GET", "/api/v1", &[], "").await.1["resources"], "name"));
    let accept = ("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
    let response = c.send(true, "GET", "/api", &[accept], "").await;
    assert_eq!(response.headers()["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    assert!(named(&read(response).await.1["items"][0]["versions"][0]["resources"], "resource"));
    assert_eq!(c.ask("GET", "/openapi/v3", &[], "").await.0, 200);
    let (_, metrics) = c.ask("GET", "/metrics", &[], "").await;
    assert!(metrics.as_str().unwrap_or_default().contains("apiserver_request_total"), "{metrics}");
    let audit = c.send(true, "GET", "/version", &[("audit-id", "mine")], "").await;
    assert_eq!(audit.headers()["audit-id"], "mine");
}

#[tokio::test]
async fn watches() {
    let c = Cluster::start().await;
    let mut response = c.send(true, "GET", &format!("{PODS}?watch=true&timeoutSeconds=30"), &[], "").await;
    let mut line = async || -> Value {
        let frame = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        serde_json::from_slice(&frame).unwrap()
    };
    let first = line().await;
    assert_eq!((&first["type"], &first["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("first")));
    c.ask("POST", PODS, &[], json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}).to_string()).await;
    assert_eq!(line().await["object"]["metadata"]["name"], "a");
    c.ask("DELETE", &format!("{PODS}/a"), &[], "").await;
    assert_eq!(line().await["type"], "DELETED");
    let (code, expired) = c.ask("GET", &format!("{PODS}?watch=1&resourceVersion=1"), &[], "").await;
    assert_eq!((code, &expired["type"], &expired["object"]["code"]), (200, &json!("ERROR"), &json!(410)));
    let (code, ended) = c.ask("GET", &format!("{PODS}?watch=1&timeoutSeconds=1"), &[TABLE], "").await;
    assert_eq!((code, &ended["object"]["kind"]), (200, &json!("Table")));
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_remedy() {
    let c = Cluster::start().await;
    let options = GatewayOptions { listen: c.address, pki: c.pki.clone(), token_file: None, follow_definitions: false };
    let bus = bus::Bus::local("test", bus::Caller::new(bus::Role::Gateway, "g"));
    let error = Gateway::start(bus, std::sync::Arc::default(), options).await.err().unwrap();
    assert!(matches!(error, GatewayError::Listen { .. }));
    assert!(error.to_string().contains("--listen"), "{error}");
}

#[tokio::test]
async fn without_state_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let pki = crate::Pki::open(dir.path(), &[]).unwrap();
    let bus = bus::Bus::local("alone", bus::Caller::new(bus::Role::Gateway, "g"));
    let client = state_client::Client::new(bus);
    assert_eq!(crate::health::respond(&client, "livez", false).await.status(), 200);
    assert_eq!(crate::health::respond(&client, "readyz", false).await.status(), 500);
    drop(pki);
}

#[tokio::test]
async fn port_forward_over_channels() {
    use futures::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
    let c = Cluster::start().await;
    let mut request = format!("wss://localhost{PODS}/first/portforward?ports=80,1").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "v4.channel.k8s.io".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, c.tls(true).await).await.unwrap();
    socket.send(Message::binary(b"\x00hello".to_vec())).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 6 {
        if let Message::Binary(data) = socket.next().await.unwrap().unwrap() {
            got.push(data.to_vec());
        }
    }
    got.sort();
    assert_eq!(got[..4], [b"\x00\x50\x00".to_vec(), b"\x00hello".to_vec(), b"\x01\x50\x00".to_vec(), b"\x02\x01\x00".to_vec()]);
    assert!(String::from_utf8_lossy(&got[5]).contains("connection refused"));
}

/// Upgrades as the administrator, or as whom the subprotocols name; the connection, or the status that refuses it.
async fn websocket(c: &Cluster, admin: bool, path: &str, protocols: &str) -> Result<tokio_tungstenite::WebSocketStream<super::cluster::Tls>, u16> {
    use tokio_tungstenite::tungstenite::{Error, client::IntoClientRequest};
    let mut request = format!("wss://localhost{PODS}/first/{path}").into_client_request().unwrap();
    if !protocols.is_empty() {
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
    }
    match tokio_tungstenite::client_async(request, c.tls(admin).await).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// All messages until the normal end, each with its kind.
async fn messages(mut socket: tokio_tungstenite::WebSocketStream<super::cluster::Tls>) -> Vec<String> {
    use futures::StreamExt;
    use tokio_tungstenite::tungstenite::Message;
    let mut all = Vec::new();
    while let Some(message) = socket.next().await {
        match message.unwrap() {
            Message::Text(text) => all.push(format!("text {text}")),
            Message::Binary(data) => all.push(format!("binary {}", data.escape_ascii())),
            Message::Close(frame) => {
                assert_eq!(u16::from(frame.unwrap().code), 1000);
                return all;
            }
            _ => {}
        }
    }
    panic!("no goodbye after {all:?}")
}

#[tokio::test]
async fn subprotocols_of_exec() {
    let c = Cluster::start().await;
    let path = "exec?command=x&stdout=true";
    for (protocols, stdout, failed) in [
        ("", "binary \\x01ran x\\n", "binary \\x03command terminated with non-zero exit code: exit status 7"),
        ("channel.k8s.io", "binary \\x01ran x\\n", "binary \\x03command terminated with non-zero exit code: exit status 7"),
        ("base64.channel.k8s.io", "text 1cmFuIHgK", "text 3Y29tbWFuZCB0ZXJtaW5hdGVk"),
        ("v4.base64.channel.k8s.io", "text 1cmFuIHgK", "text 3ey"),
        ("v4.channel.k8s.io", "binary \\x01ran x\\n", "binary \\x03{"),
        ("v5.channel.k8s.io", "binary \\x01ran x\\n", "binary \\x03{"),
    ] {
        let got = messages(websocket(&c, true, path, protocols).await.unwrap()).await;
        let first = if stdout.starts_with("text") { "text 1" } else { "binary \\x01" };
        assert_eq!(got[..2], [first, stdout], "{protocols}");
        assert!(got.len() == 3 && got[2].starts_with(failed), "{protocols}: {got:?}");
    }
    assert_eq!(websocket(&c, true, path, "v2.channel.k8s.io").await.err(), Some(403));
}

#[tokio::test]
async fn tokens_among_subprotocols() {
    let c = Cluster::start().await;
    let path = "exec?command=x&stdout=true";
    let with = |token: &str, others: &str| format!("base64url.bearer.authorization.k8s.io.{token}{others}");
    assert!(websocket(&c, false, path, &with("c2VzYW1l", ", v4.channel.k8s.io")).await.is_ok());
    assert_eq!(websocket(&c, false, path, "v4.channel.k8s.io").await.err(), Some(403), "nobody may not");
    assert_eq!(websocket(&c, false, path, &with("c2VzYW1l", "")).await.err(), Some(401), "nothing could be answered with");
    assert_eq!(websocket(&c, false, path, &with("d3Jvbmc", ", v4.channel.k8s.io")).await.err(), Some(401), "an unknown token");
}

#[tokio::test]
async fn logs_in_messages() {
    let c = Cluster::start().await;
    for (protocols, expected) in [
        ("", ["binary ", "binary line 0\\n", "binary line 1\\n"]),
        ("binary.k8s.io", ["binary ", "binary line 0\\n", "binary line 1\\n"]),
        ("base64.binary.k8s.io", ["text ", "text bGluZSAwCg==", "text bGluZSAxCg=="]),
    ] {
        let got = messages(websocket(&c, true, "log?tailLines=2", protocols).await.unwrap()).await;
        assert_eq!(got, expected, "{protocols}");
    }
    assert_eq!(websocket(&c, true, "log", "v4.channel.k8s.io").await.err(), Some(403));
}

#[tokio::test]
async fn refused_upgrades_to_spdy() {
    let c = Cluster::start().await;
    let path = format!("{PODS}/first/exec?command=x&stdout=true");
    let spdy = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    let refused = c.send(true, "POST", &path, &[spdy[0], spdy[1], ("x-stream-protocol-version", "v9")], "").await;
    let served: Vec<_> = refused.headers().get_all("x-accepted-stream-protocol-versions").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
    assert_eq!(served, ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]);
    let (code, text) = read(refused).await;
    let expected = "unable to upgrade: unable to negotiate protocol: client supports [v9], \
                    server accepts [v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]\n";
    assert_eq!((code, text), (403, json!(expected)));
    assert_eq!(read(c.send(true, "POST", &path, &spdy, "").await).await.0, 400);
    assert_eq!(read(c.send(true, "POST", &path, &[], "").await).await.1["message"], "Upgrade request required");
}

/// The wire of an older client: protocols 2 and 3, streams of its own, half-closed stdin.
#[tokio::test]
async fn older_protocols_over_spdy() {
    use crate::stream::spdy::{Decoder, Encoder, Frame};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let c = Cluster::start().await;
    for protocol in ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"] {
        let mut connection = c.tls(true).await;
        let head = format!(
            "POST {PODS}/first/exec?command=cat&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
             Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v9\r\nX-Stream-Protocol-Version: {protocol}\r\nContent-Length: 0\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(connection.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 101") && answer.contains(&format!("\r\nx-stream-protocol-version: {protocol}\r\n")), "{answer}");
        let mut encoder = Encoder::new().unwrap();
        let opened = ["error", "stdin", "stdout", "stderr"].into_iter().zip([1, 3, 5, 7]);
        let opened = opened.map(|(kind, id)| Frame::SynStream { id, fin: false, headers: vec![("streamtype".into(), kind.into())] });
        let rest = [Frame::Ping(1), Frame::Data { id: 3, fin: false, data: "hello".into() }, Frame::Data { id: 3, fin: true, data: "".into() }];
        for frame in opened.chain(rest) {
            connection.write_all(&encoder.encode(&frame).unwrap()).await.unwrap();
        }
        let (mut decoder, mut streams, mut ended, mut pings) = (Decoder::default(), std::collections::BTreeMap::<u32, Vec<u8>>::new(), 0, 0);
        while ended < 4 {
            let mut chunk = vec![0; 1024];
            let n = connection.read(&mut chunk).await.unwrap();
            assert!(n > 0, "the connection ended early");
            decoder.push(&chunk[..n]);
            while let Some(frame) = decoder.frame().unwrap() {
                match frame {
                    Frame::Data { id, fin, data } => {
                        streams.entry(id).or_default().extend(data);
                        ended += u32::from(fin);
                    }
                    Frame::Ping(1) => pings += 1,
                    Frame::SynReply { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        let of = |id| String::from_utf8_lossy(&streams[&id]).into_owned();
        assert_eq!((of(5), of(7), pings), ("ran cat\nhello".to_owned(), "to stderr\n".to_owned(), 1));
        let told = "command terminated with non-zero exit code: exit status 7";
        if protocol.starts_with("v4") {
            assert_eq!(serde_json::from_slice::<Value>(&streams[&1]).unwrap()["message"], told);
        } else {
            assert_eq!(of(1), told);
        }
    }
}
