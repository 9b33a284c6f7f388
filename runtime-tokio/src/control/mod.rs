//! Control of a running node: JSON-RPC 2.0, one object a line, over a local socket.

mod relay;
pub(crate) mod server;
pub(crate) mod views;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Always `2.0`.
    pub(crate) jsonrpc: String,
    /// Comes back with the answer.
    #[serde(default)]
    pub(crate) id: Value,
    /// What is wanted.
    pub(crate) method: String,
    /// With which parameters, by name.
    #[serde(default)]
    pub(crate) params: Value,
}

/// An error of JSON-RPC: -32700 no JSON, -32600 no request, -32601 no such method, -32602 bad parameters, 1 it failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RpcError {
    /// The code.
    pub(crate) code: i32,
    /// What is wrong, for people.
    pub(crate) message: String,
}

impl RpcError {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self { code: -32_602, message: message.into() }
    }
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Response {
    /// Always `2.0`.
    pub(crate) jsonrpc: String,
    /// That of the request.
    pub(crate) id: Value,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<Value>,
    /// Or what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<RpcError>,
}

impl Response {
    pub(crate) fn new(id: Value, outcome: Result<Value, RpcError>) -> Self {
        let (result, error) = match outcome {
            Ok(result) => (Some(result), None),
            Err(error) => (None, Some(error)),
        };
        Self { jsonrpc: "2.0".to_owned(), id, result, error }
    }
}
