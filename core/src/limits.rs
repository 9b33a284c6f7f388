//! Bounds on what a message may hold. Each has its own error where it is exceeded.

/// Longest SIP message taken, in bytes: spans are 16 bits wide, and a UDP datagram cannot be longer.
pub const MESSAGE_MAX: usize = 65_535;
/// Most header fields in one message.
pub const HEADERS_MAX: usize = 128;
/// Longest start line, in bytes.
pub const START_LINE_MAX: usize = 8_192;
/// Longest Call-ID kept, in bytes.
pub const CALL_ID_MAX: usize = 255;
/// Longest tag kept, in bytes.
pub const TAG_MAX: usize = 255;
/// Longest Via branch compared, in bytes.
pub const BRANCH_MAX: usize = 255;
/// Most edits in one draft.
pub const EDITS_MAX: usize = 32;
