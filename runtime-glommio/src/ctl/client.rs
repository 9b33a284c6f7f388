//! Sends a line, and prints what comes back.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a relay may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has `words` done by the relay at `to`, and gives its answer.
///
/// # Errors
///
/// There is none, or it says nothing.
pub(crate) fn ask(to: SocketAddr, words: &[String]) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{}\n", words.join(" ")).as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
