/// Type of the value that conditions see for a question, a field or an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueType {
    Number,
    /// Text, and always one of these.
    OneOf(Vec<String>),
    /// Any text.
    Text,
    Bool,
    Nothing,
    List(Box<ValueType>),
    /// It can be anything.
    Unknown,
}

impl ValueType {
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::OneOf(_))
    }

    /// The type of a value that has either of two.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (one, other) if one.is_text() && other.is_text() => Self::Text,
            _ => Self::Unknown,
        }
    }
}
