//! Warning of a network file system below the store.

use std::path::Path;

use super::files::folder_of;

/// Types of file systems, as `statfs(2)` numbers them, whose locks and syncs depend on another
/// machine or program. FUSE may be either, and virtiofs shows itself as FUSE.
const NETWORK_FILE_SYSTEMS: [(u32, &str); 13] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB 2"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "CephFS"),
    (0x5346_414f, "AFS"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x786f_4256, "VirtualBox shared folder"),
];

/// The name of a network file system, or `None` if the type is of another one.
fn network_file_system(kind: u32) -> Option<&'static str> {
    NETWORK_FILE_SYSTEMS.iter().find(|(known, _)| *known == kind).map(|(_, name)| *name)
}

/// Warns if the store is on a network file system.
pub(super) fn warn_of_network_file_system(path: &Path) {
    if let Some(file_system) = kind_of(folder_of(path)).and_then(network_file_system) {
        tracing::warn!(
            file_system,
            store = %path.display(),
            "the store is on a network file system: its locks may not keep a second process out, and what \
             is synced may be lost with the server; use a local disk or a block volume"
        );
    }
}

/// The type of the file system of a directory, of which Linux has 32 bits.
#[cfg(target_os = "linux")]
fn kind_of(directory: &Path) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "32 bits, in a wider number"
    )]
    rustix::fs::statfs(directory).ok().map(|found| found.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
fn kind_of(_directory: &Path) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_the_type_that_statfs_returns() {
        // The constants of linux/magic.h and of the file systems' own headers.
        for (kind, name) in
            [(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0x6573_5546, "FUSE"), (0x0102_1997, "9P")]
        {
            assert_eq!(network_file_system(kind), Some(name));
        }
        for (kind, name) in [
            (0xef53, "ext4"),
            (0x5846_5342, "XFS"),
            (0x9123_683e, "Btrfs"),
            (0x2fc1_2fc1, "ZFS"),
            (0x0102_1994, "tmpfs"),
            (0x794c_7630, "overlayfs"),
        ] {
            assert_eq!(network_file_system(kind), None, "{name} is local");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_file_system_type_of_a_directory_is_read() {
        // /proc is the one file system that every Linux has in the same place.
        assert_eq!(kind_of(Path::new("/proc")), Some(0x9fa0));
        assert_eq!(kind_of(Path::new("/nowhere")), None);
    }
}
