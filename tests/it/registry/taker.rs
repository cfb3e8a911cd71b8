//! The half of the test registry that takes what is pushed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::server::{Answer, Image, Request, digest};

/// What was pushed so far.
#[derive(Default)]
pub struct Taker(Mutex<State>);

#[derive(Default)]
struct State {
    /// `(repository, digest)`, and all bytes by digest.
    blobs: BTreeSet<(String, String)>,
    bytes: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<u64, Vec<u8>>,
    next: u64,
    /// `(repository, tag or digest)`: media type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
}

impl Taker {
    /// With an image in `team/app` already.
    pub fn with(image: &Image) -> Self {
        let mut state = State::default();
        for blob in image.layers.iter().chain([&image.config]) {
            state.blobs.insert(("team/app".to_owned(), digest(blob)));
            state.bytes.insert(digest(blob), blob.clone());
        }
        Self(Mutex::new(state))
    }

    /// A manifest that was pushed: its type and bytes.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Vec<u8>)> {
        let key = (repository.to_owned(), reference.to_owned());
        self.0.lock().unwrap().manifests.get(&key).cloned()
    }

    /// A blob of a repository.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Vec<u8>> {
        let state = self.0.lock().unwrap();
        let key = (repository.to_owned(), digest.to_owned());
        state.blobs.contains(&key).then(|| state.bytes[digest].clone())
    }

    /// Names that were given.
    pub fn names(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().manifests.keys().cloned().collect()
    }

    /// All uploads that are under way are forgotten.
    pub fn forget(&self) {
        self.0.lock().unwrap().uploads.clear();
    }

    /// What an honest registry answers to a push; nothing if it is none.
    pub fn answer(&self, request: &Request) -> Option<Answer> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let query: BTreeMap<_, _> =
            query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let rest = path.strip_prefix("/v2/")?;
        let mut state = self.0.lock().unwrap();
        if let Some((repository, session)) = rest.split_once("/blobs/uploads/") {
            return Some(state.upload(request, repository, session, &query));
        }
        if let Some((repository, wanted)) = rest.split_once("/blobs/") {
            let found = state.blobs.contains(&(repository.to_owned(), wanted.to_owned()));
            return match (request.method.as_str(), found) {
                ("HEAD", true) => Some(Answer::new(200, "")),
                ("HEAD", false) => Some(Answer::new(404, "")),
                (_, true) => Some(Answer::new(200, state.bytes[wanted].clone())),
                (_, false) => None,
            };
        }
        let (repository, reference) = rest.split_once("/manifests/")?;
        let key = (repository.to_owned(), reference.to_owned());
        match request.method.as_str() {
            "PUT" => Some(state.put(request, key)),
            _ => state.manifests.get(&key).map(|(kind, bytes)| {
                Answer::new(200, bytes.clone()).with("Content-Type", kind.clone())
            }),
        }
    }
}

impl State {
    fn upload(
        &mut self,
        request: &Request,
        repository: &str,
        session: &str,
        query: &BTreeMap<&str, &str>,
    ) -> Answer {
        let unescaped = |text: &str| text.replace("%3A", ":").replace("%2F", "/");
        if request.method == "POST" {
            if let (Some(blob), Some(from)) = (query.get("mount"), query.get("from")) {
                let (blob, from) = (unescaped(blob), unescaped(from));
                if self.blobs.contains(&(from, blob.clone())) {
                    self.blobs.insert((repository.to_owned(), blob.clone()));
                    return Answer::new(201, "")
                        .with("Location", format!("/v2/{repository}/blobs/{blob}"));
                }
            }
            self.next += 1;
            self.uploads.insert(self.next, Vec::new());
            return self.under_way(202, repository, self.next);
        }
        let number = session.parse().unwrap_or(0);
        let Some(upload) = self.uploads.get_mut(&number) else {
            return error(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown");
        };
        match request.method.as_str() {
            "PATCH" => {
                let range = request.headers.get("content-range");
                let from =
                    range.and_then(|range| range.split('-').next()?.parse().ok()).unwrap_or(0);
                if from != upload.len() {
                    return Answer::new(416, "");
                }
                upload.extend(&request.body);
                self.under_way(202, repository, number)
            }
            "GET" => self.under_way(204, repository, number),
            "PUT" => {
                upload.extend(&request.body);
                let bytes = upload.clone();
                let sum = digest(&bytes);
                if query.get("digest").map(|wanted| unescaped(wanted)) != Some(sum.clone()) {
                    return error(
                        400,
                        "DIGEST_INVALID",
                        "provided digest did not match uploaded content",
                    );
                }
                self.uploads.remove(&number);
                self.blobs.insert((repository.to_owned(), sum.clone()));
                self.bytes.insert(sum.clone(), bytes);
                Answer::new(201, "").with("Docker-Content-Digest", sum)
            }
            _ => Answer::new(405, ""),
        }
    }

    fn under_way(&self, status: u16, repository: &str, number: u64) -> Answer {
        let last = self.uploads[&number].len().saturating_sub(1);
        Answer::new(status, "")
            .with("Location", format!("/v2/{repository}/blobs/uploads/{number}?_state=secret"))
            .with("Range", format!("0-{last}"))
    }

    /// A manifest is taken when everything that it names is there.
    fn put(&mut self, request: &Request, key: (String, String)) -> Answer {
        let document: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let digest_of = |one: &serde_json::Value| one["digest"].as_str().unwrap().to_owned();
        let layers = document["layers"].as_array().cloned().unwrap_or_default();
        let config = document["config"].is_object().then(|| document["config"].clone());
        for blob in layers.iter().chain(&config) {
            if !self.blobs.contains(&(key.0.clone(), digest_of(blob))) {
                return error(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
            }
        }
        for below in document["manifests"].as_array().into_iter().flatten() {
            if !self.manifests.contains_key(&(key.0.clone(), digest_of(below))) {
                return error(400, "MANIFEST_UNKNOWN", "manifest unknown");
            }
        }
        let (sum, kind) = (digest(&request.body), request.headers["content-type"].clone());
        if key.1.starts_with("sha256:") && key.1 != sum {
            return error(400, "DIGEST_INVALID", "not its digest");
        }
        self.manifests.insert((key.0.clone(), sum.clone()), (kind.clone(), request.body.clone()));
        self.manifests.insert(key, (kind, request.body.clone()));
        Answer::new(201, "").with("Docker-Content-Digest", sum)
    }
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let says = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    Answer::new(status, says.to_string()).with("Content-Type", "application/json")
}
