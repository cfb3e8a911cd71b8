//! `netns ports --collide`: the article's port collision, and its cure.

use serde_json::json;

use crate::cli::Global;
use crate::error::Result;
use crate::kernel::listen::{Listen, NewNet};
use crate::kernel::op::{Op, Slots, World, describe};
use crate::step::{Actor, Observer};
use crate::ui::{Align, Column, Screen, Table, Value};

/// One attempt.
struct Attempt {
    namespace: &'static str,
    result: Result<String>,
}

const TABLE: Table<Attempt> = Table(&[
    Column {
        name: "NAMESPACE",
        align: Align::Left,
        help: "Which of the two new namespaces",
        value: |attempt| Value::Text(attempt.namespace.to_owned()),
    },
    Column {
        name: "RESULT",
        align: Align::Left,
        help: "What the kernel answered to bind and listen",
        value: |attempt| {
            Value::Text(match &attempt.result {
                Ok(_) => "it listens".to_owned(),
                Err(error) => match (&error.errno, &error.said) {
                    (Some(errno), Some(said)) => {
                        let name = crate::error::errno_name(nix::errno::Errno::from_raw(*errno));
                        format!("{name}: {said}")
                    }
                    _ => error.to_string(),
                },
            })
        },
    },
]);

/// `netns ports --collide`
pub fn run(port: u16, global: &Global, screen: &mut Screen) -> Result<u8> {
    let root = rustix::process::geteuid().is_root();
    let first =
        NewNet { with_user: !root, why: "a first network namespace, nobody listens in it".into() };
    let listen = |why| Op::from(Listen { port, why: String::from(why) });
    let second = NewNet {
        with_user: false,
        why: "a second one; the socket in the first still listens".into(),
    };
    let plan: [(&str, Op); 5] = [
        ("", first.into()),
        ("first", listen("the port is free")),
        ("first", listen("the same port again, in the same namespace: it is taken")),
        ("", second.into()),
        ("second", listen("the same port in another namespace: another port")),
    ];
    if global.dry_run {
        let ops: Vec<_> = plan.iter().map(|(_, op)| op.clone()).collect();
        return screen.plan(&describe(&ops, Actor::Launcher)).map(|()| 0);
    }
    let attempts = attempts(&plan, screen)?;
    if screen.json_wanted() {
        let object = |attempt: &Attempt| {
            json!({
                "namespace": attempt.namespace, "listens": attempt.result.is_ok(),
                "error": attempt.result.as_ref().err(),
            })
        };
        let all: Vec<_> = attempts.iter().map(object).collect();
        return screen.json(&json!({ "port": port, "attempts": all })).map(|()| 0);
    }
    screen.table(&TABLE, &attempts)?;
    Ok(0)
}

/// Performs them in order. That a port is taken is a result like any other.
fn attempts(plan: &[(&'static str, Op)], screen: &mut Screen) -> Result<Vec<Attempt>> {
    let mut slots = Slots::default();
    let mut world = World::new(&mut slots);
    let mut attempts = Vec::new();
    for (namespace, op) in plan {
        let result = op.perform(Actor::Launcher, &mut world, screen as &mut dyn Observer);
        match (namespace.is_empty(), result) {
            (true, result) => result?,
            (false, result) => {
                attempts.push(Attempt { namespace, result: result.map(|()| String::new()) })
            }
        }
    }
    Ok(attempts)
}
