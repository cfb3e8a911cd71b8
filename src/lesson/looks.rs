//! Whether a line of `sh shell` only looks. A step's effects must be our own
//! commands', which the player can undo; what the reader is to change by hand
//! is an exercise. Not a shell's grammar: the first word of each command and
//! the redirections, which is where a lesson's author goes wrong.

/// Programs that are there to change something.
const CHANGERS: [&str; 33] = [
    "apt", "apt-get", "chattr", "chgrp", "chmod", "chown", "chrt", "cp", "dd", "dnf", "groupadd",
    "install", "kill", "killall", "ln", "mkdir", "mkfs", "mknod", "modprobe", "mount", "mv",
    "pkill", "reboot", "renice", "rm", "rmdir", "swapoff", "tee", "touch", "truncate", "umount",
    "unlink", "useradd",
];

/// Words before a command that are not the command.
const BEFORE: [&str; 12] =
    ["!", "sudo", "exec", "command", "env", "if", "then", "else", "do", "while", "until", "{"];

/// The part of a shell line that changes something, if one does.
pub fn changes(line: &str) -> Option<String> {
    let (mut quote, mut first, mut word) = (None, true, String::new());
    let mut chars = line.chars().peekable();
    loop {
        let c = chars.next();
        match (quote, c) {
            (Some(open), Some(c)) if c != open => word.push(c),
            (Some(_), Some(_)) => quote = None,
            (None, Some(c @ ('\'' | '"'))) => quote = Some(c),
            (None, Some('\\')) => word.extend(chars.next()),
            (None, Some('>')) => {
                if chars.peek() == Some(&'>') {
                    chars.next();
                }
                let to: String = rest_of_word(&mut chars);
                if !(to.starts_with('&') || to == "/dev/null") {
                    return Some(format!("> {to}"));
                }
                // The number before it is a descriptor, not a command.
                word.clear();
            }
            (_, None) | (None, Some(' ' | '\t' | '\n' | '|' | '&' | ';' | '(' | ')' | '`')) => {
                let ended = std::mem::take(&mut word);
                if first && CHANGERS.contains(&ended.rsplit('/').next().unwrap_or_default()) {
                    return Some(ended);
                }
                let stays = ended.is_empty() || BEFORE.contains(&&*ended) || ended.contains('=');
                first &= stays;
                match c {
                    None => return None,
                    Some(' ' | '\t') => {}
                    Some(_) => first = true,
                }
            }
            (None, Some(c)) => word.push(c),
        }
    }
}

fn rest_of_word(chars: &mut std::iter::Peekable<std::str::Chars>) -> String {
    while chars.next_if(|c| *c == ' ').is_some() {}
    let mut word = String::new();
    while let Some(c) = chars.next_if(|c| !" \t\n|;()".contains(*c)) {
        word.push(c);
    }
    word
}

/// Why an exercise may not leave something there; `None` where it may.
pub fn not_to_be_left(path: &str) -> Option<&'static str> {
    const WHERE: [&str; 7] = [
        "$lesson_dir/",
        "/run/netns/",
        "/sys/fs/cgroup/",
        "/tmp/",
        "/var/tmp/",
        "/run/",
        "/dev/shm/",
    ];
    if path.split('/').any(|part| part == "..") {
        return Some("it goes up with `..`");
    }
    if !(path.starts_with('/') || path.starts_with('$')) {
        return Some("it is not an absolute path");
    }
    let itself = WHERE.iter().any(|top| path.trim_end_matches('/') == top.trim_end_matches('/'));
    let below =
        |top: &&str| path.strip_prefix(*top).is_some_and(|rest| !rest.trim_matches('/').is_empty());
    match !itself && WHERE.iter().any(below) {
        true => None,
        false => Some("an exercise has no business there, since it is removed at the end"),
    }
}

/// Where an exercise may leave something.
pub const MAY_LEAVE: &str = "below $lesson_dir, /run, /sys/fs/cgroup, /tmp, /var/tmp or /dev/shm; or `process COMMAND [as NAME]`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_found_wherever_a_command_begins() {
        for line in [
            "rm -r /x",
            "ls; mkdir x",
            "ps | tee list",
            "echo a > b",
            "echo a >>b",
            "sudo /bin/mount -t proc proc /proc",
            "x=1 touch y",
            "test -e a && rm a",
            "echo $(rm a)",
            "if true; then kill 1; fi",
        ] {
            assert!(changes(line).is_some(), "{line}");
        }
    }

    #[test]
    fn what_only_looks_may() {
        for line in [
            "ls /rm",
            "grep ' / / ' /proc/$box_pid/mountinfo",
            "ps -o pid,args 2>/dev/null",
            "under-the-hood doctor 2>&1 | sed '/x > y/d'",
            "echo 'a > b; rm c'",
            "p=$(pgrep -d, x) ; test -n \"$p\"",
            "bash -c 'time true'",
            "under-the-hood image rm x",
        ] {
            assert_eq!(changes(line), None, "{line}");
        }
    }

    #[test]
    fn an_exercise_leaves_nothing_where_it_could_do_harm() {
        for path in ["/", "/etc/passwd", "/tmp", "/tmp/../etc", "made", "/run/netns/", "$HOME/x"] {
            assert!(not_to_be_left(path).is_some(), "{path}");
        }
        for path in ["/run/netns/$box_pid", "$lesson_dir/x", "/tmp/x", "/sys/fs/cgroup/mine"] {
            assert_eq!(not_to_be_left(path), None, "{path}");
        }
    }
}
