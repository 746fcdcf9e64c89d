use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use secrecy::{ExposeSecret, SecretString};

use super::Name;

/// An account at a destination, on whose behalf calls are rated. How its destination identifies it
/// is part of the destination.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: Name,
    pub credentials: Arc<Credentials>,
}

/// The auth tokens of an account; several while one is being rotated. They can be read again while
/// the service runs, and whoever holds them sees the change.
pub struct Credentials {
    tokens: RwLock<Arc<[SecretString]>>,
    changes: AtomicU64,
    read: Box<ReadTokens>,
}

/// Reads the tokens from where the settings say they lie; the error says what was tried, without
/// a value.
pub type ReadTokens = dyn Fn() -> Result<Vec<SecretString>, String> + Send + Sync;

impl Credentials {
    /// # Errors
    /// What `read` says, or that it gave no token.
    pub fn new(read: Box<ReadTokens>) -> Result<Self, String> {
        let tokens = Self::some_token(&read)?;
        Ok(Self { tokens: RwLock::new(tokens), changes: AtomicU64::new(0), read })
    }

    /// Tokens that never change.
    pub fn fixed(tokens: Vec<SecretString>) -> Self {
        Self::new(Box::new(move || Ok(tokens.clone()))).expect("a fixed token is given")
    }

    /// As they are; what is read again has to pass the check, or the tokens known so far stay.
    #[must_use]
    pub fn checked(
        self,
        check: impl Fn(&SecretString) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let Self { tokens, changes, read } = self;
        let read = move || {
            let tokens = read()?;
            tokens.iter().try_for_each(&check)?;
            Ok(tokens)
        };
        Self { tokens, changes, read: Box::new(read) }
    }

    /// Any of these verifies; never empty.
    pub fn tokens(&self) -> Arc<[SecretString]> {
        self.tokens.read().expect("no holder of the lock panics").clone()
    }

    /// The first signs in.
    pub fn first(&self) -> SecretString {
        self.tokens()[0].clone()
    }

    /// # Errors
    /// As [`Credentials::new`]; the tokens known so far stay.
    pub fn read_anew(&self) -> Result<(), String> {
        let tokens = Self::some_token(&self.read)?;
        let mut known = self.tokens.write().expect("no holder of the lock panics");
        if !is_same(&known, &tokens) {
            *known = tokens;
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How often what was read again was something else.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn some_token(read: &ReadTokens) -> Result<Arc<[SecretString]>, String> {
        let tokens = read()?;
        if tokens.is_empty() { Err("there is no token".to_owned()) } else { Ok(tokens.into()) }
    }
}

/// Both lie in our own memory: who could time this has read them already.
fn is_same(known: &[SecretString], read: &[SecretString]) -> bool {
    known.iter().map(ExposeSecret::expose_secret).eq(read.iter().map(ExposeSecret::expose_secret))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn only_what_is_read_as_something_else_is_a_change() {
        let file = Arc::new(Mutex::new(vec!["old"]));
        let lies_there = file.clone();
        let read = move || Ok(lies_there.lock().unwrap().iter().map(|t| (*t).into()).collect());
        let credentials = Credentials::new(Box::new(read)).unwrap();
        let changes_when = |tokens: &[&'static str]| {
            *file.lock().unwrap() = tokens.to_vec();
            let _ = credentials.read_anew();
            credentials.changes()
        };
        assert_eq!(changes_when(&["old"]), 0);
        assert_eq!(changes_when(&["new", "old"]), 1);
        assert_eq!(changes_when(&["new", "old"]), 1);
        assert_eq!(changes_when(&[]), 1);
        assert_eq!(changes_when(&["new"]), 2);
        assert_eq!(credentials.first().expose_secret(), "new");
    }
}
