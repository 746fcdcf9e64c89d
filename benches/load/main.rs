//! What the service does beside a bare actix no-op: durable answers a second, deliveries a second,
//! CPU time, latency and memory; with SQLite, and with PostgreSQL if asked for.
//!
//! All get the same signed requests from the same client over the same number of connections, each
//! in processes of its own, in turn for several rounds. Without `--rate` the client sends as fast as
//! it is answered, and the median ratio with SQLite to the no-op has to reach the floor. The service
//! verifies V3, keeps each webhook on disk before it answers, and delivers at the same time. A run
//! counts only if every webhook was answered as durable, all are in the store, the state counts
//! balance, and the stand-in of Plivo received each call once.
//!
//! `cargo bench --bench load`, on two quiet cores: figures of one machine say little, ratios more.
//! `cargo bench --bench load -- --stores sqlite,postgres,replicas,million --connections 64,256` compares the stores,
//! on a server of PostgreSQL that it starts from the machine's binaries.

mod driver;
#[path = "../../tests/it/postgres/installed.rs"]
mod installed;
mod listeners;
mod message;
mod noop;
mod plivo;
mod postgres;
mod process;
mod report;
mod requests;
mod service;
mod settings;

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
use self::postgres::Postgres;
use self::process::MemoryPeak;
use self::report::{Figures, Measured, Turn};
use self::requests::Requests;
use self::service::{Service, Store};

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
    /// Where the service keeps webhooks; several are measured in turn
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sqlite")]
    stores: Vec<Store>,
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
    let needs_postgres = load.stores.iter().any(|store| *store != Store::Sqlite);
    let postgres = needs_postgres.then(Postgres::start).transpose()?;
    if let Some(server) = postgres.as_ref().filter(|_| load.stores.contains(&Store::Million)) {
        server.prepare_million()?;
    }
    eprintln!("{} webhooks a run; stores below {}", load.webhooks, settings::FOLDER);
    eprintln!("{}", report::HEAD);
    let mut rounds = Vec::new();
    for _ in 0..load.rounds.get() {
        for connections in &load.connections {
            // Each turn with PostgreSQL has databases of its own.
            let number = rounds.len();
            let far_side = FarSide { plivo: &plivo, postgres: postgres.as_ref(), number };
            let turn = take_turn(&load, requests.all(), &far_side, connections.get())?;
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
    let is_low = |it: &Measured| {
        it.name == name_of(Store::Sqlite) && it.of_noop.is_some_and(|ratio| ratio < load.floor)
    };
    if medians.iter().flat_map(|turn| &turn.measured).any(is_low) {
        eprintln!("below the floor of {}", load.floor);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn medians_of(rounds: &[Turn], connections: usize) -> Turn {
    let alike: Vec<_> = rounds.iter().filter(|turn| turn.connections == connections).collect();
    Turn::medians(&alike)
}

/// What the service talks to in a turn.
struct FarSide<'a> {
    plivo: &'a Plivo,
    postgres: Option<&'a Postgres>,
    number: usize,
}

fn name_of(store: Store) -> &'static str {
    match store {
        Store::Sqlite => "Postcall, SQLite",
        Store::Postgres => "Postcall, PostgreSQL",
        Store::Replicas => "three replicas, PostgreSQL",
        Store::Million => "PostgreSQL, with a million",
    }
}

fn take_turn(
    load: &Load,
    requests: &[Vec<u8>],
    far_side: &FarSide<'_>,
    connections: usize,
) -> anyhow::Result<Turn> {
    let drive = |addresses: &[_]| driver::run(addresses, requests, connections, load.rate);
    let mut measured = Vec::new();
    for store in &load.stores {
        let name = format!("turn_{}_{}", far_side.number, measured.len());
        let postgres = far_side.postgres.filter(|_| *store != Store::Sqlite);
        let database = postgres.map(|server| (server, name.as_str()));
        let service = Service::start(*store, load.variant, &load.logs, far_side.plivo, database)?;
        let (ids, addresses) = (service.ids(), service.addresses());
        let figures = measure(
            &ids,
            postgres,
            || drive(&addresses),
            |answered| {
                ensure!(answered.durable == answered.count, "an answer does not promise anything");
                service.finish(answered.count)
            },
        )?;
        measured.push(Measured { name: name_of(*store), figures, of_noop: None });
    }
    let bare = Noop::start()?;
    let noop = measure(&[bare.id()], None, || drive(&[bare.address]), |_| Ok(None))?;
    if load.rate.is_none() {
        for it in &mut measured {
            it.of_noop = Some(it.figures.answers_per_s / noop.answers_per_s);
        }
    }
    measured.push(Measured { name: "actix no-op", figures: noop, of_noop: None });
    Ok(Turn { connections, measured })
}

/// Drives processes that have just been started; `finish` waits for what they do after the last
/// answer, and returns when the last delivery came.
fn measure(
    ids: &[u32],
    postgres: Option<&Postgres>,
    drive: impl Fn() -> anyhow::Result<Answered>,
    finish: impl Fn(&Answered) -> anyhow::Result<Option<Instant>>,
) -> anyhow::Result<Figures> {
    thread::sleep(IDLE_AFTER);
    let idle_mb = ids.iter().map(|id| process::memory_mb(*id)).sum::<anyhow::Result<f64>>()?;
    let client = std::process::id();
    let cpu_of_all = || ids.iter().map(|id| process::cpu(*id)).sum::<anyhow::Result<Duration>>();
    let server_cpu = || postgres.map(Postgres::cpu).transpose();
    let (cpu, client_cpu, server) = (cpu_of_all()?, process::cpu(client)?, server_cpu()?);
    let peak = MemoryPeak::of(ids);
    let answered = drive()?;
    let last_delivery = finish(&answered)?;
    let a_webhook = |cpu: Duration| cpu.as_secs_f64() * 1e6 / answered.count as f64;
    let end_to_end = |last: Instant| {
        answered.count as f64 / last.saturating_duration_since(answered.began).as_secs_f64()
    };
    Ok(Figures {
        answers_per_s: answered.per_second(),
        end_to_end_per_s: last_delivery.map(end_to_end),
        cpu_us: a_webhook(cpu_of_all()? - cpu),
        server_cpu_us: server_cpu()?.zip(server).map(|(after, before)| a_webhook(after - before)),
        client_cpu_us: a_webhook(process::cpu(client)? - client_cpu),
        p50_ms: answered.latency_ms(0.5),
        p99_ms: answered.latency_ms(0.99),
        peak_mb: peak.stop()?,
        idle_mb,
    })
}
