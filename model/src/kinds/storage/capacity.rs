//! CSIStorageCapacities: how much room a driver has for volumes of a class, and where.
use crate::error::Cause;
use crate::kinds::fields::Checks;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;

/// The rules of CSIStorageCapacities.
pub(in crate::kinds) static CAPACITY: CsiStorageCapacity = CsiStorageCapacity;

/// The rules of CSIStorageCapacities.
pub(in crate::kinds) struct CsiStorageCapacity;

impl Strategy for CsiStorageCapacity {
    fn unconditional_update(&self) -> bool {
        false
    }
    fn validate(&self, capacity: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let class = capacity.str_at(&["storageClassName"]);
        checks.all("storageClassName", class, names::dns_subdomain(class));
        checks.0
    }
}
