//! What a process uses, as Linux counts it.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;

/// The unit of CPU time in `/proc`.
const TICK: Duration = Duration::from_millis(10);

/// How often the memory of a process is looked at for its peak.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// CPU time of a process so far, in user mode and in the kernel.
pub fn cpu(id: u32) -> anyhow::Result<Duration> {
    // utime and stime.
    cpu_in(&stat(id)?, 2)
}

/// CPU time of a process so far, and of its children.
pub fn cpu_of_family(id: u32) -> anyhow::Result<Duration> {
    // With cutime and cstime: those of children that have ended.
    let mut time = cpu_in(&stat(id)?, 4)?;
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = stat(child) else { continue };
        if stat.get(1).is_some_and(|parent| *parent == id.to_string()) {
            time += cpu_in(&stat, 2)?;
        }
    }
    Ok(time)
}

/// The fields after a process's name, which may hold spaces.
fn stat(id: u32) -> anyhow::Result<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a process without a name")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

fn cpu_in(stat: &[String], fields: usize) -> anyhow::Result<Duration> {
    let ticks = stat.iter().skip(11).take(fields).map(|ticks| ticks.parse::<u32>());
    Ok(TICK * ticks.sum::<Result<u32, _>>().context("CPU time")?)
}

/// Memory of a process now (PSS), in millions of bytes.
pub fn memory_mb(id: u32) -> anyhow::Result<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB"));
    Ok(pss.context("PSS")?.trim().parse::<f64>()? * 1024.0 / 1e6)
}

/// Samples the memory of some processes until it is asked for the peak.
pub struct MemoryPeak {
    stop: Sender<()>,
    sampler: JoinHandle<anyhow::Result<f64>>,
}

impl MemoryPeak {
    pub fn of(ids: &[u32]) -> Self {
        let (stop, stopped) = mpsc::channel();
        let ids = ids.to_vec();
        let sampler = thread::spawn(move || {
            let now = || -> anyhow::Result<f64> { ids.iter().map(|id| memory_mb(*id)).sum() };
            let mut peak = now()?;
            while stopped.recv_timeout(SAMPLE_EVERY) == Err(RecvTimeoutError::Timeout) {
                peak = peak.max(now()?);
            }
            Ok(peak.max(now()?))
        });
        Self { stop, sampler }
    }

    /// While the process still runs.
    pub fn stop(self) -> anyhow::Result<f64> {
        drop(self.stop);
        self.sampler.join().expect("the sampler does not panic")
    }
}
