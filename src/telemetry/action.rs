/// What a person did by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Replay,
    ReplayAsWas,
    Discard,
    Erase,
    Hold,
    Resume,
}

impl Action {
    pub const ALL: [Action; 6] = [
        Action::Replay,
        Action::ReplayAsWas,
        Action::Discard,
        Action::Erase,
        Action::Hold,
        Action::Resume,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Action::Replay => "replay",
            Action::ReplayAsWas => "replay_as_was",
            Action::Discard => "discard",
            Action::Erase => "erase",
            Action::Hold => "hold",
            Action::Resume => "resume",
        }
    }
}
