//! `api-lb import`: what stands around a file that is imported, and what is printed of it.

use std::io::Write as _;

use daemon::exit;

use super::{fail, say};
use crate::config;
use crate::import::{self, Dialect, PublicPage, Surroundings};

pub(super) fn take_over(
    path: &std::path::Path,
    from: Option<Dialect>,
    (passwords, public_page): (Option<&std::path::Path>, PublicPage),
    is_strict: bool,
) -> u8 {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}: {error}", path.display());
            return exit::USAGE;
        }
    };
    let folder = path.parent().unwrap_or(std::path::Path::new("."));
    let around = Surroundings {
        variable: &|name| std::env::var(name).ok(),
        resolve: &import::outside::resolve,
        include: &|pattern| import::outside::include(folder, pattern),
        keep_password: &|user, password| keep_password(passwords, user, password),
        public_page,
    };
    let name = path.display().to_string();
    let dialect = from.unwrap_or_else(|| Dialect::of(path, &text));
    match import::import(dialect, &name, &text, &around) {
        Err(error) => fail(exit::USAGE, &error),
        Ok(imported) => {
            say(&imported.yaml);
            let _ = write!(std::io::stderr(), "{}", imported.report);
            let findings = config::parse("api-lb.yaml", &imported.yaml);
            let refused = findings.as_ref().err().map(ToString::to_string);
            let warnings = findings.as_ref().map_or(&[][..], |config| &config.warnings);
            for sentence in warnings.iter().chain(&refused) {
                let _ = writeln!(std::io::stderr(), "api-lb check: {sentence}");
            }
            if refused.is_some() || (is_strict && imported.report.lacks()) {
                exit::FAILED
            } else {
                exit::DONE
            }
        }
    }
}

fn keep_password(
    file: Option<&std::path::Path>,
    user: &str,
    password: &str,
) -> Result<String, String> {
    let Some(file) = file else {
        return Err(
            "nobody can sign in; import with --passwords FILE, or use `api-lb password`"
                .to_owned(),
        );
    };
    let kept = daemon::admin::password::set(file, user, password);
    kept.map_err(|error| daemon::chain(&error))?;
    Ok(file.display().to_string())
}
