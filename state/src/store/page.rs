//! Lists in pages. All pages show the revision of the first one: for later pages the changes that the window holds since then are undone.
use super::log::Log;
use super::revision::{revision_of, too_large};
use super::table::{Data, Table};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::error::Details;
use model::{ApiError, Reason, Stored};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many objects are looked at under one lock.
const CHUNK: usize = 512;
/// Seconds for which a list may be read in pages. Kubernetes forgets what was there after five minutes, and clients are written for that.
const LIFETIME: i64 = 300;

/// Which objects a list has, and from where to where.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// Namespace; `""`: all.
    pub namespace: String,
    /// At most so many objects; 0: all.
    pub limit: u64,
    /// The token of the page before; `""` for the first page.
    pub continue_token: String,
    /// For the first page: the exact revision to list at; `None`: now.
    pub at: Option<u64>,
}

/// Objects of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The objects, by namespace and name.
    pub items: Vec<Arc<Stored>>,
    /// The revision at which they were so.
    pub revision: u64,
    /// Where the next page starts; `""` when this is the last one.
    pub continue_token: String,
    /// How many follow; `None` when a filter makes that unknown.
    pub remaining: Option<u64>,
}

/// What a continue token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The revision of the list; 0 for a list that goes on with the present.
    r: u64,
    /// The last object's namespace.
    s: String,
    /// The last object's name.
    n: String,
    /// How many objects followed.
    c: Option<u64>,
    /// When the list began, in seconds since 1970.
    #[serde(default)]
    t: i64,
}

impl Token {
    /// As clients carry it.
    ///
    /// # Errors
    /// 500 when it can't be written.
    pub fn encode(&self) -> Result<String, ApiError> {
        serde_json::to_vec(self).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|e| ApiError::internal(e.to_string()))
    }

    /// From what a client brings back.
    ///
    /// # Errors
    /// 400 for what is no token.
    pub fn decode(text: &str) -> Result<Self, ApiError> {
        let invalid = |why: String| ApiError::bad_request(format!("continue key is not valid: {why}"));
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|e| invalid(e.to_string()))?;
        serde_json::from_slice(&json).map_err(|e| invalid(e.to_string()))
    }

    /// 410, with the token that goes on with the present.
    fn expired(&self) -> Result<ApiError, ApiError> {
        let continue_token = Self { r: 0, c: None, t: 0, ..self.clone() }.encode()?;
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue \
                       parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided \
                       token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was \
                       returned and now may show up in the list.";
        let details = Details { continue_token, ..Details::default() };
        Ok(ApiError { reason: Reason::Expired, message: message.to_owned(), details: Some(Box::new(details)) })
    }
}

type Name = (Arc<str>, Arc<str>);

/// What names had at an earlier revision, where that differs from now.
type Undo = BTreeMap<Name, Option<Arc<Stored>>>;

/// The differences between `data` and what it was at `revision`; `None` when the window doesn't reach back.
fn undo(data: &Data, revision: u64) -> Option<Undo> {
    let mut undo = Undo::new();
    for change in data.window().from(data.window().after(revision)?)? {
        undo.entry((change.new.key.namespace.clone(), change.new.key.name.clone())).or_insert_with(|| change.old.clone());
    }
    Some(undo)
}

/// Up to `limit` objects of `namespace` after `cursor`, as they were before `undo`'s changes.
fn chunk(data: &Data, undo: &Undo, namespace: &str, cursor: Option<&Name>, limit: usize) -> Vec<Arc<Stored>> {
    use std::ops::Bound::{Excluded, Unbounded};
    let name = |s: &Arc<Stored>| (s.key.namespace.clone(), s.key.name.clone());
    let past = undo.range((cursor.map_or(Unbounded, |c| Excluded(c.clone())), Unbounded));
    let mut past = past.filter(|((space, _), _)| namespace.is_empty() || **space == *namespace).peekable();
    let mut present = data.after(namespace, cursor.map(|(s, n)| (&**s, &**n))).peekable();
    let mut out = Vec::new();
    while out.len() < limit {
        let earlier = match (present.peek(), past.peek()) {
            (None, None) => break,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some(now), Some((then, _))) => *then <= &name(now),
        };
        if !earlier {
            out.extend(present.next().cloned());
        } else if let Some((then, object)) = past.next() {
            present.next_if(|now| name(now) == *then);
            out.extend(object.clone());
        }
    }
    out
}

/// One read of `table`, at the present or at an earlier revision.
struct Reader<'a> {
    log: &'a Log,
    table: &'a Table,
    namespace: &'a str,
    /// `None` until the first chunk decides it.
    revision: Option<u64>,
    cursor: Option<Name>,
}

impl Reader<'_> {
    /// The next objects, and how many the namespace has in all if this is the first chunk of a list of the present. `None`: too old.
    fn next(&mut self, limit: usize) -> Option<(Vec<Arc<Stored>>, usize)> {
        let applied = self.log.applied();
        let data = self.table.read();
        let revision = *self.revision.get_or_insert_with(|| revision_of(&data, applied));
        let undo = undo(&data, revision)?;
        let items = chunk(&data, &undo, self.namespace, self.cursor.as_ref(), limit);
        let total = data.count(self.namespace);
        let appeared = undo.iter().filter(|((space, name), old)| {
            let concerns = self.namespace.is_empty() || **space == *self.namespace;
            concerns && old.is_none() && data.get(space, name).is_some()
        });
        let gone = undo.iter().filter(|((space, name), old)| {
            let concerns = self.namespace.is_empty() || **space == *self.namespace;
            concerns && old.is_some() && data.get(space, name).is_none()
        });
        let total = total + gone.count() - appeared.count();
        drop(data);
        if let Some(last) = items.last() {
            self.cursor = Some((last.key.namespace.clone(), last.key.name.clone()));
        }
        Some((items, total))
    }
}

impl Reader<'_> {
    /// How many objects of the present follow what was read.
    fn following(&self) -> usize {
        let data = self.table.read();
        data.after(self.namespace, self.cursor.as_ref().map(|(s, n)| (&**s, &**n))).count()
    }
}

async fn select(found: Vec<Arc<Stored>>, matches: Matches<'_>, items: &mut Vec<Arc<Stored>>) {
    for (n, stored) in found.into_iter().enumerate() {
        if n % CHUNK == CHUNK - 1 {
            tokio::task::yield_now().await;
        }
        if matches(&stored) {
            items.push(stored);
        }
    }
}

/// What selects objects of a list.
pub type Matches<'a> = &'a (dyn Fn(&Stored) -> bool + Send + Sync);

/// Reads one page, at `now` in seconds since 1970. `matches` selects objects; it is called without any lock, and others get a turn between so many calls.
///
/// # Errors
/// 400 for a token that isn't one of ours, 410 when the revision is no longer held, 504 when it isn't there yet.
pub(crate) async fn read(log: &Log, table: &Table, request: &PageRequest, matches: Option<Matches<'_>>, now: i64) -> Result<Page, ApiError> {
    let token = (!request.continue_token.is_empty()).then(|| Token::decode(&request.continue_token)).transpose()?;
    let revision = token.as_ref().map_or(request.at, |t| Some(t.r)).filter(|r| *r > 0);
    if let Some(revision) = revision.filter(|r| *r > log.applied()) {
        return Err(too_large(revision, log.applied()));
    }
    if let Some(token) = token.as_ref().filter(|token| token.r > 0 && now > token.t.saturating_add(LIFETIME)) {
        return Err(token.expired()?);
    }
    let cursor = token.as_ref().map(|t| (Arc::from(&*t.s), Arc::from(&*t.n)));
    let mut reader = Reader { log, table, namespace: &request.namespace, revision, cursor };
    let too_old = || match &token {
        Some(token) => token.expired().unwrap_or_else(|e| e),
        None => ApiError::expired("The resourceVersion for the provided list is too old."),
    };
    let limit = if request.limit == 0 { usize::MAX } else { usize::try_from(request.limit).unwrap_or(usize::MAX) };
    let mut items: Vec<Arc<Stored>> = Vec::new();
    let mut following = token.as_ref().and_then(|t| t.c).map(|c| usize::try_from(c).unwrap_or(usize::MAX));
    let mut more = true;
    while more && items.len() <= limit {
        let want = if limit == usize::MAX { usize::MAX } else { (limit + 1 - items.len()).max(if matches.is_some() { CHUNK } else { 1 }) };
        let (found, total) = reader.next(want).ok_or_else(too_old)?;
        more = found.len() == want;
        if token.is_none() {
            following.get_or_insert(total);
        }
        if token.as_ref().is_some_and(|token| token.r == 0) && following.is_none() && matches.is_none() {
            following = Some(reader.following() + found.len());
        }
        match matches {
            Some(matches) => select(found, matches, &mut items).await,
            None => items.extend(found),
        }
    }
    let revision = reader.revision.unwrap_or_else(|| log.applied());
    let mut page = Page { items, revision, continue_token: String::new(), remaining: None };
    if page.items.len() > limit {
        page.items.truncate(limit);
        page.remaining = following.filter(|_| matches.is_none()).and_then(|n| n.checked_sub(limit)).map(|n| n as u64).filter(|n| *n > 0);
        let last = page.items.last().map(|s| (s.key.namespace.to_string(), s.key.name.to_string())).unwrap_or_default();
        // a list that goes on with the present is a new one from here on: the pages that follow are as this one is
        let began = token.filter(|token| token.r > 0).map_or(now, |token| token.t);
        page.continue_token = Token { r: revision, s: last.0, n: last.1, c: page.remaining, t: began }.encode()?;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use model::{Key, Object};
    use serde_json::json;

    #[test]
    fn others_get_a_turn_while_a_list_is_selected() {
        let object = Object::from_value(json!({"metadata": {"name": "a"}})).unwrap();
        let stored = Arc::new(Stored::from_object(Key::new("", "x", "", "a"), object).unwrap());
        let mut items = Vec::new();
        let mut turns = 0;
        {
            let mut selected = std::pin::pin!(select(vec![stored; 4 * CHUNK], &|_| true, &mut items));
            while selected.as_mut().now_or_never().is_none() {
                turns += 1;
            }
        }
        assert_eq!((turns, items.len()), (4, 4 * CHUNK));
    }
}
