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
/// the service runs, and every clone sees the change.
pub struct Credentials {
    tokens: RwLock<Arc<[SecretString]>>,
    changes: AtomicU64,
    read: Box<ReadTokens>,
}

/// Reads the tokens from where the settings say they lie, as many each time; an error says what was tried,
/// without a value.
pub type ReadTokens = dyn Fn() -> Vec<Result<SecretString, String>> + Send + Sync;

impl Credentials {
    /// # Errors
    /// One of the tokens cannot be read, or there is none.
    pub fn new(read: Box<ReadTokens>) -> Result<Self, String> {
        let tokens: Arc<[_]> = read().into_iter().collect::<Result<_, _>>()?;
        if tokens.is_empty() {
            return Err("there is no token".to_owned());
        }
        Ok(Self { tokens: RwLock::new(tokens), changes: AtomicU64::new(0), read })
    }

    /// Tokens that never change.
    pub fn fixed(tokens: Vec<SecretString>) -> Self {
        Self::new(Box::new(move || tokens.iter().cloned().map(Ok).collect()))
            .expect("a fixed token is given")
    }

    /// As they are; a token that is read again has to pass the check, or stays what it was.
    #[must_use]
    pub fn checked(
        self,
        check: impl Fn(&SecretString) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let Self { tokens, changes, read } = self;
        let read = move || {
            let checked = |token: Result<SecretString, String>| {
                token.and_then(|token| check(&token).map(|()| token))
            };
            read().into_iter().map(checked).collect()
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
    /// One of the tokens cannot be read: it stays what it was. The others are read none the less, because a
    /// token that is no longer used may be gone when another is rotated.
    pub fn read_anew(&self) -> Result<(), String> {
        let read = (self.read)();
        let mut known = self.tokens.write().expect("no holder of the lock panics");
        let mut result = Ok(());
        let now = read.into_iter().zip(known.iter()).map(|(read, known)| {
            read.unwrap_or_else(|error| {
                result = Err(error);
                known.clone()
            })
        });
        let tokens: Arc<[_]> = now.collect();
        if !is_same(&known, &tokens) {
            *known = tokens;
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    /// How often what was read again was something else.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
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
    fn a_token_is_rotated_whatever_became_of_another() {
        let files = Arc::new(Mutex::new(vec![Some("new"), Some("old")]));
        let mounted = files.clone();
        let read = move || {
            let token = |text: &Option<&str>| text.map(Into::into).ok_or("gone".to_owned());
            mounted.lock().unwrap().iter().map(token).collect()
        };
        let credentials = Credentials::new(Box::new(read)).unwrap();
        let changes_when = |tokens: [Option<&'static str>; 2]| {
            *files.lock().unwrap() = tokens.to_vec();
            (credentials.read_anew(), credentials.changes())
        };
        assert_eq!(changes_when([Some("new"), Some("old")]), (Ok(()), 0));
        assert_eq!(changes_when([Some("new"), None]), (Err("gone".to_owned()), 0));
        assert_eq!(changes_when([Some("newer"), None]), (Err("gone".to_owned()), 1));
        let texts = credentials.tokens();
        let texts: Vec<_> = texts.iter().map(ExposeSecret::expose_secret).collect();
        assert_eq!(texts, ["newer", "old"]);
        assert_eq!(changes_when([None, Some("older")]), (Err("gone".to_owned()), 2));
        assert_eq!(credentials.first().expose_secret(), "newer");
    }
}
