//! `chroot`: the root changed, what is missing told, the escape and what stops
//! it; and Alpine fetched from a stand-in server on the loopback interface.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::harness::Uth;

/// Without root a changed root needs a user namespace.
macro_rules! need_chroot {
    () => {
        if !rustix::process::geteuid().is_root() {
            need!(user_namespace);
        }
    };
}

/// Everything below the data and cache directories but the base image.
fn kept(uth: &Uth) -> Vec<String> {
    let mut found = Vec::new();
    for place in ["data/rootfs", "data/journal", "data/sandbox", "cache/alpine"] {
        let entries = fs::read_dir(uth.home().join(place)).into_iter().flatten().flatten();
        found.extend(
            entries.map(|entry| format!("{place}/{}", entry.file_name().to_string_lossy())),
        );
    }
    found.retain(|name| {
        !name.ends_with("base.json") && name.rsplit('/').next().is_none_or(|name| name.len() != 64)
    });
    found.sort();
    found
}

#[test]
fn a_command_in_a_copy_of_base_and_nothing_stays() {
    need_chroot!();
    let uth = Uth::new();
    let script = "echo x > /made; id -u; cat /etc/os-release; exit 7";
    for way in [&[][..], &["--pivot"]] {
        let ran = uth.run([&["chroot"][..], way, &["base", "sh", "-c", script]].concat()).exits(7);
        assert!(ran.stdout.starts_with("0\n"), "{}", ran.whole());
        assert!(ran.stdout.contains("under-the-hood"), "{}", ran.whole());
        assert_eq!(kept(&uth), [""; 0]);
    }
    let base = uth.run(["image", "base", "--format", "json"]).ok().json();
    let tree = PathBuf::from(base["tree"].as_str().unwrap());
    assert!(!tree.join("made").exists(), "the image itself was changed");
}

#[test]
fn an_image_will_do_for_a_directory() {
    need_chroot!();
    let uth = Uth::new();
    let fixture = crate::images::Fixture::new(&uth, serde_json::json!({}));
    uth.run(["image", "load", "-q", fixture.path.to_str().unwrap()]).ok();
    let before = kept(&uth);
    let script = "cat /etc/greeting; test -e /etc/profile || echo hidden; echo x >/new";
    let oci = format!("oci:{}", fixture.path.display());
    for image in ["team/greeter:1", &oci] {
        let ran = uth.run(["chroot", image, "sh", "-c", script]).ok();
        assert_eq!(ran.stdout, "hello\nhidden\n", "{image}");
    }
    assert_eq!(kept(&uth), before, "something stayed");
    let plan = uth.run(["--dry-run", "chroot", "team/greeter:1"]).ok().stdout;
    assert!(plan.contains("chroot(") && plan.contains("2 layers"), "{plan}");
    let absent = uth.run(["chroot", "team/nobody:1"]).one_error(125);
    assert!(absent.stderr.contains("neither a directory nor an image"), "{}", absent.whole());
}

#[test]
fn what_is_kept_is_the_readers() {
    need_chroot!();
    let uth = Uth::new();
    let own = uth.home().join("own");
    let keep = own.to_string_lossy().into_owned();
    uth.run(["chroot", "--keep", &keep, "base", "sh", "-c", "echo x > /made"]).ok();
    assert_eq!(fs::read_to_string(own.join("made")).unwrap(), "x\n");
    let journals = kept(&uth);
    assert!(matches!(&journals[..], [one] if one.starts_with("data/journal/")), "{journals:?}");
    let again = uth.run(["chroot", &keep, "cat", "/made"]).ok();
    assert_eq!(again.stdout, "x\n");
    uth.run(["chroot", "--keep", &keep, "base", "true"]).one_error(2);
    let listed = uth.run(["cleanup", "--list", "--format", "json"]).ok();
    assert!(
        listed.stdout.contains("\"kept\"") && listed.stdout.contains(&keep),
        "{}",
        listed.whole()
    );
    // Another directory that has the name by now is not ours to remove.
    let aside = uth.home().join("aside");
    fs::rename(&own, &aside).unwrap();
    fs::create_dir(&own).unwrap();
    uth.run(["chroot", "base", "true"]).ok();
    let listed = uth.run(["cleanup", "--list"]).ok();
    assert!(
        listed.stdout.contains("gone") && !listed.stdout.contains("kept"),
        "{}",
        listed.whole()
    );
    fs::rename(&own, uth.home().join("theirs")).unwrap();
    fs::rename(&aside, &own).unwrap();
    assert!(uth.run(["cleanup"]).ok().stdout.contains(&keep));
    assert!(!own.exists() && uth.home().join("theirs").exists());
    assert_eq!(kept(&uth), [""; 0]);
}

/// In a directory that is not there: nothing is made, and nothing is listed.
#[test]
fn what_could_not_be_kept_is_not_listed() {
    need_chroot!();
    let uth = Uth::new();
    let parent = uth.home().join("parent");
    fs::create_dir(&parent).unwrap();
    let keep = parent.join("none/own").to_string_lossy().into_owned();
    uth.run(["chroot", "--keep", &keep, "base", "true"]).one_error(125);
    assert_eq!(kept(&uth), [""; 0]);
    assert_eq!(fs::read_dir(&parent).unwrap().count(), 0);
}

#[test]
fn what_is_missing_is_told() {
    need_chroot!();
    let uth = Uth::new();
    let root = uth.home().join("tree");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy(fs::canonicalize("/bin/ls").unwrap(), root.join("bin/sh")).unwrap();
    fs::write(root.join("bin/script"), "#!/no/such/interpreter\n").unwrap();
    let script = root.join("bin/script");
    fs::set_permissions(script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let tree = root.to_string_lossy().into_owned();
    let flat =
        |ran: crate::harness::Ran| ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = flat(uth.run(["chroot", &tree]).one_error(127));
    assert!(said.contains("/bin/sh is there") && said.contains("libc.so.6"), "{said}");
    let said = flat(uth.run(["chroot", &tree, "nothing"]).one_error(127));
    assert!(said.contains("There is no nothing"), "{said}");
    let said = flat(uth.run(["chroot", &tree, "/bin/script"]).one_error(127));
    assert!(said.contains("script for /no/such/interpreter"), "{said}");
    uth.run(["chroot", "/no/such/directory"]).one_error(125);
    uth.run(["chroot", "--version", "3.21.3", &tree]).one_error(2);
}

#[test]
fn root_leaves_a_chroot_and_not_a_pivoted_root() {
    need_chroot!();
    let uth = Uth::new();
    let shown = uth.run(["chroot", "escape", "--format", "json"]).ok().json();
    let (chroot, pivot) = (&shown["chroot"], &shown["pivot_root"]);
    assert_eq!(chroot["escaped"], true, "{shown}");
    assert_eq!(chroot["before"], chroot["after"]);
    assert_ne!(chroot["before"], chroot["inside"]);
    assert_eq!(pivot["escaped"], false, "{shown}");
    assert_eq!(pivot["inside"], pivot["after"]);
    assert_ne!(pivot["before"], pivot["after"]);
    assert_eq!(kept(&uth), [""; 0]);
}

/// How many processes have a root below this directory.
fn changed_roots(home: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let root = |process: fs::DirEntry| fs::read_link(process.path().join("root")).ok();
    processes.filter_map(root).filter(|root| root.starts_with(home)).count()
}

#[test]
fn killed_a_chroot_leaves_nothing() {
    need_chroot!();
    let uth = Uth::new();
    uth.run(["chroot", "base", "true"]).ok();
    let mut launcher = uth.command(["chroot", "base", "sleep", "600"]);
    let mut launcher = launcher.stdout(std::process::Stdio::null()).spawn().unwrap();
    let settled = |wanted: bool| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            let sleeping = changed_roots(uth.home()) > 0;
            if sleeping == wanted && (wanted || kept(&uth).is_empty()) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    };
    assert!(settled(true), "sleep was not started");
    assert_ne!(kept(&uth), [""; 0]);
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    assert!(settled(false), "left: {:?}", kept(&uth));
}

#[test]
fn a_plan_touches_nothing() {
    let uth = Uth::new();
    for target in ["base", "alpine", "escape", "/"] {
        let plan = uth.run(["chroot", "--dry-run", target]).ok();
        assert!(plan.stdout.contains("chroot("), "{}", plan.whole());
        assert_eq!(fs::read_dir(uth.home()).unwrap().count(), 0, "{target}");
    }
}

/// A mirror: what it serves, and what it was asked for.
#[derive(Clone, Default)]
pub struct Mirror {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    pub asked: Arc<Mutex<Vec<String>>>,
    /// Answers with an archive are cut after so many bytes, as often as this says.
    cut: Arc<Mutex<(usize, u32)>>,
    /// An archive comes in pieces, with a pause before each.
    slow: Arc<Mutex<Option<Duration>>>,
    pub address: String,
}

impl Mirror {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/alpine", listener.local_addr().unwrap());
        let mirror = Self { address, ..Self::default() };
        let serving = mirror.clone();
        // The thread ends with the test's process; its port is nobody else's.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = serving.answer(stream);
            }
        });
        mirror
    }

    fn serve(&self, path: &str, content: &[u8]) {
        self.files.lock().unwrap().insert(path.to_owned(), content.to_vec());
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let path = lines[0].split(' ').nth(1).unwrap_or_default().to_owned();
        let range = lines.iter().find_map(|line| {
            let line = line.to_ascii_lowercase();
            line.strip_prefix("range: bytes=")?.trim_end_matches('-').parse::<usize>().ok()
        });
        self.asked.lock().unwrap().push(format!("{path} {}", range.unwrap_or(0)));
        let file = self.files.lock().unwrap().get(&path).cloned();
        let Some(content) = file else {
            return stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        };
        let (status, from) = match range {
            Some(from) if from < content.len() => ("206 Partial Content", from),
            Some(_) => ("416 Range Not Satisfiable", content.len()),
            None => ("200 OK", 0),
        };
        let body = &content[from..];
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{}\r\nConnection: close\r\n\r\n",
            body.len(),
            content.len().saturating_sub(1),
            content.len()
        );
        stream.write_all(head.as_bytes())?;
        let mut cut = self.cut.lock().unwrap();
        let length = match path.ends_with(".tar.gz") && cut.1 > 0 {
            true => {
                cut.1 -= 1;
                cut.0.min(body.len())
            }
            false => body.len(),
        };
        let pause = self.slow.lock().unwrap().filter(|_| path.ends_with(".tar.gz"));
        for piece in
            body[..length].chunks(if pause.is_some() { length / 20 + 1 } else { length + 1 })
        {
            std::thread::sleep(pause.unwrap_or_default());
            stream.write_all(piece)?;
        }
        Ok(())
    }
}

pub fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The base image as an archive: shaped like a minirootfs, and its shell runs here.
pub fn archive(uth: &Uth) -> Vec<u8> {
    let file = uth.home().join("base.tar.gz");
    uth.run(["image", "base", "--output", &file.to_string_lossy()]).ok();
    fs::read(file).unwrap()
}

pub fn serve_latest(mirror: &Mirror, version: &str, archive: &[u8], sum: &str) {
    let arch = rustix::system::uname().machine().to_string_lossy().into_owned();
    let file = format!("alpine-minirootfs-{version}-{arch}.tar.gz");
    let list = format!(
        "---\n-\n  flavor: alpine-standard\n  version: {version}\n-\n  title: \"Mini root filesystem\"\n  version: {version}\n  \
         flavor: alpine-minirootfs\n  file: {file}\n  sha256: {sum}\n"
    );
    mirror.serve(
        &format!("/alpine/latest-stable/releases/{arch}/latest-releases.yaml"),
        list.as_bytes(),
    );
    let series = version.rsplit_once('.').unwrap().0;
    let place = format!("/alpine/v{series}/releases/{arch}/{file}");
    mirror.serve(&place, archive);
    mirror.serve(&format!("{place}.sha256"), format!("{sum}  {file}\n").as_bytes());
}

#[test]
fn alpine_is_fetched_resumed_verified_and_kept() {
    need_chroot!();
    let uth = Uth::new();
    let archive = archive(&uth);
    let mirror = Mirror::start();
    serve_latest(&mirror, "9.8.7", &archive, &hex(&archive));
    *mirror.cut.lock().unwrap() = (archive.len() / 3, 2);
    let run = |mirror: &str| {
        uth.run([
            "chroot",
            "--mirror",
            mirror,
            "alpine",
            "sh",
            "-c",
            "echo inside; cat /etc/os-release",
        ])
    };
    let first = run(&mirror.address).ok();
    assert!(first.stdout.starts_with("inside\n"), "{}", first.whole());
    for word in ["cut after", "whoever can change the archive", "bin dev etc"] {
        let said = first.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(word), "{word}: {}", first.whole());
    }
    let asked = mirror.asked.lock().unwrap().clone();
    let from: Vec<usize> = asked
        .iter()
        .filter(|line| line.contains(".tar.gz "))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(from.len(), 3, "{asked:?}");
    assert!(from[0] == 0 && from[1] > 0 && from[2] > from[1], "{asked:?}");

    // The second start asks nobody: the mirror that it names is not there.
    let gone = "http://127.0.0.1:9/alpine";
    let second = run(gone).ok();
    assert!(second.stdout.starts_with("inside\n"), "{}", second.whole());
    assert!(second.stderr.contains("no network needed"), "{}", second.whole());
    assert_eq!(mirror.asked.lock().unwrap().len(), asked.len());

    // An archive that was changed on disk is not believed.
    let arch = rustix::system::uname().machine().to_string_lossy().into_owned();
    let kept = uth.home().join(format!("cache/alpine/alpine-minirootfs-9.8.7-{arch}.tar.gz"));
    fs::OpenOptions::new().append(true).open(&kept).unwrap().write_all(b"x").unwrap();
    let ran = run(gone).one_error(125);
    assert!(ran.stderr.contains("chroot base"), "{}", ran.whole());
}

/// On a terminal a bar, taken away at the end; elsewhere no more than lines.
#[test]
fn a_download_shows_how_far_it_is() {
    use expectrl::{Eof, Expect, Session};
    need_chroot!();
    let uth = Uth::new();
    let archive = archive(&uth);
    let mirror = Mirror::start();
    *mirror.slow.lock().unwrap() = Some(Duration::from_millis(50));
    serve_latest(&mirror, "9.8.7", &archive, &hex(&archive));
    let args = ["chroot", "--mirror", &mirror.address, "--refresh", "alpine", "true"];
    let mut command = uth.command(args);
    command.env("TERM", "xterm").stdin(std::process::Stdio::inherit()); // the new terminal
    let mut session = Session::spawn(command).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(60)));
    let shown = session.expect(Eof).unwrap();
    let shown = String::from_utf8_lossy(shown.as_bytes()).into_owned();
    for word in ["Alpine 9.8.7", "█", "iB/s", "MiB came in"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let last = shown.rsplit("MiB came in").next().unwrap();
    assert!(!last.contains('█'), "it was not taken away: {shown}");

    fs::remove_dir_all(uth.home().join("cache")).unwrap();
    let piped = uth.run(args).ok();
    assert!(!piped.stderr.contains(['█', '\r', '\u{1b}']), "{}", piped.whole());
    assert!(piped.stderr.contains("Alpine 9.8.7: ") && piped.stderr.contains("MiB came in"));
    let quiet = uth.run(["-q"].into_iter().chain(args)).ok();
    assert_eq!(quiet.stderr, "", "{}", quiet.whole());
}

#[test]
fn a_wrong_sum_is_refused_and_nothing_is_left() {
    need_chroot!();
    let uth = Uth::new();
    let archive = archive(&uth);
    let mirror = Mirror::start();
    serve_latest(&mirror, "9.8.7", &archive, &hex(b"something else"));
    let ran = uth.run(["chroot", "--mirror", &mirror.address, "alpine", "true"]).one_error(125);
    assert!(ran.stderr.contains("refused and removed"), "{}", ran.whole());
    assert_eq!(kept(&uth), [""; 0]);
    // A sum that this program carries is not the mirror's to say.
    if rustix::system::uname().machine().to_bytes() == b"x86_64" {
        serve_latest(&mirror, "3.21.3", &archive, &hex(&archive));
        let ran = uth.run([
            "chroot",
            "--mirror",
            &mirror.address,
            "--version",
            "3.21.3",
            "alpine",
            "true",
        ]);
        let ran = ran.one_error(125);
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in ["the sum that this program carries", "assets/alpine.toml", "another --version"]
        {
            assert!(said.contains(word), "{word}: {}", ran.whole());
        }
        assert_eq!(kept(&uth), [""; 0]);
    }
    // A version of which this program knows nothing comes with the mirror's word.
    serve_latest(&mirror, "9.8.6", &archive, &hex(&archive));
    uth.run(["chroot", "--mirror", &mirror.address, "--version", "9.8.6", "alpine", "true"]).ok();
    uth.run(["chroot", "--mirror", &mirror.address, "--version", "9.9.9", "alpine", "true"])
        .one_error(125);
    uth.run(["chroot", "--version", "../../x", "alpine", "true"]).one_error(125);
}

#[test]
fn a_file_of_ones_own_and_a_damaged_one() {
    need_chroot!();
    let uth = Uth::new();
    let archive = archive(&uth);
    let file = uth.home().join("own.tar.gz");
    fs::write(&file, &archive).unwrap();
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let ran = uth.run(["chroot", "--file", &path(&file), "alpine", "sh", "-c", "echo inside"]).ok();
    assert_eq!(ran.stdout, "inside\n");
    fs::write(&file, &archive[..archive.len() / 2]).unwrap();
    let own = uth.home().join("own");
    let ran = uth.run(["chroot", "--file", &path(&file), "--keep", &path(&own), "alpine", "true"]);
    ran.one_error(125);
    assert!(!own.exists(), "half a tree was left");
    assert_eq!(kept(&uth), [""; 0]);
    let limited = ["chroot", "--file", &path(&file), "--limit", "entries=3", "alpine", "true"];
    assert!(uth.run(limited).one_error(125).stderr.contains("--limit entries"));
}
