//! Checks on networks. The commands ask over netlink; these read what the
//! kernel shows elsewhere: /proc/PID/net, mountinfo, and a page that is fetched.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::{Answer, Finding, Unknown, World, namespaces};

/// Whether a name under /run/netns stands for the process's network namespace.
pub fn name(world: &World, who: &str) -> Answer {
    let link = namespaces::link(world.pid(who)?, "net")?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let named = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, path) = (fields.next()?, fields.next()?);
        (root == link && path.starts_with("/run/netns/")).then(|| path.to_owned())
    });
    Ok(match named {
        Some(path) => Finding::new("named", format!("{link} is mounted on {path}")),
        None => Finding::new("unnamed", format!("nothing under /run/netns is {link}")),
    })
}

fn of(pid: i32, file: &str) -> Result<String, Unknown> {
    let path = format!("/proc/{pid}/net/{file}");
    fs::read_to_string(&path).map_err(|error| Unknown::Untestable(format!("{path}: {error}")))
}

/// The interfaces that a process has: `eth0,lo`.
pub fn interfaces(world: &World, who: &str) -> Answer {
    let text = of(world.pid(who)?, "dev")?;
    let mut names: Vec<_> =
        text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect();
    names.sort();
    Ok(Finding::new(names.join(","), format!("/proc/PID/net/dev: {}", names.join(", "))))
}

/// Whether somebody listens on this TCP port where the process is.
pub fn listens(world: &World, who: &str, port: &str) -> Answer {
    let pid = world.pid(who)?;
    let number: u16 =
        port.parse().map_err(|_| Unknown::Untestable(format!("{port} is no port")))?;
    let wanted = format!(":{number:04X}");
    let listening = |file: &str| {
        let text = of(pid, file).unwrap_or_default();
        text.lines().any(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            // State 0A is LISTEN.
            fields.get(1).is_some_and(|local| local.ends_with(&wanted))
                && fields.get(3) == Some(&"0A")
        })
    };
    let found = soon(|| listening("tcp") || listening("tcp6"));
    let answer = if found { "somebody listens" } else { "nobody listens" };
    Ok(Finding::yes(found, format!("{answer} on port {number} in the network of {who}")))
}

/// Whether it is so within two seconds: a server that was started a moment ago
/// is not there yet.
fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    (0..20).any(|_| {
        is_so() || {
            std::thread::sleep(Duration::from_millis(100));
            false
        }
    })
}

/// Whether this page, fetched from here, has these words in it.
pub fn fetches(url: &str, words: &str) -> Answer {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let get = || -> std::io::Result<String> {
        let address = host.parse().map_err(std::io::Error::other)?;
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
        let mut page = Vec::new();
        stream.take(1 << 20).read_to_end(&mut page)?;
        Ok(String::from_utf8_lossy(&page).into_owned())
    };
    let mut page = get();
    soon(|| {
        if page.is_err() {
            page = get();
        }
        page.is_ok()
    });
    Ok(match page {
        Ok(page) if page.contains(words) => Finding::yes(true, format!("{url} says: {words}")),
        Ok(_) => Finding::yes(false, format!("{url} answers, but not `{words}`")),
        Err(error) => Finding::yes(false, format!("{url}: {error}")),
    })
}
