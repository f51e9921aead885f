//! Where log lines go: standard error, and the file that the settings name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tracing::Level;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;

/// How often to look whether the file was moved away, as log rotation does.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Starts logging.
pub(crate) fn start(file: Option<&Path>, is_quiet: bool, verbosity: u32) -> anyhow::Result<()> {
    let level = match verbosity {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let file = match file {
        Some(path) => {
            Some(LogFile::open(path).with_context(|| format!("cannot write logfile {}", path.display()))?)
        }
        None => None,
    };
    let sink = Sink { file: file.map(Mutex::new), to_stderr: !is_quiet };
    fmt().with_max_level(level).with_target(false).with_ansi(false).with_writer(sink).init();
    Ok(())
}

struct Sink {
    file: Option<Mutex<LogFile>>,
    to_stderr: bool,
}

/// Writes one line.
struct Line<'a>(&'a Sink);

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(file) = &self.0.file {
            file.lock().unwrap_or_else(PoisonError::into_inner).write(line)?;
        }
        if self.0.to_stderr {
            io::stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct LogFile {
    path: PathBuf,
    file: File,
    checked: Instant,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_path_buf(), file: append_to(path)?, checked: Instant::now() })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.checked.elapsed() >= CHECK_INTERVAL {
            self.checked = Instant::now();
            let inode =
                |metadata: io::Result<std::fs::Metadata>| metadata.map(|metadata| metadata.ino()).ok();
            if inode(std::fs::metadata(&self.path)) != inode(self.file.metadata()) {
                self.file = append_to(&self.path)?;
            }
        }
        self.file.write_all(line)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
