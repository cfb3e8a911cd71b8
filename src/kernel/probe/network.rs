//! Whether the places that images come from can be reached, each asked for
//! real, through the proxy that the environment names.

use std::time::Duration;

use super::child;
use crate::http::{client, deepest};

/// What the lessons fetch from: the registry of the article's images, and the
/// mirror of Alpine's root file system.
pub const PLACES: [&str; 2] =
    ["https://registry-1.docker.io/v2/", "https://dl-cdn.alpinelinux.org/alpine/"];

const CONNECT: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(5);

/// An address and what came back: an HTTP status, or why there was none.
pub type Reach = (String, Result<u16, String>);

/// Asks every address at once. In a child, because the client starts threads
/// (afterwards this process could make no user namespace), and because looking
/// up a name has no time limit of its own.
pub fn reach(addresses: &[&str]) -> Vec<Reach> {
    let asked = child::attempt("asking the network", LIMIT, || {
        let client = client(|with| with.connect_timeout(CONNECT).timeout(WHOLE))?;
        Ok(std::thread::scope(|scope| {
            let ask = |address: &&str| {
                let (client, address) = (client.clone(), (*address).to_owned());
                scope.spawn(move || {
                    let answer = client.head(&address).send();
                    (address, answer.map(|r| r.status().as_u16()).map_err(|e| deepest(&e)))
                })
            };
            let threads: Vec<_> = addresses.iter().map(ask).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        }))
    });
    asked.unwrap_or_else(|error| {
        let reason = error.said.unwrap_or(error.tried);
        addresses.iter().map(|address| ((*address).to_owned(), Err(reason.clone()))).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_of_any_kind_is_reached_and_silence_is_explained() {
        let server = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = format!("http://{}/v2/", server.local_addr().expect("address"));
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").expect("bind");
            format!("http://{}/", gone.local_addr().expect("address"))
        };
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("accept");
            let _ = stream.read(&mut [0; 4096]);
            stream
                .write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
                .expect("write");
        });
        let reached = reach(&[&address, &closed]);
        answering.join().expect("join");
        assert_eq!(reached[0], (address, Ok(401)));
        assert!(reached[1].1.as_ref().is_err_and(|why| why.contains("refused")), "{reached:?}");
    }
}
