//! Text that holds keys and certificates.
use base64::{Engine, engine::general_purpose::STANDARD};

/// One block: `-----BEGIN label-----` and what follows.
pub(super) struct Block {
    /// What it is.
    pub(super) label: String,
    /// Whether it begins with headers.
    pub(super) headers: bool,
    /// What it holds.
    pub(super) bytes: Vec<u8>,
}

/// The blocks of a text. What isn't in the right form is passed over, as Go does.
pub(super) fn blocks(text: &[u8]) -> Vec<Block> {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::trim_end);
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else { continue };
        let end = format!("-----END {label}-----");
        let (mut body, mut headers, mut ended) = (String::new(), false, false);
        for line in lines.by_ref() {
            if line == end {
                ended = true;
                break;
            }
            if body.is_empty() && line.contains(':') {
                headers = true;
            } else {
                body.push_str(line.trim());
            }
        }
        if let (true, Ok(bytes)) = (ended, STANDARD.decode(&body)) {
            blocks.push(Block { label: label.to_owned(), headers, bytes });
        }
    }
    blocks
}
