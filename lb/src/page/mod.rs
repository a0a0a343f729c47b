//! The status page: one document with its style and script inside, which loads nothing
//! and may ask this server alone. What it shows it fetches from `/status`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daemon::admin::Page;
use ring::digest::{SHA256, digest};

const DOCUMENT: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page; made once, it never changes.
#[must_use]
pub fn page() -> Page {
    let body = DOCUMENT
        .replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT);
    // The script and the style of this document run, and no others: a server's name that
    // looks like markup stays a name.
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        fingerprint(SCRIPT),
        fingerprint(STYLE),
    );
    Page {
        kind: "text/html; charset=utf-8",
        policy,
        body,
    }
}

fn fingerprint(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(hash.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is loaded from anywhere, and nothing is put into the page as markup.
    #[test]
    fn it_is_all_there_is_and_writes_text_only() {
        let page = page();
        for (from, to) in [("<style>", "</style>"), ("<script>", "</script>")] {
            let inside = page
                .body
                .split(from)
                .nth(1)
                .and_then(|rest| rest.split(to).next());
            let inside = inside.map(fingerprint).unwrap_or_default();
            assert!(page.policy.contains(&inside), "{from} {}", page.policy);
        }
        for foreign in ["http://", "https://", "@import", "url(", "<link", "src="] {
            let own = page.body.replace("http://www.w3.org/2000/svg", "");
            assert!(!own.contains(foreign), "{foreign}");
        }
        for sink in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "style=",
        ] {
            assert!(!page.body.contains(sink), "{sink}");
        }
    }
}
