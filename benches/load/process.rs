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
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name before them may hold spaces.
    let (_, fields) = stat.rsplit_once(')').context("a process without a name")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    Ok(TICK * ticks.sum::<Result<u32, _>>().context("CPU time")?)
}

/// Memory of a process now (PSS), in millions of bytes.
pub fn memory_mb(id: u32) -> anyhow::Result<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB"));
    Ok(pss.context("PSS")?.trim().parse::<f64>()? * 1024.0 / 1e6)
}

/// Samples the memory of a process until it is asked for the peak.
pub struct MemoryPeak {
    stop: Sender<()>,
    sampler: JoinHandle<anyhow::Result<f64>>,
}

impl MemoryPeak {
    pub fn of(id: u32) -> Self {
        let (stop, stopped) = mpsc::channel();
        let sampler = thread::spawn(move || {
            let mut peak = memory_mb(id)?;
            while stopped.recv_timeout(SAMPLE_EVERY) == Err(RecvTimeoutError::Timeout) {
                peak = peak.max(memory_mb(id)?);
            }
            Ok(peak.max(memory_mb(id)?))
        });
        Self { stop, sampler }
    }

    /// While the process still runs.
    pub fn stop(self) -> anyhow::Result<f64> {
        drop(self.stop);
        self.sampler.join().expect("the sampler does not panic")
    }
}
