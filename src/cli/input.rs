use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What a file holds; `-` is the standard input.
///
/// # Errors
/// It cannot be read, or is longer than `bytes_max`.
pub(super) fn read_file(file: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().take(bytes_max + 1).read_to_end(&mut bytes)?
    } else {
        File::open(file)?.take(bytes_max + 1).read_to_end(&mut bytes)?
    };
    if read as u64 > bytes_max {
        return Err(io::Error::other(format!("it is longer than {bytes_max} bytes")));
    }
    Ok(bytes)
}
