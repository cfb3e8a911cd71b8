//! Who `--user` means: names are the image's own, from its /etc/passwd and
//! /etc/group (passwd(5), group(5)), which are read from outside, without
//! following a link out of the image, and not without end.

use serde::{Deserialize, Serialize};

use crate::container::spec::usage;
use crate::error::{Error, Exit, Result};
use crate::kernel::in_root::Root;

/// Longer than any image's; who makes it longer wants to keep us reading.
pub const MOST: u64 = 1 << 20;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// A user of a container: ids as the container counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// All groups, that one too.
    pub groups: Vec<u32>,
    /// The home directory.
    pub home: String,
}

impl Default for User {
    fn default() -> Self {
        Self { uid: 0, gid: 0, groups: vec![0], home: "/root".to_owned() }
    }
}

/// The users and groups that an image has.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    passwd: Option<String>,
    group: Option<String>,
}

/// A line of /etc/passwd that makes sense.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl Accounts {
    /// Those of a root file system.
    pub fn read(root: &Root) -> Result<Self> {
        let text = |path: &str| -> Result<Option<String>> {
            let bytes = root.read(path, MOST).map_err(|error| error.exit(Exit::Engine))?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        Ok(Self { passwd: text(PASSWD)?, group: text(GROUP)? })
    }

    /// Those that these texts name.
    pub fn of(passwd: Option<String>, group: Option<String>) -> Self {
        Self { passwd, group }
    }

    /// Those of the base image before it is made: root's home is known.
    pub fn unmade() -> Self {
        Self { passwd: Some("root:x:0:0:root:/root:/bin/sh".to_owned()), group: None }
    }

    /// `--user NAME|UID[:GROUP|GID]`, as docker understands it; without it, root.
    pub fn find(&self, given: Option<&str>) -> Result<User> {
        let given = given.unwrap_or("0");
        let (user, group) = match given.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (given, None),
        };
        let user = if user.is_empty() { "0" } else { user };
        let number = number(given, user)?;
        let entry = self.entries().find(|entry| Some(entry.uid) == number || entry.name == user);
        let (uid, gid, home) = match (&entry, number) {
            (Some(entry), _) => (entry.uid, entry.gid, entry.home),
            (None, Some(uid)) => (uid, 0, ""),
            (None, None) => return Err(unknown(given, user, PASSWD, self.passwd.is_some())),
        };
        let mut groups = Vec::new();
        let gid = match group {
            Some(group) => self.gid(given, group)?,
            None => {
                let name = entry.map(|entry| entry.name);
                groups.extend(name.into_iter().flat_map(|name| self.groups_of(name)));
                gid
            }
        };
        // The group itself too: a file that is closed to this group must not
        // be open because the group is left out (CVE-2022-36109).
        groups.push(gid);
        groups.sort_unstable();
        groups.dedup();
        let home = if home.is_empty() { "/" } else { home };
        Ok(User { uid, gid, groups, home: home.to_owned() })
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.passwd.iter().flat_map(|text| text.lines()).filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let (uid, gid) = (id(fields.nth(1)?)?, id(fields.next()?)?);
            Some(Entry { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
        })
    }

    /// Name, gid and members of each group.
    fn group_lines(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        self.group.iter().flat_map(|text| text.lines()).filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            Some((name, id(fields.nth(1)?)?, fields.next().unwrap_or_default()))
        })
    }

    fn gid(&self, given: &str, group: &str) -> Result<u32> {
        let number = number(given, group)?;
        let found =
            self.group_lines().find(|(name, gid, _)| Some(*gid) == number || *name == group);
        match (found, number) {
            (Some((_, gid, _)), _) | (None, Some(gid)) => Ok(gid),
            (None, None) => Err(unknown(given, group, GROUP, self.group.is_some())),
        }
    }

    fn groups_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = u32> + 'a {
        let has = move |members: &str| members.split(',').any(|member| member.trim() == user);
        self.group_lines().filter(move |(_, _, members)| has(members)).map(|(_, gid, _)| gid)
    }
}

/// An id; the last number of all means "no id" to the kernel.
fn id(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}

/// The id, if it is written as a number; one that is none is not taken for a name.
fn number(given: &str, text: &str) -> Result<Option<u32>> {
    let numeric = text.trim_start_matches(['-', '+']).bytes().all(|byte| byte.is_ascii_digit());
    match id(text) {
        None if numeric => Err(usage(format!("--user {given}: {text:?} is no user or group id"))
            .hint("Ids go from 0 to 4294967294.")),
        id => Ok(id),
    }
}

fn unknown(given: &str, name: &str, file: &str, there: bool) -> Error {
    let said = match there {
        true => format!("{file} of the image does not name {name:?}"),
        false => format!("the image has no {file}, so it knows no names"),
    };
    usage(format!("--user {given}: there is no {name:?} in the container")).said(said).hint(
        "Names out here mean nothing in there; a number always works, as in --user 1000:1000.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:Ann:/home/ann:/bin/sh\n\
                      bad:x:4294967296:0::/:\nminus:x:-1:0::/:\nempty:x::0::/:\nlast:x:4294967295:0::/:\n\
                      # note\nshort:x:7\n1234:x:5:6::/five:\nfew:x:8:9";
        let group = "root:x:0:\nwheel:x:10:root,ann\nusers:x:100:\nsea:x:20: ann ,bob\nbad:x:4294967296:ann\n";
        Accounts { passwd: Some(passwd.to_owned()), group: Some(group.to_owned()) }
    }

    #[test]
    fn users_are_those_of_the_image() {
        let of = |given: &str| accounts().find(Some(given)).unwrap();
        let user = |uid, gid, groups: &[u32], home: &str| User {
            uid,
            gid,
            groups: groups.to_vec(),
            home: home.to_owned(),
        };
        assert_eq!(accounts().find(None).unwrap(), user(0, 0, &[0, 10], "/root"));
        assert_eq!(of("ann"), user(1000, 100, &[10, 20, 100], "/home/ann"));
        assert_eq!(of("1000"), of("ann"));
        assert_eq!(of("ann:"), of("ann"));
        // A group that is named is the only one.
        assert_eq!(of("ann:wheel"), user(1000, 10, &[10], "/home/ann"));
        assert_eq!(of("ann:7"), user(1000, 7, &[7], "/home/ann"));
        assert_eq!(of("77"), user(77, 0, &[0], "/"));
        assert_eq!(of("77:4294967294"), user(77, 4_294_967_294, &[4_294_967_294], "/"));
        assert_eq!(of(":wheel"), user(0, 10, &[10], "/root"));
        assert_eq!(of("few"), user(8, 9, &[9], "/"));
    }

    #[test]
    fn nothing_wraps_and_nothing_is_guessed() {
        for wrong in [
            "bob",
            "bad",
            "minus",
            "empty",
            "last",
            "short",
            "-1",
            "+1",
            "4294967295",
            "4294967296",
            "99999999999999999999",
            "ann:nobody",
            "ann:-1",
            "ann:bad",
            "1:2:3",
            "ann:4294967296",
        ] {
            let error = accounts().find(Some(wrong)).unwrap_err();
            assert_eq!(error.exit, Exit::Engine, "{wrong}");
        }
        let none = Accounts::default();
        assert_eq!(none.find(Some("7:8")).unwrap().gid, 8);
        let error = none.find(Some("ann")).unwrap_err();
        assert!(error.said.unwrap().contains("no /etc/passwd"));
        let error = accounts().find(Some("bob")).unwrap_err();
        assert!(error.said.unwrap().contains("/etc/passwd of the image"));
    }
}
