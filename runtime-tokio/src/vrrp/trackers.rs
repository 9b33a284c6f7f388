//! What virtual routers track: scripts, processes and files. Each tells the driver of every look that it took.

use std::ffi::OsString;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, warn};

use super::{Handle, command};
use crate::config::vrrp::{Track, TrackFile, TrackProcess, TrackScript};
use crate::sys;

/// How long after a failure a file is looked for again, where changes cannot be waited for.
const RETRY: Duration = Duration::from_secs(1);

/// What is tracked.
#[derive(Clone, Debug, PartialEq)]
enum What {
    Script(TrackScript),
    Process(TrackProcess),
    File(TrackFile),
}

impl What {
    fn all(track: &Track) -> Vec<Self> {
        let scripts = track.script.iter().cloned().map(Self::Script);
        let processes = track.process.iter().cloned().map(Self::Process);
        let files = track.file.iter().cloned().map(Self::File);
        scripts.chain(processes).chain(files).collect()
    }
}

/// The tasks that look.
#[derive(Debug, Default)]
pub(super) struct Trackers(Vec<(What, JoinHandle<()>)>);

impl Trackers {
    /// Tracks what stands in the configuration; what has not changed goes on as it is.
    pub(super) fn follow(&mut self, track: &Track, handle: &Handle) {
        let wanted = What::all(track);
        self.0.retain(|(what, task)| {
            let stays = wanted.contains(what);
            if !stays {
                task.abort();
            }
            stays
        });
        for what in wanted {
            if !self.0.iter().any(|(known, _)| *known == what) {
                let task = tokio::task::spawn_local(look(what.clone(), handle.clone()));
                self.0.push((what, task));
            }
        }
    }
}

impl Drop for Trackers {
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, task)| task.abort());
    }
}

async fn look(what: What, handle: Handle) {
    match what {
        What::Script(script) => look_by_script(&script, &handle).await,
        What::Process(process) => look_for_process(&process, &handle).await,
        What::File(file) => look_for_file(&file, &handle).await,
    }
}

async fn look_by_script(script: &TrackScript, handle: &Handle) {
    let mut ticks = interval(script.interval);
    // A run that took long is not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut was_ok = None;
    loop {
        ticks.tick().await;
        let ended = command::run(&script.command, &[], script.timeout).await;
        let ok = ended.is_ok();
        if was_ok.replace(ok) != Some(ok) {
            let name = &script.name;
            if ok { debug!("vrrp: script {name} is well") } else { warn!("vrrp: script {name} {ended}") }
        }
        handle.track(&script.name, ok);
    }
}

async fn look_for_process(process: &TrackProcess, handle: &Handle) {
    let mut was_there = None;
    loop {
        let found = find(&process.process);
        let there = found.is_some();
        if was_there.replace(there) != Some(there) {
            debug!("vrrp: process {} is {}", process.process, if there { "there" } else { "not there" });
            handle.track(&process.name, there);
        }
        match found {
            // Readable at its end (pidfd_open(2)).
            Some(fd) => match sys::register_owned(fd, Interest::READABLE) {
                Ok(fd) => {
                    let _ = fd.readable().await;
                }
                Err(_) => sleep(process.interval).await,
            },
            None => sleep(process.interval).await,
        }
    }
}

/// A descriptor of a process with this name.
fn find(name: &str) -> Option<OwnedFd> {
    // The kernel keeps 15 bytes of a name.
    let name = name.as_bytes();
    let name = name.get(..15).unwrap_or(name);
    let is_it = |pid: &i32| {
        let path = format!("/proc/{pid}/comm");
        std::fs::read(path).is_ok_and(|comm| comm.strip_suffix(b"\n").unwrap_or(&comm) == name)
    };
    let all = std::fs::read_dir("/proc").ok()?;
    let mut pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.find_map(|pid| {
        let fd = Some(pid).filter(is_it).and_then(Pid::from_raw)?;
        let fd = pidfd_open(fd, PidfdFlags::NONBLOCK).ok()?;
        // The number may have gone to another process since.
        is_it(&pid).then_some(fd)
    })
}

async fn look_for_file(file: &TrackFile, handle: &Handle) {
    let path = PathBuf::from(&file.path);
    let mut was_ok = None;
    loop {
        let watch = watch(&path);
        // Looked at after the watch has begun, so that no change falls between.
        let ok = path.exists() != file.absent;
        if was_ok.replace(ok) != Some(ok) {
            debug!("vrrp: file {} is {}", file.path, if ok { "well" } else { "not well" });
            handle.track(&file.name, ok);
        }
        match watch {
            Ok(watch) => {
                changed(&watch, &path).await;
                // Its directory may have gone with it.
                if !path.parent().is_some_and(Path::exists) {
                    sleep(RETRY).await;
                }
            }
            Err(error) => {
                debug!("vrrp: file {} cannot be watched: {error}", file.path);
                sleep(RETRY).await;
            }
        }
    }
}

/// Watches the directory that holds `path`.
fn watch(path: &Path) -> std::io::Result<AsyncFd<OwnedFd>> {
    use inotify::{CreateFlags, WatchFlags};
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let events = WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF;
    inotify::add_watch(&fd, directory, events)?;
    sys::register_owned(fd, Interest::READABLE)
}

/// Waits until something happened to `path`, or to its directory.
async fn changed(watch: &AsyncFd<OwnedFd>, path: &Path) {
    let name: Option<OsString> = path.file_name().map(Into::into);
    let mut buffer = [MaybeUninit::uninit(); 4_096];
    loop {
        let Ok(mut ready) = watch.readable().await else { return };
        let mut events = inotify::Reader::new(watch.get_ref(), &mut buffer);
        loop {
            match events.next() {
                Ok(event) => {
                    use std::os::unix::ffi::OsStrExt as _;
                    let about = event.file_name().map(|n| std::ffi::OsStr::from_bytes(n.to_bytes()).to_owned());
                    if about.is_none() || about == name {
                        return;
                    }
                }
                Err(rustix::io::Errno::AGAIN) => {
                    ready.clear_ready();
                    break;
                }
                Err(_) => return,
            }
        }
    }
}

/// Whether this process may do what virtual routers need; if not, what is missing and the way out.
pub(super) fn check_rights() -> Result<(), String> {
    const NET_ADMIN: u32 = 12;
    const NET_RAW: u32 = 13;
    let status = File::open("/proc/self/status").and_then(std::io::read_to_string).unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    // Without /proc the sockets themselves will tell.
    let Some(effective) = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()) else { return Ok(()) };
    let missing: Vec<_> = [(NET_ADMIN, "CAP_NET_ADMIN"), (NET_RAW, "CAP_NET_RAW")]
        .iter()
        .filter(|(bit, _)| effective & (1 << bit) == 0)
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let program = std::env::current_exe().map_or_else(|_| "trunkline".to_owned(), |path| path.display().to_string());
    Err(format!(
        "vrrp: no permission ({} missing), so no virtual router runs; grant it with \
         `setcap cap_net_admin,cap_net_raw,cap_net_bind_service,cap_sys_nice+ep {program}`",
        missing.join(" and ")
    ))
}
