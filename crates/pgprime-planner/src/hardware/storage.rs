//! What data is on, as Linux tells it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pgprime_capacity::postgres::Storage;

/// Disks of clouds that look like local ones.
const NETWORK_MODELS: &[&str] = &["Amazon Elastic Block Store", "PersistentDisk", "nvme_card-pd"];
/// Devices that data comes over a network from.
const NETWORK_NAMES: &[&str] = &["nbd", "rbd", "drbd"];
/// Devices that are no disks, or are made of those that are counted anyway.
const NO_DISKS: &[&str] = &["loop", "ram", "zram", "dm-", "md", "sr", "fd"];
/// Devices of virtual machines, which call themselves rotating whatever they are.
const VIRTUAL_NAMES: &[&str] = &["vd", "xvd"];
/// Logical volumes stand on few levels of others.
const LEVELS_MAX: u32 = 8;

/// What this folder is on; None where its device cannot be told, as on a network's file system or in a container.
pub(super) fn of_directory(root: &Path, directory: Option<&Path>) -> Option<Storage> {
    let (major, minor) = device_number(directory?)?;
    let device = root.join(format!("sys/dev/block/{major}:{minor}")).canonicalize().ok()?;
    of_device(&device, LEVELS_MAX)
}

/// What all disks are, if they are of one kind.
pub(super) fn of_all_disks(root: &Path) -> Option<Storage> {
    let entries = std::fs::read_dir(root.join("sys/block")).ok()?;
    let disks = entries.flatten().map(|entry| entry.path()).filter(|path| !starts_with_any(path, NO_DISKS));
    agreed(disks.map(|disk| of_device(&disk, 1)))
}

fn device_number(path: &Path) -> Option<(u64, u64)> {
    let device = std::fs::metadata(path).ok()?.dev();
    // The layout that Linux gives to user space: 12 bits of the major and 20 of the minor number around each other.
    let major = (device >> 8) & 0xfff | (device >> 32) & !0xfff;
    let minor = device & 0xff | (device >> 12) & !0xff;
    Some((major, minor & 0xffff_ffff))
}

/// What a folder of /sys that stands for a disk, a partition or a volume says.
fn of_device(device: &Path, levels: u32) -> Option<Storage> {
    let below: Vec<PathBuf> = std::fs::read_dir(device.join("slaves"))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    if !below.is_empty() && levels > 0 {
        let kind = |part: &PathBuf| of_device(&part.canonicalize().ok()?, levels - 1);
        return agreed(below.iter().map(kind));
    }
    if device.join("partition").exists() {
        return of_disk(device.parent()?);
    }
    of_disk(device)
}

fn of_disk(disk: &Path) -> Option<Storage> {
    let read = |file| std::fs::read_to_string(disk.join(file)).ok();
    let model = read("device/model").unwrap_or_default();
    let is_remote = NETWORK_MODELS.iter().any(|known| model.trim().starts_with(known));
    if is_remote || starts_with_any(disk, NETWORK_NAMES) {
        return Some(Storage::Network);
    }
    match read("queue/rotational")?.trim() {
        "0" if starts_with_any(disk, &["nvme"]) => Some(Storage::Nvme),
        "0" => Some(Storage::Ssd),
        "1" if !starts_with_any(disk, VIRTUAL_NAMES) => Some(Storage::Hdd),
        _unknown => None,
    }
}

fn starts_with_any(path: &Path, prefixes: &[&str]) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The kind that all have in common.
fn agreed(mut kinds: impl Iterator<Item = Option<Storage>>) -> Option<Storage> {
    let first = kinds.next()??;
    kinds.all(|kind| kind == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A /sys/block with these disks: name, model, rotational.
    fn disks(disks: &[(&str, &str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, model, rotational) in disks {
            let disk = root.path().join("sys/block").join(name);
            write(&disk.join("queue/rotational"), rotational);
            write(&disk.join("device/model"), model);
        }
        root
    }

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn disks_of_one_kind_are_told() {
        let ebs = "Amazon Elastic Block Store              \n";
        for (given, expected) in [
            (&[("nvme0n1", "Samsung", "0\n"), ("loop0", "", "0\n")][..], Some(Storage::Nvme)),
            (&[("sda", "Some SSD", "0\n"), ("sr0", "", "1\n")], Some(Storage::Ssd)),
            (&[("sda", "Some disk", "1\n"), ("sdb", "Some disk", "1\n")], Some(Storage::Hdd)),
            (&[("sda", "Some disk", "1\n"), ("nvme0n1", "Samsung", "0\n")], None),
            (&[("nvme0n1", ebs, "0\n")], Some(Storage::Network)),
            (&[("sda", "PersistentDisk\n", "1\n")], Some(Storage::Network)),
            (&[("rbd0", "", "0\n")], Some(Storage::Network)),
            (&[("vda", "", "1\n")], None),
            (&[("vda", "", "0\n")], Some(Storage::Ssd)),
            (&[("sda", "Some disk", "perhaps\n")], None),
            (&[("loop0", "", "0\n")], None),
            (&[], None),
        ] {
            assert_eq!(of_all_disks(disks(given).path()), expected, "{given:?}");
        }
    }

    #[test]
    fn a_folder_is_followed_to_its_disk() {
        let root = disks(&[("nvme0n1", "Samsung", "0\n"), ("sda", "Some disk", "1\n")]);
        let block = root.path().join("sys/block");
        let partition = block.join("nvme0n1/nvme0n1p2");
        write(&partition.join("partition"), "2\n");
        std::fs::create_dir_all(block.join("dm-0/slaves")).unwrap();
        std::os::unix::fs::symlink(&partition, block.join("dm-0/slaves/nvme0n1p2")).unwrap();
        let numbers = root.path().join("sys/dev/block");
        std::fs::create_dir_all(&numbers).unwrap();
        let (major, minor) = device_number(root.path()).unwrap();
        let link = numbers.join(format!("{major}:{minor}"));

        for (target, expected) in [
            (block.join("dm-0"), Storage::Nvme),
            (partition, Storage::Nvme),
            (block.join("sda"), Storage::Hdd),
        ] {
            std::os::unix::fs::symlink(&target, &link).unwrap();
            assert_eq!(of_directory(root.path(), Some(root.path())), Some(expected), "{target:?}");
            std::fs::remove_file(&link).unwrap();
        }
        assert_eq!(of_directory(root.path(), Some(root.path())), None);
        assert_eq!(of_directory(root.path(), Some(Path::new("/no/such/folder"))), None);
        assert_eq!(of_directory(root.path(), None), None);
    }
}
