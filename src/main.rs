//! `under-the-hood`: what a container really is, on your own kernel.

use std::process::ExitCode;

fn main() -> ExitCode {
    under_the_hood::main()
}
