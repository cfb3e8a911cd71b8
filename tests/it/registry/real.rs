//! A real registry: Debian's docker-registry, filled by skopeo.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::server::Image;
use super::{names, pull};
use crate::harness::Uth;

/// docker-registry, on a port of its own, until this is dropped.
pub struct Registry {
    child: Child,
    pub port: u16,
}

impl Registry {
    pub fn start(uth: &Uth) -> Self {
        // The port is free when we look; it is asked for as long as nobody answers.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = uth.home().join("registry.yml");
        let data = uth.home().join("registry");
        std::fs::write(
            &file,
            format!(
                "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
                data.display()
            ),
        )
        .unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { child, port };
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return registry;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("docker-registry does not listen");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An OCI image layout with the image in it, as skopeo takes it.
fn layout(image: &Image, directory: &std::path::Path) {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    for bytes in image.layers.iter().chain([&image.config, &image.manifest]) {
        std::fs::write(blobs.join(&super::server::digest(bytes)[7..]), bytes).unwrap();
    }
    let manifest = super::server::descriptor(super::server::MANIFEST, &image.manifest);
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    std::fs::write(directory.join("index.json"), super::server::json(&index)).unwrap();
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
}

/// Else skopeo looks for logins in a directory that an ordinary user need not have.
pub const NO_LOGINS: &str = "echo {} >$UTH_HOME/logins; export REGISTRY_AUTH_FILE=$UTH_HOME/logins";

#[test]
fn what_skopeo_pushed_is_pulled_and_read_by_skopeo_again() {
    need!(tool "docker-registry");
    need!(tool "skopeo");
    let (uth, image) = (Uth::new(), Image::new(2_000_000));
    let registry = Registry::start(&uth);
    layout(&image, &uth.home().join("layout"));
    let name = format!("127.0.0.1:{}/library/httpd:2.4", registry.port);
    // In both of its formats: as it is, and as docker's schema 2.
    for (tag, format) in [("2.4", "oci"), ("docker", "v2s2")] {
        let name = name.replace(":2.4", &format!(":{tag}"));
        uth.sh(&format!(
            "{NO_LOGINS}; skopeo copy -q --insecure-policy --dest-tls-verify=false --format {format} oci:{}/layout docker://{name}",
            uth.home().display()
        ))
        .ok();
        let ran = pull(&uth, &[&name]).ok();
        let digest = uth
            .sh(&format!(
                "{NO_LOGINS}; skopeo inspect --tls-verify=false --format '{{{{.Digest}}}}' docker://{name}"
            ))
            .ok();
        assert!(ran.stdout.contains(digest.stdout.trim()), "{}{}", ran.whole(), digest.whole());
        // The store is read as it is, whichever way the manifest is written, and
        // whichever machine's image is asked for: there is one only.
        let (ours, home) = (uth.home().join("data/images"), uth.home());
        let (ours, home) = (ours.display(), home.display());
        for choice in ["", "--override-arch riscv64"] {
            uth.sh(&format!(
                "{NO_LOGINS}; rm -rf {home}/out; skopeo {choice} copy -q --insecure-policy oci:{ours}:{name} dir:{home}/out"
            ))
            .ok();
            let copied = std::fs::read(uth.home().join("out/manifest.json")).unwrap();
            assert_eq!(super::server::digest(&copied), digest.stdout.trim(), "{format} {choice}");
        }
        // By digest it is the same.
        let pinned =
            format!("{}@{}", name.trim_end_matches(&format!(":{tag}")), digest.stdout.trim());
        pull(&uth, &[&pinned]).ok();
    }
    assert_eq!(names(&uth).len(), 4);
    let missing = name.replace(":2.4", ":no-such-tag");
    let ran = pull(&uth, &[&missing]).one_error(1);
    assert!(ran.stderr.contains("manifest unknown"), "{}", ran.whole());
    let every = names(&uth);
    uth.run(
        [&["image", "rm", "-q"][..], &every.iter().map(String::as_str).collect::<Vec<_>>()]
            .concat(),
    )
    .ok();
    assert_eq!(super::blobs(&uth), [""; 0].map(std::path::PathBuf::from), "something stayed");
}

/// Between two repositories of a real registry, and read by skopeo.
#[test]
fn what_is_pushed_to_a_real_registry_is_read_by_skopeo_and_pulled_again() {
    need!(tool "docker-registry");
    need!(tool "skopeo");
    let (uth, image) = (Uth::new(), Image::new(2_000_000));
    let registry = Registry::start(&uth);
    layout(&image, &uth.home().join("layout"));
    let source = format!("oci:{}/layout", uth.home().display());
    let name = format!("127.0.0.1:{}/library/httpd:2.4", registry.port);
    let pushed = uth.run(["image", "push", &source, &name]).ok();
    let digest = uth.sh(&format!(
        "{NO_LOGINS}; skopeo inspect --tls-verify=false --format '{{{{.Digest}}}}' docker://{name}"
    ));
    assert!(pushed.stdout.contains(digest.ok().stdout.trim()), "{}", pushed.whole());
    uth.sh(&format!(
        "{NO_LOGINS}; skopeo copy -q --insecure-policy --src-tls-verify=false docker://{name} dir:$UTH_HOME/out"
    ))
    .ok();
    // From our own store, into another repository: the registry has the layers already.
    pull(&uth, &[&name]).ok();
    let other = format!("127.0.0.1:{}/team/web:1", registry.port);
    let ran = uth.run(["image", "push", &name, &other]).ok();
    assert!(ran.stderr.contains("Mounted from library/httpd"), "{}", ran.whole());
    let again = uth.run(["image", "push", &name, &other]).ok();
    assert!(again.stderr.contains("Layer already exists"), "{}", again.whole());
    let home = Uth::new();
    let ran = pull(&home, &[&other]).ok();
    assert!(ran.stdout.contains(&super::server::digest(&image.manifest)), "{}", ran.whole());
    // The base image, whose layers are as we made them.
    uth.run(["image", "base", "-q"]).ok();
    let base = format!("127.0.0.1:{}/base:1", registry.port);
    uth.run(["image", "push", "base", &base]).ok();
    pull(&home, &[&base]).ok();
    let id = |uth: &Uth, name: &str| uth.run(["image", "dissect", name, "--manifest"]).ok().stdout;
    assert_eq!(id(&uth, "base"), id(&home, &base));
}
