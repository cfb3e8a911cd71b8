//! `image build`: what becomes of a Dockerfile. Images are looked at from outside
//! (`image dissect`) and from inside (`run`).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Ran, Uth};
use crate::machine::{Machine, base_and_progress};

/// A home and a build context.
struct Site {
    uth: Uth,
    context: PathBuf,
}

impl Site {
    fn new() -> Self {
        let uth = Uth::new();
        let context = uth.home().join("context");
        fs::create_dir(&context).unwrap();
        Self { uth, context }
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.context.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let context = self.context.to_str().unwrap();
        let words = ["image", "build", "--network", "none", "-t", "it:1", context];
        self.uth.command(words.iter().chain(args))
    }

    fn build(&self, args: &[&str]) -> Ran {
        self.uth.wait(self.command(args))
    }

    /// Builds this Dockerfile and says what was done, step by step.
    fn steps(&self, dockerfile: &str, args: &[&str]) -> Vec<Value> {
        self.write("Dockerfile", dockerfile);
        let json = self.build(&[args, &["--format", "json", "-q"]].concat()).ok().json();
        json["steps"].as_array().unwrap().clone()
    }

    /// The files of the layers that were made, the base's left out: path to
    /// `kind mode uid:gid link`.
    fn files(&self, base_layers: usize) -> BTreeMap<String, String> {
        let json = self.uth.run(["image", "dissect", "it:1", "--format", "json"]).ok().json();
        let mut files = BTreeMap::new();
        for layer in json["layers"].as_array().unwrap().iter().skip(base_layers) {
            for file in layer["files"].as_array().unwrap() {
                let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
                let mode = file["mode"]
                    .as_str()
                    .map_or_else(|| format!("{:o}", file["mode"].as_u64().unwrap()), str::to_owned);
                let line = format!(
                    "{} {mode} {}:{} {}",
                    text("kind"),
                    file["uid"],
                    file["gid"],
                    text("link")
                );
                files.insert(text("path"), line.trim_end().to_owned());
            }
        }
        files
    }

    fn config(&self) -> Value {
        let json = self.uth.run(["image", "dissect", "it:1", "--format", "json"]).ok().json();
        json["config"].clone()
    }
}

fn reasons(steps: &[Value]) -> Vec<String> {
    let reason = |step: &Value| match step["cached"].as_bool() {
        Some(true) => "cached".to_owned(),
        Some(false) => step["reason"].as_str().unwrap().to_owned(),
        None => "-".to_owned(),
    };
    steps.iter().map(reason).collect()
}

macro_rules! need_run {
    () => {
        if !rustix::process::geteuid().is_root() {
            need!(user_namespace);
        }
    };
}

#[test]
fn a_dockerfile_becomes_an_image_and_the_second_time_nothing_is_done() {
    need_run!();
    let site = Site::new();
    site.write("page/index.html", "<h1>hello</h1>\n").write("httpd.conf", "port 80\n");
    site.write(
        "Dockerfile",
        "FROM base\nRUN mkdir -p /www/sites && rm /etc/profile\nCOPY httpd.conf /www/conf/httpd.conf\n\
         COPY ./page/ /www/htdocs/\nENV WORD=world\nWORKDIR /www\n\
         CMD [\"sh\", \"-c\", \"pwd; cat htdocs/index.html; echo $WORD; ls -d sites; test -e /etc/profile || echo gone\"]\n",
    );
    let first = site.build(&[]).ok();
    assert_eq!(first.stdout.lines().next(), Some("it:1"));
    let said = "/www\n<h1>hello</h1>\nworld\nsites\ngone\n";
    assert_eq!(site.uth.run(["run", "it:1"]).ok().stdout, said);
    let again = site.build(&[]).ok();
    assert_eq!(again.stdout, first.stdout, "the same image");
    assert_eq!(again.stderr.matches("from the cache").count(), 3, "{}", again.whole());
    let history = site.uth.run(["image", "history", "it:1"]).ok().stdout;
    for line in ["COPY httpd.conf /www/conf/httpd.conf", "ENV WORD=world", "WORKDIR /www"] {
        assert!(history.contains(line), "{line} in {history}");
    }
    assert!(fs::read_dir(site.uth.home().join("data/build")).unwrap().next().is_none());
}

/// What a command changes is its layer: no more, no less.
#[test]
fn a_layer_has_what_the_command_changed() {
    need_run!();
    let site = Site::new();
    site.steps(
        "FROM base\nRUN mkdir -p /a/b /a/gone /a/both && echo 1 > /a/b/one && echo 2 > /a/gone/two && echo 3 > /a/both/old\n\
         RUN rm -r /a/gone && ln /a/b/one /a/b/other && ln -s b /a/link && chmod 700 /a/b \\\n\
         && rm -r /a/both && mkdir /a/both && echo 4 > /a/both/new && touch -d @0 /a/both/new\n",
        &[],
    );
    let json = site.uth.run(["image", "dissect", "it:1", "--format", "json"]).ok().json();
    let layers = json["layers"].as_array().unwrap();
    let paths = |layer: &Value| -> Vec<String> {
        let files = layer["files"].as_array().unwrap();
        files.iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        paths(&layers[1]),
        ["a", "a/b", "a/b/one", "a/both", "a/both/old", "a/gone", "a/gone/two"]
    );
    assert_eq!(
        paths(&layers[2]),
        [
            "a",
            "a/b",
            "a/b/one",
            "a/b/other",
            "a/both",
            "a/both/.wh.old",
            "a/both/new",
            "a/.wh.gone",
            "a/link"
        ]
    );
    let files = site.files(2);
    assert!(files["a/b"].starts_with("directory 700"), "{files:?}");
    let links: Vec<_> = files.values().filter(|line| line.starts_with("hardlink")).collect();
    assert_eq!(links.len(), 1, "{files:?}");
    let shown = site.uth.run(["run", "it:1", "sh", "-c", "find /a | sort; cat /a/b/other"]).ok();
    assert_eq!(shown.stdout, "/a\n/a/b\n/a/b/one\n/a/b/other\n/a/both\n/a/both/new\n/a/link\n1\n");
}

/// The next command stands on the layers before it, from the cache, too.
#[test]
fn whiteouts_hold_for_the_next_command_from_the_cache_too() {
    need!(root);
    let site = Site::new();
    let common = "FROM base\nRUN mkdir /d && echo x > /d/x && echo y > /d/y\nRUN rm /d/x; rm /etc/profile\nCOPY z /d/z\n";
    site.write("z", "z\n");
    site.steps(common, &[]);
    let steps = site.steps(&format!("{common}RUN ls /d > /seen; test ! -e /etc/profile\n"), &[]);
    assert_eq!(reasons(&steps)[1..4], ["cached", "cached", "cached"]);
    assert_eq!(site.uth.run(["run", "it:1", "cat", "/seen"]).ok().stdout, "y\nz\n");
}

#[test]
fn copy_puts_things_where_docker_puts_them() {
    let site = Site::new();
    site.write("a", "a")
        .write("b.txt", "b")
        .write("c.txt", "c")
        .write("d/e/f", "f")
        .write("d/g", "g");
    symlink("g", site.context.join("d/link")).unwrap();
    let line = |kind: &str, mode: &str| format!("{kind} {mode} 0:0");
    let (file, directory) = (line("file", "644"), line("directory", "755"));
    for (copy, expected) in [
        ("COPY a /x", vec!["x"]),
        ("COPY a /x/", vec!["x/", "x/a"]),
        ("COPY a /x/y/z", vec!["x/", "x/y/", "x/y/z"]),
        ("COPY a b.txt /x/", vec!["x/", "x/a", "x/b.txt"]),
        ("COPY *.txt /x/", vec!["x/", "x/b.txt", "x/c.txt"]),
        ("COPY [bc].t?t /x/", vec!["x/", "x/b.txt", "x/c.txt"]),
        ("COPY d /x", vec!["x/", "x/e/", "x/e/f", "x/g", "x/link@"]),
        ("COPY d/ /x/", vec!["x/", "x/e/", "x/e/f", "x/g", "x/link@"]),
        ("COPY d/e/.. /x/", vec!["x/", "x/e/", "x/e/f", "x/g", "x/link@"]),
        ("COPY d/* /x/", vec!["x/", "x/f", "x/g", "x/link"]),
        ("WORKDIR /w\nCOPY a .", vec!["w/", "w/a"]),
        ("WORKDIR /w\nCOPY a s/", vec!["w/", "w/s/", "w/s/a"]),
        ("COPY [\"a\", \"/with space\"]", vec!["with space"]),
        ("COPY <<one <<two /x/\n1\none\n2\ntwo", vec!["x/", "x/one", "x/two"]),
        (
            "COPY --exclude=*.txt . /x/",
            vec!["x/", "x/Dockerfile", "x/a", "x/d/", "x/d/e/", "x/d/e/f", "x/d/g", "x/d/link@"],
        ),
    ] {
        site.steps(&format!("FROM scratch\n{copy}\n"), &[]);
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .map(|name| match (name.strip_suffix('/'), name.strip_suffix('@')) {
                (Some(name), _) => (name.to_owned(), directory.clone()),
                (_, Some(name)) => (name.to_owned(), line("symlink", "777") + " g"),
                _ => (name.to_owned(), file.clone()),
            })
            .collect();
        assert_eq!(site.files(0), expected, "{copy}");
    }
}

#[test]
fn owners_and_modes_are_those_that_were_asked_for() {
    let site = Site::new();
    site.write("a", "a").write("d/b", "b");
    let passwd = "FROM scratch\nCOPY <<passwd <<group /etc/\nroot:x:0:0::/:/\nwww:x:33:44::/:/\npasswd\nroot:x:0:\nweb:x:55:\ngroup\n";
    for (copy, owner, mode) in [
        ("COPY --chown=7:8 a /x", "7:8", "644"),
        ("COPY --chown=7 a /x", "7:7", "644"),
        ("COPY --chown=www a /x", "33:44", "644"),
        ("COPY --chown=www:web a /x", "33:55", "644"),
        ("COPY --chmod=4711 a /x", "0:0", "4711"),
        ("COPY --chmod=u+x,go= a /x", "0:0", "700"),
        ("ARG WHO=www\nCOPY --chown=$WHO d /x", "33:44", "755"),
    ] {
        site.steps(&format!("{passwd}{copy}\n"), &[]);
        let found = site.files(1)["x"].clone();
        assert!(found.contains(&format!("{mode} {owner}")), "{copy}: {found}");
    }
    site.write("Dockerfile", &format!("{passwd}COPY --chown=nobody a /x\n"));
    let error = site.build(&[]).one_error(1);
    assert!(error.stderr.contains("nobody"), "{}", error.whole());
    // USER owns what WORKDIR makes.
    site.steps(&format!("{passwd}USER www\nWORKDIR /home/www\n"), &[]);
    assert_eq!(site.files(1)["home/www"], "directory 755 33:44");
}

/// A link in the image is followed with the image's root as `/`.
#[test]
fn a_destination_behind_a_link_stays_in_the_image() {
    let site = Site::new();
    site.write("a", "a");
    symlink("/real/place", site.context.join("link")).unwrap();
    symlink("../../../../../up", site.context.join("high")).unwrap();
    // A directory's links stay links; then they are in the image.
    site.write("d/x", "");
    symlink("/real/place", site.context.join("d/link")).unwrap();
    symlink("../../../../../../up", site.context.join("d/high")).unwrap();
    site.steps("FROM scratch\nCOPY d /\nCOPY a /link/a\nCOPY a /high/b/\n", &[]);
    let files = site.files(1);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["real", "real/place", "real/place/a", "up", "up/b", "up/b/a"]);
}

#[test]
fn nothing_outside_of_the_context_is_read() {
    let site = Site::new();
    let secret = site.uth.home().join("secret");
    fs::write(&secret, "secret").unwrap();
    symlink(&secret, site.context.join("absolute")).unwrap();
    symlink("../secret", site.context.join("relative")).unwrap();
    symlink("..", site.context.join("up")).unwrap();
    for copy in
        ["../secret", "absolute", "relative", "up/secret", "/secret", "d/../../secret", "../secre*"]
    {
        site.write("Dockerfile", &format!("FROM scratch\nCOPY {copy} /x\n"));
        let error = site.build(&[]).one_error(1);
        assert!(error.stderr.contains("build context"), "{}", error.whole());
        assert!(error.stderr.contains("Dockerfile:2"), "{}", error.whole());
    }
    // As links they may be in the image, where they lead nowhere out here.
    site.steps("FROM scratch\nCOPY . /x/\n", &[]);
    assert!(site.files(0)["x/absolute"].starts_with("symlink"));
}

#[test]
fn dockerignore_leaves_out() {
    let site = Site::new();
    for name in ["a", "b.log", "keep.log", "d/c.log", "d/x", "secret/y", "secret/z"] {
        site.write(name, name);
    }
    site.write(".dockerignore", "*.log\n!keep.log\nsecret\n!secret/z\nDockerfile\n.dockerignore\n");
    site.steps("FROM scratch\nCOPY . /\n", &[]);
    let files = site.files(0);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["a", "d", "d/c.log", "d/x", "keep.log", "secret", "secret/z"]);
    site.write("Dockerfile", "FROM scratch\nCOPY b.log /\n");
    let error = site.build(&[]).one_error(1);
    assert!(error.stderr.contains(".dockerignore leaves it out"), "{}", error.whole());
    site.write("Dockerfile.dockerignore", "a\n");
    site.steps("FROM scratch\nCOPY b.log /\n", &[]);
}

#[test]
fn a_miss_says_why() {
    need_run!();
    let site = Site::new();
    site.write("page/index.html", "1").write("page/style.css", "1");
    let file = "FROM base\nARG V=1\nRUN echo $V > /v\nCOPY page /page\nRUN cat /page/index.html > /copy\nLABEL a=b\n";
    let not = "not built before";
    assert_eq!(reasons(&site.steps(file, &[])), ["-", "-", not, not, not, "-"]);
    assert_eq!(reasons(&site.steps(file, &[])), ["-", "-", "cached", "cached", "cached", "-"]);
    // A time is no content.
    let old = fs::File::options().append(true).open(site.context.join("page/index.html")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(reasons(&site.steps(file, &[]))[3], "cached");
    site.write("page/index.html", "2");
    let after = "a step before it gave something else: COPY page /page";
    let steps = site.steps(file, &[]);
    assert_eq!(reasons(&steps)[2..5], ["cached", "page/index.html changed", after]);
    let steps = site.steps(file, &["--build-arg", "V=2"]);
    let before = "a step before it gave something else: RUN echo $V > /v";
    assert_eq!(reasons(&steps)[2..4], ["ARG V changed: it was 1, it is 2", before]);
    let steps = site.steps(file, &["--no-cache"]);
    assert_eq!(reasons(&steps)[2..5], ["--no-cache", "--no-cache", "--no-cache"]);
    // What changes no file is no reason to do anything anew.
    let steps = site
        .steps(&file.replace("LABEL a=b", "LABEL a=c").replace("ARG V", "EXPOSE 80\nARG V"), &[]);
    assert_eq!(reasons(&steps)[3..6], ["cached", "cached", "cached"]);
    let steps = site.steps(&file.replace("ARG V", "ENV E=1\nARG V"), &[]);
    assert_eq!(reasons(&steps)[3], "a step before it is new: ENV E=1");
}

#[test]
fn only_needed_stages_are_built() {
    need_run!();
    let site = Site::new();
    let file = "FROM base AS tools\nRUN echo made > /made; mkdir /own; chown 5:6 /own 2>/dev/null; ln -s made /link\n\
                FROM base AS unused\nRUN exit 9\n\
                FROM scratch AS out\nCOPY --from=tools /made /link /x/\nCOPY --from=0 /own /own/\n\
                FROM out\nLABEL last=1\n";
    let steps = site.steps(file, &[]);
    assert!(steps.iter().all(|step| step["stage"] != "unused"), "{steps:#?}");
    let names: Vec<_> = site.files(0).into_keys().collect();
    assert_eq!(names, ["own", "x", "x/link", "x/made"]);
    assert_eq!(site.config()["config"]["Labels"]["last"], "1");
    let steps = site.steps(file, &["--target", "tools"]);
    assert_eq!(steps.len(), 2);
    site.build(&["--target", "unused"]).one_error(1);
    let error = site.build(&["--target", "none"]).one_error(2);
    assert!(error.stderr.contains("tools, unused, out"), "{}", error.whole());
}

#[test]
fn a_failing_command_is_told_and_leaves_its_predecessors_cached() {
    need_run!();
    let site = Site::new();
    site.uth.run(["run", "base", "true"]).ok();
    site.steps("FROM base\nRUN echo first > /first\n", &[]);
    let before = Machine::look(&site.uth);
    let file =
        "FROM base\nRUN echo first > /first\nRUN echo to be seen; echo half > /half; exit 3\n";
    site.write("Dockerfile", file);
    for quiet in [&[][..], &["-q"]] {
        let failed = site.build(quiet).one_error(1);
        for words in ["to be seen", "Dockerfile:3", "exited with code 3"] {
            assert!(failed.stderr.contains(words), "{words}: {}", failed.whole());
        }
    }
    Machine::settles(&site.uth, &before, Duration::from_secs(2), base_and_progress);
    let steps = site.steps(&file.replace("exit 3", "exit 0"), &[]);
    assert_eq!(reasons(&steps)[1], "cached");
    site.write("Dockerfile", "FROM base\nRUN [\"/no/such\"]\n");
    let error = site.build(&[]).one_error(1);
    assert!(error.stderr.contains("Dockerfile:2"), "{}", error.whole());
}

#[test]
fn with_source_date_epoch_the_same_sources_give_the_same_bytes() {
    need_run!();
    let build = || {
        let site = Site::new();
        site.write("a", "a").write("d/b", "b");
        site.write("Dockerfile", "FROM scratch\nCOPY . /x/\nWORKDIR /y\nENV A=1\n");
        let mut command = site.command(&["--no-cache"]);
        command.env("SOURCE_DATE_EPOCH", "1700000000");
        let ran = site.uth.wait(command).ok().stdout;
        let created = site.config()["created"].clone();
        assert_eq!(created, "2023-11-14T22:13:20Z");
        ran
    };
    let first = build();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(build(), first);
}

#[test]
fn add_unpacks_archives_and_copy_does_not() {
    let site = Site::new();
    site.write("tree/bin/tool", "tool").write("tree/etc/deep/conf", "conf");
    symlink("bin", site.context.join("tree/sbin")).unwrap();
    let tar = "cd $UTH_HOME/context && tar -czf a.tgz --owner=12 --group=34 -C tree . && tar -cf a.tar -C tree bin && echo text > text.gz";
    site.uth.sh(tar).ok();
    site.steps("FROM scratch\nADD a.tgz /x\n", &[]);
    let files = site.files(0);
    assert_eq!(files["x/bin/tool"], "file 644 12:34");
    assert_eq!(files["x/sbin"], "symlink 777 12:34 bin");
    assert!(files.contains_key("x/etc/deep/conf"));
    site.steps("FROM scratch\nADD --chown=1:2 a.tar text.gz /\n", &[]);
    let files = site.files(0);
    assert_eq!(files["bin/tool"], "file 644 1:2");
    assert_eq!(files["text.gz"], "file 644 1:2");
    site.steps("FROM scratch\nCOPY a.tgz /x\n", &[]);
    assert_eq!(site.files(0).len(), 1);
}

/// An archive's links lead, if anywhere, into the image.
#[test]
fn a_hostile_archive_stays_in_the_image() {
    let site = Site::new();
    let tar = "cd $UTH_HOME && mkdir t && ln -s /etc t/evil && tar -cf context/a.tar -C t evil && rm t/evil && mkdir t/evil \
               && echo x > t/evil/passwd && tar -rf context/a.tar -C t evil/passwd \
               && touch t/.wh.bin && tar -cf context/w.tar -C t .wh.bin \
               && touch t/up && tar -cPf context/u.tar -C t --transform='s,up,../../up,' up";
    site.uth.sh(tar).ok();
    site.steps("FROM scratch\nADD a.tar /\n", &[]);
    let files = site.files(0);
    assert!(files.contains_key("etc/passwd") && files["evil"].starts_with("symlink"), "{files:?}");
    for name in ["w.tar", "u.tar"] {
        site.write("Dockerfile", &format!("FROM scratch\nADD {name} /\n"));
        site.build(&[]).one_error(1);
    }
}

#[test]
fn the_config_is_what_the_instructions_say() {
    let site = Site::new();
    site.steps(
        "FROM scratch\nENV A=1 B=\"two words\"\nENV A=$A$A\nLABEL x=y\nEXPOSE 80 53/udp\nVOLUME /data\n\
         USER 1:2\nSTOPSIGNAL SIGINT\nSHELL [\"/bin/bash\", \"-c\"]\nHEALTHCHECK --interval=5s CMD check me\n\
         ENTRYPOINT run me\nCMD [\"a\", \"b\"]\nONBUILD RUN later\nWORKDIR x\nWORKDIR y\nMAINTAINER somebody\n",
        &[],
    );
    let whole = site.config();
    let config = &whole["config"];
    for (pointer, expected) in [
        (
            "/Env",
            r#"["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=11","B=two words"]"#,
        ),
        ("/Labels", r#"{"x":"y"}"#),
        ("/ExposedPorts", r#"{"53/udp":{},"80/tcp":{}}"#),
        ("/Volumes", r#"{"/data":{}}"#),
        ("/User", r#""1:2""#),
        ("/StopSignal", r#""SIGINT""#),
        ("/Shell", r#"["/bin/bash","-c"]"#),
        ("/Healthcheck", r#"{"Interval":5000000000,"Test":["CMD-SHELL","check me"]}"#),
        ("/Entrypoint", r#"["/bin/bash","-c","run me"]"#),
        ("/Cmd", r#"["a","b"]"#),
        ("/OnBuild", r#"["RUN later"]"#),
        ("/WorkingDir", r#""/x/y""#),
    ] {
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(config.pointer(pointer), Some(&expected), "{pointer} of {config:#}");
    }
    assert_eq!(whole["author"], "somebody");
    let history = whole["history"].as_array().unwrap();
    assert_eq!(history.len(), 15);
    let layers = history.iter().filter(|step| step["empty_layer"] != true).count();
    assert_eq!(layers, whole["rootfs"]["diff_ids"].as_array().unwrap().len());
}

#[test]
fn triggers_run_where_something_is_built_on_them() {
    need_run!();
    let site = Site::new();
    site.write("a", "a");
    site.steps("FROM base\nONBUILD COPY a /copied\nONBUILD RUN cat /copied > /seen\n", &[]);
    let steps = site.steps("FROM it:1\nENV A=1\n", &[]);
    assert_eq!(steps.len(), 4);
    assert_eq!(site.uth.run(["run", "it:1", "cat", "/seen"]).ok().stdout, "a");
    assert_eq!(site.config()["config"]["OnBuild"], Value::Null);
}

#[test]
fn commands_see_arguments_variables_and_here_documents() {
    need_run!();
    let site = Site::new();
    site.steps(
        "ARG G=global\nFROM base\nARG G\nARG P=arg\nARG TARGETARCH\nENV E=env P=fromenv\nWORKDIR /w\n\
         RUN <<EOF\necho \"$G $P $E $TARGETARCH\" > out\npwd >> out\nhostname >> out\nEOF\n\
         RUN <<EOF cat > doc\n$G stays\nEOF\nRUN <<EOF\n#!/bin/sh\necho \"script $0\" >> out\nEOF\n\
         RUN [\"/bin/sh\", \"-c\", \"echo exec $E >> out; env | sort > env\"]\n",
        &["--build-arg", "HTTP_PROXY=http://proxy"],
    );
    let arch = under_the_hood::image::oci::Platform::host().architecture;
    let out = site.uth.run(["run", "it:1", "cat", "/w/out"]).ok().stdout;
    let expected =
        format!("global fromenv env {arch}\n/w\nbuild\nscript /dev/pipes/EOF\nexec env\n");
    assert_eq!(out, expected);
    let env = site.uth.run(["run", "it:1", "cat", "/w/env"]).ok().stdout;
    assert!(env.contains("HTTP_PROXY=http://proxy\n") && env.contains("HOME=/root\n"), "{env}");
    assert!(!site.config().to_string().contains("http://proxy"));
    let note = site.build(&["--build-arg", "NOBODY=1"]).ok();
    assert!(note.stderr.contains("NOBODY"), "{}", note.whole());
}

#[test]
fn an_image_can_be_written_elsewhere() {
    let site = Site::new();
    site.write("a", "a").write("Dockerfile", "FROM scratch\nCOPY a /a\n");
    let (layout, archive) = (site.uth.home().join("layout"), site.uth.home().join("it.tar"));
    let to = format!("oci:{}:tagged", layout.display());
    let digest = site.build(&["-o", &to]).ok().stdout.lines().nth(1).unwrap().to_owned();
    let read = site.uth.run(["image", "dissect", &to, "--format", "json"]).ok().json();
    assert_eq!(read["digest"], *digest);
    site.build(&["-o", &to]).one_error(2); // it is not empty
    let to = format!("docker-archive:{}", archive.display());
    site.build(&["-o", &to]).ok();
    site.uth.run(["image", "rm", "it:1"]).ok();
    assert_eq!(site.uth.run(["image", "load", archive.to_str().unwrap()]).ok().stdout, "it:1\n");
}

#[test]
fn a_plan_touches_nothing() {
    need!(root);
    let site = Site::new();
    site.write("a", "a");
    let file = "FROM base\nRUN echo 1 > /one\nCOPY a /a\n";
    site.steps(file, &[]);
    let more = format!("{file}RUN echo 2 > /two\nCOPY a /b\nENV A=1\n");
    site.write("Dockerfile", &more);
    let before = Machine::look(&site.uth);
    let plan = site.build(&["--dry-run"]).ok();
    for words in ["mount(\"overlay\"", "lowerdir=0:1:", "O_TMPFILE", "execve(\"/bin/sh\""] {
        assert!(plan.stdout.contains(words), "{words}: {}", plan.whole());
    }
    assert!(Machine::look(&site.uth).beyond(&before).is_empty());
    let other = Site::new();
    other.write("a", "a").write("Dockerfile", "FROM scratch\nCOPY a /a\n");
    let before = Machine::look(&other.uth);
    other.build(&["--dry-run"]).ok();
    assert!(Machine::look(&other.uth).beyond(&before).is_empty());
}

#[test]
fn explained_are_the_calls_of_the_container_and_of_the_layer() {
    need!(root);
    let site = Site::new();
    site.write("a", "a").write("Dockerfile", "FROM base\nCOPY a /a\nRUN true\n");
    let shown = site.build(&["--explain"]).ok().stderr;
    for words in ["O_TMPFILE", "linkat(", "mount(\"overlay\"", "index=off", "execve(\"/bin/sh\""] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

/// `image rm` removes what no image has, and the cache does not speak of it any more.
#[test]
fn what_image_rm_removes_is_built_anew() {
    let site = Site::new();
    site.write("a", "a");
    let file = "FROM scratch\nCOPY a /a\n";
    site.steps(file, &[]);
    site.uth.run(["image", "rm", "it:1"]).ok();
    let blobs = site.uth.home().join("data/images/blobs/sha256");
    assert_eq!(fs::read_dir(blobs).unwrap().count(), 0);
    assert_eq!(reasons(&site.steps(file, &[]))[1], "not built before");
}

#[test]
fn only_the_steps_are_printed() {
    let site = Site::new();
    site.write("Dockerfile", "FROM scratch\n# note\ncopy a \\\n/a\nRUN true\n");
    let printed = site.build(&["--print-steps"]).ok().stdout;
    assert_eq!(printed, "from scratch\ncopy a /a\nrun true\n");
    let mut command = site.uth.beside("sh");
    let script = "printf 'FROM scratch\\nENV A=1\\n' | $UTH image build -q -f - $UTH_HOME/context";
    command.args(["-c", script]);
    assert!(site.uth.wait(command).ok().stdout.starts_with("sha256:"));
}

/// Killed at any moment, a build leaves nothing mounted, no directory, no process, and a
/// store that is whole.
#[test]
fn killed_at_any_moment_a_build_leaves_nothing() {
    need!(root);
    let site = Site::new();
    site.write("a", &"text ".repeat(100_000)).write("d/b", "b");
    site.write(
        "Dockerfile",
        "FROM base\nCOPY a d /x/\nRUN echo 1 > /one; sleep 0.05\nRUN rm /one; sleep 0.05\nCOPY d /y\n",
    );
    site.build(&[]).ok();
    let before = Machine::look(&site.uth);
    let whole = std::time::Instant::now();
    site.build(&["--no-cache"]).ok();
    let whole = whole.elapsed();
    let kills = 30;
    for n in 0..kills {
        let mut child = site.command(&["--no-cache", "-q"]).spawn().unwrap();
        std::thread::sleep(whole * n / kills);
        let _ = child.kill();
        child.wait().unwrap();
        Machine::settles(&site.uth, &before, Duration::from_secs(3), base_and_progress);
    }
    site.build(&["--no-cache"]).ok();
    // Every blob is what its name says, and the image can be taken apart.
    let verify = "cd $UTH_HOME/data/images/blobs/sha256 && for blob in *; do echo \"$blob  $blob\"; done | sha256sum -c --quiet";
    site.uth.sh(verify).ok();
    site.uth.run(["image", "dissect", "it:1"]).ok();
    site.uth.run(["run", "it:1", "cat", "/y/b"]).ok();
}

/// The Dockerfile of the article as it is printed there, on a stand-in for its base.
#[test]
fn the_articles_dockerfile_builds() {
    need_run!();
    let site = Site::new();
    let base = "FROM base\nWORKDIR /usr/local/apache2\nRUN mkdir -p conf htdocs bin && echo it works > htdocs/index.html && echo old > conf/httpd.conf\n\
                EXPOSE 80\nCMD [\"sh\", \"-c\", \"cat conf/httpd.conf htdocs/index.html; ls -d conf/sites\"]\n";
    site.write("httpd", base);
    let httpd = site.context.join("httpd");
    let context = site.context.to_str().unwrap();
    let words = [
        "image",
        "build",
        "-q",
        "--network",
        "none",
        "-t",
        "httpd:2.4",
        "-f",
        httpd.to_str().unwrap(),
        context,
    ];
    site.uth.run(words).ok();
    site.write("my-httpd.conf", "Listen 80\n").write("public-html/index.html", "<h1>mine</h1>\n");
    let article = "FROM httpd:2.4\nRUN mkdir -p /usr/local/apache2/conf/sites/\n\
                   COPY my-httpd.conf /usr/local/apache2/conf/httpd.conf\nCOPY ./public-html/ /usr/local/apache2/htdocs/\n";
    let steps = site.steps(article, &[]);
    let files: Vec<_> =
        steps[1..].iter().map(|step| step["layer"]["files"].as_u64().unwrap()).collect();
    assert_eq!(files, [0, 1, 1]);
    let said = "Listen 80\n<h1>mine</h1>\nconf/sites\n";
    assert_eq!(site.uth.run(["run", "it:1"]).ok().stdout, said);
    assert_eq!(site.config()["config"]["ExposedPorts"]["80/tcp"], serde_json::json!({}));
}

/// Dockerfiles whose images buildah makes just so: files, owners, modes, links, and the config.
/// (Debian 12's knows no here-documents, and in the OCI's format it keeps no SHELL and no ONBUILD.)
const ALIKE: &[&str] = &[
    "RUN echo 1 > /one && mkdir -p /d/e && chmod 750 /d && ln -s one /link",
    "RUN echo 1 > /one\nRUN rm /one /etc/profile",
    "RUN mkdir /d && touch /d/a /d/b\nRUN rm -r /d && mkdir /d && touch /d/c",
    "RUN touch /a && ln /a /b && chown 5:6 /a",
    "RUN mkfifo /pipe; chmod 1777 /srv; chmod 4755 /etc/group",
    "RUN [\"/bin/sh\", \"-c\", \"echo exec > /exec\"]",
    "COPY a /x",
    "COPY a /x/y/",
    "COPY a b.txt /x/",
    "COPY *.txt /x/",
    "COPY d /x",
    "COPY d/ /etc/",
    "COPY . /all/",
    "COPY --chown=7:8 d /x",
    "COPY --chown=root:root a /x",
    "COPY --chmod=711 a /x",
    "WORKDIR /w/x\nCOPY a .\nCOPY a y/",
    "WORKDIR /w\nWORKDIR x\nRUN pwd > where",
    "ADD a.tgz /x/",
    "ADD a /x/",
    "ENV A=1 B=\"two words\"\nENV C=$A$B\nRUN echo \"$C\" > /c",
    "ARG V=1\nARG W\nRUN echo \"$V$W\" > /v\nENV V2=$V",
    "ARG N=x\nCOPY a /$N\nCOPY a /${N:-y}z\nCOPY a /${M:-dflt}",
    "USER 1:2\nRUN id -u > /tmp/id",
    "CMD [\"a\", \"b\"]",
    "CMD a b",
    "ENTRYPOINT [\"e\"]\nCMD [\"c\"]",
    "ENTRYPOINT [\"e\"]",
    "ENTRYPOINT e f",
    "CMD [\"x\"]\nENTRYPOINT [\"e\"]",
    "EXPOSE 80 53/udp\nVOLUME /data /more\nLABEL a=b c=\"d e\"\nSTOPSIGNAL SIGINT",
    "RUN mkdir -p /real && ln -s /real /alias\nCOPY a /alias/a\nCOPY a /alias/",
    "COPY a /etc/hostname2\nRUN cat /etc/hostname2 > /etc/three",
];

/// Runs in a place of its own: buildah's storage and ours, the same base in both.
#[test]
#[ignore = "real engine: buildah"]
fn interop_buildah_makes_the_same() {
    need!(root);
    need!(tool "buildah");
    let site = Site::new();
    for (name, text) in [("a", "a"), ("b.txt", "b"), ("c.txt", "c"), ("d/e/f", "f"), ("d/g", "g")] {
        site.write(name, text);
    }
    symlink("g", site.context.join("d/link")).unwrap();
    let script = "cd $UTH_HOME && tar -czf context/a.tgz --owner=12 --group=34 -C context d && $UTH image base -q > base.txt \
                  && $UTH image save -q base -o base.tar";
    site.uth.sh(script).ok();
    let mut different = Vec::new();
    for text in ALIKE {
        let file = format!("FROM base\n{text}\n");
        site.write("Dockerfile", &file);
        site.build(&["-q", "--no-cache"]).ok();
        let (ours, theirs) = (site.seen("it:1"), site.by_buildah(&file));
        if ours != theirs {
            let only = |these: &[String], those: &[String]| -> Vec<String> {
                these.iter().filter(|line| !those.contains(line)).cloned().collect()
            };
            let (we, they) = (only(&ours, &theirs), only(&theirs, &ours));
            different.push(format!("{text}\n  only ours: {we:?}\n  only buildah's: {they:?}"));
        }
    }
    let (all, failed) = (ALIKE.len(), different.len());
    assert!(different.is_empty(), "{failed} of {all} differ:\n{}", different.join("\n"));
}

impl Site {
    /// All that is seen in an image, times aside.
    fn seen(&self, image: &str) -> Vec<String> {
        let tree = self.uth.home().join("unpacked");
        let _ = fs::remove_dir_all(&tree);
        self.uth.run(["image", "unpack", image, tree.to_str().unwrap()]).ok();
        let list = "cd $UTH_HOME/unpacked && find . -printf '%p %y %m %U:%G %l %n\\n' | sed '/ d /s/ [0-9]*$//' | sort; \
                    find . -type f -exec sha256sum {} + | sort -k 2";
        let files = self.uth.sh(list).ok().stdout;
        let json = self.uth.run(["image", "dissect", image, "--format", "json"]).ok().json();
        let config = &json["config"]["config"];
        let keys = [
            "Env",
            "Cmd",
            "Entrypoint",
            "User",
            "WorkingDir",
            "ExposedPorts",
            "Volumes",
            "Labels",
            "StopSignal",
            "Shell",
            "OnBuild",
        ];
        let mut seen: Vec<_> = files.lines().map(str::to_owned).collect();
        for key in keys {
            let mut value = config[key].clone();
            if let Some(labels) = value.as_object_mut() {
                labels.retain(|name, _| !name.starts_with("io.buildah"));
            }
            let nothing = value.is_null()
                || value == ""
                || value.as_object().is_some_and(serde_json::Map::is_empty)
                || value.as_array().is_some_and(Vec::is_empty)
                || key == "WorkingDir" && value == "/";
            seen.extend((!nothing).then(|| format!("{key} {value}")));
        }
        seen
    }

    /// The same of what buildah makes of a Dockerfile.
    fn by_buildah(&self, file: &str) -> Vec<String> {
        let theirs = file.replace("FROM base", "FROM localhost/under-the-hood/base:latest");
        fs::write(self.uth.home().join("theirs"), theirs).unwrap();
        let script = "cd $UTH_HOME && rm -rf out && export BUILDAH_ISOLATION=chroot && b=\"buildah --root $UTH_HOME/b/root --runroot $UTH_HOME/b/run \
                      --storage-driver vfs\" && { test -e loaded || { $b pull -q docker-archive:base.tar && touch loaded; }; } >&2 && \
                      $b bud -q --layers=false --network host --pull-never -t theirs:1 -f theirs context >&2 && $b push -q theirs:1 oci:out:theirs >&2";
        self.uth.sh(script).ok();
        self.seen(&format!("oci:{}:theirs", self.uth.home().join("out").display()))
    }
}
