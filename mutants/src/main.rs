//! Which changes of the code no test notices, of all that `cargo mutants` makes.
//!
//! `cargo mutants` builds the crate again for each, which takes days here. This weaves all of them into one copy of the
//! tree, each behind a switch; runs each test alone, and notes which mutants it reaches; and then, for each mutant, the
//! tests that reach it, until one fails.

mod build;
mod mutant;
mod tests;
mod weave;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Parser;

use crate::mutant::Mutant;

/// Prints the share of mutants that the tests find, and those that they do not
#[derive(Parser)]
struct Options {
    /// Folders of sources
    #[arg(default_values = ["src/submission", "src/account", "src/delivery", "src/store"])]
    folders: Vec<String>,
    /// Only so many of the mutants, drawn with the seed
    #[arg(long)]
    sample: Option<usize>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the tests whose names contain one of these, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "")]
    tests: Vec<String>,
    /// For how long tests are run for a mutant that none of them has found
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

fn main() -> anyhow::Result<()> {
    let Options { folders, sample, seed, tests: names, seconds, jobs } = Options::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is in a folder of the repository");
    let mutants = Mutant::list(root, &folders)?;
    let woven = build::build(root, &root.join("target/mutants"), &mutants)?;
    let tests = tests::run_all(&woven, mutants.len(), &names, jobs)?;
    let mut chosen: Vec<usize> = woven.mutants.iter().copied().collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut chosen);
    chosen.truncate(sample.unwrap_or(usize::MAX));
    let within = Duration::from_secs(seconds);
    let done = AtomicUsize::new(0);
    let count = chosen.len();
    let found = parallel(chosen, jobs, |id| {
        let is_found = tests::find(id, &tests, &woven.tree, within)?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if !is_found {
            println!("{done} of {count}, missed: {}", mutants[id].name);
        }
        Ok((id, is_found))
    })?;
    let mut modules = BTreeMap::<&str, (usize, usize)>::new();
    for (id, is_found) in found {
        for module in ["all", mutants[id].module()] {
            let (caught, all) = modules.entry(module).or_default();
            *caught += usize::from(is_found);
            *all += 1;
        }
    }
    println!(
        "{} mutants, {} compile with a switch; seed {seed}, {seconds} s for each",
        mutants.len(),
        woven.mutants.len()
    );
    for (module, (caught, all)) in modules {
        println!("{module}: {caught} of {all} found, {:.2}", caught as f64 / all as f64);
    }
    Ok(())
}

/// Does something with each, several at a time.
fn parallel<T: Send, R: Send>(
    items: Vec<T>,
    jobs: usize,
    work: impl Fn(T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().expect("no one panics").next();
    let one = || -> anyhow::Result<Vec<R>> { std::iter::from_fn(next).map(&work).collect() };
    let results: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(one)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no one panics")).collect()
    });
    let results: anyhow::Result<Vec<Vec<R>>> = results.into_iter().collect();
    Ok(results?.into_iter().flatten().collect())
}
