//! Where a service listens, as its log says.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::thread;

use anyhow::Context;
use serde_json::Value;

/// Reads the log of a service that has just been started, whose output is piped, up to the line that names its
/// listeners; returns that line. What it says before, as that PostgreSQL has no standby, is skipped.
pub fn listeners(process: &mut Child) -> anyhow::Result<Value> {
    let output = process.stdout.take().context("the service's output")?;
    let mut lines = BufReader::new(output).lines();
    loop {
        let line = lines.next().context("the service ended")??;
        let said: Value = serde_json::from_str(&line).context("a line of the service")?;
        if said["public"].is_string() {
            // A full pipe would stop it.
            thread::spawn(move || lines.for_each(drop));
            return Ok(said);
        }
    }
}
