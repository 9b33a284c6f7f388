//! Takes the lines.

use std::cell::Cell;
use std::rc::Rc;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};

use super::words::{self, Request};
use super::{Answer, Query};
use crate::control::Gate;
use crate::shards::Shards;

/// Longest line.
const LINE_MAX: usize = 4_096;
/// Most calls in a list.
const CALLS_MAX: usize = 100_000;

/// Answers operators until the process ends.
pub(crate) async fn serve(listener: TcpListener, gate: Gate, shards: Shards, sessions_max: Option<u32>) {
    let sessions_max = Rc::new(Cell::new(sessions_max));
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "ctl: accept");
                glommio::timer::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        if !stream.peer_addr().is_ok_and(|from| gate.admits(from)) {
            continue;
        }
        let (shards, sessions_max) = (shards.clone(), Rc::clone(&sessions_max));
        glommio::spawn_local(async move {
            if let Err(error) = converse(stream, &shards, &sessions_max).await {
                tracing::debug!(%error, "ctl: stream ended");
            }
        })
        .detach();
    }
}

/// One line, one answer, and the end, as `rtpengine-ctl` expects it.
async fn converse(mut stream: TcpStream, shards: &Shards, sessions_max: &Cell<Option<u32>>) -> std::io::Result<()> {
    let mut line = vec![0; LINE_MAX];
    let mut len = 0;
    while !line.get(..len).unwrap_or_default().contains(&b'\n') {
        let Some(room) = line.get_mut(len..).filter(|room| !room.is_empty()) else { return Ok(()) };
        match stream.read(room).await? {
            0 => break,
            n => len += n,
        }
    }
    let line = String::from_utf8_lossy(line.get(..len).unwrap_or_default());
    let answer = match Request::parse(line.lines().next().unwrap_or_default().trim()) {
        Ok(request) => answer(request, shards, sessions_max).await,
        Err(problem) => format!("{problem}\n"),
    };
    stream.write_all(answer.as_bytes()).await?;
    stream.close().await
}

async fn answer(request: Request<'_>, shards: &Shards, sessions_max: &Cell<Option<u32>>) -> String {
    match request {
        Request::Totals => words::totals(&shards.totals().await),
        Request::NumSessions => words::num_sessions(shards.totals().await.relay.sessions),
        Request::Sessions => words::sessions(&shards.calls(CALLS_MAX).await),
        Request::Session(call_id) => {
            let told = shards.ask_all(&Query::Describe(call_id.as_bytes().into())).await.into_iter();
            told.filter_map(|answer| if let Answer::Text(text) = answer { text } else { None })
                .next()
                .unwrap_or_else(|| format!("\nCall ID not found ({call_id}).\n\n"))
        }
        Request::MaxSessions => words::max_sessions(sessions_max.get()),
        Request::SetMaxSessions(max) => {
            shards.set_sessions_max(max).await;
            sessions_max.set(max);
            format!("Success setting maxsessions to {}\n", max.map_or(-1, i64::from))
        }
        Request::Terminate(call_id) => match shards.ended(&Query::Terminate(call_id.as_bytes().into())).await {
            0 => format!("\nCall Id not found ({call_id}).\n\n"),
            _ => format!("\nCall Id ({call_id}) successfully terminated by operator.\n\n"),
        },
        Request::TerminateAll => {
            shards.ended(&Query::TerminateAll).await;
            "All calls terminated by operator.\n".to_owned()
        }
    }
}
