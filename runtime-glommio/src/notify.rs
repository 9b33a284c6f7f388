//! Tells systemd how it stands (`Type=notify`): a datagram to the socket that `NOTIFY_SOCKET` names.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says that the relay serves.
pub(crate) fn ready() {
    tell("READY=1");
}

/// Says that it is about to end.
pub(crate) fn stopping() {
    tell("STOPPING=1");
}

fn tell(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(name.as_bytes(), state) {
        tracing::warn!(%error, "systemd was not told: {state}");
    }
}

fn send(name: &[u8], state: &str) -> io::Result<()> {
    let to = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &to).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_name_are_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let named = UnixDatagram::bind(&path).unwrap();
        let name = format!("trunkline-notify-{}", std::process::id());
        let hidden = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, name) in [(named, path.as_os_str().as_bytes().to_vec()), (hidden, format!("@{name}").into_bytes())]
        {
            send(&name, "READY=1").unwrap();
            let mut room = [0; 16];
            let n = socket.recv(&mut room).unwrap();
            assert_eq!(&room[..n], b"READY=1");
        }
    }
}
