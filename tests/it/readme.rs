//! What the README shows is what the program prints.

use crate::harness::Uth;

#[test]
fn its_transcripts_are_true() {
    if crate::skip::root().is_err() {
        need!(user_namespace);
    }
    let uth = Uth::new();
    uth.run(["image", "base"]).ok(); // the first use says that it is made
    trycmd::TestCases::new()
        .register_bin("under-the-hood", Uth::program())
        .env("UTH_HOME", uth.home().to_string_lossy())
        .env("COLUMNS", "80")
        .case(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
}
