//! What a command of any of the binaries prints, and where.

/// What was asked for, on standard output.
#[expect(clippy::print_stdout, reason = "what the command was asked for")]
pub fn say(text: &str) {
    println!("{text}");
}

/// What a person at the terminal must see beside it, on standard error.
#[expect(
    clippy::print_stderr,
    reason = "what a person at the terminal must see"
)]
pub fn complain(text: &str) {
    eprintln!("{text}");
}

/// Complains, and passes the exit code on.
pub fn fail(code: u8, message: &str) -> u8 {
    complain(message);
    code
}
