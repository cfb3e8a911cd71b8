//! Changing index.json: whole, under a lock, and only to what is all there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use super::wrapped::wrapped;
use super::{FROM_INDEX, Store};
use crate::error::{Context, Error, Result};
use crate::image::oci::{
    Descriptor, Digest, Document, Index, MOST_BYTES, Manifest, REF_NAME, whole,
};
use crate::image::reference::Name;
use crate::lock::{FlockOperation, lock};
use crate::step::{Observer, Step};

/// What oci-layout says.
const VERSION: &str = "{\"imageLayoutVersion\":\"1.0.0\"}\n";

/// The right to bring images in, and to name them.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    _lock: File,
}

impl Lease {
    pub(super) fn new(store: Store, lock: File) -> Self {
        Self { store, _lock: lock }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Gives an image its name, which it takes from another that had it. All
    /// that the manifest names must be here. `index` is the digest of the index
    /// that it was chosen from.
    pub fn name(
        &self,
        name: &Name,
        manifest: &Descriptor,
        index: Option<&Digest>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        self.check_whole(name, manifest)?;
        let text = name.to_string();
        // What an index or another layout noted beside it is not true here.
        let mut named = Descriptor { annotations: BTreeMap::new(), ..manifest.clone() };
        if let Some((entry, bytes)) = wrapped(&named)? {
            self.put(&entry, &bytes, observer)?;
            named = entry;
        }
        named.annotations.insert(REF_NAME.to_owned(), text.clone());
        if let Some(digest) = index {
            named.annotations.insert(FROM_INDEX.to_owned(), digest.to_string());
        }
        let step = self.store.naming(&name.familiar());
        self.store.change(step, observer, |index| {
            index.manifests.retain(|one| one.ref_name() != Some(&text));
            index.manifests.push(named);
        })
    }

    fn check_whole(&self, name: &Name, descriptor: &Descriptor) -> Result<()> {
        let missing = |digest: &Digest| {
            Error::new(format!("naming {}", name.familiar()))
                .said(format!("{digest}, which it needs, is not in the store"))
        };
        if !self.store.has(descriptor) {
            return Err(missing(&descriptor.digest));
        }
        let manifest = self.store.manifest(descriptor)?;
        let parts = std::iter::once(&manifest.config).chain(&manifest.layers);
        match parts.into_iter().find(|part| !self.store.has(part)) {
            None => Ok(()),
            Some(part) => Err(missing(&part.digest)),
        }
    }
}

impl Store {
    /// A manifest that is here.
    pub(super) fn manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let path = self.blob_path(&descriptor.digest);
        let file = File::open(&path).tried(|| format!("open({path:?})"))?;
        match Document::parse(&whole(file, descriptor)?, &descriptor.media_type)? {
            Document::Manifest(manifest) => Ok(*manifest),
            Document::Index(_) => {
                Err(Error::new(format!("reading {}", descriptor.digest)).said("it is an index"))
            }
        }
    }

    /// Makes this directory an OCI image layout, if it is none yet.
    pub(super) fn begin_layout(&self) -> Result<()> {
        if self.path.join("oci-layout").exists() && self.path.join("index.json").exists() {
            return Ok(());
        }
        let _lock = lock(&self.path, FlockOperation::LockExclusive)?;
        self.replace("oci-layout", VERSION.as_bytes())?;
        // The last: whoever finds an index reads a store that is whole.
        match self.path.join("index.json").exists() {
            true => Ok(()),
            false => self.replace("index.json", &bytes(&Index::default())?),
        }
    }

    /// Reads index.json, changes it, and puts it in place whole.
    pub(super) fn change(
        &self,
        mut step: Step,
        observer: &mut dyn Observer,
        change: impl FnOnce(&mut Index),
    ) -> Result<()> {
        let _lock = lock(&self.path, FlockOperation::LockExclusive)?;
        let mut index = self.layout()?.map(|layout| layout.index).unwrap_or_default();
        change(&mut index);
        let bytes = bytes(&index)?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Error::new(format!("writing {}/index.json", self.path.display()))
                .said("there are too many images in it")
                .hint("`under-the-hood image rm NAME` removes one."));
        }
        let result = self.replace("index.json", &bytes);
        step.result = Some(result.clone().map(|()| "0".to_owned()));
        observer.step(&step);
        result
    }

    /// The step in which an image gets its name.
    pub fn naming(&self, name: &str) -> Step {
        self.renaming(&format!("{name} has everything that it needs: from now on it has its name"))
    }

    /// The step in which index.json changes.
    pub(super) fn renaming(&self, why: &str) -> Step {
        let path = self.path.display();
        Step::new(format!("rename(\"{path}/.index.json.new\", \"{path}/index.json\")"), why)
            .shell(format!("mv -T {path}/.index.json.new {path}/index.json"))
    }

    /// Under the lock there is one writer, so the new file's name may be the same every time.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (new, path) = (self.path.join(format!(".{name}.new")), self.path.join(name));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o644);
        let mut file = options
            .custom_flags(libc::O_NOFOLLOW)
            .open(&new)
            .tried(|| format!("open({new:?}, O_CREAT|O_TRUNC)"))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        written.tried(|| format!("write({new:?})"))?;
        std::fs::rename(&new, &path).tried(|| format!("rename({new:?}, {path:?})"))
    }
}

fn bytes(index: &Index) -> Result<Vec<u8>> {
    serde_json::to_vec(index).map_err(|error| Error::new("writing index.json").said(error))
}
