//! How long something is waited for, and how often it is tried again.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::step::Observer;

/// For each wait: connecting, an answer's head, the next bytes.
pub const EACH: Duration = Duration::from_secs(7);

/// In less than that an answer may not come from a busy machine.
const FAIR: Duration = Duration::from_secs(3);

/// For as long as this nearly nothing may come before it is given up.
const WHOLE: Duration = Duration::from_secs(18);

/// Less than that in so long a time is nearly nothing: a modem was seven times as fast.
const NEARLY_NOTHING: u64 = 18 << 10;

/// The first pause; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(500);

/// Why something was not answered as it should be.
#[derive(Debug)]
pub struct Failure {
    /// For the reader.
    pub error: Error,
    /// Whether another attempt may go better.
    pub again: Again,
}

/// What another attempt promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Nothing: the answer is no.
    No,
    /// Nothing, and it was a lie: nothing that came from there is kept.
    Lie,
    /// It may go better.
    Soon,
    /// The server says when.
    After(Duration),
}

impl Failure {
    /// The server did not keep to what it, or the manifest, says.
    pub fn lie(error: Error) -> Self {
        Self { error, again: Again::Lie }
    }

    /// It may go better next time.
    pub fn soon(error: Error) -> Self {
        Self { error, again: Again::Soon }
    }
}

/// Whatever happens here, on this machine, happens again.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, again: Again::No }
    }
}

/// Time that is left, renewed by what comes.
#[derive(Debug)]
pub struct Patience {
    since: Instant,
    came: u64,
}

impl Patience {
    /// All of it.
    pub fn new() -> Self {
        Self { since: Instant::now(), came: 0 }
    }

    /// What is left, unless more comes.
    pub fn left(&self) -> Duration {
        WHOLE.saturating_sub(self.since.elapsed())
    }

    /// How long the next attempt may take: a last one gets a fair chance too.
    pub fn limit(&self) -> Duration {
        self.left().clamp(FAIR, EACH)
    }

    /// So many bytes came that were not here before; false if that goes on for too long with too little.
    pub fn came(&mut self, bytes: u64) -> bool {
        self.came += bytes;
        if self.came >= NEARLY_NOTHING {
            *self = Self::new();
        }
        !self.left().is_zero()
    }

    /// Attempts until one succeeds, the answer is no, or patience is at its end.
    pub fn persist<T>(
        &mut self,
        observer: &mut dyn Observer,
        mut attempt: impl FnMut(&mut Self, &mut dyn Observer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut pause = PAUSE;
        loop {
            let before = self.since;
            let failure = match attempt(self, observer) {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            if self.since != before {
                pause = PAUSE;
            }
            let wait = match failure.again {
                Again::No | Again::Lie => return Err(failure),
                Again::Soon => pause,
                Again::After(wait) => wait.max(PAUSE),
            };
            if wait + PAUSE > self.left() {
                return Err(failure);
            }
            observer.note(&format!("{}; again in {:.1} s.", failure.error, wait.as_secs_f64()));
            std::thread::sleep(wait);
            pause *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Deaf;

    fn attempts(failure: impl Fn() -> Failure) -> (u32, Duration) {
        let (mut count, start) = (0, Instant::now());
        let result = Patience::new().persist(&mut Deaf, |_, _| {
            count += 1;
            match count {
                3 => Ok(()),
                _ => Err(failure()),
            }
        });
        assert_eq!(result.is_ok(), count == 3);
        (count, start.elapsed())
    }

    #[test]
    fn a_no_is_taken_and_what_may_go_better_is_tried_again() {
        let error = || Error::new("asking");
        assert_eq!(attempts(|| Failure::from(error())).0, 1);
        assert_eq!(attempts(|| Failure::lie(error())).0, 1);
        let hour = Again::After(Duration::from_secs(3600));
        assert_eq!(attempts(|| Failure { error: error(), again: hour }).0, 1);
        let (count, took) = attempts(|| Failure::soon(error()));
        assert!(count == 3 && took >= PAUSE * 3, "{count} {took:?}");
    }

    #[test]
    fn patience_is_renewed_by_what_comes_and_by_nothing_else() {
        let mut patience = Patience::new();
        patience.since = Instant::now().checked_sub(WHOLE).unwrap();
        assert!(patience.left().is_zero() && !patience.came(NEARLY_NOTHING - 1));
        assert!(patience.came(1) && patience.left() > WHOLE / 2);
    }
}
