//! A table of sockets under tokens with a generation: an event that was
//! fetched before its socket went finds an empty place, not the next tenant.

use crate::net::Token;

/// Bits of a token that are the place; the rest counts the tenants.
const PLACE_BITS: u32 = usize::BITS / 2;
const PLACE_MASK: usize = (1 << PLACE_BITS) - 1;
/// One bit less, so that no token is all ones: that one is the poller's own.
const GENERATION_MASK: usize = PLACE_MASK >> 1;

#[derive(Debug)]
pub(crate) struct Table<T> {
    places: Vec<Place<T>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Place<T> {
    generation: usize,
    tenant: Option<T>,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn insert(&mut self, tenant: T) -> Token {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place {
                generation: 0,
                tenant: None,
            });
            self.places.len() - 1
        });
        self.places[place].tenant = Some(tenant);
        Token(self.places[place].generation << PLACE_BITS | place)
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.place(token)?.tenant.as_mut()
    }

    /// Takes the tenant out; the token is dead from here on.
    pub(crate) fn remove(&mut self, token: Token) -> Option<T> {
        let place = self.place(token)?;
        let tenant = place.tenant.take()?;
        place.generation = (place.generation + 1) & GENERATION_MASK;
        self.free.push(token.0 & PLACE_MASK);
        Some(tenant)
    }

    /// Puts another tenant in, under the same token.
    pub(crate) fn replace(&mut self, token: Token, tenant: T) -> Option<T> {
        let place = self.place(token)?;
        place.tenant.replace(tenant)
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.free.clear();
        std::mem::take(&mut self.places)
            .into_iter()
            .filter_map(|place| place.tenant)
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// All tenants under their tokens.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.places.iter().enumerate().filter_map(|(n, place)| {
            let token = Token(place.generation << PLACE_BITS | n);
            Some((token, place.tenant.as_ref()?))
        })
    }

    fn place(&mut self, token: Token) -> Option<&mut Place<T>> {
        self.places
            .get_mut(token.0 & PLACE_MASK)
            .filter(|place| place.generation == token.0 >> PLACE_BITS)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_dead_token_finds_nobody_though_its_place_is_taken_again() {
        let mut table = Table::new();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_ne!(first, second);
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.replace(first, "late"), None);
        assert_eq!(table.get_mut(second), Some(&mut "second"));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn no_token_is_the_pollers_own() {
        let mut table = Table::new();
        for _ in 0..3 {
            let token = table.insert(());
            assert_ne!(token.0, usize::MAX);
            table.remove(token);
        }
        const { assert!((GENERATION_MASK << PLACE_BITS | PLACE_MASK) < usize::MAX) };
    }
}
