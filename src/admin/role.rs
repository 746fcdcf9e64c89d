/// What a client of the admin listener may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads, with long numbers masked; acts on nothing.
    Viewer,
    /// Reads everything and acts.
    Operator,
}
