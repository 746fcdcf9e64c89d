use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;

use super::Failure;
use crate::simulator::{Options, Simulator};

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4010")]
    listen: SocketAddr,
    /// The one account that is known; without it any pair that is not empty may post
    #[arg(long, value_name = "ID", requires = "auth_token")]
    auth_id: Option<String>,
    /// The token of that account
    #[arg(long, value_name = "TOKEN", requires = "auth_id")]
    auth_token: Option<String>,
}

impl Simulate {
    pub(super) fn run(self) -> Result<(), Failure> {
        let options = Options { auth: self.auth_id.zip(self.auth_token), ..Options::default() };
        let simulator = Simulator::start(self.listen, options)
            .with_context(|| format!("listening on {}", self.listen))?;
        let address = simulator.addr();
        let mut out = std::io::stdout().lock();
        writeln!(out, "the Feedback API   http://{address}/v1/Call/{{call_uuid}}/Feedback/")?;
        writeln!(out, "received           http://{address}/simulator/feedback")?;
        writeln!(
            out,
            "make it fail       curl -X PUT http://{address}/simulator/faults -d '{{\"faults\":[{{\"status\":503,\"times\":2}}]}}'"
        )?;
        writeln!(out, "Ctrl-C ends it.")?;
        out.flush()?;
        actix_web::rt::System::new()
            .block_on(tokio::signal::ctrl_c())
            .context("listening for signals")?;
        Ok(())
    }
}
