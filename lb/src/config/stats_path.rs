//! Where the status page is to be found beside `/` and `/stats`: what readers of haproxy's page
//! were told once (`stats uri`).

use crate::order;

/// Longer than any that somebody would type.
const LONGEST: usize = 128;
/// What the admin listener answers itself, and commands beside the orders.
const TAKEN: [&str; 9] = [
    "/livez",
    "/readyz",
    "/metrics",
    "/status",
    "/session",
    "/session/end",
    "/dump",
    "/recorder",
    "/upgrade",
];

/// Whether the page can be there.
///
/// # Errors
/// Why not, with the way out.
pub(crate) fn stats_path(path: &str) -> Result<(), &'static str> {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, ';' | '#' | '"' | '\\');
    if !path.starts_with('/') {
        return Err("does not begin with a slash; write it as /haproxy?stats");
    }
    if path.len() > LONGEST || !path.chars().all(fits) {
        return Err(
            "is no path; allowed: 1 to 128 visible characters of ASCII without ; # \" \\",
        );
    }
    let (bare, _) = path.split_once('?').unwrap_or((path, ""));
    let is_order = |name: &&str| bare.strip_prefix('/') == Some(*name);
    if TAKEN.contains(&bare)
        || bare.starts_with("/do/")
        || order::NAMES.iter().any(is_order)
    {
        return Err("is a path of the admin listener itself; choose another");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path() {
        let long = format!("/{}", "x".repeat(LONGEST));
        for (path, is_good) in [
            ("/", true),
            ("/stats", true),
            ("/haproxy?stats", true),
            ("/haproxy/stats", true),
            ("/statusx", true),
            ("/session2", true),
            (&long[..LONGEST], true),
            (&long, false),
            ("", false),
            ("stats", false),
            ("/stats;csv", false),
            ("/a b", false),
            ("/\u{e4}", false),
            ("/status", false),
            ("/status?x", false),
            ("/livez", false),
            ("/session", false),
            ("/do/drain", false),
            ("/drain", false),
            ("/upgrade", false),
        ] {
            assert_eq!(stats_path(path).is_ok(), is_good, "{path}");
        }
    }
}
