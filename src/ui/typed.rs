//! A line that appears as if somebody typed it: for a stage, where an audience
//! reads along.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Screen;
use super::keys::{Key, Keyboard};
use crate::error::{Context, Result};

/// Types `text`, so many characters a second, each line behind `before`. A key has
/// the rest there at once; that key, if it is one that ends things.
pub fn typed(screen: &mut Screen, text: &str, before: &str, speed: u32) -> Result<Option<Key>> {
    let mut keyboard = Keyboard::open()?;
    let pause = Duration::from_secs(1) / speed.max(1);
    let (mut at_once, mut ended) = (false, None);
    for letter in text.chars() {
        let mut shown = letter.to_string();
        if letter == '\n' {
            shown = format!("\r\n{before}");
        }
        screen.pass_on(shown.as_bytes())?;
        if !at_once && pressed(pause)? {
            at_once = true;
            ended = Some(keyboard.key(None)?).filter(|key| *key == Key::Quit);
        }
    }
    Ok(ended)
}

/// Whether a key is pressed within a time.
fn pressed(within: Duration) -> Result<bool> {
    let stdin = std::io::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
    let within =
        Timespec { tv_sec: within.as_secs().cast_signed(), tv_nsec: within.subsec_nanos().into() };
    let ready = rustix::io::retry_on_intr(|| poll(&mut polled, Some(&within)));
    Ok(ready.tried(|| "poll(0)")? > 0)
}
