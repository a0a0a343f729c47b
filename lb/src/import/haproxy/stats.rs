//! `stats`: haproxy's page of itself; ours is on the admin listener.

use super::super::Surroundings;
use super::proxy::Settings;
use super::words::Line;
use config::Report;

/// What was said of the page.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    /// The page is on.
    pub(super) is_on: bool,
    /// Where the hashes of its users are.
    pub(super) passwords: Option<String>,
}

pub(super) fn directive(
    line: &Line,
    settings: &mut Settings,
    around: &Surroundings<'_>,
    report: &mut Report,
) {
    let (number, text) = (line.number, line.text());
    let words = line.words();
    settings.stats.is_on = true;
    match words.get(1).copied().unwrap_or_default() {
        "enable" => {
            report.honoured(number, &text, "the page is always there, on admin.address")
        }
        "hide-version" | "realm" | "show-desc" | "show-legends" | "show-node"
        | "show-modules" | "scope" => {
            report.not_needed(
                number,
                &text,
                "the page shows what it shows; no setting changes it",
            );
        }
        "refresh" => report.not_needed(number, &text, "the page is live"),
        "auth" => {
            let user = words.get(2).and_then(|word| word.split_once(':'));
            let (user, password) = user.unwrap_or_default();
            // The password itself is never shown.
            let text = format!("stats auth {user}:…");
            match (around.keep_password)(user, password) {
                Ok(file) => {
                    report.honoured(number, &text, format!("its hash is in {file}"));
                    settings.stats.passwords = Some(file);
                }
                Err(why) => report.unsupported(number, &text, why),
            }
        }
        "admin" => report.not_needed(
            number,
            &text,
            "who has signed in may drain, enable and disable servers",
        ),
        "uri" if words.get(2) != Some(&"/stats") => report.unsupported(
            number,
            &text,
            "the page is at / and at /stats, its CSV at /stats;csv",
        ),
        "uri" => report.not_needed(
            number,
            &text,
            "the page is at / and at /stats, its CSV at /stats;csv",
        ),
        _ => report.unsupported(number, &text, "api-lb does not know it"),
    }
}
