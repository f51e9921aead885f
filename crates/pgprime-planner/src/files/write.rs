//! From texts to files: all or none, and nothing overwritten unless told to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::all::PlannedFile;

/// What becomes of files that exist already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They stay, and nothing is written at all.
    Keep,
    /// They are replaced.
    Replace,
}

/// Why files were not written. New files are taken back; where some were replaced before one could not be, they stay.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Files are in the way.
    #[error("nothing written, as there are already: {}; --force replaces them", shown(paths))]
    Exists {
        /// All of them.
        paths: Vec<PathBuf>,
    },
    /// Something other than a file is in the way.
    #[error("nothing written, as {} is not a file", path.display())]
    NotAFile {
        /// It.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {step} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        step: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Writes all files below `folder`, which is created if need be, or none. Returns their paths.
///
/// Each file is complete before it gets its name. A secret file is readable by its owner only from the beginning on.
///
/// # Errors
/// [`WriteError`].
pub fn write(folder: &Path, files: &[PlannedFile], existing: Existing) -> Result<Vec<PathBuf>, WriteError> {
    let paths: Vec<PathBuf> = files.iter().map(|file| folder.join(&file.path)).collect();
    check(&paths, existing)?;
    let mut work = Work::default();
    for (file, path) in files.iter().zip(&paths) {
        work.prepare(file, path)?;
    }
    if existing == Existing::Keep {
        paths.iter().try_for_each(|path| work.reserve(path))?;
    }
    work.publish()?;
    Ok(paths)
}

/// Finds everything that is in the way, so that a person is told all of it at once.
fn check(paths: &[PathBuf], existing: Existing) -> Result<(), WriteError> {
    let mut in_the_way = Vec::new();
    for path in paths {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => return Err(WriteError::NotAFile { path: path.clone() }),
            Ok(_) => in_the_way.push(path.clone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(WriteError::Io { step: "look at", path: path.clone(), source }),
        }
    }
    match existing {
        Existing::Keep if !in_the_way.is_empty() => Err(WriteError::Exists { paths: in_the_way }),
        _ => Ok(()),
    }
}

/// What has been begun; it is taken back when this is dropped before it was published.
#[derive(Default)]
struct Work {
    /// Complete files under a name for the time being, and the names that they get.
    prepared: Vec<(PathBuf, PathBuf)>,
    /// Names that we hold by an empty file, so that nobody else's file is overwritten meanwhile.
    reserved: Vec<PathBuf>,
}

impl Work {
    fn prepare(&mut self, file: &PlannedFile, path: &Path) -> Result<(), WriteError> {
        let io = |step, path: &Path| {
            let path = path.to_owned();
            move |source| WriteError::Io { step, path, source }
        };
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(io("create the folder", parent))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = parent.join(format!(".{name}.{}", std::process::id()));
        let mut out = create(&temporary, file.is_secret).map_err(io("create", &temporary))?;
        self.prepared.push((temporary.clone(), path.to_owned()));
        out.write_all(file.text.as_bytes()).map_err(io("write", &temporary))?;
        out.sync_all().map_err(io("write", &temporary))
    }

    fn reserve(&mut self, path: &Path) -> Result<(), WriteError> {
        match create(path, true) {
            Ok(_) => {
                self.reserved.push(path.to_owned());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(WriteError::Exists { paths: vec![path.to_owned()] })
            }
            Err(source) => Err(WriteError::Io { step: "create", path: path.to_owned(), source }),
        }
    }

    fn publish(mut self) -> Result<(), WriteError> {
        while let Some((temporary, path)) = self.prepared.last() {
            fs::rename(temporary, path).map_err(|source| WriteError::Io {
                step: "replace",
                path: path.clone(),
                source,
            })?;
            self.prepared.pop();
        }
        self.reserved.clear();
        Ok(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let begun = self.prepared.iter().map(|(temporary, _)| temporary).chain(&self.reserved);
        for path in begun {
            let _ = fs::remove_file(path);
        }
    }
}

/// A file that did not exist before; of its owner alone if it is to hold a secret.
fn create(path: &Path, is_secret: bool) -> io::Result<File> {
    let mode = if is_secret { 0o600 } else { 0o644 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}
