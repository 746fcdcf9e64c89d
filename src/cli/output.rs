use clap::ValueEnum;

/// How to print what there is to say.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum Output {
    /// Plain text
    #[default]
    Text,
    /// One JSON document, for a script
    Json,
}
