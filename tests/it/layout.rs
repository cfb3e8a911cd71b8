//! OCI image layouts made by hand: an image is files and metadata.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use under_the_hood::image::oci::Digest;

/// A directory with images in it, as long as this value lives.
pub struct Layout {
    directory: TempDir,
}

impl Layout {
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("uth-layout-").unwrap();
        std::fs::create_dir_all(directory.path().join("blobs/sha256")).unwrap();
        let layout = Self { directory };
        layout.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        layout.write("index.json", br#"{"schemaVersion":2,"manifests":[]}"#);
        layout
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `oci:DIR:TAG`
    pub fn reference(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.path().display())
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    /// The file of a blob.
    pub fn file(&self, digest: &str) -> PathBuf {
        self.path().join("blobs").join(digest.replace(':', "/"))
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        std::fs::write(self.file(&digest.to_string()), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// An image of these tar archives; the second, fourth, ... is kept as it is, the
    /// others compressed. `history`: its steps; one that begins with `#` made no layer.
    pub fn image(&self, tag: &str, layers: &[Vec<u8>], history: &[&str], config: &Value) -> String {
        let plain = "application/vnd.oci.image.layer.v1.tar";
        let blobs = layers.iter().enumerate().map(|(at, tar)| match at % 2 {
            0 => self.blob(&format!("{plain}+gzip"), &gzip(tar)),
            _ => self.blob(plain, tar),
        });
        let blobs: Vec<_> = blobs.collect();
        let diff_ids: Vec<_> = layers.iter().map(|tar| Digest::of(tar)).collect();
        let history: Vec<_> = history
            .iter()
            .map(|step| match step.strip_prefix('#') {
                Some(step) => json!({ "created_by": step, "empty_layer": true }),
                None => json!({ "created_by": step }),
            })
            .collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": config, "history": history,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = self.blob(
            "application/vnd.oci.image.config.v1+json",
            &serde_json::to_vec(&config).unwrap(),
        );
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": blobs,
        });
        let mut manifest = self.blob(media_type, &serde_json::to_vec(&manifest).unwrap());
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = std::fs::read(self.path().join("index.json")).unwrap();
        let mut index: Value = serde_json::from_slice(&index).unwrap();
        index["manifests"].as_array_mut().unwrap().push(manifest);
        self.write("index.json", &serde_json::to_vec(&index).unwrap());
        self.reference(tag)
    }

    /// Gives the image another config, and a manifest that names it.
    pub fn rewrite_config(&self, tag: &str, change: impl Fn(&str) -> String) {
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        let mut index: Value = serde_json::from_str(&read(self.path().join("index.json"))).unwrap();
        for named in index["manifests"].as_array_mut().unwrap() {
            if named["annotations"]["org.opencontainers.image.ref.name"] != tag {
                continue;
            }
            let manifest = read(self.file(named["digest"].as_str().unwrap()));
            let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
            let config = &mut manifest["config"];
            let changed = change(&read(self.file(config["digest"].as_str().unwrap())));
            *config = self.blob(config["mediaType"].as_str().unwrap(), changed.as_bytes());
            let media_type = named["mediaType"].as_str().unwrap().to_owned();
            let manifest = self.blob(&media_type, &serde_json::to_vec(&manifest).unwrap());
            named["digest"] = manifest["digest"].clone();
            named["size"] = manifest["size"].clone();
        }
        self.write("index.json", &serde_json::to_vec(&index).unwrap());
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
