//! What an operator can set about sockets and shards.

use std::net::SocketAddr;
use std::time::Duration;

/// Sockets and shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Threads, each with sockets and an engine of its own. At least one.
    pub(crate) shards: u8,
    /// Datagrams taken in one system call, 1 to 64.
    pub(crate) receive_batch: usize,
    /// Receive buffer asked for each UDP socket, in bytes.
    pub(crate) receive_buffer: usize,
    /// Send buffer asked for each UDP socket, in bytes.
    pub(crate) send_buffer: usize,
    /// Most datagrams that wait at one socket while the kernel takes none.
    pub(crate) send_queue: usize,
    /// Most messages that wait on their way from one shard to another. More are dropped and counted, as if the network had
    /// lost them; what was to be written comes back as undelivered.
    pub(crate) handover: usize,
    /// Media relays; where there are some, each shard has a socket to speak to them.
    pub(crate) relays: Vec<SocketAddr>,
    /// Streams.
    pub(crate) tcp: TcpSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: 1,
            receive_batch: 32,
            receive_buffer: 4 << 20,
            send_buffer: 4 << 20,
            send_queue: 1_024,
            handover: 4_096,
            relays: Vec::new(),
            tcp: TcpSettings::default(),
        }
    }
}

/// Streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TcpSettings {
    /// How long a connection lives on which nothing is sent or received.
    pub(crate) idle: Duration,
    /// How long a message may take to arrive, from its first byte.
    pub(crate) unfinished: Duration,
    /// Most connections of one shard in the middle of a message; the oldest such gives way.
    pub(crate) unfinished_messages: usize,
    /// Whether a message without `Content-Length` is taken as one without a body; else its connection is closed.
    pub(crate) accepts_no_content_length: bool,
    /// How long a connection may take to open.
    pub(crate) connect: Duration,
    /// Longest message taken, in bytes.
    pub(crate) message_max: usize,
    /// Most bytes that wait for one peer; who reads slower loses the connection.
    pub(crate) write_queue: usize,
    /// Most connections of all shards.
    pub(crate) connections: usize,
    /// Most connections that one address may open to us.
    pub(crate) connections_per_source: usize,
    /// Connections that the kernel may hold before they are accepted.
    pub(crate) backlog: i32,
}

impl Default for TcpSettings {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(3_605),
            unfinished: Duration::from_secs(10),
            unfinished_messages: 1_024,
            accepts_no_content_length: true,
            connect: Duration::from_secs(4),
            message_max: 16_384,
            write_queue: 256 * 1_024,
            connections: 16_384,
            connections_per_source: 4_096,
            backlog: 1_024,
        }
    }
}
