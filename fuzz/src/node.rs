//! What an agent reads of its runtime: logs, answers, multiplexed streams.
use bytes::BytesMut;
use node_agent::logs;
use node_agent::runtime::Output;
use node_agent::runtime::podman::session::Multiplexed;
use node_agent::runtime::podman::{event_of, wire};
use tokio_util::codec::Decoder;

/// A log, and the end of it that a status shows.
pub fn log_lines(bytes: &[u8]) {
    for line in bytes.split(|b| *b == b'\n') {
        if let Some(parsed) = logs::parse(line) {
            assert!(line.ends_with(parsed.text) && logs::stamp(parsed.time).parse().ok() == Some(parsed.time));
        }
    }
    for (size, lines) in [(0, 0), (80, 3), (4096, 80)] {
        // a character that is cut becomes one of three bytes
        let words = logs::last_words(bytes, size, lines);
        assert!(words.len() <= size * 3 && words.matches('\n').count() <= lines);
    }
}

/// Podman's answers, each tried as everything that the agent expects.
pub fn podman_answers(bytes: &[u8]) {
    if let Ok(inspected) = serde_json::from_slice::<wire::Inspect>(bytes)
        && let Some(container) = inspected.container()
    {
        assert!(serde_json::from_slice::<wire::Listed>(bytes).is_ok(), "{container:?} has an id");
    }
    if let Ok(image) = serde_json::from_slice::<wire::ImageInspect>(bytes) {
        assert!(!image.image().reference.is_empty());
    }
    if let Ok(event) = serde_json::from_slice(bytes) {
        event_of(&event);
    }
    _ = (serde_json::from_slice::<wire::Version>(bytes).is_ok(), serde_json::from_slice::<wire::Created>(bytes).is_ok());
    _ = serde_json::from_slice::<wire::ExecInspect>(bytes).is_ok();
}

fn pieces(chunks: &[&[u8]]) -> (Vec<Output>, bool) {
    let (mut codec, mut buffer, mut all) = (Multiplexed::default(), BytesMut::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(output)) => all.push(output),
                Ok(None) => break,
                Err(_) => return (all, false),
            }
        }
    }
    (all, true)
}

/// A multiplexed stream is the same however it was cut.
pub fn podman_stream(bytes: &[u8]) {
    let chunks: Vec<&[u8]> = bytes.chunks(5).collect();
    assert_eq!(pieces(&chunks), pieces(&[bytes]));
}
