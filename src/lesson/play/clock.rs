//! How long somebody has been at a lesson. It counts from one key to the next,
//! and at most ten minutes of each such stretch: who leaves the player open over
//! lunch has not learnt through it. `Instant` is CLOCK_MONOTONIC, which stands
//! still while the machine is suspended, and so does this.

use std::time::{Duration, Instant};

/// More of one stretch does not count.
const MOST: Duration = Duration::from_secs(600);

/// The time of one sitting.
#[derive(Debug, Clone)]
pub struct Clock {
    since: Instant,
    counted: Duration,
    kept: u64,
}

impl Clock {
    /// Runs from now on.
    pub fn start() -> Self {
        Self { since: Instant::now(), counted: Duration::ZERO, kept: 0 }
    }

    /// A stretch ends here, and the next begins.
    pub fn count(&mut self) {
        self.count_until(Instant::now());
    }

    fn count_until(&mut self, now: Instant) {
        self.counted += now.saturating_duration_since(self.since).min(MOST);
        self.since = now;
    }

    /// Seconds of this sitting so far.
    pub fn seconds(&self) -> u64 {
        self.counted.as_secs()
    }

    /// Those of them that have not been written down.
    pub fn fresh(&self) -> u64 {
        self.seconds() - self.kept
    }

    /// Now they have been.
    pub fn kept(&mut self) {
        self.kept = self.seconds();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_counts_ten_minutes_and_nothing_is_kept_twice() {
        let mut clock = Clock::start();
        let mut now = clock.since;
        let mut pass = |clock: &mut Clock, seconds| {
            now += Duration::from_secs(seconds);
            clock.count_until(now);
        };
        pass(&mut clock, 90);
        pass(&mut clock, 8 * 3600);
        assert_eq!((clock.seconds(), clock.fresh()), (690, 690));
        clock.kept();
        pass(&mut clock, 5);
        assert_eq!((clock.seconds(), clock.fresh()), (695, 5));
    }
}
