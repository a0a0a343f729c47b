//! An error with its causes, on one line.

use std::error::Error;

/// `error` and what is below it: `cannot listen on 10.0.0.1:1: Permission denied`.
/// Printed once, where an error is handled.
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        line = format!("{line}: {cause}");
        below = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::BindError;
    use std::io;

    #[test]
    fn each_cause_follows() {
        let error = BindError::Tcp(([10, 0, 0, 1], 1).into(), io::Error::other("no"));
        assert_eq!(chain(&error), "cannot listen on 10.0.0.1:1: no");
    }
}
