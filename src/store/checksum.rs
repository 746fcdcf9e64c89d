//! Checksum of a submission's row: one that another program, or the disk, has changed is not believed.

/// A value of a column, whatever the database calls its type.
#[derive(Clone, Copy)]
pub(super) enum Column<'a> {
    Null,
    Integer(i64),
    /// Postcall writes none.
    Real(f64),
    Bytes(&'a [u8]),
}

/// Checksum of the columns of a submission but for this one, as they are written and as they are read:
/// number, id, account, survey, call, state, reason, the times and numbers in the order of the table,
/// document.
pub(super) fn checksum<'a>(columns: impl IntoIterator<Item = Column<'a>>) -> i64 {
    let mut sum = crc32fast::Hasher::new();
    // Kind and length keep the end of one column apart from the beginning of the next.
    for column in columns {
        match column {
            Column::Null => sum.update(&[0]),
            Column::Integer(number) => {
                sum.update(&[1]);
                sum.update(&number.to_le_bytes());
            }
            Column::Real(number) => {
                sum.update(&[2]);
                sum.update(&number.to_le_bytes());
            }
            Column::Bytes(bytes) => {
                sum.update(&[3]);
                sum.update(&(bytes.len() as u64).to_le_bytes());
                sum.update(bytes);
            }
        }
    }
    sum.finalize().into()
}
