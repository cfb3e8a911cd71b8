//! How this kernel was built: /proc/config.gz where it carries its own
//! configuration, else the file that the distribution put in /boot.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The options of a kernel and where they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file.
    pub path: PathBuf,
    text: String,
}

impl Config {
    /// Of the running kernel (`release` is `uname -r`); `root` is `/`, or a fixture's directory.
    pub fn read(root: &Path, release: &str) -> Option<Self> {
        let own = root.join("proc/config.gz");
        let mut text = String::new();
        if let Ok(file) = File::open(&own)
            && flate2::read::GzDecoder::new(file).read_to_string(&mut text).is_ok()
        {
            return Some(Self { path: own, text });
        }
        let files = [format!("boot/config-{release}"), format!("lib/modules/{release}/config")];
        files.iter().map(|file| root.join(file)).find_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            Some(Self { path, text })
        })
    }

    /// The value of `CONFIG_name`: `y`, `m`, a number or a string; `None` when it is not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix("CONFIG_")?.strip_prefix(name)?.strip_prefix('='))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &str = "CONFIG_RT_GROUP_SCHED=y\n# CONFIG_SCHED_CLASS_EXT is not set\n\
                        CONFIG_OVERLAY_FS=m\nCONFIG_HZ=250\n";

    fn judge(config: &Config) {
        assert_eq!(config.get("RT_GROUP_SCHED"), Some("y"));
        assert_eq!(config.get("SCHED_CLASS_EXT"), None);
        assert_eq!(config.get("OVERLAY_FS"), Some("m"));
        assert_eq!(config.get("RT_GROUP"), None);
    }

    #[test]
    fn reads_the_kernels_own_file_and_else_the_one_in_boot() {
        let root = tempfile::tempdir().expect("a directory");
        assert_eq!(Config::read(root.path(), "6.1"), None);
        fs::create_dir_all(root.path().join("boot")).expect("mkdir");
        fs::write(root.path().join("boot/config-6.1"), TEXT).expect("write");
        judge(&Config::read(root.path(), "6.1").expect("in /boot"));
        fs::create_dir_all(root.path().join("proc")).expect("mkdir");
        let file = File::create(root.path().join("proc/config.gz")).expect("create");
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(TEXT.as_bytes()).expect("write");
        gzip.finish().expect("finish");
        let own = Config::read(root.path(), "6.1").expect("in /proc");
        judge(&own);
        assert!(own.path.ends_with("proc/config.gz"));
    }
}
