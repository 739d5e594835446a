//! `whalesong creds` and `whalesong token`: how roles and nodes come in from elsewhere, and how that ends.
use crate::access::Reload;
use crate::access::registry::{Entry, Registry};
use crate::access::token::JoinToken;
use crate::cli::{CredsArgs, HomeArgs, RevokeArgs, RoleArgs, TokenArgs};
use crate::failure::Failure;
use crate::join::{self, CLUSTER};
use bus::keys::KeyFile;
use bus::{Bus, BusError, Caller, ConnectError, Pin, Role, To};
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a join token may be used when nobody says.
const TTL: Duration = Duration::from_secs(24 * 3600);
/// The longest that it may.
const TTL_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

fn role(name: &str) -> Result<Role, Failure> {
    Role::from_name(name).ok_or_else(|| Failure::new(format!("{name:?} is no role"), "use state, gateway, scheduler, controllers, agent, admin or client"))
}

fn registry(home: &HomeArgs) -> (PathBuf, Registry) {
    let root = join::root(home.data.as_ref());
    let registry = Registry::new(&root, home.cluster.as_deref().unwrap_or(CLUSTER));
    (root, registry)
}

/// Who knows of a change.
#[derive(PartialEq, Eq)]
enum Told {
    /// The running cluster's own server; or nobody, as none runs: the next one reads the registry when it starts.
    Server,
    /// Nobody who could act on it: the cluster's NATS server is somebody else's.
    Foreign,
}

const FOREIGN: &str = "the cluster's NATS server isn't one that `whalesong up` has started";

/// Lets the running cluster know.
async fn tell(root: PathBuf, home: HomeArgs) -> Result<Told, Failure> {
    let here = RoleArgs { home: HomeArgs { data: Some(root), cluster: home.cluster }, ..RoleArgs::default() };
    let bus = match Bus::connect(join::role_options(&here, Role::Admin, "admin")?).await {
        Ok(bus) => bus,
        Err(ConnectError::Unreachable { .. }) => return Ok(Told::Server),
        Err(e) => return Err(Failure::new(format!("the registry has changed, but whether the running cluster knows can't be told: {e}"), "")),
    };
    match bus.call(&To::Any, Reload {}, Duration::from_secs(15)).await {
        Ok(Ok(())) => Ok(Told::Server),
        Err(BusError::NoResponder { .. }) => Ok(Told::Foreign),
        Ok(Err(why)) => Err(Failure::new(format!("the running cluster doesn't take the change: {why}"), "")),
        Err(e) => Err(Failure::new(e.to_string(), "")),
    }
}

/// Makes a key for a role elsewhere, lets the cluster know its public half, and names the file that has the rest.
///
/// # Errors
/// When the role is unknown, it has a key, the file is there or can't be written, or the running cluster refuses.
pub async fn creds(args: CredsArgs) -> Result<String, Failure> {
    let (Some(role), Some(name)) = (&args.role, args.name) else {
        return Err(Failure::new("a key is for a role and a name", "see `whalesong creds --help`"));
    };
    let role = self::role(role)?;
    if role == Role::Join {
        return Err(Failure::new("join tokens aren't made so", "use `whalesong token`"));
    }
    if role == Role::Agent && !model::names::is_dns_subdomain(&name) {
        return Err(Failure::new(format!("{name:?} can't be the name of a node"), "use a lower-case DNS name"));
    }
    let wrong = |why| Failure::new(why, "see `whalesong creds --help`");
    let allowed = args.allow.iter().map(|rule| bus::subject::client_pattern(rule)).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if role != Role::Client && !allowed.is_empty() {
        return Err(Failure::new("--allow is for keys of the role client", "what other roles may do is fixed"));
    }
    if role == Role::Client && (name.is_empty() || name.starts_with("system:") && !name.starts_with("system:serviceaccount:")) {
        return Err(Failure::new(format!("no program may be the user {name:?}"), "use a user's name, or system:serviceaccount:NAMESPACE:NAME"));
    }
    let (root, registry) = registry(&args.home);
    // the tools of NATS read such a file themselves, and are told of the server's CA otherwise
    let authority = if role == Role::Client { None } else { join::authority(&root)? };
    let caller = Caller::new(role, &name);
    if role != Role::Agent && registry.seeds(role, &name).is_file() {
        return Err(Failure::new(format!("{caller} is one of this machine's own"), "choose another name"));
    }
    if registry.get(&caller)?.is_some() {
        let remedy = format!("revoke it first with `whalesong creds revoke {} {name}`", role.name());
        return Err(Failure::new(format!("{caller} has a key already"), remedy));
    }
    let file = args.out.unwrap_or_else(|| Registry::new(Path::new(""), "").seeds(role, &name).file_name().map(PathBuf::from).unwrap_or_default());
    if file.exists() {
        return Err(Failure::new(format!("{} is there already", file.display()), "name another file with --out"));
    }
    let authority = authority.map(|ca| Pin::digest(&ca)).transpose().map_err(|e| Failure::new(format!("the cluster's CA can't be read ({e})"), ""))?;
    let keys = KeyFile { authority, ..KeyFile::generate(role == Role::State) };
    keys.write(&file).map_err(|e| Failure::new(e.to_string(), ""))?;
    let replies = keys.replies.as_ref().map(bus::keys::NatsKey::public);
    let entry = Entry { replies, allowed, ..Entry::new(keys.own.public()) };
    registry.put(&caller, &entry)?;
    if tell(root, args.home).await? == Told::Foreign {
        let keys = entry.replies.as_ref().map_or_else(|| entry.key.clone(), |replies| format!("{}, and for its replies {replies}", entry.key));
        eprintln!("{FOREIGN}: let its administrator let this key in: {keys}");
    }
    Ok(format!("{}\n", file.display()))
}

/// Makes a join token; on a line of its own, so that a script can take it.
///
/// # Errors
/// When the time can't be read, the cluster's CA isn't there, or the running cluster refuses.
pub async fn token(args: TokenArgs) -> Result<String, Failure> {
    let ttl = args.ttl.as_deref().map_or(Ok(TTL), crate::hollow::duration)?;
    let lasts = SignedDuration::try_from(ttl).ok().filter(|_| ttl <= TTL_MAX && !ttl.is_zero());
    let expires = lasts.and_then(|lasts| Timestamp::now().checked_add(lasts).ok());
    let expires = expires.ok_or_else(|| Failure::new("a token can't last so long", "give --ttl up to a year, for example 48h"))?;
    if let Some(node) = args.node.as_ref().filter(|node| !model::names::is_dns_subdomain(node)) {
        return Err(Failure::new(format!("{node:?} can't be the name of a node"), "use a lower-case DNS name"));
    }
    let (root, registry) = registry(&args.home);
    let ca = join::authority(&root)?;
    let token = JoinToken::new(ca.as_deref()).map_err(|e| Failure::new(format!("the cluster's CA can't be read ({e})"), ""))?;
    let entry = Entry { expires: Some(expires), node: args.node, ..Entry::new(token.public()) };
    let bearer = Caller::new(Role::Join, token.public());
    registry.put(&bearer, &entry)?;
    if tell(root, args.home).await? == Told::Foreign {
        registry.remove(&bearer)?;
        return Err(Failure::new(format!("nobody joins by a token: {FOREIGN}"), "make keys with `whalesong creds`, and let its administrator let them in"));
    }
    let text = token.text().map_err(|e| Failure::new(e.to_string(), ""))?;
    Ok(format!("{text}\n"))
}

/// Ends a key.
///
/// # Errors
/// When there is none, it is one of this machine's own, or the running cluster refuses.
pub async fn revoke(args: RevokeArgs) -> Result<String, Failure> {
    let (root, registry) = registry(&args.home);
    let caller = Caller::new(role(&args.role)?, &args.name);
    if !registry.remove(&caller)? {
        let own = registry.seeds(caller.role, &caller.name);
        if caller.role != Role::Agent && own.is_file() {
            let remedy = format!("stop it and remove {}: a new one is made at the next start", own.display());
            return Err(Failure::new(format!("the key of {caller} is this machine's own"), remedy));
        }
        return Err(Failure::new(format!("{caller} has no key"), "see `whalesong creds list`"));
    }
    if tell(root, args.home).await? == Told::Foreign {
        return Err(Failure::new(format!("the key of {caller} is forgotten here, but {FOREIGN}"), "let its administrator shut the key out"));
    }
    Ok(format!("revoked the key of {caller}\n"))
}

/// The registered keys as a table.
///
/// # Errors
/// When they can't be read.
pub fn list(home: &HomeArgs) -> Result<String, Failure> {
    let (_, registry) = registry(home);
    let now = Timestamp::now();
    let mut rows = vec![["ROLE", "NAME", "ENDS", "FOR NODE", "BY TOKEN", "KEY"].map(str::to_owned).to_vec()];
    for (caller, entry) in registry.entries()? {
        let ends = match entry.expires {
            None => "never".to_owned(),
            Some(_) if entry.ended(now) => "ended".to_owned(),
            Some(at) => at.round(jiff::Unit::Second).unwrap_or(at).to_string(),
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        rows.push(vec![caller.role.name().to_owned(), caller.name, ends, or_none(entry.node), or_none(entry.token), entry.key]);
    }
    Ok(crate::get::align(&rows))
}
