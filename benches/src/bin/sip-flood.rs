//! Sends OPTIONS over UDP and counts the answers, in one line of JSON.
//!
//! `sip-flood IP:PORT COUNT RATE`: so many, at so many a second; rate 0 keeps 32 on their way. Nothing is sent twice.

use std::io::Write as _;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Requests on their way at a time.
const WINDOW: u64 = 32;
/// After so long a silence what is on its way is lost.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, server, count, rate] = args.as_slice() else { panic!("usage: sip-flood IP:PORT COUNT RATE") };
    let count: u64 = count.parse().expect("a count");
    let rate: f64 = rate.parse().expect("a rate");
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    let me = socket.local_addr()?;
    let start = Instant::now();
    let (mut sent, mut ok, mut other, mut lost) = (0u64, 0u64, 0u64, 0u64);
    let mut request = Vec::new();
    let mut buffer = [0; 4_096];
    while ok + other + lost < count {
        let due = if rate > 0.0 { (start.elapsed().as_secs_f64() * rate) as u64 + 1 } else { count };
        let mut on_their_way = sent - ok - other - lost;
        while sent < count.min(due) && on_their_way < WINDOW {
            request.clear();
            write!(
                request,
                "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKf{sent}\r\nMax-Forwards: 70\r\n\
                 From: <sip:ping@{me}>;tag=f{sent}\r\nTo: <sip:{server}>\r\nCall-ID: f{sent}\r\nCSeq: 1 OPTIONS\r\n\
                 Contact: <sip:ping@{me}>\r\nUser-Agent: bench\r\nContent-Length: 0\r\n\r\n"
            )?;
            socket.send(&request)?;
            sent += 1;
            on_their_way += 1;
        }
        if on_their_way == 0 {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        // At a rate the next one is due soon, also if nothing comes.
        let full = sent == count || on_their_way == WINDOW;
        socket.set_read_timeout(Some(if full { PATIENCE } else { Duration::from_micros(200) }))?;
        match socket.recv(&mut buffer) {
            Ok(len) if buffer[..len].starts_with(b"SIP/2.0 200 ") => ok += 1,
            Ok(_) => other += 1,
            Err(_) if full => lost += on_their_way,
            Err(_) => {}
        }
    }
    let per_s = ok as f64 / start.elapsed().as_secs_f64();
    println!("{{\"sent\":{sent},\"ok\":{ok},\"other\":{other},\"lost\":{lost},\"per_s\":{per_s:.0}}}");
    Ok(())
}
