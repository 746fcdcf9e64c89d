//! The measure: what actix answers when there is nothing to do.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;

/// The no-op in a process of its own, until it is dropped.
pub struct Noop {
    pub address: SocketAddr,
    process: Child,
}

impl Noop {
    pub fn start() -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("--noop")
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the no-op")?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("the no-op's output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { address: line.trim().parse().context("the no-op's address")?, process })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Noop {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until the process is killed; its address is the only thing it says.
pub fn serve() -> std::io::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(|| {
            // Read to its end: actix closes a connection on which a body was left.
            let ok = |_: web::Bytes| async { HttpResponse::Ok().finish() };
            App::new().default_service(web::post().to(ok))
        })
        .bind(("127.0.0.1", 0))?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", server.addrs()[0])?;
        drop(out);
        server.run().await
    })
}
