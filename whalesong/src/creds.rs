//! `whalesong creds`: a key for a role that joins from elsewhere.
use crate::cli::{CredsArgs, HomeArgs, RoleArgs};
use crate::failure::Failure;
use crate::join::{self, Admit};
use bus::keys::Key;
use bus::{BusError, Role, To};
use std::time::Duration;

/// Makes the key, lets the running cluster know, and names the file.
///
/// # Errors
/// When the role is unknown, the file can't be written, or the running cluster refuses.
pub async fn creds(args: CredsArgs) -> Result<String, Failure> {
    let role = Role::from_name(&args.role)
        .ok_or_else(|| Failure::new(format!("{:?} is no role", args.role), "use state, gateway, scheduler, controllers, agent or admin"))?;
    let root = join::root(args.home.data.as_ref());
    let path = join::key_file(&root, role, &args.name);
    Key::load_or_create(&path).map_err(|e| Failure::new(e.to_string(), ""))?;
    let here = RoleArgs { home: HomeArgs { data: Some(root), cluster: args.home.cluster }, ..RoleArgs::default() };
    // where no cluster runs, the next one reads the key when it starts
    if let Ok(bus) = join::as_role(&here, Role::Admin, "admin").await {
        match bus.call(&To::Any, Admit {}, Duration::from_secs(3)).await {
            Ok(Ok(())) | Err(BusError::NoResponder { .. }) => {}
            Ok(Err(why)) => return Err(Failure::new(format!("the running cluster doesn't take the key: {why}"), "")),
            Err(e) => return Err(Failure::new(e.to_string(), "")),
        }
    }
    Ok(format!("{}\n", path.display()))
}
