use std::io::Write;

use super::Failure;
use crate::settings;

pub(super) fn run() -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:#}", settings::schema())?;
    Ok(())
}
