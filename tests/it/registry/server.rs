//! A registry of the tests' own, over loopback: it serves one image, and a twist
//! makes it as hostile as a test wants it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::taker::Taker;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With what stands behind `?`.
    pub path: String,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// How many requests for the same path came before.
    pub before: usize,
}

impl Request {
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(String::as_str)
    }

    pub fn is_for(&self, part: &str) -> bool {
        self.path.contains(part)
    }

    /// The first byte that is wanted.
    pub fn from(&self) -> usize {
        let range = self.headers.get("range").and_then(|range| range.strip_prefix("bytes="));
        range.and_then(|range| range.strip_suffix('-')?.parse().ok()).unwrap_or(0)
    }
}

/// An answer, and how its body is sent.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub way: Way,
}

/// How an answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it should be.
    Whole,
    /// The connection ends after so many bytes.
    CutAfter(usize),
    /// Zeros for ever, without a length.
    Endless,
    /// A byte now and then.
    Drip,
    /// Nothing, not even a head.
    Silent,
    /// Headers for ever.
    EndlessHead,
    /// The head, a byte now and then.
    DrippingHead,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), way: Way::Whole }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub fn sent(self, way: Way) -> Self {
        Self { way, ..self }
    }
}

type Twist = dyn Fn(&Request, Answer) -> Answer + Send + Sync;

/// How much of a request is read, by its head.
type Reading = dyn Fn(&Request) -> Read + Send + Sync;

/// How a request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// As it should be.
    All,
    /// So many bytes of its body, which count; then the connection ends.
    Only(usize),
    /// No byte of its body, for ever.
    Nothing,
}

/// A server, until it is dropped.
pub struct Server {
    pub port: u16,
    /// What was pushed to it.
    pub taker: Arc<Taker>,
    log: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    /// Serves an image; `twist` may change each answer.
    pub fn start(
        image: &Image,
        twist: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::reading(image, twist, |_| Read::All)
    }

    /// One that may not read all that it is sent.
    pub fn reading(
        image: &Image,
        twist: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
        reading: impl Fn(&Request) -> Read + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (log, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (image, twist): (_, Arc<Twist>) = (Arc::new(image.clone()), Arc::new(twist));
        let taker = Arc::new(Taker::with(&image));
        let reading: Arc<Reading> = Arc::new(reading);
        let server = Self { port, taker: taker.clone(), log: log.clone(), stop: stop.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (image, twist, log) = (image.clone(), twist.clone(), log.clone());
                let (stop, taker, reading) = (stop.clone(), taker.clone(), reading.clone());
                std::thread::spawn(move || {
                    let answers = |request: &Request| {
                        let (own, pushed) = (image.answer(request), || taker.answer(request));
                        let own_will_do = request.method == "GET" && own.status != 404;
                        let answer = if own_will_do { own } else { pushed().unwrap_or(own) };
                        twist(request, answer)
                    };
                    converse(stream, &answers, &*reading, &log, &stop);
                });
            }
        });
        server
    }

    /// An honest one.
    pub fn honest(image: &Image) -> Self {
        Self::start(image, |_, answer| answer)
    }

    /// The image's name here.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}/team/app:1", self.port)
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Requests of one connection; a TLS greeting is answered as registries answer it: with its end.
fn converse(
    stream: TcpStream,
    answers: &dyn Fn(&Request) -> Answer,
    reading: &Reading,
    log: &Mutex<Vec<Request>>,
    stop: &AtomicBool,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((mut request, length)) = read(&mut reader) {
        let how = reading(&request);
        let wanted = match how {
            Read::All => length,
            Read::Only(count) => count.min(length),
            Read::Nothing => 0,
        };
        request.body = vec![0; wanted];
        if std::io::Read::read_exact(&mut reader, &mut request.body).is_err() {
            return;
        }
        {
            let mut log = log.lock().unwrap();
            request.before = log.iter().filter(|one| one.path == request.path).count();
            log.push(request.clone());
        }
        while how == Read::Nothing && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut answer = answers(&request);
        if request.method == "HEAD" {
            answer.body.clear();
        }
        let cut = how != Read::All && wanted < length;
        if cut || send(&stream, &answer, stop).is_err() || answer.way != Way::Whole {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}

/// A request's head, and how long its body is.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(Request, usize)> {
    if *reader.fill_buf().ok()?.first()? == 0x16 {
        return None;
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    Some((Request { method, path, headers, body: Vec::new(), before: 0 }, length))
}

fn send(mut stream: &TcpStream, answer: &Answer, stop: &AtomicBool) -> std::io::Result<()> {
    let gone = || stop.load(Ordering::Relaxed);
    let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = match answer.way {
        Way::Endless => "Connection: close\r\n\r\n".to_owned(),
        _ => format!("Content-Length: {}\r\n\r\n", answer.body.len()),
    };
    match answer.way {
        Way::Silent => {
            while !gone() {
                std::thread::sleep(Duration::from_millis(20));
            }
            return Ok(());
        }
        Way::EndlessHead => {
            stream.write_all(head.as_bytes())?;
            while !gone() {
                stream.write_all(b"X-More: and more and more and more and more and more\r\n")?;
            }
            return Ok(());
        }
        Way::DrippingHead => {
            return drip(stream, &(head + &"X-More: x\r\n".repeat(1000)).into_bytes(), stop);
        }
        _ => {}
    }
    stream.write_all((head + &length).as_bytes())?;
    match answer.way {
        Way::CutAfter(count) => stream.write_all(&answer.body[..count.min(answer.body.len())]),
        Way::Drip => drip(stream, &answer.body, stop),
        Way::Endless => {
            while !gone() {
                stream.write_all(&[0; 1 << 16])?;
            }
            Ok(())
        }
        _ => stream.write_all(&answer.body),
    }
}

fn drip(mut stream: &TcpStream, bytes: &[u8], stop: &AtomicBool) -> std::io::Result<()> {
    for byte in bytes {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        stream.write_all(&[*byte])?;
        std::thread::sleep(Duration::from_millis(300));
    }
    Ok(())
}

/// An image: its documents and layers.
#[derive(Debug, Clone)]
pub struct Image {
    pub layers: Vec<Vec<u8>>,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
    pub index: Vec<u8>,
}

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub fn digest(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    format!("sha256:{}", sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

pub fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// What an image is for, here.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Image {
    /// Two layers with one file each, of about `size` bytes that cannot be compressed.
    pub fn new(size: usize) -> Self {
        Self::of(2, size)
    }

    pub fn of(count: u32, size: usize) -> Self {
        let mut state = 1_u32;
        let mut noise = |seed: u32| -> Vec<u8> {
            state = state.wrapping_add(seed);
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            (0..size).map(|_| next()).collect()
        };
        let tars: Vec<_> = (1..=count).map(|n| tar(&format!("file-{n}"), &noise(n))).collect();
        let layers: Vec<_> = tars.iter().map(|tar| gzip(tar)).collect();
        let diff_ids: Vec<_> = tars.iter().map(|tar| digest(tar)).collect();
        let history = |n: u32| serde_json::json!({ "created_by": format!("COPY file-{n} /") });
        let config = json(&serde_json::json!({
            "architecture": architecture(), "os": "linux", "config": { "Cmd": ["/bin/sh"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": (1..=count).map(history).collect::<Vec<_>>(),
        }));
        Self { layers, config, manifest: Vec::new(), index: Vec::new() }.sealed(|_| {})
    }

    /// Manifest and index anew, the manifest changed.
    pub fn sealed(mut self, change: impl Fn(&mut serde_json::Value)) -> Self {
        let layer =
            |bytes: &Vec<u8>| descriptor("application/vnd.oci.image.layer.v1.tar+gzip", bytes);
        let mut manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &self.config),
            "layers": self.layers.iter().map(layer).collect::<Vec<_>>(),
        });
        change(&mut manifest);
        self.manifest = json(&manifest);
        let entry = |os: &str, architecture: &str, bytes: &[u8]| {
            let mut entry = descriptor(MANIFEST, bytes);
            entry["platform"] = serde_json::json!({ "os": os, "architecture": architecture });
            entry
        };
        self.index = json(&serde_json::json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": [
                entry("unknown", "unknown", b"an attestation"), entry("linux", "s390x", b"for a mainframe"),
                entry("linux", architecture(), &self.manifest),
            ],
        }));
        self
    }

    /// What an honest registry answers.
    pub fn answer(&self, request: &Request) -> Answer {
        let path = request.path.split('?').next().unwrap_or_default();
        if path == "/v2/" {
            return Answer::new(200, "{}");
        }
        let blobs = || self.layers.iter().chain([&self.config]);
        let (kind, found) = match path.rsplit_once('/') {
            Some((place, "1" | "2.4" | "8" | "latest")) if place.ends_with("/manifests") => {
                (INDEX, Some(&self.index))
            }
            Some((place, wanted)) if place.ends_with("/manifests") => {
                let all = [(INDEX, &self.index), (MANIFEST, &self.manifest)];
                let found = all.into_iter().find(|(_, bytes)| digest(bytes) == wanted);
                found.map_or((MANIFEST, None), |(kind, bytes)| (kind, Some(bytes)))
            }
            Some((_, wanted)) => {
                ("application/octet-stream", blobs().find(|bytes| digest(bytes) == wanted))
            }
            None => ("", None),
        };
        let Some(bytes) = found else {
            let says = r#"{"errors": [{"code": "UNKNOWN", "message": "not here"}]}"#;
            return Answer::new(404, says).with("Content-Type", "application/json");
        };
        let from = request.from().min(bytes.len());
        let answer = Answer::new(if from > 0 { 206 } else { 200 }, &bytes[from..]);
        let answer = answer.with("Content-Type", kind).with("Docker-Content-Digest", digest(bytes));
        match from {
            0 => answer,
            from => answer
                .with("Content-Range", format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len())),
        }
    }
}

pub fn json(value: &serde_json::Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

pub fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, content).unwrap();
    archive.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
