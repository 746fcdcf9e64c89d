use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ACTIVE: LazyLock<Option<usize>> =
    LazyLock::new(|| std::env::var("MUTANT").ok()?.parse().ok());

/// Has a byte for each mutant, which is 1 once it was reached.
static REACHED: LazyLock<Option<File>> = LazyLock::new(|| {
    let path = std::env::var_os("MUTANTS_REACHED")?;
    Some(File::options().write(true).open(path).expect("the file of what is reached"))
});

static NOTED: [AtomicBool; 16384] = [const { AtomicBool::new(false) }; 16384];

/// Whether the mutant of that number takes the place of what was written.
#[inline(never)]
pub fn is_on(mutant: usize) -> bool {
    if let Some(file) = &*REACHED
        && !NOTED[mutant].swap(true, Ordering::Relaxed)
    {
        file.write_at(&[1], mutant as u64).expect("what is reached is written");
    }
    *ACTIVE == Some(mutant)
}
