//! Docker's manifests in an OCI image layout. What looks for an image by its name
//! in one (skopeo, Podman and buildah: containers/image) passes over every entry
//! of index.json whose media type is not the OCI's, so that an image with a
//! manifest of docker's could not be found by them. Its manifest stays as it is,
//! byte for byte, or it would have another digest; but its entry in index.json is
//! an index of the OCI that names this manifest alone, and those tools go on from
//! there. For us the entry still means the manifest, which it notes beside it.
//!
//! umoci knows no documents but the OCI's, however it gets to them:
//! `skopeo copy oci:STORE:NAME oci:DIR:TAG` makes such ones of them, under other digests.

use crate::error::{Error, Result};
use crate::image::oci::{Descriptor, Index, media};

/// The annotation with the digest and the size of the manifest that is meant.
const MANIFEST: &str = "under-the-hood.manifest";

/// The entry for a manifest of docker's, and the bytes of the index that it names;
/// none for a manifest of the OCI's, which needs no index.
pub fn wrapped(manifest: &Descriptor) -> Result<Option<(Descriptor, Vec<u8>)>> {
    if manifest.media_type != media::DOCKER_MANIFEST {
        return Ok(None);
    }
    let Descriptor { media_type, digest, size, .. } = manifest;
    // It names no platform: a tool that was told another one than its machine's
    // takes the only manifest that there is.
    let only = Descriptor::new(media_type, digest.clone(), *size);
    let index = Index { manifests: vec![only], ..Index::default() };
    let bytes =
        serde_json::to_vec(&index).map_err(|error| Error::new("writing an index").said(error))?;
    let mut entry = Descriptor::of(media::INDEX, &bytes);
    entry.platform.clone_from(&manifest.platform);
    entry.annotations.insert(MANIFEST.to_owned(), format!("{digest} {size}"));
    Ok(Some((entry, bytes)))
}

/// What an entry of index.json means.
pub(super) fn unwrapped(entry: &Descriptor) -> Descriptor {
    let manifest = || {
        let (digest, size) = entry.annotations.get(MANIFEST)?.split_once(' ')?;
        let only =
            Descriptor::new(media::DOCKER_MANIFEST, digest.parse().ok()?, size.parse().ok()?);
        let mut annotations = entry.annotations.clone();
        annotations.remove(MANIFEST);
        Some(Descriptor { platform: entry.platform.clone(), annotations, ..only })
    };
    manifest().unwrap_or_else(|| entry.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::oci::{Document, Platform, REF_NAME};

    #[test]
    fn an_entry_means_the_manifest_that_was_wrapped_in_it() {
        let mut manifest = Descriptor::of(media::DOCKER_MANIFEST, b"docker's");
        manifest.platform = Some(Platform::host());
        let (mut entry, bytes) = wrapped(&manifest).unwrap().unwrap();
        assert_eq!(entry.media_type, media::INDEX, "what skopeo looks for");
        let Document::Index(index) = Document::parse(&bytes, media::INDEX).unwrap() else {
            panic!("it is no index")
        };
        assert_eq!(index.manifests.len(), 1);
        assert_eq!(index.manifests[0].digest, manifest.digest);
        for named in [&mut entry, &mut manifest] {
            named.annotations.insert(REF_NAME.to_owned(), "x:1".to_owned());
        }
        assert_eq!(unwrapped(&entry), manifest);
        assert_eq!(unwrapped(&manifest), manifest);
        assert!(wrapped(&Descriptor::of(media::MANIFEST, b"the OCI's")).unwrap().is_none());
        entry.annotations.insert(MANIFEST.to_owned(), "../../etc/passwd 1".to_owned());
        assert_eq!(unwrapped(&entry), entry, "what cannot be read says nothing");
    }
}
