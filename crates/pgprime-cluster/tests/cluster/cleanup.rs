//! Nothing is left behind, however the owner ends.

use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use pgprime_cluster::{Cluster, ClusterOptions, Node};

use crate::processes::{Process, living};

const PATIENCE: Duration = Duration::from_secs(30);

/// Tells the re-executed test what the owner is to do once its cluster runs.
const ROLE: &str = "PGPRIME_CLUSTER_TEST_OWNER";

#[test]
fn a_dropped_cluster_is_gone() {
    let cluster = Cluster::start(&ClusterOptions::default().with_replicas(1)).unwrap();
    let remains = Remains::of(&cluster);
    assert!(remains.pids.len() > 4, "{remains:?}");
    std::fs::create_dir(cluster.dir().join("not-of-postgres")).unwrap();
    drop(cluster);
    assert!(!remains.dir.exists());
    assert_eq!(remains.left(), [0_u32; 0]);
}

#[test]
fn a_killed_cluster_leaves_no_shared_memory() {
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let data_dir = cluster.primary().psql("postgres", "SHOW data_directory").unwrap();
    let pid_file = std::fs::read_to_string(Path::new(&data_dir).join("postmaster.pid")).unwrap();
    let segment = pid_file.lines().nth(6).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    // Linux and macOS both show the id in the second column.
    let exists = || {
        let output = Command::new("ipcs").arg("-m").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().any(|line| line.split_whitespace().nth(1) == Some(&segment))
    };
    assert!(exists(), "ipcs shows the segment of a running server");
    cluster.primary().kill();
    assert!(!exists());
}

#[test]
fn a_failed_start_leaves_nothing() {
    let dir = private_tmp();
    let status = owner("fail", &dir).wait().unwrap();
    assert!(status.success());
    await_empty(&dir);
}

#[test]
fn a_panicking_owner_leaves_nothing() {
    let dir = private_tmp();
    let mut owner = owner("panic", &dir);
    let remains = announced(&mut owner);
    assert!(!owner.wait().unwrap().success());
    remains.await_gone();
}

#[test]
fn an_exiting_owner_leaves_nothing() {
    let dir = private_tmp();
    let mut owner = owner("exit", &dir);
    let remains = announced(&mut owner);
    assert!(owner.wait().unwrap().success());
    remains.await_gone();
}

#[test]
fn an_owner_killed_with_a_paused_node_leaves_nothing() {
    let dir = private_tmp();
    let mut owner = owner("wait with a paused node", &dir);
    let remains = announced(&mut owner);
    owner.kill().unwrap();
    assert_eq!(owner.wait().unwrap().signal(), Some(9));
    remains.await_gone();
}

#[test]
fn ctrl_c_ends_the_owner_first_and_leaves_nothing() {
    let dir = private_tmp();
    let mut owner = owner("wait", &dir);
    let remains = announced(&mut owner);
    // The terminal signals the whole group in the foreground, and PostgreSQL's processes are not in it.
    killpg(Pid::from_raw(owner.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(owner.wait().unwrap().signal(), Some(2));
    remains.await_gone();
}

#[test]
fn an_owner_killed_in_the_middle_of_a_start_leaves_nothing() {
    let dir = private_tmp();
    let mut owner = owner("start", &dir);
    // Once initdb has written something; the rest of the start takes long in comparison.
    let begun = || entries(&dir).iter().any(|home| home.join("primary/base").exists());
    assert!(until(begun), "initdb has not begun");
    owner.kill().unwrap();
    owner.wait().unwrap();
    await_empty(&dir);
}

/// A folder that other users may enter, for the owner's temporary files.
fn private_tmp() -> PathBuf {
    let dir = tempfile::Builder::new().prefix("pgp").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    dir.keep()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect()
}

fn await_empty(dir: &Path) {
    assert!(until(|| entries(dir).is_empty()), "left: {:?}", entries(dir));
    let mentions = |process: &Process| {
        let command = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&*dir.to_string_lossy())
    };
    assert!(until(|| !living().iter().any(mentions)), "processes left for {}", dir.display());
    std::fs::remove_dir(dir).unwrap();
}

/// Runs the test below in another process, which owns a cluster.
fn owner(role: &str, tmp: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "cleanup::as_owner", "--ignored", "--nocapture"]);
    command.env(ROLE, role).env("TMPDIR", tmp).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Not a test of its own, but what the tests above run as another process.
#[test]
#[ignore = "it plays the owner for the other tests"]
fn as_owner() {
    let Ok(role) = std::env::var(ROLE) else { return };
    if role == "fail" {
        let options = ClusterOptions::default().with_setting("shared_buffers", "many");
        assert!(Cluster::start(&options).is_err());
        return;
    }
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let remains = Remains::of(&cluster);
    if role == "wait with a paused node" {
        cluster.primary().pause().unwrap();
    }
    println!("\ncluster {} {:?}", remains.dir.display(), remains.pids);
    match role.as_str() {
        "panic" => panic!("as asked"),
        "exit" => std::process::exit(0),
        // The other process ends this one.
        _ => std::thread::sleep(PATIENCE * 2),
    }
}

/// What the owner has printed about its cluster.
fn announced(owner: &mut Child) -> Remains {
    let output = BufReader::new(owner.stdout.take().unwrap());
    let lines = output.lines().map_while(Result::ok);
    let line =
        lines.into_iter().find(|line| line.starts_with("cluster ")).expect("the owner tells of its cluster");
    let mut words = line.split([' ', ',', '[', ']']).filter(|word| !word.is_empty()).skip(1);
    let dir = PathBuf::from(words.next().unwrap());
    Remains { dir, pids: words.map(|pid| pid.parse().unwrap()).collect() }
}

/// What could be left of a cluster.
#[derive(Debug)]
struct Remains {
    dir: PathBuf,
    pids: Vec<u32>,
}

impl Remains {
    fn of(cluster: &Cluster) -> Self {
        let nodes = std::iter::once(cluster.primary()).chain(cluster.replicas());
        let postmasters: Vec<u32> = nodes.filter_map(Node::postmaster_pid).collect();
        let own = living()
            .into_iter()
            .filter(|process| postmasters.contains(&process.pid) || postmasters.contains(&process.parent));
        Self { dir: cluster.dir().to_path_buf(), pids: own.map(|process| process.pid).collect() }
    }

    fn left(&self) -> Vec<u32> {
        let living = living().into_iter().map(|process| process.pid);
        living.filter(|pid| self.pids.contains(pid)).collect()
    }

    /// The owner's own folder goes with it, which must be empty by then.
    fn await_gone(&self) {
        assert!(until(|| self.left().is_empty()), "left: {:?}", self.left());
        assert!(until(|| !self.dir.exists()), "left: {}", self.dir.display());
        await_empty(self.dir.parent().unwrap());
    }
}

fn until(condition: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
