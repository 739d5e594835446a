//! `whalesong get`: objects of any kind as a table, over the bus.
use crate::cli::GetArgs;
use crate::failure::Failure;
use crate::join;
use bus::Role;
use model::{ApiError, Kind, Stored};
use serde_json::Value;
use state_client::{Client, Reply, Request, Verb};
use std::sync::Arc;

/// The kind that a person means by `pods`, `pod`, `po`, `Pod` or `deployments.apps`.
fn kind_of(word: &str) -> Result<Arc<Kind>, Failure> {
    let kinds = model::kinds::builtin();
    let word = word.to_lowercase();
    let (name, group) = word.split_once('.').map_or((word.as_str(), None), |(n, g)| (n, Some(g)));
    let means = |k: &&Arc<Kind>| {
        let named = [&k.resource, &k.singular].iter().any(|n| n.eq_ignore_ascii_case(name)) || k.short_names.iter().any(|s| &**s == name);
        named && k.verbs.contains(&"list") && group.is_none_or(|g| &*k.group == g)
    };
    kinds.rows().iter().find(means).cloned().ok_or_else(|| Failure::new(format!("there is no resource {word:?}"), "kubectl api-resources lists them"))
}

/// Fetches and renders what is asked for.
///
/// # Errors
/// What `state` answers, as a sentence.
pub async fn get(args: GetArgs) -> Result<String, Failure> {
    let client = Client::new(join::as_role(&args.role, Role::Admin, "admin").await?);
    let kind = kind_of(&args.resource)?;
    let namespace = match (kind.namespaced() && !args.all_namespaces, &args.namespace) {
        (false, _) => "",
        (true, Some(n)) => n,
        (true, None) => "default",
    };
    let objects = fetch(&client, &kind, namespace, &args).await.map_err(|e| Failure::new(e.to_string(), ""))?;
    match args.output.as_deref() {
        None => Ok(table(&kind, &objects, namespace.is_empty() && kind.namespaced(), false)),
        Some("wide") => Ok(table(&kind, &objects, namespace.is_empty() && kind.namespaced(), true)),
        Some("name") => Ok(objects.iter().map(|o| format!("{}/{}\n", kind.singular, o.key.name)).collect()),
        Some("json") => {
            let items: Vec<&model::Object> = objects.iter().map(|o| o.object()).collect();
            serde_json::to_string_pretty(&items).map(|s| s + "\n").map_err(|e| Failure::new(e.to_string(), ""))
        }
        Some(other) => Err(Failure::new(format!("{other:?} is no output format"), "use wide, json or name")),
    }
}

async fn fetch(client: &Client, kind: &Kind, namespace: &str, args: &GetArgs) -> Result<Vec<Arc<Stored>>, ApiError> {
    if let Some(name) = &args.name {
        return Ok(vec![client.get(&kind.group, &kind.resource, namespace, name).await?]);
    }
    let mut request = Request::new(Verb::List, &kind.group, &kind.resource, namespace, "");
    request.options.label_selector = args.selector.clone().unwrap_or_default();
    match client.call(request).await? {
        Reply::List(list) => Ok(list.items),
        _ => Err(ApiError::internal("the reply is not a list")),
    }
}

fn text(cell: &Value) -> String {
    match cell {
        Value::String(s) => s.clone(),
        Value::Null => "<none>".to_owned(),
        other => other.to_string(),
    }
}

/// As `kubectl get` prints them.
pub fn table(kind: &Kind, objects: &[Arc<Stored>], with_namespace: bool, wide: bool) -> String {
    if objects.is_empty() {
        return "No resources found\n".to_owned();
    }
    let now = jiff::Timestamp::now();
    let columns: Vec<_> = kind.columns.iter().filter(|c| wide || c.priority == 0).collect();
    let head = columns.iter().map(|c| c.name.to_uppercase());
    let mut rows: Vec<Vec<String>> = vec![with_namespace.then(|| "NAMESPACE".to_owned()).into_iter().chain(head).collect()];
    for stored in objects {
        let cells = columns.iter().map(|c| text(&c.cell.of(stored.object(), now)));
        rows.push(with_namespace.then(|| stored.key.namespace.to_string()).into_iter().chain(cells).collect());
    }
    align(&rows)
}

/// Columns of equal width, three spaces apart; the first row is the head.
pub fn align(rows: &[Vec<String>]) -> String {
    // what nodes and users have named must not speak to the terminal
    let shown = |cell: &String| cell.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns).map(|i| rows.iter().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0)).collect();
    let line =
        |row: &Vec<String>| row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n";
    rows.iter().map(line).collect()
}
