//! What HTTP clients see that exchange other encodings than JSON.
use super::cluster::Cluster;
use crate::body;
use crate::encoding::Encoding;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::io::Write;

const PODS: &str = "/api/v1/namespaces/default/pods";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const CBOR: &str = "application/cbor";

/// What a body says.
fn value(bytes: &[u8], encoding: Encoding) -> Value {
    serde_json::from_slice(&body::json(Bytes::copy_from_slice(bytes), encoding).unwrap()).unwrap()
}

/// A body that says something.
fn bytes(value: &Value, encoding: Encoding) -> Bytes {
    crate::transcode::document(&value.to_string().into(), encoding).unwrap().0
}

async fn all(response: hyper::Response<hyper::body::Incoming>) -> (u16, String, Bytes) {
    let code = response.status().as_u16();
    let media = response.headers().get("content-type").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    (code, media, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn objects_and_lists_and_errors() {
    let c = Cluster::start().await;
    for encoding in [Encoding::Yaml, Encoding::Protobuf, Encoding::Cbor] {
        let media = encoding.media_type();
        let ask = async |method: &str, path: &str, body: Bytes| {
            let (code, got, body) = all(c.send(true, method, path, &[("accept", media), ("content-type", media)], body).await).await;
            assert_eq!(got, media, "{path}");
            (code, value(&body, encoding))
        };
        let name = format!("pod-{}", media.len());
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let (code, created) = ask("POST", PODS, bytes(&pod, encoding)).await;
        assert_eq!((code, &created["metadata"]["name"], &created["spec"]["containers"]), (201, &json!(name), &pod["spec"]["containers"]), "{media}");
        let (_, json) = c.ask("GET", &format!("{PODS}/{name}"), &[], "").await;
        assert_eq!(ask("GET", &format!("{PODS}/{name}"), Bytes::new()).await, (200, json), "{media}");
        let (code, list) = ask("GET", PODS, Bytes::new()).await;
        assert_eq!((code, &list["kind"], &list["apiVersion"]), (200, &json!("PodList"), &json!("v1")), "{media}");
        assert!(list["items"].as_array().unwrap().iter().any(|pod| pod["metadata"]["name"] == *name), "{media}");
        let (code, missing) = ask("GET", &format!("{PODS}/none"), Bytes::new()).await;
        assert_eq!((code, &missing["kind"], &missing["reason"], &missing["code"]), (404, &json!("Status"), &json!("NotFound"), &json!(404)), "{media}");
        let (code, done) = ask("DELETE", &format!("{PODS}/{name}"), Bytes::new()).await;
        assert_eq!((code, &done["status"]), (200, &json!("Success")), "{media}");
        assert_eq!(ask("GET", "/api/v1", Bytes::new()).await.1["kind"], "APIResourceList");
    }
}

/// Events until there are so many, cut into frames by `cut`, which returns a frame and what is left.
async fn events(c: &Cluster, accept: &str, media: &str, count: usize, cut: impl Fn(&[u8]) -> Option<(Value, usize)>) -> Vec<Value> {
    let mut response = c.send(true, "GET", &format!("{PODS}?watch=true&timeoutSeconds=30"), &[("accept", accept), ("accept-encoding", "gzip")], "").await;
    assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (200, media));
    assert!(response.headers().get("content-encoding").is_none());
    c.ask("POST", PODS, &[], json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "later"}}).to_string()).await;
    c.ask("DELETE", &format!("{PODS}/later"), &[], "").await;
    let (mut seen, mut events) = (Vec::new(), Vec::new());
    while events.len() < count {
        seen.extend_from_slice(&response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap());
        while let Some((event, length)) = cut(&seen) {
            events.push(event);
            seen.drain(..length);
        }
    }
    events
}

fn told(events: &[Value]) -> Vec<(&str, &str)> {
    events.iter().map(|e| (e["type"].as_str().unwrap(), e["object"]["metadata"]["name"].as_str().unwrap())).collect()
}

/// A WatchEvent after its length: its type (1), and in a RawExtension (2) the object (1).
fn protobuf_frame(bytes: &[u8]) -> Option<(Value, usize)> {
    let (head, rest) = bytes.split_at_checked(4)?;
    let length = u32::from_be_bytes(head.try_into().unwrap()) as usize;
    let frame = rest.get(..length)?;
    let at = frame.windows(4).position(|w| w == b"k8s\0").unwrap();
    let change = std::str::from_utf8(&frame[2..2 + usize::from(frame[1])]).unwrap();
    Some((json!({"type": change, "object": value(&frame[at..], Encoding::Protobuf)}), 4 + length))
}

/// A document ends where the next begins, which nothing else can be mistaken for here.
fn cbor_frame(bytes: &[u8]) -> Option<(Value, usize)> {
    let whole = (1..=bytes.len()).find(|end| model::cbor::decode(&bytes[..*end]).is_ok())?;
    Some((value(&bytes[..whole], Encoding::Cbor), whole))
}

#[tokio::test]
async fn watches() {
    let c = Cluster::start().await;
    let want = [("ADDED", "first"), ("ADDED", "later"), ("DELETED", "later")];
    for accept in [PROTOBUF, "application/vnd.kubernetes.protobuf;stream=watch,application/json"] {
        let got = events(&c, accept, "application/vnd.kubernetes.protobuf;stream=watch", 3, protobuf_frame).await;
        assert_eq!(told(&got), want);
    }
    for accept in [CBOR, "application/cbor-seq, application/json"] {
        assert_eq!(told(&events(&c, accept, "application/cbor-seq", 3, cbor_frame).await), want);
    }
    let metadata = format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    let got = events(&c, &metadata, "application/vnd.kubernetes.protobuf;stream=watch", 3, protobuf_frame).await;
    assert_eq!((told(&got), &got[0]["object"]["kind"]), (want.to_vec(), &json!("PartialObjectMetadata")));
    let expired = c.send(true, "GET", &format!("{PODS}?watch=1&resourceVersion=1"), &[("accept", PROTOBUF)], "").await;
    let (event, _) = protobuf_frame(&all(expired).await.2).unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[tokio::test]
async fn metadata_in_protobuf() {
    let c = Cluster::start().await;
    let ask = async |path: &str, kind: &str| {
        let accept = format!("{PROTOBUF};as={kind};g=meta.k8s.io;v=v1");
        value(&all(c.send(true, "GET", path, &[("accept", &accept)], "").await).await.2, Encoding::Protobuf)
    };
    let list = ask(PODS, "PartialObjectMetadataList").await;
    assert_eq!((&list["kind"], &list["items"][0]["metadata"]["name"]), (&json!("PartialObjectMetadataList"), &json!("first")));
    let one = ask(&format!("{PODS}/first"), "PartialObjectMetadata").await;
    assert_eq!((&one["kind"], one.get("spec")), (&json!("PartialObjectMetadata"), None));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_bodies() {
    let c = Cluster::start().await;
    let post = async |encoding: &str, media: &str, body: Vec<u8>| c.ask("POST", PODS, &[("content-encoding", encoding), ("content-type", media)], body).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    assert_eq!(post("gzip", "application/json", gzip(pod.to_string().as_bytes())).await.0, 201);
    assert_eq!(post("gzip", PROTOBUF, gzip(&bytes(&pod, Encoding::Protobuf))).await.0, 201);
    assert_eq!(post("identity", CBOR, bytes(&pod, Encoding::Cbor).to_vec()).await.0, 201);
    assert_eq!(post("gzip", "application/json", gzip(&vec![b' '; 64 << 20])).await.0, 413);
    assert_eq!(post("gzip", "application/json", b"{}".to_vec()).await.0, 400);
    for unknown in ["br", "deflate", "gzip, gzip"] {
        assert_eq!(post(unknown, "application/json", b"{}".to_vec()).await.1["reason"], "UnsupportedMediaType", "{unknown}");
    }
}

#[tokio::test]
async fn large_answers_are_compressed_in_every_encoding() {
    let c = Cluster::start().await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "large", "annotations": {"a": "x".repeat(200_000)}}});
    assert_eq!(c.ask("POST", PODS, &[], pod.to_string()).await.0, 201);
    for encoding in Encoding::ALL {
        let headers = [("accept", encoding.media_type()), ("accept-encoding", "gzip")];
        for (path, packed) in [(PODS.to_owned(), true), (format!("{PODS}/large"), true), (format!("{PODS}/first"), false)] {
            let response = c.send(true, "GET", &path, &headers, "").await;
            assert_eq!(response.headers().contains_key("content-encoding"), packed, "{encoding:?} {path}");
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body = if packed { body::unpacked(&body).unwrap() } else { body };
            assert!(value(&body, encoding).is_object());
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let c = Cluster::start().await;
    let (code, refused) = c.ask("GET", PODS, &[("accept", "text/html")], "").await;
    let message = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf, application/cbor";
    assert_eq!((code, &refused["message"], &refused["reason"]), (406, &json!(message), &json!("NotAcceptable")));
    let watch = format!("{PODS}?watch=true");
    let table = format!("{PROTOBUF};as=Table;g=meta.k8s.io;v=v1");
    for (path, accept) in [(PODS, &*table), (&watch, "application/yaml"), (PODS, "application/json;q=0")] {
        assert_eq!(c.send(true, "GET", path, &[("accept", accept)], "").await.status(), 406, "{path} {accept}");
    }
    for (method, path, media) in [("POST", PODS.to_owned(), "application/xml"), ("PATCH", format!("{PODS}/first"), CBOR)] {
        let (code, refused) = c.ask(method, &path, &[("content-type", media)], "{}").await;
        let said = refused["message"].as_str().unwrap();
        assert!(code == 415 && said.contains("the body of the request was in an unknown format - accepted media types include: application/"), "{refused}");
    }
    for (media, body) in [(CBOR, b"\xff".as_slice()), (CBOR, b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff"), (PROTOBUF, b"k8s\0\x12\xff"), ("application/yaml", b"{")]
    {
        assert_eq!(c.ask("POST", PODS, &[("content-type", media)], body).await.0, 400, "{media}");
    }
}
