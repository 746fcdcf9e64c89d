//! How many durable answers a second, against what a bare actix no-op answers in turn.
//!
//! Both get the same signed requests from the same driver over the same number of connections,
//! each in a process of its own, five times in alternation; the median of the five ratios has to
//! reach the floor. The service verifies V3, keeps each hook on disk before it answers, and
//! delivers at the same time; a pair counts only when every hook was answered as durable, is in
//! the ledger, the books balance and the stand-in of Plivo has heard every call once.
//!
//! `cargo bench --bench load`, on two quiet cores: figures of one machine say little, ratios more.

mod driver;
mod noop;
mod requests;
mod service;
mod settings;

use std::num::NonZeroUsize;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};

use self::noop::Noop;
use self::requests::Requests;
use self::service::Service;

/// What the service has to reach of the no-op's rate.
const FLOOR: f64 = 0.25;

#[derive(Parser)]
struct Load {
    /// Hooks in each half of a pair, each about a call of its own
    #[arg(long, default_value = "20000")]
    hooks: NonZeroUsize,
    #[arg(long, default_value = "64")]
    connections: NonZeroUsize,
    /// How often the service and the no-op take turns
    #[arg(long, default_value = "5")]
    pairs: NonZeroUsize,
    /// The median ratio that makes this succeed
    #[arg(long, default_value_t = FLOOR)]
    floor: f64,
    /// Leaves something out, to see what it costs; the floor is for the whole
    #[arg(long, value_enum, default_value_t)]
    variant: Variant,
    /// What the service logs
    #[arg(long, default_value = "warn")]
    logs: String,
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
    /// Anybody is believed
    WithoutSignature,
}

fn main() -> anyhow::Result<ExitCode> {
    let load = Load::parse();
    if load.noop {
        noop::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    let requests = Requests::prepare(load.hooks.get())?;
    println!(
        "{} hooks over {} connections; ledgers below {}",
        load.hooks,
        load.connections,
        settings::FOLDER
    );
    let mut ratios = Vec::new();
    for pair in 1..=load.pairs.get() {
        ratios.push(run_pair(&load, &requests, pair)?);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("median ratio {median:.3}; the floor is {:.3}", load.floor);
    Ok(if median < load.floor { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn run_pair(load: &Load, requests: &Requests, pair: usize) -> anyhow::Result<f64> {
    let connections = load.connections.get();

    let service = Service::start(load.variant, &load.logs)?;
    let kept = driver::run(service.public, requests.all(), connections)?;
    ensure!(kept.durable == requests.all().len(), "answered without a promise: {kept:?}");
    let account = service.finish(requests.all().len()).context("the run did not end well")?;

    let noop = Noop::start()?;
    let bare = driver::run(noop.address, requests.all(), connections)?;
    drop(noop);

    let ratio = kept.per_second() / bare.per_second();
    println!(
        "pair {pair}: {:.0}/s durable, {:.0}/s bare, ratio {ratio:.3}",
        kept.per_second(),
        bare.per_second()
    );
    println!("        {account}");
    Ok(ratio)
}
