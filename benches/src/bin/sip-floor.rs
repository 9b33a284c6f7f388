//! Answers every SIP request over UDP with a 200 and does nothing else: the least that a datagram in and one out cost.
//!
//! `sip-floor IP:PORT`

use std::net::UdpSocket;

const OK: &[u8] = b"SIP/2.0 200 OK\r\n";

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: sip-floor IP:PORT");
    let socket = UdpSocket::bind(address)?;
    let mut buffer = [0; 65_536];
    loop {
        let Ok((len, peer)) = socket.recv_from(&mut buffer) else { continue };
        // The status line takes the place of the request line, which is longer.
        let Some(end) = buffer[..len].iter().position(|b| *b == b'\n') else { continue };
        let Some(start) = (end + 1).checked_sub(OK.len()) else { continue };
        buffer[start..=end].copy_from_slice(OK);
        // A peer that has gone needs no answer.
        let _ = socket.send_to(&buffer[start..len], peer);
    }
}
