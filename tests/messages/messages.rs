//! What the compiler says of programs that are nearly right: each message names what to write instead.
//!
//! The programs are checked only, and the messages held against the files beside them, which
//! `TRYBUILD=overwrite cargo test -p tapegrad-messages --release` writes anew where another compiler words them otherwise.

#[test]
fn the_compiler_names_the_remedy() {
    trybuild::TestCases::new().compile_fail("programs/*.rs");
}
