use std::fmt;
use std::sync::{Arc, RwLock};

use secrecy::SecretString;

use super::Name;

/// A Plivo account (or subaccount) on whose behalf calls are rated.
#[derive(Debug, Clone)]
pub struct Account {
    pub name: Name,
    /// `MA…` or `SA…`: the user name of every request.
    pub auth_id: String,
    pub credentials: Arc<Credentials>,
}

/// The auth tokens of an account; several while one is being rotated. They can be read anew while
/// the service runs, and whoever holds them sees the change.
pub struct Credentials {
    tokens: RwLock<Arc<[SecretString]>>,
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
        Ok(Self { tokens: RwLock::new(tokens), read })
    }

    /// Tokens that never change.
    pub fn fixed(tokens: Vec<SecretString>) -> Self {
        Self::new(Box::new(move || Ok(tokens.clone()))).expect("a fixed token is given")
    }

    /// As they are; what is read anew has to pass the check, or the tokens known so far stay.
    #[must_use]
    pub fn checked(
        self,
        check: impl Fn(&SecretString) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let Self { tokens, read } = self;
        let read = move || {
            let tokens = read()?;
            tokens.iter().try_for_each(&check)?;
            Ok(tokens)
        };
        Self { tokens, read: Box::new(read) }
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
        *self.tokens.write().expect("no holder of the lock panics") = tokens;
        Ok(())
    }

    fn some_token(read: &ReadTokens) -> Result<Arc<[SecretString]>, String> {
        let tokens = read()?;
        if tokens.is_empty() { Err("there is no token".to_owned()) } else { Ok(tokens.into()) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}
