//! Accepting connections.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::context::{Context, Stage};
use crate::error::PoolerError;
use crate::login::{self, Origin};
use crate::settings::Settings;
use crate::stream::{Stream, set_tcp_options};

/// After an accept that failed, for want of file descriptors most likely.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The sockets that clients connect to.
#[derive(Debug)]
pub(crate) struct Listeners {
    tcp: Vec<std::net::TcpListener>,
    unix: Option<UnixSocket>,
    /// The port they have, which the system chose when the setting is 0.
    pub(crate) port: u16,
}

#[derive(Debug)]
struct UnixSocket {
    listener: std::os::unix::net::UnixListener,
    path: PathBuf,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Listeners {
    /// Binds everything that the settings name.
    pub(crate) fn bind(settings: &Settings) -> Result<Self, PoolerError> {
        let mut listeners = Self { tcp: Vec::new(), unix: None, port: settings.listen_port };
        for name in &settings.listen_addr {
            for address in addresses(name, listeners.port)? {
                let bound = bind_tcp(address, settings);
                let listener =
                    bound.map_err(|source| PoolerError::Listen { address: address.to_string(), source })?;
                if listeners.port == 0 {
                    listeners.port = listener.local_addr().map(|address| address.port()).unwrap_or_default();
                }
                listeners.tcp.push(listener);
            }
        }
        if let Some(dir) = &settings.unix_socket_dir {
            listeners.unix = bind_unix(dir, listeners.port, settings)?;
        }
        if listeners.tcp.is_empty() && listeners.unix.is_none() {
            return Err(PoolerError::NothingToListenOn);
        }
        Ok(listeners)
    }

    /// Accepts until the pooler moves towards its end.
    pub(crate) async fn serve(self, context: Arc<Context>) -> io::Result<()> {
        let mut accepting = Vec::new();
        for listener in self.tcp {
            let listener = watch(TcpListener::from_std(listener))?;
            accepting.push(tokio::spawn(accept_tcp(Arc::clone(&context), listener)));
        }
        if let Some(UnixSocket { listener, .. }) = &self.unix {
            let listener = watch(UnixListener::from_std(listener.try_clone()?))?;
            accepting.push(tokio::spawn(accept_unix(Arc::clone(&context), listener)));
        }
        let mut stage = context.stage.subscribe();
        // The sender is in the context, which is here.
        let _ = stage.wait_for(|stage| *stage != Stage::Running).await;
        for task in accepting {
            task.abort();
        }
        Ok(())
    }
}

fn addresses(name: &str, port: u16) -> Result<Vec<SocketAddr>, PoolerError> {
    if name == "*" {
        let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let has_v6 = Path::new("/proc/net/if_inet6").exists() || !cfg!(target_os = "linux");
        return Ok(all.into_iter().filter(|ip| ip.is_ipv4() || has_v6).map(|ip| (ip, port).into()).collect());
    }
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(vec![(ip, port).into()]);
    }
    let resolved = std::net::ToSocketAddrs::to_socket_addrs(&(name, port));
    Ok(resolved.map_err(|source| PoolerError::Listen { address: name.to_string(), source })?.collect())
}

fn bind_tcp(address: SocketAddr, settings: &Settings) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if settings.so_reuseport {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(settings.listen_backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

fn bind_unix(dir: &Path, port: u16, settings: &Settings) -> Result<Option<UnixSocket>, PoolerError> {
    let path = dir.join(format!(".s.PGSQL.{port}"));
    let failed = |source| PoolerError::Listen { address: path.display().to_string(), source };
    if StdUnixStream::connect(&path).is_ok() {
        return Err(failed(io::ErrorKind::AddrInUse.into()));
    }
    // Left behind by a process that was killed.
    let _ = fs::remove_file(&path);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let address = socket2::SockAddr::unix(&path).map_err(failed)?;
    socket.bind(&address).map_err(failed)?;
    socket.listen(i32::try_from(settings.listen_backlog).unwrap_or(i32::MAX)).map_err(failed)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(settings.unix_socket_mode)).map_err(failed)?;
    if !settings.unix_socket_group.is_empty() {
        give_to_group(&path, &settings.unix_socket_group)?;
    }
    Ok(Some(UnixSocket { listener: socket.into(), path }))
}

fn give_to_group(path: &Path, group: &str) -> Result<(), PoolerError> {
    let found = nix::unistd::Group::from_name(group).ok().flatten();
    let group = found.ok_or_else(|| PoolerError::Group(group.to_string()))?;
    nix::unistd::chown(path, None, Some(group.gid))
        .map_err(|error| PoolerError::Listen { address: path.display().to_string(), source: error.into() })
}

async fn accept_tcp(context: Arc<Context>, listener: AsyncFd<TcpListener>) {
    let mut config = None;
    let bound = listener.get_ref().local_addr().ok().filter(|address| !address.ip().is_unspecified());
    loop {
        let current = context.directory.config();
        if !config.as_ref().is_some_and(|config| Arc::ptr_eq(config, &current)) {
            // What is accepted inherits the listener's options: no system calls for each client.
            if let Err(error) = set_tcp_options(listener.get_ref(), &current.settings) {
                tracing::warn!(%error, "the options of TCP connections could not be set");
            }
            config = Some(current);
        }
        match accept(&listener, TcpListener::accept).await {
            Ok((stream, address)) => {
                if let Err(error) = admit_tcp(&context, bound, stream, address) {
                    tracing::debug!(%error, "a client was gone before its login");
                }
            }
            Err(error) => pause(&error).await,
        }
    }
}

fn admit_tcp(
    context: &Arc<Context>,
    bound: Option<SocketAddr>,
    stream: TcpStream,
    address: SocketAddr,
) -> io::Result<()> {
    let local = bound.map_or_else(|| stream.local_addr(), Ok)?;
    let origin = Origin {
        address: address.ip().to_string(),
        port: address.port(),
        local_address: local.ip().to_string(),
        local_port: local.port(),
        peer: None,
    };
    tokio::spawn(login::serve(Arc::clone(context), Stream::AcceptedTcp(stream), origin));
    Ok(())
}

/// Puts a listener into tokio's hands without tokio's own accept, which would register every accepted socket.
#[expect(
    deprecated,
    reason = "unsound only for types that change their descriptor, which a listener does not"
)]
fn watch<L: AsRawFd>(listener: L) -> io::Result<AsyncFd<L>> {
    AsyncFd::new(listener)
}

/// Accepts one connection, waiting for it if there is none.
async fn accept<L: AsRawFd, A>(listener: &AsyncFd<L>, accept: fn(&L) -> io::Result<A>) -> io::Result<A> {
    loop {
        let mut ready = listener.readable().await?;
        match ready.try_io(|listener| accept(listener.get_ref())) {
            Ok(accepted) => return accepted,
            Err(_would_block) => {}
        }
    }
}

async fn accept_unix(context: Arc<Context>, listener: AsyncFd<UnixListener>) {
    loop {
        match accept(&listener, UnixListener::accept).await {
            Ok((stream, _)) => admit_unix(&context, stream),
            Err(error) => pause(&error).await,
        }
    }
}

fn admit_unix(context: &Arc<Context>, stream: UnixStream) {
    let port = context.directory.config().settings.listen_port;
    let origin = Origin {
        address: "unix".to_string(),
        port: 0,
        local_address: "unix".to_string(),
        local_port: port,
        // Without credentials it is still a Unix socket: nobody's.
        peer: Some(peer(&stream).unwrap_or((u32::MAX, None))),
    };
    tokio::spawn(login::serve(Arc::clone(context), Stream::AcceptedUnix(stream), origin));
}

/// The system's user and process at the other end.
#[cfg(target_os = "linux")]
fn peer(stream: &UnixStream) -> Option<(u32, Option<i32>)> {
    let peer = nix::sys::socket::getsockopt(stream, nix::sys::socket::sockopt::PeerCredentials).ok()?;
    Some((peer.uid(), Some(peer.pid())))
}

/// The system's user at the other end.
#[cfg(not(target_os = "linux"))]
fn peer(stream: &UnixStream) -> Option<(u32, Option<i32>)> {
    let (user, _) = nix::unistd::getpeereid(stream).ok()?;
    Some((user.as_raw(), None))
}

async fn pause(error: &io::Error) {
    tracing::error!(%error, "a connection could not be accepted");
    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
}
