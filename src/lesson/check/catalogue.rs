//! Every named check: what it takes, how it is found out, what to type instead.

use crate::kernel::capability;

use super::{
    Answer, World, images, namespaces, network, processes, resources, roots, sight, users,
};

/// One named check.
pub struct Entry {
    /// Its name in a lesson.
    pub name: &'static str,
    /// Its arguments: WHO is `self`, `host` or a container's name; TYPE a
    /// namespace's; a last WORDS takes all that is left.
    pub usage: &'static str,
    /// Arguments for a test of it.
    pub example: &'static str,
    /// What a person types to see the same; `{1}` is the first argument, and a
    /// WHO stands for its pid.
    pub twin: &'static str,
    /// Finds it out.
    pub ask: fn(&World, &[String]) -> Answer,
}

/// All of them.
pub const ALL: &[Entry] = &[
    Entry {
        name: "ns-differs",
        usage: "TYPE WHO WHO",
        example: "net box self",
        twin: "readlink /proc/{2}/ns/{1} /proc/{3}/ns/{1}",
        ask: |world, words| namespaces::differs(world, &words[0], &words[1], &words[2]),
    },
    Entry {
        name: "ns-same",
        usage: "TYPE WHO WHO",
        example: "time box self",
        twin: "readlink /proc/{2}/ns/{1} /proc/{3}/ns/{1}",
        ask: |world, words| namespaces::same(world, &words[0], &words[1], &words[2]),
    },
    Entry {
        name: "own-namespaces",
        usage: "WHO",
        example: "box",
        twin: "lsns -p {1}",
        ask: |world, words| namespaces::own(world, &words[0]),
    },
    Entry {
        name: "shared-namespaces",
        usage: "WHO WHO",
        example: "box self",
        twin: "ls -l /proc/{1}/ns /proc/{2}/ns",
        ask: |world, words| namespaces::shared(world, &words[0], &words[1]),
    },
    Entry {
        name: "hostname",
        usage: "WHO",
        example: "box",
        twin: "nsenter --target {1} --user --preserve-credentials --uts uname -n",
        ask: |world, words| namespaces::hostname(world, &words[0]),
    },
    Entry {
        name: "pid-inside",
        usage: "WHO",
        example: "box",
        twin: "grep NSpid /proc/{1}/status",
        ask: |world, words| processes::pid_inside(world, &words[0]),
    },
    Entry {
        name: "on-host",
        usage: "WHO",
        example: "box",
        twin: "ps -p {1} -o pid,args",
        ask: |world, words| processes::on_host(world, &words[0]),
    },
    Entry {
        name: "parent-is-shim",
        usage: "WHO",
        example: "box",
        twin: "ps -o pid,ppid,args -p {1} -p $(ps -o ppid= -p {1})",
        ask: |world, words| processes::parent_is_shim(world, &words[0]),
    },
    Entry {
        name: "user-differs",
        usage: "WHO",
        example: "box",
        twin: "grep Uid /proc/{1}/status; cat /proc/{1}/uid_map",
        ask: |world, words| users::differs(world, &words[0]),
    },
    Entry {
        name: "user-outside",
        usage: "WHO",
        example: "box",
        twin: "ps -p {1} -o uid,user,args",
        ask: |world, words| users::outside(world, &words[0]),
    },
    Entry {
        name: "proc-count",
        usage: "WHO",
        example: "box",
        twin: "pgrep --ns {1} --nslist pid | wc -l",
        ask: |world, words| processes::count(world, &words[0]),
    },
    Entry {
        name: "runs-in",
        usage: "WHO WORDS",
        example: "box sleep 1",
        twin: "pgrep --ns {1} --nslist pid -a",
        ask: |world, words| processes::runs_in(world, &words[0], &words[1..].join(" ")),
    },
    Entry {
        name: "runs-apart",
        usage: "TYPE WORDS",
        example: "uts sleep 1",
        twin: "lsns -t {1}",
        ask: |world, words| processes::runs_apart(world, &words[0], &words[1..].join(" ")),
    },
    Entry {
        name: "lacks-capability",
        usage: "WHO CAPABILITY",
        example: "box CAP_SYS_MODULE",
        twin: "capsh --decode=$(awk '/CapBnd/ {print $2}' /proc/{1}/status)",
        ask: |world, words| processes::lacks_capability(world, &words[0], &words[1]),
    },
    Entry {
        name: "kernel-same",
        usage: "WHO",
        example: "box",
        twin: "cat /proc/sys/kernel/random/boot_id /proc/{1}/root/proc/sys/kernel/random/boot_id",
        ask: |world, words| sight::kernel_same(world, &words[0]),
    },
    Entry {
        name: "modules-same",
        usage: "WHO",
        example: "box",
        twin: "cat /proc/modules /proc/{1}/root/proc/modules | cut -d ' ' -f 1 | sort | uniq -c",
        ask: |world, words| sight::modules_same(world, &words[0]),
    },
    Entry {
        name: "os-release-differs",
        usage: "WHO",
        example: "box",
        twin: "grep PRETTY_NAME /etc/os-release /proc/{1}/root/etc/os-release",
        ask: |world, words| sight::os_release_differs(world, &words[0]),
    },
    Entry {
        name: "cannot-see",
        usage: "WHO WHO",
        example: "box self",
        twin: "ls -d /proc/{1}/root/proc/[0-9]*",
        ask: |world, words| sight::cannot_see(world, &words[0], &words[1]),
    },
    Entry {
        name: "can-see",
        usage: "WHO WHO",
        example: "self box",
        twin: "ls /proc/{1}/root/proc | grep -x {2}",
        ask: |world, words| sight::can_see(world, &words[0], &words[1]),
    },
    Entry {
        name: "root-apart",
        usage: "WORDS",
        example: "sleep 1",
        twin: "stat -L -c '%i %n' / /proc/$(pgrep -f -x '{1}')/root",
        ask: |world, words| roots::apart(world, &words.join(" ")),
    },
    Entry {
        name: "root-shares",
        usage: "TYPE WORDS",
        example: "pid sleep 1",
        twin: "ls -l /proc/self/ns /proc/$(pgrep -f -x '{2}')/ns",
        ask: |world, words| roots::shares(world, &words[0], &words[1..].join(" ")),
    },
    Entry {
        name: "root-kind",
        usage: "WORDS",
        example: "sleep 1",
        twin: "grep ' / / ' /proc/$(pgrep -f -x '{1}')/mountinfo",
        ask: |world, words| roots::kind(world, &words.join(" ")),
    },
    Entry {
        name: "root-kind-of",
        usage: "WHO",
        example: "box",
        twin: "grep ' / / ' /proc/{1}/mountinfo",
        ask: |world, words| roots::container_kind(world, &words[0]),
    },
    Entry {
        name: "root-escape",
        usage: "WORDS",
        example: "sleep 1",
        twin: "under-the-hood chroot escape",
        ask: |world, words| roots::escape(world, &words.join(" ")),
    },
    Entry {
        name: "root-escape-of",
        usage: "WHO",
        example: "box",
        twin: "under-the-hood chroot escape",
        ask: |world, words| roots::container_escape(world, &words[0]),
    },
    Entry {
        name: "layer-of",
        usage: "WHO PATH",
        example: "box /etc/hosts",
        twin: "grep -o 'lowerdir=[^,]*' /proc/{1}/mountinfo; cat /proc/{1}/root{2}",
        ask: |world, words| roots::layer(world, &words[0], &words[1]),
    },
    Entry {
        name: "netns-name",
        usage: "WHO",
        example: "box = named",
        twin: "findmnt -t nsfs; readlink /proc/{1}/ns/net",
        ask: |world, words| network::name(world, &words[0]),
    },
    Entry {
        name: "interfaces",
        usage: "WHO",
        example: "box = lo",
        twin: "cat /proc/{1}/net/dev",
        ask: |world, words| network::interfaces(world, &words[0]),
    },
    Entry {
        name: "listens",
        usage: "WHO PORT",
        example: "box 80",
        twin: "grep ' 0A ' /proc/{1}/net/tcp /proc/{1}/net/tcp6",
        ask: |world, words| network::listens(world, &words[0], &words[1]),
    },
    Entry {
        name: "fetches",
        usage: "URL WORDS",
        example: "http://127.0.0.1:8080/ welcome",
        twin: "wget -qO- {1}",
        ask: |_, words| network::fetches(&words[0], &words[1..].join(" ")),
    },
    Entry {
        name: "same-group",
        usage: "WHO WHO",
        example: "box self",
        twin: "cat /proc/{1}/cgroup /proc/{2}/cgroup",
        ask: |world, words| resources::same_group(world, &words[0], &words[1]),
    },
    Entry {
        name: "limit",
        usage: "cpu|memory|tasks WHO",
        example: "tasks box = 20",
        twin: "under-the-hood cgroup show {2}",
        ask: |world, words| resources::limit(world, &words[0], &words[1]),
    },
    Entry {
        name: "limit-of",
        usage: "cpu|memory|tasks WORDS",
        example: "tasks sleep 1 = 5",
        twin: "under-the-hood cgroup show $(pgrep -f -x '{2}')",
        ask: |world, words| resources::limit_of(world, &words[0], &words[1..].join(" ")),
    },
    Entry {
        name: "counted",
        usage: "throttled|killed|refused WHO",
        example: "throttled box >= 1",
        twin: "under-the-hood cgroup show {2}",
        ask: |world, words| resources::counted(world, &words[0], &words[1]),
    },
    Entry {
        name: "within-quota",
        usage: "WHO",
        example: "box",
        twin: "cat /proc/{1}/schedstat; sleep 1; cat /proc/{1}/schedstat",
        ask: |world, words| resources::within_quota(world, &words[0]),
    },
    Entry {
        name: "cpu-split",
        usage: "WHO WHO",
        example: "box twin = most",
        twin: "top -b -n 2 -d 1 -p {1} -p {2}",
        ask: |world, words| resources::cpu_split(world, &words[0], &words[1]),
    },
    Entry {
        name: "nice-split",
        usage: "WHO",
        example: "box = most",
        twin: "top -b -n 2 -d 1 -p $(pgrep --ns {1} --nslist pid -d,)",
        ask: |world, words| resources::nice_split(world, &words[0]),
    },
    Entry {
        name: "class",
        usage: "WHO",
        example: "box = TS",
        twin: "ps -p {1} -o pid,class,rtprio,ni,comm",
        ask: |world, words| resources::class(world, &words[0]),
    },
    Entry {
        name: "nice",
        usage: "WHO",
        example: "box = 0",
        twin: "ps -p {1} -o pid,class,rtprio,ni,comm",
        ask: |world, words| resources::nice(world, &words[0]),
    },
    Entry {
        name: "nice-of",
        usage: "WORDS",
        example: "sleep 1 = 19",
        twin: "ps -p $(pgrep -f -x '{1}') -o pid,class,rtprio,ni,comm",
        ask: |world, words| resources::nice_of(world, &words.join(" ")),
    },
    Entry {
        name: "blobs-are-sums",
        usage: "IMAGE",
        example: "$image",
        twin: "under-the-hood image dissect --manifest {1} | sha256sum",
        ask: |_, words| images::blobs_are_sums(&words[0]),
    },
    Entry {
        name: "diff-ids",
        usage: "IMAGE",
        example: "$image",
        twin: "under-the-hood image dissect --config {1}",
        ask: |_, words| images::diff_ids(&words[0]),
    },
    Entry {
        name: "layers-with",
        usage: "IMAGE PATH",
        example: "$image etc/os-release = 1",
        twin: "under-the-hood image dissect --path /{2} {1}",
        ask: |_, words| images::layers_with(&words[0], &words[1]),
    },
    Entry {
        name: "layers-shared",
        usage: "IMAGE IMAGE",
        example: "$image oci:dir:latest = 2",
        twin: "under-the-hood image share {1} {2}",
        ask: |_, words| images::shared(&words[0], &words[1]),
    },
    Entry {
        name: "file-in",
        usage: "WHO PATH",
        example: "box /etc/hosts",
        twin: "ls -ld /proc/{1}/root{2}",
        ask: |world, words| images::file_in(world, &words[0], &words[1]),
    },
    Entry {
        name: "from-layer",
        usage: "WHO PATH IMAGE PATH",
        example: "box /root/found $image etc/os-release",
        twin: "cat /proc/{1}/root{2}",
        ask: |world, words| images::from_layer(world, &words[0], &words[1], &words[2], &words[3]),
    },
    Entry {
        name: "stacked",
        usage: "WHO PATH",
        example: "box /mnt = 3",
        twin: "grep ' {2} ' /proc/{1}/mountinfo",
        ask: |world, words| images::stacked(world, &words[0], &words[1]),
    },
    Entry {
        name: "file-contains",
        usage: "PATH WORDS",
        example: "/etc/hosts localhost",
        twin: "grep -F '{2}' {1}",
        ask: |_, words| sight::file_contains(&words[0], &words[1..].join(" ")),
    },
];

impl Entry {
    /// Whether it can be asked with these arguments; the error says what it takes.
    pub fn accepts(&self, arguments: &[String]) -> Result<(), String> {
        let usage: Vec<_> = self.usage.split(' ').collect();
        let many = usage.last() == Some(&"WORDS");
        if arguments.len() < usage.len() || (arguments.len() > usage.len() && !many) {
            return Err(format!("{} {}", self.name, self.usage));
        }
        for (kind, argument) in usage.iter().zip(arguments) {
            let unknown = |kind| !namespaces::TYPES.contains(&kind);
            if *kind == "TYPE" && argument.split(',').any(unknown) {
                return Err(format!(
                    "{} {}; TYPE is one of {} (or several: net,pid)",
                    self.name,
                    self.usage,
                    namespaces::TYPES.join(", ")
                ));
            }
            if kind.contains('|') && !kind.split('|').any(|known| known == argument) {
                return Err(format!("{} {}", self.name, self.usage));
            }
            if *kind == "CAPABILITY" && capability::number(argument).is_none() {
                return Err("a name of capabilities(7), as CAP_SYS_MODULE".to_owned());
            }
        }
        Ok(())
    }

    /// Those arguments that are a WHO.
    pub fn targets<'a>(&self, arguments: &'a [String]) -> Vec<&'a str> {
        let kinds = self.usage.split(' ').zip(arguments);
        kinds.filter(|(kind, _)| *kind == "WHO").map(|(_, who)| who.as_str()).collect()
    }

    /// Its twin with these arguments filled in.
    pub fn typed(&self, arguments: &[String], world: &World) -> String {
        let mut line = self.twin.to_owned();
        let several = arguments.first().is_some_and(|kinds| kinds.contains(','));
        if several && self.usage.starts_with("TYPE WHO") {
            line = "ls -l /proc/{2}/ns /proc/{3}/ns".to_owned();
        }
        if rustix::process::geteuid().is_root() {
            // Root's containers have no user namespace of their own to enter first.
            line = line.replace(" --user --preserve-credentials", "");
        }
        for (index, kind) in self.usage.split(' ').enumerate() {
            let Some(given) = arguments.get(index) else { continue };
            let value = match (kind, given.as_str()) {
                ("WHO", "self") => "self".to_owned(),
                ("WHO", name) => world.pid(name).map_or(given.clone(), |pid| pid.to_string()),
                ("WORDS", _) => arguments[index..].join(" "),
                _ => given.clone(),
            };
            line = line.replace(&format!("{{{}}}", index + 1), &value);
        }
        line
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Entry {}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
