//! Whose a container's name is. Two people who play the same lesson at once, as
//! the same user, both call a container `box`. Each run of a lesson has a scope:
//! a word in the environment of its commands. A name is unique within its scope
//! and is looked for there; what has another scope answers to its id only, and what
//! another engine or user has to its id or to `ENGINE:NAME`.
//!
//! Whoever is in no scope, as in an ordinary shell, means a container without
//! one first, and then whichever has the name. If several have, they are told which.

use super::registry::Container;
use crate::error::{Error, Result};

/// The variable that says in whose scope a command is.
pub const VARIABLE: &str = "UTH_SCOPE";

/// The scope that this process is in.
pub fn own() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|scope| !scope.is_empty())
}

/// Which of these containers the name means, to somebody in that scope.
pub fn named<'a>(
    containers: impl Iterator<Item = &'a Container>,
    name: &str,
    scope: Option<&str>,
) -> Result<Option<usize>> {
    let of_name = |(_, container): &(usize, &Container)| container.name == name;
    let all: Vec<_> = containers.enumerate().filter(of_name).collect();
    let here = all.iter().find(|(_, container)| container.scope.as_deref() == scope);
    match (here, scope, all.as_slice()) {
        (Some((index, _)), ..) => Ok(Some(*index)),
        (None, Some(_), _) | (None, None, []) => Ok(None),
        (None, None, [(index, _)]) => Ok(Some(*index)),
        (None, None, several) => {
            let several = several.iter().map(|(_, container)| described(container));
            Err(Error::usage(format!("{name} can mean more than one container"))
                .said(several.collect::<Vec<_>>().join(", "))
                .hint("Each run of a lesson has names of its own. Give the id, or enough of its beginning."))
        }
    }
}

/// `box (id 0123456789ab, of lesson1-3fa2c1)`
pub fn described(container: &Container) -> String {
    let Container { name, id, scope, .. } = container;
    match scope {
        Some(scope) => format!("{name} (id {id}, of {})", scope.escape_debug()),
        None => format!("{name} (id {id})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, scope: Option<&str>) -> Container {
        let record = serde_json::json!({
            "id": id, "name": "box", "pid": 1, "start": 1, "shim": 1, "image": "base", "command": [],
            "hostname": "box", "env": [], "created": 1, "scope": scope,
        });
        serde_json::from_value(record).unwrap()
    }

    fn meant(all: &[(&str, Option<&str>)], scope: Option<&str>) -> Result<Option<usize>> {
        let all: Vec<_> = all.iter().map(|(id, scope)| container(id, *scope)).collect();
        named(all.iter(), "box", scope)
    }

    #[test]
    fn a_name_is_looked_for_in_ones_own_scope_and_nowhere_else() {
        let all = [("1a", Some("one")), ("2b", Some("two")), ("3c", None)];
        assert_eq!(meant(&all, Some("two")).unwrap(), Some(1));
        assert_eq!(meant(&all, Some("three")).unwrap(), None);
        assert_eq!(meant(&all, None).unwrap(), Some(2));
    }

    #[test]
    fn without_a_scope_all_are_seen_and_several_are_told() {
        assert_eq!(meant(&[("1a", Some("one"))], None).unwrap(), Some(0));
        let error = meant(&[("1a", Some("one")), ("2b", Some("two"))], None).unwrap_err();
        assert_eq!(error.said.as_deref(), Some("box (id 1a, of one), box (id 2b, of two)"));
    }
}
