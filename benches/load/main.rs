//! What the service does beside a bare actix no-op: durable answers a second, deliveries a second,
//! CPU time, latency and memory.
//!
//! Both get the same signed requests from the same client over the same number of connections, each
//! in a process of its own, in turn for several rounds. Without `--rate` the client sends as fast as
//! it is answered, and the median ratio of their answers a second has to reach the floor. The service
//! verifies V3, keeps each webhook on disk before it answers, and delivers at the same time. A run
//! counts only if every webhook was answered as durable, all are in the store, the state counts
//! balance, and the stand-in of Plivo received each call once.
//!
//! `cargo bench --bench load`, on two quiet cores: figures of one machine say little, ratios more.

mod driver;
mod message;
mod noop;
mod plivo;
mod process;
mod report;
mod requests;
mod service;
mod settings;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::{Parser, ValueEnum};
use serde_json::json;

use self::driver::Answered;
use self::noop::Noop;
use self::plivo::Plivo;
use self::process::MemoryPeak;
use self::report::{Figures, Turn};
use self::requests::Requests;
use self::service::Service;

/// What the service has to reach of the no-op's rate.
const FLOOR: f64 = 0.11;

/// From the start of a process until its memory is called idle.
const IDLE_AFTER: Duration = Duration::from_millis(1500);

#[derive(Parser)]
struct Load {
    /// Webhooks in each run, each about a call of its own
    #[arg(long, default_value = "50000")]
    webhooks: NonZeroUsize,
    /// Connections of the client; several are measured in turn
    #[arg(long, value_delimiter = ',', default_value = "64")]
    connections: Vec<NonZeroUsize>,
    /// Webhooks a second, at even intervals; as fast as they are answered without it
    #[arg(long)]
    rate: Option<NonZeroU32>,
    /// How often the service and the no-op take turns
    #[arg(long, default_value = "5")]
    rounds: NonZeroUsize,
    /// The median ratio that makes this succeed; not checked at a fixed rate
    #[arg(long, default_value_t = FLOOR)]
    floor: f64,
    /// Leaves something out, to see what it costs; the floor is for the whole
    #[arg(long, value_enum, default_value_t)]
    variant: Variant,
    /// What the service logs
    #[arg(long, default_value = "warn")]
    logs: String,
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    /// This process is the no-op
    #[arg(long, hide = true)]
    noop: bool,
}

#[derive(Clone, Copy, Default, PartialEq, ValueEnum)]
enum Variant {
    #[default]
    Whole,
    /// Nothing is due before the end of the run
    WithoutDelivery,
    /// Signatures are not checked
    WithoutSignature,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Output {
    /// A table of the medians
    #[default]
    Text,
    /// One object with all rounds and the medians
    Json,
}

fn main() -> anyhow::Result<ExitCode> {
    let load = Load::parse();
    if load.noop {
        noop::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    let requests = Requests::prepare(load.webhooks.get())?;
    let plivo = Plivo::start()?;
    eprintln!("{} webhooks a run; stores below {}", load.webhooks, settings::FOLDER);
    eprintln!("{}", report::HEAD);
    let mut rounds = Vec::new();
    for _ in 0..load.rounds.get() {
        for connections in &load.connections {
            let turn = take_turn(&load, requests.all(), &plivo, connections.get())?;
            eprintln!("{}", report::rows(&turn));
            rounds.push(turn);
        }
    }
    let medians: Vec<Turn> =
        load.connections.iter().map(|n| medians_of(&rounds, n.get())).collect();
    match load.output {
        Output::Text => {
            println!("\nmedians of {} rounds\n\n{}", load.rounds, report::HEAD);
            medians.iter().for_each(|turn| println!("{}", report::rows(turn)));
        }
        Output::Json => println!(
            "{}",
            json!({
                "webhooks": load.webhooks, "rate": load.rate, "rounds": rounds, "medians": medians,
            })
        ),
    }
    let is_low = |turn: &Turn| turn.of_noop.is_some_and(|ratio| ratio < load.floor);
    if medians.iter().any(is_low) {
        eprintln!("below the floor of {}", load.floor);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn medians_of(rounds: &[Turn], connections: usize) -> Turn {
    let alike: Vec<_> = rounds.iter().filter(|turn| turn.connections == connections).collect();
    Turn::medians(&alike)
}

fn take_turn(
    load: &Load,
    requests: &[Vec<u8>],
    plivo: &Plivo,
    connections: usize,
) -> anyhow::Result<Turn> {
    let drive = |address| driver::run(address, requests, connections, load.rate);

    let service = Service::start(load.variant, &load.logs, plivo)?;
    let postcall = measure(service.id(), service.public, drive, |answered| {
        ensure!(answered.durable == answered.count, "an answer does not promise anything");
        service.finish(answered.count)
    })?;
    drop(service);

    let bare = Noop::start()?;
    let noop = measure(bare.id(), bare.address, drive, |_| Ok(None))?;

    let of_noop = load.rate.is_none().then(|| postcall.answers_per_s / noop.answers_per_s);
    Ok(Turn { connections, postcall, noop, of_noop })
}

/// Drives a process that has just been started; `finish` waits for what it does after its last
/// answer, and returns when its last delivery came.
fn measure(
    id: u32,
    address: SocketAddr,
    drive: impl Fn(SocketAddr) -> anyhow::Result<Answered>,
    finish: impl Fn(&Answered) -> anyhow::Result<Option<Instant>>,
) -> anyhow::Result<Figures> {
    thread::sleep(IDLE_AFTER);
    let idle_mb = process::memory_mb(id)?;
    let client = std::process::id();
    let (cpu, client_cpu) = (process::cpu(id)?, process::cpu(client)?);
    let peak = MemoryPeak::of(id);
    let answered = drive(address)?;
    let last_delivery = finish(&answered)?;
    let a_webhook = |cpu: Duration| cpu.as_secs_f64() * 1e6 / answered.count as f64;
    let end_to_end = |last: Instant| {
        answered.count as f64 / last.saturating_duration_since(answered.began).as_secs_f64()
    };
    Ok(Figures {
        answers_per_s: answered.per_second(),
        end_to_end_per_s: last_delivery.map(end_to_end),
        cpu_us: a_webhook(process::cpu(id)? - cpu),
        client_cpu_us: a_webhook(process::cpu(client)? - client_cpu),
        p50_ms: answered.latency_ms(0.5),
        p99_ms: answered.latency_ms(0.99),
        peak_mb: peak.stop()?,
        idle_mb,
    })
}
