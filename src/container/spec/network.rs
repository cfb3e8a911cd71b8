//! Which network a container gets, as `run`'s flags say it.

use std::net::{IpAddr, Ipv4Addr};

use crate::container::spec::usage;
use crate::error::Result;
use crate::kernel::netlink::nft::Forward;

/// What a container's network is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NetworkKind {
    /// A network namespace of its own with nothing but a loopback interface.
    #[default]
    None,
    /// The host's network namespace.
    Host,
    /// Its own, with a cable to a bridge of the host.
    Bridge,
    /// That of another container.
    Container(String),
    /// Its own, with a way out by a program of this machine: what an ordinary user can have.
    User(Helper),
}

/// A program that carries packets for who may lay no cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helper {
    /// pasta(1): the container has the host's own addresses.
    Pasta,
    /// slirp4netns(1): a network of its own, 10.0.2.0/24.
    Slirp,
}

impl Helper {
    /// Both, the one to prefer first.
    pub const ALL: [Self; 2] = [Self::Pasta, Self::Slirp];

    /// The program, and what `--network` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pasta => "pasta",
            Self::Slirp => "slirp4netns",
        }
    }

    /// Where it passes questions on to the host's name server.
    pub fn name_server(self) -> &'static str {
        match self {
            Self::Pasta => "169.254.1.1",
            Self::Slirp => "10.0.2.3",
        }
    }
}

/// A container's network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Which.
    pub kind: NetworkKind,
    /// Ports of the host that lead into it.
    pub forwards: Vec<Forward>,
    /// Name servers instead of the host's.
    pub dns: Vec<IpAddr>,
}

impl Network {
    /// Reads `--network`, `--publish` and `--dns`.
    pub fn parse(network: Option<&str>, publish: &[String], dns: &[String]) -> Result<Self> {
        let forwards = publish.iter().map(|text| forward(text)).collect::<Result<Vec<_>>>()?;
        let kind = match network {
            None if forwards.is_empty() => NetworkKind::None,
            None | Some("bridge") => NetworkKind::Bridge,
            Some("none") => NetworkKind::None,
            Some("host") => NetworkKind::Host,
            Some("pasta") => NetworkKind::User(Helper::Pasta),
            Some("slirp4netns") => NetworkKind::User(Helper::Slirp),
            Some(text) => match text.strip_prefix("container:") {
                Some(name) if !name.is_empty() => NetworkKind::Container(name.to_owned()),
                _ => {
                    return Err(usage(format!("--network {text}: there is no such network")).hint(
                        "There are none, host, bridge, container:NAME, pasta and slirp4netns.",
                    ));
                }
            },
        };
        let publishes = matches!(kind, NetworkKind::Bridge | NetworkKind::User(Helper::Pasta));
        if !forwards.is_empty() && !publishes {
            return Err(usage("--publish needs --network bridge or pasta".to_owned()).hint(
                match kind {
                    NetworkKind::Host => "On the host's network every port is the host's already.",
                    NetworkKind::User(_) => {
                        "slirp4netns is only a way out; pasta (package passt) is one in, too."
                    }
                    NetworkKind::Container(_) => {
                        "Publish the ports of the container whose network it is."
                    }
                    _ => "Without a network nothing can reach the container.",
                },
            ));
        }
        for (n, one) in forwards.iter().enumerate() {
            if forwards[..n].iter().any(|other| clash(one, other)) {
                return Err(usage(format!("--publish: port {} is given twice", one.port)));
            }
        }
        let server = |text: &String| {
            text.parse().map_err(|_| usage(format!("--dns {text}: this is no IP address")))
        };
        let dns = dns.iter().map(server).collect::<Result<_>>()?;
        Ok(Self { kind, forwards, dns })
    }

    /// What /etc/resolv.conf says, from the host's.
    pub fn resolv_conf(&self, hosts: &str) -> String {
        if !self.dns.is_empty() {
            return self.dns.iter().map(|server| format!("nameserver {server}\n")).collect();
        }
        if let NetworkKind::User(helper) = self.kind {
            return format!("nameserver {}\n", helper.name_server());
        }
        let keep = |line: &&str| {
            let server = line.strip_prefix("nameserver ").and_then(|s| s.trim().parse().ok());
            // The host's own loopback is another one in there.
            self.kind != NetworkKind::Bridge
                || !server.is_some_and(|server: IpAddr| server.is_loopback())
        };
        hosts.lines().filter(keep).map(|line| format!("{line}\n")).collect()
    }
}

/// Whether two cannot be published at the same time.
pub fn clash(one: &Forward, other: &Forward) -> bool {
    let everywhere = one.at.is_none() || other.at.is_none() || one.at == other.at;
    everywhere && (one.port, one.udp) == (other.port, other.udp)
}

/// `[IP:]HOST:CONTAINER[/tcp|/udp]`
fn forward(text: &str) -> Result<Forward> {
    let wrong = |why: String| {
        usage(format!("--publish {text}: {why}"))
            .hint("As in -p 8080:80, -p 127.0.0.1:8080:80, -p 5353:53/udp.")
    };
    let (ports, udp) = match text.split_once('/') {
        None | Some((_, "tcp")) => (text.split('/').next().unwrap_or_default(), false),
        Some((ports, "udp")) => (ports, true),
        Some((_, other)) => return Err(wrong(format!("{other:?} is neither tcp nor udp"))),
    };
    let port = |part: &str| match part.parse::<u16>() {
        Ok(port) if port > 0 && part.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(wrong(format!("{part:?} is no port (1 to 65535)"))),
    };
    let address = |part: &str| {
        part.parse::<Ipv4Addr>().map_err(|_| wrong(format!("{part:?} is no IPv4 address")))
    };
    let parts: Vec<_> = ports.split(':').collect();
    match parts.as_slice() {
        [host, container] => Ok(Forward { at: None, port: port(host)?, to: port(container)?, udp }),
        [at, host, container] => {
            let at = Some(address(at)?).filter(|at| !at.is_unspecified());
            Ok(Forward { at, port: port(host)?, to: port(container)?, udp })
        }
        _ => Err(wrong("it takes the host's port and the container's".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn parse(network: Option<&str>, publish: &[&str]) -> Result<Network> {
        let publish: Vec<_> = publish.iter().map(|text| (*text).to_owned()).collect();
        Network::parse(network, &publish, &[])
    }

    #[test]
    fn ports_are_read_as_docker_reads_them() {
        let network =
            parse(None, &["8080:80", "127.0.0.1:53:5353/udp", "0.0.0.0:1:2/tcp"]).unwrap();
        assert_eq!(network.kind, NetworkKind::Bridge);
        let localhost = Some(Ipv4Addr::LOCALHOST);
        assert_eq!(
            network.forwards,
            [
                Forward { at: None, port: 8080, to: 80, udp: false },
                Forward { at: localhost, port: 53, to: 5353, udp: true },
                Forward { at: None, port: 1, to: 2, udp: false },
            ]
        );
        for wrong in [
            "",
            "80",
            "a:80",
            "80:",
            ":80",
            "0:80",
            "65536:80",
            "+1:80",
            "1:2/sctp",
            "::1:1:2",
            "1.2.3:1:2",
        ] {
            assert_eq!(parse(None, &[wrong]).unwrap_err().exit, Exit::Engine, "{wrong}");
        }
        assert!(parse(None, &["80:1", "80:2"]).is_err());
        assert!(parse(None, &["80:1", "80:2/udp"]).is_ok());
        assert!(parse(None, &["127.0.0.1:80:1", "127.0.0.2:80:2"]).is_ok());
    }

    #[test]
    fn networks_are_those_there_are() {
        assert_eq!(parse(None, &[]).unwrap().kind, NetworkKind::None);
        let other = NetworkKind::Container("box".to_owned());
        assert_eq!(parse(Some("container:box"), &[]).unwrap().kind, other);
        for (network, publish) in
            [("brige", &[][..]), ("container:", &[]), ("host", &["1:2"]), ("none", &["1:2"])]
        {
            assert!(parse(Some(network), publish).is_err(), "{network}");
        }
    }

    #[test]
    fn a_name_server_on_the_hosts_loopback_is_left_out_behind_a_bridge() {
        let hosts = "search example\nnameserver 127.0.0.53\nnameserver 192.0.2.1\n";
        let bridge = parse(Some("bridge"), &[]).unwrap();
        assert_eq!(bridge.resolv_conf(hosts), "search example\nnameserver 192.0.2.1\n");
        assert_eq!(parse(None, &[]).unwrap().resolv_conf(hosts), hosts);
    }
}
