//! What an operator can set about sockets and shards.

use std::time::Duration;

/// Sockets and shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Threads, each with sockets and an engine of its own. At least one.
    pub shards: u8,
    /// Datagrams taken in one system call, 1 to 64.
    pub receive_batch: usize,
    /// Receive buffer asked for each UDP socket, in bytes.
    pub receive_buffer: usize,
    /// Send buffer asked for each UDP socket, in bytes.
    pub send_buffer: usize,
    /// Most datagrams that wait at one socket while the kernel takes none.
    pub send_queue: usize,
    /// Most messages that wait on their way from one shard to another.
    pub handover: usize,
    /// Streams.
    pub tcp: TcpSettings,
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
            tcp: TcpSettings::default(),
        }
    }
}

/// Streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSettings {
    /// How long a connection lives on which nothing is sent or received.
    pub idle: Duration,
    /// How long a message may take to arrive, from its first byte.
    pub unfinished: Duration,
    /// How long a connection may take to open.
    pub connect: Duration,
    /// Longest message taken, in bytes.
    pub message_max: usize,
    /// Most bytes that wait for one peer; who reads slower loses the connection.
    pub write_queue: usize,
    /// Most connections of all shards.
    pub connections: usize,
    /// Most connections that one address may open to us.
    pub connections_per_source: usize,
    /// Connections that the kernel may hold before they are accepted.
    pub backlog: i32,
}

impl Default for TcpSettings {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(3_605),
            unfinished: Duration::from_secs(10),
            connect: Duration::from_secs(4),
            message_max: 16_384,
            write_queue: 256 * 1_024,
            connections: 16_384,
            connections_per_source: 4_096,
            backlog: 1_024,
        }
    }
}
