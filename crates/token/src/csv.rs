//! `token.csv`, the file of kube-apiserver's `--token-auth-file`: a token, a user, a uid
//! and, in quotes, groups on each line. What becomes of each of them.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::{Token, TokenError, check_group};

/// The group of all who may ask for node certificates.
const BOOTSTRAPPERS: &str = "system:bootstrappers";

/// One line. `Debug` does not show its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands, from 1.
    pub line: usize,
    /// The user it authenticates as.
    pub user: String,
    /// The user's groups.
    pub groups: Vec<String>,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a static token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has the form of a bootstrap token, and can be one, with these groups.
    Bootstrap(Token, BTreeSet<String>),
    /// It has not, and stays where it is.
    Static(TokenError),
    /// Its user is no bootstrap identity: none of its groups begins with
    /// `system:bootstrappers`.
    NotForNodes,
}

/// Why a file is no `token.csv`; it does not repeat the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CsvError {
    /// Too few fields.
    #[error(
        "line {0}: has fewer than three fields; it is TOKEN,USER,UID,\"GROUP,GROUP\""
    )]
    Short(usize),
    /// A field is empty.
    #[error("line {0}: token, user and uid must not be empty")]
    Empty(usize),
    /// Quotes are not closed, or stand inside a field.
    #[error("line {0}: a quote is not where one can be")]
    Quote(usize),
}

/// Reads a whole file.
///
/// # Errors
/// The first line that is none.
pub fn read(text: &str) -> Result<Vec<Row>, CsvError> {
    let lines = text.lines().enumerate();
    let lines = lines.map(|(place, line)| (place + 1, line.trim_end_matches('\r')));
    let lines =
        lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|(line, text)| row(line, text)).collect()
}

fn row(line: usize, text: &str) -> Result<Row, CsvError> {
    let fields = fields(text).ok_or(CsvError::Quote(line))?;
    let [token, user, uid, rest @ ..] = fields.as_slice() else {
        return Err(CsvError::Short(line));
    };
    if [token, user, uid].iter().any(|field| field.is_empty()) {
        return Err(CsvError::Empty(line));
    }
    let groups = rest.first().map(String::as_str).unwrap_or_default();
    let groups = groups.split(',').map(str::trim);
    let groups = groups.filter(|group| !group.is_empty());
    let groups: Vec<String> = groups.map(str::to_owned).collect();
    Ok(Row {
        line,
        user: user.clone(),
        fate: fate(token, &groups),
        groups,
    })
}

fn fate(token: &str, groups: &[String]) -> Fate {
    let bootstraps =
        |group: &&String| group.as_str() == BOOTSTRAPPERS || check_group(group).is_ok();
    if !groups.iter().any(|group| bootstraps(&group)) {
        return Fate::NotForNodes;
    }
    match Token::parse(token) {
        Ok(token) => {
            let further = groups.iter().filter(|group| check_group(group).is_ok());
            Fate::Bootstrap(token, further.cloned().collect())
        }
        Err(error) => Fate::Static(error),
    }
}

/// The fields of a line (RFC 4180); `None` for a quote where none can be.
fn fields(text: &str) -> Option<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        // As Go's reader with TrimLeadingSpace.
        let (field, after) = match rest.trim_start().strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at_checked(end)?;
                if field.contains('"') {
                    return None;
                }
                (field.trim().to_owned(), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return after.trim().is_empty().then_some(fields),
        }
    }
}

/// A field up to its closing quote, doubled quotes as one; and what follows.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_each() {
        let text = "\
# the old ones\n\
02b50b05283e98dd0fd71db496ef01e8,kubelet-bootstrap,10001,\"system:bootstrappers\"\r\n\
\n\
abc123.0123456789abcdef, joiner ,10002,\"system:bootstrappers,system:bootstrappers:r7,dev\"\n\
0123456789abcdef0123456789abcdef,alice,1,\"system:masters\"\n\
abc124.0123456789abcdef,bob,2\n\
abc125.0123456789abcdef,carol,3,system:bootstrappers:x\n";
        let rows = read(text).unwrap();
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.line, row.user.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (2, "kubelet-bootstrap"),
                (4, "joiner"),
                (5, "alice"),
                (6, "bob"),
                (7, "carol")
            ]
        );
        let [hex, joiner, alice, bob, carol] = &rows[..] else {
            panic!("{rows:?}");
        };
        assert_eq!(hex.fate, Fate::Static(TokenError::NoDot));
        assert_eq!(hex.groups, ["system:bootstrappers"]);
        let Fate::Bootstrap(token, groups) = &joiner.fate else {
            panic!("{joiner:?}");
        };
        assert_eq!(token.id(), "abc123");
        assert_eq!(
            groups.iter().collect::<Vec<_>>(),
            ["system:bootstrappers:r7"]
        );
        assert_eq!(joiner.groups.len(), 3);
        assert_eq!(alice.fate, Fate::NotForNodes);
        assert_eq!(bob.fate, Fate::NotForNodes);
        assert!(matches!(carol.fate, Fate::Bootstrap(..)));
        let shown = format!("{rows:?}");
        assert!(!shown.contains("0123456789abcdef") && !shown.contains("02b50b"));
    }

    #[test]
    fn what_is_no_line() {
        for (text, error) in [
            ("a,b", CsvError::Short(1)),
            ("a", CsvError::Short(1)),
            ("\na,,c", CsvError::Empty(2)),
            ("a,b,c,\"open", CsvError::Quote(1)),
            ("a,b\"c,d", CsvError::Quote(1)),
            ("a,b,c,\"d\"e", CsvError::Quote(1)),
        ] {
            assert_eq!(read(text).map(|rows| rows.len()), Err(error), "{text:?}");
        }
        assert_eq!(
            fields("\"a \"\"b\"\"\",c"),
            Some(vec!["a \"b\"".into(), "c".into()])
        );
    }
}
