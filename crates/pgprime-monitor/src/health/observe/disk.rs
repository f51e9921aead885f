//! File systems with the server's data, where they are this machine's.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::stat::stat;
use nix::sys::statvfs::statvfs;
use serde::Serialize;

use super::catalog::Catalog;
use super::place::Place;
use super::section::Section;
use super::server::Server;
use pgprime_readonly::Missing;

/// A file system of the network that hangs must not hang us.
const PATIENCE: Duration = Duration::from_millis(500);

/// A file system with data of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskPlace {
    /// A folder on it.
    pub path: String,
    /// Its size.
    pub total_bytes: u64,
    /// What the server may still use of it.
    pub free_bytes: u64,
}

impl DiskPlace {
    /// Of the whole, 0 to 100.
    #[must_use]
    pub fn free_percent(&self) -> f64 {
        if self.total_bytes == 0 { 0.0 } else { self.free_bytes as f64 / self.total_bytes as f64 * 100.0 }
    }
}

/// The file systems, the fullest first.
pub(super) async fn read(server: &Server, catalog: &Catalog, place: Place) -> Section<Vec<DiskPlace>> {
    if place == Place::Elsewhere || !server.is_on_loopback {
        return Err(missing("the database is on another machine", None));
    }
    let Some(directory) = server.data_directory.clone() else {
        let grant = format!("GRANT pg_monitor TO {};", server.role);
        return Err(missing("this role may not know where the data are", Some(grant)));
    };
    let mut paths = vec![directory];
    paths.extend(catalog.sizes.iter().flat_map(|sizes| sizes.places.iter().cloned()));
    let looked = tokio::task::spawn_blocking(move || places(&paths));
    match tokio::time::timeout(PATIENCE, looked).await {
        Ok(Ok(Ok(places))) => Ok(places),
        Ok(Ok(Err(why))) => Err(missing(&why, None)),
        Ok(Err(_)) | Err(_) => Err(missing("the file system does not answer", None)),
    }
}

/// Each file system once.
#[allow(clippy::unnecessary_cast, reason = "the widths of these numbers differ by platform")]
fn places(paths: &[String]) -> Result<Vec<DiskPlace>, String> {
    let mut found: BTreeMap<u64, DiskPlace> = BTreeMap::new();
    for path in paths {
        let seen = stat(path.as_str()).and_then(|stat| Ok((stat.st_dev, statvfs(path.as_str())?)));
        let (device, system) = seen.map_err(|error| format!("{path} cannot be seen: {error}"))?;
        let fragment = system.fragment_size() as u64;
        found.entry(device as u64).or_insert_with(|| DiskPlace {
            path: path.clone(),
            total_bytes: (system.blocks() as u64).saturating_mul(fragment),
            free_bytes: (system.blocks_available() as u64).saturating_mul(fragment),
        });
    }
    let mut places: Vec<DiskPlace> = found.into_values().collect();
    places.sort_by(|one, other| one.free_percent().total_cmp(&other.free_percent()));
    Ok(places)
}

fn missing(why: &str, statement: Option<String>) -> Missing {
    Missing { what: "free disk space".to_owned(), why: why.to_owned(), statement }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let found = places(&[path.clone(), path.clone()]).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].total_bytes > 0 && (0.0..=100.0).contains(&found[0].free_percent()));
        let error = places(&["/no/such/folder".to_owned()]).unwrap_err();
        assert!(error.starts_with("/no/such/folder cannot be seen: "), "{error}");
    }
}
