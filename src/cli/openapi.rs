use std::io::Write;

use super::Failure;
use crate::http;

pub(super) fn run() -> Result<(), Failure> {
    write!(std::io::stdout().lock(), "{}", http::api_description())?;
    Ok(())
}
