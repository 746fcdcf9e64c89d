use std::fs;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::wire::Fate;
use crate::process::Home;

/// Most exchanges that one trouble of a wire befalls.
const EXCHANGES_MAX: usize = 24;

/// How often one in a hundred processes stops for longer than its leases last.
const LONG_STOPS_PERCENT: u32 = 3;

/// Something that goes wrong once.
#[derive(Debug)]
pub enum Trouble {
    /// The process is gone from one instruction to the next.
    Killed,
    /// It is told to end, and does.
    Restarted,
    /// It stands still, as in a debugger or on a host that was paused.
    Stopped(Duration),
    /// Not a byte beyond this place can be written to any file; some notice and then space returns,
    /// or the process is killed first.
    DiskFull {
        room: u64,
        killed: bool,
    },
    /// The far side cannot be reached.
    FarCut(Duration),
    /// The senders cannot reach us.
    NearCut(Duration),
    FarHarmed(Vec<Fate>),
    NearHarmed(Vec<Fate>),
    /// The far side answers something else than it should.
    FarOutOfSorts(Value),
}

impl Trouble {
    pub fn draw(chance: &mut Rng, home: &Home) -> Self {
        let moment = Duration::from_millis(chance.u64(20..=400));
        match chance.u32(0..100) {
            0..15 => Self::Killed,
            15..20 => Self::Restarted,
            20..35 if chance.u32(0..100) < LONG_STOPS_PERCENT => {
                Self::Stopped(Duration::from_secs(7))
            }
            20..35 => Self::Stopped(moment),
            35..50 => Self::DiskFull {
                room: written(home) + chance.u64(0..=100_000),
                killed: chance.u8(0..3) == 0,
            },
            50..58 => Self::FarCut(moment),
            58..63 => Self::NearCut(moment),
            63..78 => Self::FarHarmed(fates(chance)),
            78..88 => Self::NearHarmed(fates(chance)),
            _ => Self::FarOutOfSorts(mood(chance)),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Killed => "kills",
            Self::Restarted => "restarts",
            Self::Stopped(_) => "stops",
            Self::DiskFull { .. } => "full disks",
            Self::FarCut(_) | Self::NearCut(_) => "cuts",
            Self::FarHarmed(_) | Self::NearHarmed(_) => "network faults",
            Self::FarOutOfSorts(_) => "response faults",
        }
    }
}

/// How far the store's files go.
pub fn written(home: &Home) -> u64 {
    let log = home.store().with_extension("db-wal");
    let length = |path| fs::metadata(path).map_or(0, |file| file.len());
    length(home.store()).max(length(log))
}

fn fates(chance: &mut Rng) -> Vec<Fate> {
    (0..chance.usize(1..=EXCHANGES_MAX)).map(|_| fate(chance)).collect()
}

fn fate(chance: &mut Rng) -> Fate {
    let mut up_to = |most| Duration::from_millis(chance.u64(0..=most));
    match up_to(7).as_millis() {
        0 => Fate::Passed,
        1 => Fate::Late(up_to(300)),
        // Past every deadline of an exchange, and not past that of a webhook.
        2 => Fate::Late(up_to(2500)),
        3 => Fate::Dripped(up_to(50)),
        4 => Fate::HalfAsked,
        5 => Fate::ResetBefore,
        6 => Fate::ResetAfter,
        _ => Fate::HalfAnswered,
    }
}

/// As the stand-in's control understands it.
fn mood(chance: &mut Rng) -> Value {
    let times = chance.u32(1..=16);
    match chance.u32(0..6) {
        0 => json!([{ "status": 503, "times": times }]),
        1 => json!([{ "status": 500, "times": times, "every": 2 }]),
        2 => json!([{ "status": 429, "times": times, "retry_after": "1" }]),
        3 => json!([{ "status": 401, "times": times.min(4) }]),
        4 => json!([{ "reset": "after", "times": times, "every": 2 }]),
        _ => json!([{ "reset": "before", "times": times, "every": 2 }]),
    }
}
