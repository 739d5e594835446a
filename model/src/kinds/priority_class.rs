//! PriorityClasses.
use super::fields::Checks;
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;

/// The highest priority that isn't the system's.
const USER_MAX: i64 = 1_000_000_000;
/// From this priority on a pod is critical.
pub const CRITICAL: i64 = 2_000_000_000;
/// The classes of the system, with their priorities: names and values that no user may take.
pub const SYSTEM: [(&str, i64); 2] = [("system-cluster-critical", CRITICAL), ("system-node-critical", CRITICAL + 1_000)];

/// The rules of PriorityClasses.
pub static STRATEGY: PriorityClass = PriorityClass;

/// The rules of PriorityClasses.
pub struct PriorityClass;

impl Strategy for PriorityClass {
    fn default(&self, class: &mut Object) {
        if class.str_at(&["preemptionPolicy"]).is_empty() {
            class.set(&["preemptionPolicy"], "PreemptLowerPriority");
        }
    }
    fn validate(&self, class: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let (name, value) = (class.name(), class.int_at(&["value"]).unwrap_or_default());
        if name.starts_with("system-") {
            if let Some(why) = not_system(name, value, class.at(&["globalDefault"]) == Some(&true.into())) {
                let why = format_args!("priority class names with 'system-' prefix are reserved for system use only. error: {why}");
                checks.add(Cause::forbidden("metadata.name", why));
            }
        } else if value > USER_MAX {
            checks.add(Cause::forbidden("value", format!("maximum allowed value of a user defined priority is {USER_MAX}")));
        }
        checks.one_of("preemptionPolicy", class.str_at(&["preemptionPolicy"]), &["PreemptLowerPriority", "Never"]);
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        if new.int_at(&["value"]) != old.int_at(&["value"]) {
            checks.add(Cause::forbidden("value", "may not be changed in an update."));
        }
        checks.immutable("preemptionPolicy", new.at(&["preemptionPolicy"]), old.at(&["preemptionPolicy"]));
        checks.0
    }
}

/// Why a class isn't one of the system's.
fn not_system(name: &str, value: i64, global: bool) -> Option<String> {
    match SYSTEM.iter().find(|(known, _)| *known == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some((_, known)) if *known != value => Some(format!("value of {name} PriorityClass must be {known}")),
        Some(_) if global => Some(format!("globalDefault of {name} PriorityClass must be false")),
        Some(_) => None,
    }
}
