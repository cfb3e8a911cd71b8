//! How long `netns list` takes on 1,000 named network namespaces, beside the
//! least that must be done: go into each once, and ask there for its
//! interfaces and addresses.
//!
//! `cargo bench --bench netns`, as root. The names are made in a mount
//! namespace of its own: however this program ends, they end with it.

use std::fs::File;
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
    socket_with,
};

const NAMES: usize = 1000;
const RUNS: usize = 12;
const DIRECTORY: &str = "/run/netns";

fn main() -> ExitCode {
    if let Err(reason) = make() {
        say(&format!("skipped: {reason}"));
        return ExitCode::SUCCESS;
    }
    let (mut ours, mut bare) = (Duration::MAX, Duration::MAX);
    for _ in 0..RUNS {
        ours = ours.min(time(list));
        bare = bare.min(time(read_each_once));
    }
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    let milliseconds = |took: Duration| took.as_secs_f64() * 1000.0;
    say(&format!("{NAMES} network namespaces (best of {RUNS})"));
    say(&format!("  under-the-hood netns list       {:>8.1} ms", milliseconds(ours)));
    say(&format!("  bare: setns, links, addresses   {:>8.1} ms", milliseconds(bare)));
    say(&format!("ours / bare read       {ratio:.3}   (at most 2)"));
    if ratio <= 2.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A mount namespace with 1,000 names in it, each a network namespace.
fn make() -> Result<(), String> {
    let nothing = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| format!("unshare(CLONE_NEWNS): {errno}"))?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(nothing, "/", nothing, private, nothing).map_err(|errno| errno.to_string())?;
    std::fs::create_dir_all(DIRECTORY).map_err(|error| error.to_string())?;
    mount(Some("names"), DIRECTORY, Some("tmpfs"), MsFlags::empty(), nothing)
        .map_err(|errno| format!("mount({DIRECTORY}): {errno}"))?;
    let name = |number: usize| -> Result<(), Box<dyn std::error::Error>> {
        let path = format!("{DIRECTORY}/bench{number}");
        File::create(&path)?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let source = Some("/proc/thread-self/ns/net");
        Ok(mount(source, path.as_str(), nothing, MsFlags::MS_BIND, nothing)?)
    };
    let all = || (0..NAMES).try_for_each(|number| name(number).map_err(|error| error.to_string()));
    // In a thread that ends: this program itself stays where it is.
    std::thread::scope(|scope| scope.spawn(all).join()).unwrap_or_else(|_| Err("lost".to_owned()))
}

fn list() {
    let status = Command::new(env!("CARGO_BIN_EXE_under-the-hood"))
        .args(["netns", "list"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "netns list failed");
}

/// The least there is to do.
fn read_each_once() {
    let all = || {
        (0..NAMES).for_each(|number| {
            let file = File::open(format!("{DIRECTORY}/bench{number}")).expect("open");
            setns(file, CloneFlags::CLONE_NEWNET).expect("setns");
            let flags = SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None);
            let socket = socket.expect("socket");
            // RTM_GETLINK with `struct ifinfomsg`, RTM_GETADDR with `struct ifaddrmsg`.
            for (kind, body) in [(18_u16, 16), (22, 8)] {
                let mut request = vec![0; 16 + body];
                let length = u32::try_from(request.len()).unwrap_or(0);
                request[..4].copy_from_slice(&length.to_ne_bytes());
                request[4..6].copy_from_slice(&kind.to_ne_bytes());
                request[6..8].copy_from_slice(&0x301_u16.to_ne_bytes()); // a dump
                let kernel = netlink::SocketAddrNetlink::new(0, 0);
                sendto(&socket, &request, SendFlags::empty(), &kernel).expect("sendto");
                let mut buffer = [0; 32 * 1024];
                // Until NLMSG_DONE, which stands alone or last.
                loop {
                    let (length, _) = recv(&socket, &mut buffer, RecvFlags::empty()).expect("recv");
                    if done(&buffer[..length]) {
                        break;
                    }
                }
            }
        });
    };
    let ended = std::thread::scope(|scope| scope.spawn(all).join());
    assert!(ended.is_ok(), "the bare read failed");
}

fn done(mut messages: &[u8]) -> bool {
    while let Some(header) = messages.get(..16) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        if u16::from_ne_bytes([header[4], header[5]]) == 3 {
            return true;
        }
        messages = messages.get(length.next_multiple_of(4).max(16)..).unwrap_or_default();
    }
    false
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
