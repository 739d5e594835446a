//! The encodings in which documents are exchanged.

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// JSON: as everything is held.
    Json,
    /// YAML.
    Yaml,
    /// Kubernetes' protobuf.
    Protobuf,
    /// CBOR.
    Cbor,
}

impl Encoding {
    /// All, in the order in which they are preferred and named.
    pub const ALL: [Self; 4] = [Self::Json, Self::Yaml, Self::Protobuf, Self::Cbor];

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => model::protobuf::MEDIA_TYPE,
            Self::Cbor => model::cbor::MEDIA_TYPE,
        }
    }

    /// The media type that a watch is answered with; `None` where one document can't be told from the next.
    pub fn stream_type(self) -> Option<&'static str> {
        match self {
            Self::Json => Some("application/json"),
            Self::Yaml => None,
            Self::Protobuf => Some("application/vnd.kubernetes.protobuf;stream=watch"),
            Self::Cbor => Some(model::cbor::SEQUENCE),
        }
    }

    /// Whether a media range of `Accept` has it; `type/*` and `*/*` have all.
    pub fn is_in(self, range: &str) -> bool {
        let sequence = range == model::cbor::SEQUENCE && self == Self::Cbor;
        sequence || matches!(range, "*/*" | "*" | "application/*") || range == self.media_type()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for encoding in Encoding::ALL {
            assert!(encoding.is_in("*/*") && encoding.is_in("application/*") && encoding.is_in(encoding.media_type()), "{encoding:?}");
            assert!(!encoding.is_in("text/*") && !encoding.is_in("application/octet-stream") && !encoding.is_in(""), "{encoding:?}");
        }
        assert!(Encoding::Cbor.is_in("application/cbor-seq") && !Encoding::Json.is_in("application/cbor-seq"));
    }
}
