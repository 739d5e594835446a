//! What the containers of a pod take together.

/// Amounts of resources.
pub trait Amount: Default {
    /// Adds others to them.
    fn add(&mut self, more: &Self);
    /// Raises each to that of others, where that is more.
    fn max(&mut self, other: &Self);
}

/// When a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Until it has ended, before those that come after it.
    Init,
    /// From its turn among the init containers on.
    Sidecar,
    /// After all init containers.
    Main,
}

/// The most that containers take at once, init containers first: these run one after the other beside the sidecars started so far; then the others run beside
/// all sidecars.
///
/// # Errors
/// The first amount that is none.
pub fn at_once<A: Amount, E>(containers: impl IntoIterator<Item = (Part, Result<A, E>)>) -> Result<A, E> {
    let (mut total, mut sidecars, mut initial) = (A::default(), A::default(), A::default());
    for (part, amount) in containers {
        let mut amount = amount?;
        match part {
            Part::Main => total.add(&amount),
            Part::Sidecar => {
                sidecars.add(&amount);
                initial.max(&sidecars);
            }
            Part::Init => {
                amount.add(&sidecars);
                initial.max(&amount);
            }
        }
    }
    total.add(&sidecars);
    total.max(&initial);
    Ok(total)
}
