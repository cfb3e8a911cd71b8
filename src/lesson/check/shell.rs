//! Checks that are a line for a shell.

use crate::lesson::perform;

use super::{Answer, Finding, Judgement, Unknown, Verdict, World};

/// What a line exits with when it cannot be tested here (as automake's skipped tests).
const UNTESTABLE: u8 = 77;

/// Exit 0 holds, 77 cannot be tested, anything else does not hold.
pub fn judge(line: &str, world: &World) -> Judgement {
    let (verdict, evidence) = match perform::shell(line, world) {
        Ok(done) => {
            let verdict = match done.exit {
                0 => Verdict::Holds,
                UNTESTABLE => Verdict::Untestable,
                _ => Verdict::DoesNotHold,
            };
            (verdict, done.output)
        }
        Err(error) => (Verdict::Untestable, error.to_string()),
    };
    let evidence = evidence.trim().lines().next().unwrap_or_default().to_owned();
    Judgement { verdict, evidence }
}

/// Standard output is the value.
pub fn measure(line: &str, world: &World) -> Answer {
    let done =
        perform::shell(line, world).map_err(|error| Unknown::Untestable(error.to_string()))?;
    let value = done.output.trim().to_owned();
    match done.exit {
        0 => Ok(Finding::new(value.clone(), format!("it printed {value}"))),
        UNTESTABLE => Err(Unknown::Untestable(value)),
        code => Err(Unknown::Absent(format!("it exited with {code}: {value}"))),
    }
}
