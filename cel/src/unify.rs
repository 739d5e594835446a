//! Which type may stand where another is wanted, and what the parameters of types stand for then.
use crate::types::Type;

/// Most parts of types that are looked at in one question: types can be written that are exponentially larger than their text.
const FUEL: usize = 500;

/// What parameters stand for.
#[derive(Clone, Debug, Default)]
pub struct Substitution {
    bound: Vec<Option<Type>>,
    /// What was bound before, since the last question.
    trail: Vec<(usize, Option<Type>)>,
}

impl Substitution {
    /// A parameter that stands for nothing yet.
    pub fn fresh(&mut self) -> Type {
        self.bound.push(None);
        Type::Param(self.bound.len() - 1)
    }

    /// A signature's types with parameters of their own.
    pub fn instantiate(&mut self, types: &[Type]) -> Vec<Type> {
        if !types.iter().any(has_parameters) {
            return types.to_vec();
        }
        let fresh = [self.fresh(), self.fresh()];
        types.iter().map(|t| replaced(t, &fresh)).collect()
    }

    fn binding(&self, at: usize) -> Option<&Type> {
        self.bound.get(at).and_then(Option::as_ref)
    }

    /// A type with what its parameters stand for; one that stands for nothing stays, or is `dyn` at the end.
    pub fn resolve(&self, of: &Type, last: bool) -> Type {
        self.resolved(of, last, &mut { FUEL })
    }

    fn resolved(&self, of: &Type, last: bool, fuel: &mut usize) -> Type {
        self.changed(of, last, fuel).unwrap_or_else(|| of.clone())
    }

    /// None where it stays what it is, so that it is shared.
    fn changed(&self, of: &Type, last: bool, fuel: &mut usize) -> Option<Type> {
        if *fuel == 0 {
            return Some(Type::Dyn);
        }
        *fuel -= 1;
        match of {
            Type::Param(at) => match self.binding(*at) {
                Some(bound) => Some(self.resolved(bound, last, fuel)),
                None => last.then_some(Type::Dyn),
            },
            Type::List(inner) => self.changed(inner, last, fuel).map(Type::list),
            Type::Optional(inner) => self.changed(inner, last, fuel).map(Type::optional),
            Type::Type(Some(inner)) => self.changed(inner, last, fuel).map(|inner| Type::Type(Some(inner.into()))),
            Type::Map(inner) => match (self.changed(&inner.0, last, fuel), self.changed(&inner.1, last, fuel)) {
                (None, None) => None,
                (key, value) => Some(Type::map(key.unwrap_or_else(|| inner.0.clone()), value.unwrap_or_else(|| inner.1.clone()))),
            },
            _ => None,
        }
    }

    /// Whether values of one type may stand where another is wanted; binds parameters where they may.
    pub fn assign(&mut self, from: &[Type], to: &[Type]) -> bool {
        self.trail.clear();
        let mut fuel = FUEL;
        let fits = from.len() == to.len() && from.iter().zip(to).all(|(from, to)| self.fits(from, to, &mut fuel));
        if !fits {
            while let Some((at, before)) = self.trail.pop() {
                if let Some(slot) = self.bound.get_mut(at) {
                    *slot = before;
                }
            }
        }
        fits
    }

    fn fits(&mut self, from: &Type, to: &Type, fuel: &mut usize) -> bool {
        if *fuel == 0 {
            return false;
        }
        *fuel -= 1;
        match (from, to) {
            (Type::Param(a), Type::Param(b)) if a == b => true,
            (_, Type::Param(at)) => self.bind(*at, from, true, fuel),
            (Type::Param(at), _) => self.bind(*at, to, false, fuel),
            (Type::Dyn | Type::Error, _) | (_, Type::Dyn | Type::Error) => true,
            (Type::Null, Type::Object(_) | Type::Opaque(_) | Type::Optional(_) | Type::Duration | Type::Timestamp | Type::Null) => true,
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => self.fits(a, b, fuel),
            (Type::Map(a), Type::Map(b)) => self.fits(&a.0, &b.0, fuel) && self.fits(&a.1, &b.1, fuel),
            (Type::Type(_), Type::Type(_)) => true,
            (a, b) => a == b,
        }
    }

    fn bind(&mut self, at: usize, other: &Type, is_source: bool, fuel: &mut usize) -> bool {
        if let Some(bound) = self.binding(at).cloned() {
            let fits = if is_source { self.fits(other, &bound, fuel) } else { self.fits(&bound, other, fuel) };
            // the more general of the two is what it stands for from now on
            let wider = matches!((&bound, other), (Type::Null, _)) && !matches!(other, Type::Null);
            if !fits && is_source && wider && self.fits(&bound, other, fuel) {
                self.set(at, other.clone());
                return true;
            }
            if fits && matches!(other, Type::Dyn) {
                self.set(at, Type::Dyn);
            }
            return fits;
        }
        if self.occurs(at, other, fuel) {
            return false;
        }
        self.set(at, other.clone());
        true
    }

    fn set(&mut self, at: usize, to: Type) {
        if let Some(slot) = self.bound.get_mut(at) {
            self.trail.push((at, slot.replace(to)));
        }
    }

    fn occurs(&self, at: usize, within: &Type, fuel: &mut usize) -> bool {
        if *fuel == 0 {
            return true;
        }
        *fuel -= 1;
        match within {
            Type::Param(other) => *other == at || self.binding(*other).is_some_and(|bound| self.occurs(at, bound, fuel)),
            Type::List(inner) | Type::Optional(inner) | Type::Type(Some(inner)) => self.occurs(at, inner, fuel),
            Type::Map(inner) => self.occurs(at, &inner.0, fuel) || self.occurs(at, &inner.1, fuel),
            _ => false,
        }
    }
}

fn replaced(of: &Type, fresh: &[Type]) -> Type {
    match of {
        Type::Param(at) => fresh.get(*at).cloned().unwrap_or(Type::Dyn),
        Type::List(inner) => Type::list(replaced(inner, fresh)),
        Type::Optional(inner) => Type::optional(replaced(inner, fresh)),
        Type::Type(Some(inner)) => Type::Type(Some(replaced(inner, fresh).into())),
        Type::Map(inner) => Type::map(replaced(&inner.0, fresh), replaced(&inner.1, fresh)),
        other => other.clone(),
    }
}

fn has_parameters(of: &Type) -> bool {
    match of {
        Type::Param(_) => true,
        Type::List(inner) | Type::Optional(inner) | Type::Type(Some(inner)) => has_parameters(inner),
        Type::Map(inner) => has_parameters(&inner.0) || has_parameters(&inner.1),
        _ => false,
    }
}
