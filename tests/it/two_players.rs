//! Two people play the same lesson at once on one machine, as the same user:
//! each has names of their own, and neither is in the other's way.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::harness::Uth;
use crate::machine::{Machine, base_and_progress, private_network};

/// What one player was told: the exit code and the last lines.
fn told(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
}

fn player(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Both hold every claim that one alone holds, and nothing is left.
fn at_once(lesson: &str, as_nobody: bool, holds: &str) {
    let uth = Uth::new();
    let command = || {
        let words = ["lesson", lesson, "--auto"];
        if !as_nobody {
            return uth.command(words);
        }
        let mut command = uth.beside("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(Uth::program()).args(words);
        command
    };
    if as_nobody {
        uth.as_nobody(["image", "base"]).ok();
    } else {
        uth.run(["image", "base"]).ok();
    }
    let before = Machine::look(&uth);
    let players = [player(command()), player(command())];
    for (exit, text) in players.map(told) {
        assert_eq!(exit, Some(0), "{text}");
        assert!(text.contains(&format!("{holds} claims hold")), "{text}");
        assert!(!text.contains("does not hold"), "{text}");
    }
    let expected = |line: &str| base_and_progress(line) || line.contains(" cache/");
    Machine::settles(&uth, &before, Duration::from_secs(5), expected);
    let images = uth.run(["image", "ls"]).ok();
    assert!(!images.stdout.contains("lesson"), "{}", images.whole());
}

#[test]
fn two_roots_play_each_lesson_at_once() {
    need!(root);
    need!(sh "busybox", "command -v busybox");
    private_network();
    for (lesson, holds) in [
        ("0", "3 of 3"),
        ("1", "21 of 21"),
        ("2", "12 of 12"),
        ("3", "15 of 15"),
        ("5", "15 of 15"),
        ("6", "16 of 16"),
        ("7", "17 of 17"),
    ] {
        at_once(lesson, false, holds);
    }
}

/// Real-time loops and quotas beside each other: each has a CPU to itself.
#[test]
fn two_roots_play_lesson_4_at_once() {
    need!(root);
    need!(sh "two CPUs", "test $(nproc) -ge 2");
    private_network();
    at_once("4", false, "23 of 23");
}

#[test]
fn two_ordinary_users_play_each_lesson_at_once() {
    need!(root);
    need!(user_namespace);
    need!(sh "busybox", "command -v busybox");
    private_network();
    for (lesson, holds) in [
        ("0", "3 of 3"),
        ("3", "14 of 15"),
        ("5", "15 of 15"),
        ("6", "15 of 16"),
        ("7", "14 of 17"),
    ] {
        at_once(lesson, true, holds);
    }
    for lesson in ["1", "2", "4"] {
        let ran = Uth::new();
        let alone = ran.as_nobody(["lesson", lesson, "--auto"]).ok();
        let holds = alone.stdout.lines().find_map(|line| line.split_once(" claims hold"));
        at_once(lesson, true, holds.unwrap().0);
    }
}

/// A name is looked for in one's own scope; an ordinary shell sees all, and is
/// told when it must choose.
#[test]
fn a_name_means_ones_own_container() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let script = r#"
        export UTH_SCOPE=; run() { UTH_SCOPE=$1 $UTH run -d --name box --network none base sleep $2; }
        flat() { tr '\n' ' ' | tr -s ' '; } # an error's hint is wrapped
        both() { flat | grep "(id $one, of one)" | grep -c "(id $two, of two)"; }
        one=$(run one 601); two=$(run two 602)
        UTH_SCOPE=one $UTH exec box ps | grep -q 'sleep 601' && echo own
        UTH_SCOPE=two $UTH exec box ps | grep -q 'sleep 602' && echo own
        UTH_SCOPE=one $UTH netns addr box >/dev/null && echo found
        UTH_SCOPE=one $UTH netns addr under-the-hood:box >/dev/null && echo found
        UTH_SCOPE=one $UTH exec $two true && echo by id
        UTH_SCOPE=three $UTH exec box true 2>&1 | flat | grep -c "box (id $one, of one)"
        $UTH exec box true 2>&1 | both
        $UTH netns addr box 2>&1 | both
        UTH_SCOPE=one $UTH run -d --name box base true 2>&1 | grep -c "is taken by container $one"
        run "" 603 >/dev/null; $UTH exec box ps | grep -q 'sleep 603' && echo plain
        $UTH stop -t 0 box; UTH_SCOPE=two $UTH stop -t 0 box; $UTH stop -t 0 box
        $UTH exec box true 2>&1 | grep -c 'no container box'
    "#;
    let ran = uth.sh(script).ok();
    let expected = "own\nown\nfound\nfound\nby id\n1\n1\n1\n1\nplain\nbox\nbox\nbox\n1\n";
    assert_eq!(ran.stdout, expected, "{}", ran.whole());
}

/// The second terminal is given the names of the player that it asks for.
#[test]
fn lesson_env_asks_which_of_two_players() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    let run = uth.home().join("run");
    let players: Vec<_> = ["lesson1-aaaaaa", "lesson1-bbbbbb"]
        .into_iter()
        .map(|scope| {
            let child = Command::new("sleep").arg("60").spawn().unwrap();
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
            let session = format!(
                r#"{{"pid": {}, "start": {start}, "scope": "{scope}", "variables": [["lesson_id", "{scope}"]]}}"#,
                child.id()
            );
            std::fs::create_dir_all(&run).unwrap();
            std::fs::write(run.join(format!("lesson-{scope}.json")), session).unwrap();
            child
        })
        .collect();
    let several = uth.run(["lesson", "env"]);
    let one = uth.run(["lesson", "env", "lesson1-bbbbbb"]);
    let own = uth.sh("UTH_SCOPE=lesson1-aaaaaa $UTH lesson env");
    for mut child in players {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let several = several.one_error(2);
    assert!(several.stderr.contains("lesson1-aaaaaa") && several.stderr.contains("lesson1-bbbbbb"));
    assert!(one.ok().stdout.contains("export lesson_id='lesson1-bbbbbb'"));
    assert!(own.ok().stdout.contains("export lesson_id='lesson1-aaaaaa'"));
}

/// What `lesson env` prints is performed: from a directory that others could have prepared
/// (/tmp/under-the-hood-UID, say) nothing is believed, neither a player nor a container.
#[test]
fn nothing_is_read_where_others_could_have_written_it() {
    let uth = Uth::new();
    let run = uth.home().join("run");
    std::fs::create_dir_all(run.join("containers")).unwrap();
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let us = child.id();
    let stat = std::fs::read_to_string(format!("/proc/{us}/stat")).unwrap();
    let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
    let session = format!(
        r#"{{"pid": {us}, "start": {start}, "scope": "lesson1-aaaaaa", "variables": [["x; false", ""]]}}"#
    );
    std::fs::write(run.join("lesson-aaaaaa.json"), session).unwrap();
    let record = format!(
        r#"{{"id": "0123456789ab", "name": "box", "pid": {us}, "start": {start}, "shim": 1, "image": "base",
            "command": [], "hostname": "box", "env": [], "created": 1}}"#
    );
    std::fs::write(run.join("containers/0123456789ab.json"), record).unwrap();
    assert!(uth.run(["lesson", "env"]).ok().stdout.contains("x; false"), "it is read at all");
    std::fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let all = [["lesson", "env"].as_slice(), &["stop", "-t", "0", "box"]].map(|args| uth.run(args));
    child.kill().unwrap();
    child.wait().unwrap();
    for ran in all {
        let code = ran.code.unwrap();
        let ran = ran.one_error(code);
        assert!(ran.stderr.contains("others may write in it"), "{}", ran.whole());
    }
}
