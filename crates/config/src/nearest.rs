//! "Did you mean": the nearest of the names that are allowed.

use crate::error::Quoted;

/// The way out for a name that is not one of `allowed`, to follow what is wrong with
/// it: `did you mean "bind"? allowed: backend, bind, name`.
pub fn suggest<'a>(word: &str, allowed: impl IntoIterator<Item = &'a str>) -> String {
    let allowed: Vec<&str> = allowed.into_iter().collect();
    let list = match allowed.as_slice() {
        [] => "nothing is allowed here".to_owned(),
        names => format!("allowed: {}", names.join(", ")),
    };
    match nearest(word, &allowed) {
        Some(name) => format!("did you mean {}? {list}", Quoted(name)),
        None => list,
    }
}

/// The one name near enough to be what was meant: a letter in three may differ, and
/// `advert_interval` is as near to `advertInterval` as can be. Failing that, the one
/// that holds the word: `addr` in `address`.
fn nearest<'a>(word: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let word = bare(word);
    if word.len() > LONGEST {
        return None;
    }
    let far = |name: &&str| strsim::damerau_levenshtein(&word, &bare(name));
    let name = allowed.iter().copied().min_by_key(far)?;
    let reach = (word.chars().count().max(name.chars().count()) / 3).max(1);
    if far(&name) <= reach {
        return Some(name);
    }
    let holds = |name: &&str| word.len() >= TELLING && bare(name).contains(&word);
    allowed.iter().copied().find(holds)
}

/// Fewer letters stand in too many names to tell one.
const TELLING: usize = 3;

/// Beyond this no name is meant, and comparing would take quadratic time.
const LONGEST: usize = 64;

fn bare(name: &str) -> String {
    let letters = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-'))
        .take(LONGEST + 1);
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let keys = ["advertInterval", "bind", "name", "vrid"];
        for (word, expected) in [
            ("bnid", Some("bind")),
            ("advert_interval", Some("advertInterval")),
            ("advertinterval", Some("advertInterval")),
            ("interval", Some("advertInterval")),
            ("adv", Some("advertInterval")),
            ("ad", None),
            ("Name", Some("name")),
            ("nam", Some("name")),
            ("v", None),
            ("", None),
            ("xyzzy", None),
        ] {
            assert_eq!(nearest(word, &keys), expected, "{word}");
        }
        assert_eq!(nearest(&"bind".repeat(1_000), &keys), None);
    }

    #[test]
    fn lists_what_is_allowed() {
        assert_eq!(suggest("up", ["tcp", "tls"]), "allowed: tcp, tls");
        assert_eq!(
            suggest("tpc", ["tcp", "tls"]),
            "did you mean \"tcp\"? allowed: tcp, tls"
        );
        assert_eq!(suggest("x", []), "nothing is allowed here");
    }
}
