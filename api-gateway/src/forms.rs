//! Objects, lists and events in the form that a client asked for. Plain objects go out as the bytes that the log holds; nothing is parsed.
use crate::encoding::Encoding;
use crate::negotiate::{Form, MetaVersion};
use crate::transcode;
use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use model::{ApiError, Kind, Stored, order, table};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use state_client::api::ListReply;
use std::sync::Arc;

/// What each row of a Table carries: the query parameter `includeObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// The metadata, as PartialObjectMetadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

impl Include {
    /// From the query parameter.
    ///
    /// # Errors
    /// 400 for anything but `None`, `Metadata`, `Object` and nothing.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(ApiError::bad_request(format!("unrecognized includeObject value: \"{other}\""))),
        }
    }
}

/// How to write objects of one kind for one client.
#[derive(Clone)]
pub struct Encoder {
    /// The kind.
    pub kind: Arc<Kind>,
    /// Version asked for, in which lists and bookmarks name themselves.
    pub api_version: String,
    /// The form asked for.
    pub form: Form,
    /// The encoding asked for.
    pub encoding: Encoding,
    /// What a Table's rows carry.
    pub include: Include,
}

/// What an event says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// `ADDED`
    Added,
    /// `MODIFIED`
    Modified,
    /// `DELETED`
    Deleted,
}

impl EventType {
    fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }

    fn head(self) -> &'static [u8] {
        match self {
            Self::Added => br#"{"type":"ADDED","object":"#,
            Self::Modified => br#"{"type":"MODIFIED","object":"#,
            Self::Deleted => br#"{"type":"DELETED","object":"#,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Table<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Value,
    column_definitions: Option<Vec<Value>>,
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    cells: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<RowObject<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RowObject<'a> {
    Whole(&'a RawValue),
    Partial(Partial<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Partial<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: &'a RawValue,
}

#[derive(Deserialize)]
struct MetadataOf<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// What a line of a watch has beside its object, and a little more.
pub(crate) const LINE: usize = 40;

fn internal(e: serde_json::Error) -> ApiError {
    ApiError::internal(e.to_string())
}

fn to_bytes(value: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(internal)
}

fn partial(stored: &Stored, version: MetaVersion) -> Result<Partial<'_>, ApiError> {
    let of: MetadataOf<'_> = serde_json::from_slice(stored.json()).map_err(internal)?;
    Ok(Partial { kind: "PartialObjectMetadata", api_version: version.api_version(), metadata: of.metadata })
}

fn list_meta(list: &ListReply) -> Value {
    let mut meta = json!({"resourceVersion": list.revision.to_string()});
    if !list.continue_token.is_empty() {
        meta["continue"] = list.continue_token.as_str().into();
    }
    if let Some(remaining) = list.remaining.filter(|r| *r > 0) {
        meta["remainingItemCount"] = remaining.into();
    }
    meta
}

/// How objects of a kind begin as JSON.
fn beginning(kind: &str, api_version: &str) -> Result<Vec<u8>, ApiError> {
    let mut head = to_bytes(&json!({"kind": kind}))?.strip_suffix(b"}").map(<[u8]>::to_vec).unwrap_or_default();
    head.extend_from_slice(b",");
    head.extend_from_slice(to_bytes(&json!({"apiVersion": api_version}))?.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or_default());
    head.extend_from_slice(b",");
    Ok(head)
}

/// A list of what is already JSON: `{…head…,"items":[a,b]}`. Items that begin with `beginning` are without it.
fn joined(kind: &str, api_version: &str, meta: &Value, items: &[Bytes], beginning: &[u8]) -> Bytes {
    let head = order::json(&json!({"kind": kind, "apiVersion": api_version, "metadata": meta}));
    let size = head.len() + items.iter().map(|i| i.len() + 1).sum::<usize>() + 12;
    let mut out = BytesMut::with_capacity(size);
    out.put_slice(head.strip_suffix(b"}").unwrap_or(&head));
    out.put_slice(br#","items":["#);
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.put_u8(b',');
        }
        match item.strip_prefix(beginning).filter(|_| !beginning.is_empty()) {
            Some(rest) => {
                out.put_u8(b'{');
                out.put_slice(rest);
            }
            None => out.put_slice(item),
        }
    }
    out.put_slice(b"]}\n");
    out.freeze()
}

impl Encoder {
    /// One object, as JSON.
    ///
    /// # Errors
    /// 500 when stored bytes aren't an object.
    pub fn object(&self, stored: &Stored, now: Timestamp) -> Result<Bytes, ApiError> {
        match self.form {
            Form::Object => Ok(stored.json().clone()),
            Form::Metadata(version) => to_bytes(&partial(stored, version)?),
            Form::Table(version) => to_bytes(&self.table([stored], json!({"resourceVersion": stored.revision.to_string()}), version, true, now)?),
        }
    }

    /// A list, in the encoding asked for.
    ///
    /// # Errors
    /// As [`Encoder::object`].
    pub fn list(&self, list: &ListReply, now: Timestamp) -> Result<Bytes, ApiError> {
        let meta = list_meta(list);
        match self.form {
            Form::Object => {
                let items: Vec<Bytes> = list.items.iter().map(|i| i.json().clone()).collect();
                self.items((&self.kind.list_kind(), &self.api_version), &meta, &items, &self.omitted()?)
            }
            Form::Metadata(version) => {
                let items = list.items.iter().map(|i| to_bytes(&partial(i, version)?)).collect::<Result<Vec<_>, _>>()?;
                self.items(("PartialObjectMetadataList", version.api_version()), &meta, &items, &[])
            }
            Form::Table(version) => {
                let table = to_bytes(&self.table(list.items.iter().map(|i| &**i), meta, version, true, now)?)?;
                Ok(transcode::document(&table, self.encoding)?.0)
            }
        }
    }

    /// How those of built-in kinds begin: in a list they don't say of which kind they are, as in Kubernetes. The list does.
    fn omitted(&self) -> Result<Vec<u8>, ApiError> {
        if self.kind.schema.builtin().is_none() { Ok(Vec::new()) } else { beginning(&self.kind.kind, &self.api_version) }
    }

    fn items(&self, (kind, api_version): (&str, &str), meta: &Value, items: &[Bytes], omitted: &[u8]) -> Result<Bytes, ApiError> {
        match self.encoding {
            Encoding::Protobuf => transcode::protobuf_list(api_version, kind, meta, items),
            encoding => Ok(transcode::document(&joined(kind, api_version, meta, items, omitted), encoding)?.0),
        }
    }

    /// One event of a watch, in JSON a line; only the `first` line of a Table names the columns.
    ///
    /// # Errors
    /// As [`Encoder::object`].
    pub fn event(&self, out: &mut BytesMut, change: EventType, stored: &Stored, first: bool, now: Timestamp) -> Result<(), ApiError> {
        let body = match self.form {
            Form::Table(version) => to_bytes(&self.table([stored], json!({"resourceVersion": stored.revision.to_string()}), version, first, now)?)?,
            _ => self.object(stored, now)?,
        };
        if self.encoding != Encoding::Json {
            return transcode::event(out, change.name(), &body, self.encoding);
        }
        out.reserve(body.len() + LINE);
        out.put_slice(change.head());
        out.put_slice(&body);
        out.put_slice(b"}\n");
        Ok(())
    }

    /// A bookmark of a watch.
    ///
    /// # Errors
    /// As [`Encoder::object`].
    pub fn bookmark(&self, out: &mut BytesMut, revision: u64, initial_events_end: bool) -> Result<(), ApiError> {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.form {
            Form::Object => json!({"kind": self.kind.kind, "apiVersion": self.api_version, "metadata": metadata}),
            Form::Metadata(version) => json!({"kind": "PartialObjectMetadata", "apiVersion": version.api_version(), "metadata": metadata}),
            Form::Table(version) => {
                let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": version.api_version(), "metadata": metadata});
                let rows = json!([{"cells": [], "object": partial}]);
                let metadata = json!({"resourceVersion": revision.to_string()});
                json!({"kind": "Table", "apiVersion": version.api_version(), "metadata": metadata, "columnDefinitions": null, "rows": rows})
            }
        };
        self.other(out, "BOOKMARK", &object)
    }

    /// Any other event of a watch.
    ///
    /// # Errors
    /// 500 when `object` has no form in the encoding.
    pub fn other(&self, out: &mut BytesMut, change: &str, object: &Value) -> Result<(), ApiError> {
        match self.encoding {
            Encoding::Json => line(out, change, object),
            encoding => transcode::event(out, change, &order::json(object), encoding),
        }
    }

    fn table<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Stored>,
        metadata: Value,
        version: MetaVersion,
        columns: bool,
        now: Timestamp,
    ) -> Result<Table<'a>, ApiError> {
        let rows = objects.into_iter().map(|o| self.row(o, version, now)).collect::<Result<_, _>>()?;
        let column_definitions = columns.then(|| table::definitions(&self.kind));
        Ok(Table { kind: "Table", api_version: version.api_version(), metadata, column_definitions, rows })
    }

    fn row<'a>(&self, stored: &'a Stored, version: MetaVersion, now: Timestamp) -> Result<Row<'a>, ApiError> {
        let cells = stored.read(|object| table::cells(&self.kind, object, now));
        let object = match self.include {
            Include::None => None,
            Include::Metadata => Some(RowObject::Partial(partial(stored, version)?)),
            Include::Object => Some(RowObject::Whole(serde_json::from_slice(stored.json()).map_err(internal)?)),
        };
        Ok(Row { cells, object })
    }
}

fn line(out: &mut BytesMut, change: &str, object: &Value) -> Result<(), ApiError> {
    let head = serde_json::to_vec(change).map_err(internal)?;
    out.put_slice(br#"{"type":"#);
    out.put_slice(&head);
    out.put_slice(br#","object":"#);
    out.put_slice(&order::json(object));
    out.put_slice(b"}\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{pod, pods_kind};

    fn encoder(form: Form) -> Encoder {
        Encoder { kind: Arc::new(pods_kind()), api_version: "v1".to_owned(), form, encoding: Encoding::Json, include: Include::Metadata }
    }

    fn value(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn lists_have_the_stored_bytes_without_their_kind() {
        let items = vec![pod("a", 5), pod("b", 6)];
        let list = ListReply { items: items.clone(), revision: 7, continue_token: "next".into(), remaining: Some(3) };
        let got = encoder(Form::Object).list(&list, Timestamp::UNIX_EPOCH).unwrap();
        let bytes = items[0].json().strip_prefix(br#"{"kind":"Pod","apiVersion":"v1","#).unwrap();
        assert!(got.windows(bytes.len()).any(|w| w == bytes));
        let got = value(&got);
        assert_eq!((got["items"][0].get("kind"), got["items"][0].get("apiVersion")), (None, None));
        assert_eq!(got["kind"], "PodList");
        assert_eq!(got["metadata"], json!({"resourceVersion": "7", "continue": "next", "remainingItemCount": 3}));
        assert_eq!(got["items"][1]["metadata"]["name"], "b");
        let empty = encoder(Form::Object).list(&ListReply::default(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(value(&empty)["items"], json!([]));
    }

    #[test]
    fn tables_have_rows_with_metadata() {
        let list = ListReply { items: vec![pod("a", 5)], revision: 7, ..ListReply::default() };
        let got = value(&encoder(Form::Table(MetaVersion::V1)).list(&list, Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(got["kind"], "Table");
        assert_eq!(got["columnDefinitions"][0]["name"], "Name");
        assert_eq!(got["rows"][0]["cells"][0], "a");
        assert_eq!(got["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(got["rows"][0]["object"]["metadata"]["resourceVersion"], "5");
        assert!(got["rows"][0]["object"].get("spec").is_none());
    }

    #[test]
    fn events_are_lines() {
        let mut out = BytesMut::new();
        let e = encoder(Form::Table(MetaVersion::V1));
        e.event(&mut out, EventType::Added, &pod("a", 5), true, Timestamp::UNIX_EPOCH).unwrap();
        e.event(&mut out, EventType::Modified, &pod("a", 6), false, Timestamp::UNIX_EPOCH).unwrap();
        e.bookmark(&mut out, 9, true).unwrap();
        encoder(Form::Object).event(&mut out, EventType::Deleted, &pod("a", 7), false, Timestamp::UNIX_EPOCH).unwrap();
        let lines: Vec<Value> = out.freeze().split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(value).collect();
        assert_eq!(lines.iter().map(|l| l["type"].as_str().unwrap()).collect::<Vec<_>>(), ["ADDED", "MODIFIED", "BOOKMARK", "DELETED"]);
        assert!(lines[0]["object"]["columnDefinitions"].is_array() && lines[1]["object"]["columnDefinitions"].is_null());
        assert_eq!(lines[2]["object"]["metadata"]["resourceVersion"], "9");
        assert_eq!(lines[3]["object"]["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn metadata_alone() {
        let got = value(&encoder(Form::Metadata(MetaVersion::V1)).object(&pod("a", 5), Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(got["kind"], "PartialObjectMetadata");
        assert!(got.get("spec").is_none());
    }
}
