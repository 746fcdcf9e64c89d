use std::collections::BTreeMap;
use std::fmt;

/// The variables of the process, or of a test: where overrides and `{ env: … }` secrets come from.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    has_placeholders: bool,
}

impl Environment {
    /// As the process was started. What is not UTF-8 is left out.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The same variables, with a placeholder for every secret that is not set. For commands that
    /// check settings where the secrets are not; a service must never run with it.
    pub fn without_secrets(self) -> Self {
        Self { has_placeholders: true, ..self }
    }

    /// Whether a placeholder replaces a secret that is not set.
    pub(super) fn has_placeholders(&self) -> bool {
        self.has_placeholders
    }

    /// With these variables over the others.
    pub fn with(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables.extend(variables);
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// In the order of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let entry = |(name, value): (N, V)| (name.into(), value.into());
        Self { variables: variables.into_iter().map(entry).collect(), has_placeholders: false }
    }
}

impl fmt::Debug for Environment {
    /// Says how many there are: their values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Environment({} variables)", self.variables.len())
    }
}
