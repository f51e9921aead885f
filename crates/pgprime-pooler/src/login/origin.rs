//! Where connections come from.

/// Where a connection comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) local_address: String,
    pub(crate) local_port: u16,
    /// The system's user and process at the other end of a Unix socket.
    pub(crate) peer: Option<(u32, Option<i32>)>,
}
