//! What is said about each line of a `token.csv`.

use std::time::SystemTime;

use daemon::chain;
use token::csv::{Fate, Row};
use token::{Limits, Spec, Usage};

use super::store::StoreError;

/// After all lines.
pub(super) const AFTERWARDS: &str = "\
Static tokens neither expire nor can be taken back without a restart of every \
kube-apiserver. When no bootstrap kubeconfig holds one of them any more, take its line out \
of the file, and --token-auth-file away with the last one.";

/// The bootstrap token of a line that can be one.
pub(super) fn spec(row: &Row, expires: Option<SystemTime>) -> Option<Spec> {
    let Fate::Bootstrap(token, groups) = &row.fate else {
        return None;
    };
    Some(Spec {
        token: token.clone(),
        expires,
        usages: Usage::ALL.into(),
        groups: groups.clone(),
        description: format!("imported; was the static token of {}", row.user),
        limits: Limits::default(),
    })
}

/// A sentence, and whether the line is done with.
pub(super) fn say(row: &Row, made: Option<&Result<(), StoreError>>) -> (String, bool) {
    let user = &row.user;
    match (&row.fate, made) {
        (Fate::Bootstrap(token, _), Some(Ok(()))) => {
            let text =
                format!("{user}: bootstrap token {} is made. {}", token.id(), SAME);
            (text, true)
        }
        (Fate::Bootstrap(token, _), Some(Err(error))) => {
            let text = format!("{user}: token {}: {}", token.id(), chain(error));
            (text, false)
        }
        (Fate::Bootstrap(token, _), None) => {
            let text = format!("{user}: would become bootstrap token {}", token.id());
            (text, true)
        }
        (Fate::Static(why), _) => (stays(row, &why.to_string()), false),
        (Fate::NotForNodes, _) => {
            let text = format!(
                "{user}: none of its groups is system:bootstrappers or below it; it is \
                 nothing for nodes, and left alone"
            );
            (text, true)
        }
    }
}

const SAME: &str = "Its holder is then system:bootstrap:ID, in group system:bootstrappers: \
                    bindings to the user's own name must be made to a group. While the \
                    line stays in the file, kube-apiserver takes the token for that user";

fn stays(row: &Row, why: &str) -> String {
    let user = &row.user;
    format!(
        "{user}: cannot become a bootstrap token: it {why}. What keeps working: \
         kube-apiserver goes on taking it for {user} while --token-auth-file names this \
         file, and bootstrap-signer decides on what that user asks for ({}). What to \
         change: make a token (bootstrap-signer token create --ttl 24h), put it into the \
         bootstrap kubeconfig of nodes that are still to join in place of this one (nodes \
         that have joined do not need it), then take this line out",
        rule(row)
    )
}

/// By which key of the configuration the user is a bootstrap identity.
fn rule(row: &Row) -> String {
    let plain = "system:bootstrappers";
    match row.groups.iter().any(|group| group == plain) {
        true => {
            format!("its group {plain} is among bootstrap.groups unless you changed that")
        }
        false => format!("add {:?} to bootstrap.users", row.user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_told_and_no_token() {
        let text = "02b50b05283e98dd0fd71db496ef01e8,kubelet-bootstrap,10001,\
                    \"system:bootstrappers\"\n\
                    abc123.0123456789abcdef,joiner,2,system:bootstrappers:r7\n\
                    secretsecret,alice,3,system:masters\n";
        let rows = token::csv::read(text).unwrap();
        let say = |place: usize, made| super::say(&rows[place], made);
        let (hex, whole) = say(0, None);
        assert!(
            !whole && hex.contains("What keeps working") && hex.contains("has no dot")
        );
        assert!(hex.contains("bootstrap.groups"));
        let (dry, whole) = say(1, None);
        assert!(whole && dry.contains("would become bootstrap token abc123"));
        let (made, whole) = say(1, Some(&Ok(())));
        assert!(whole && made.contains("abc123 is made"));
        let exists = Err(StoreError::Exists("abc123".to_owned()));
        let (failed, whole) = say(1, Some(&exists));
        assert!(!whole && failed.contains("there is a token abc123"));
        let (alice, whole) = say(2, None);
        assert!(whole && alice.contains("left alone"));
        for said in [hex, dry, made, failed, alice] {
            for secret in ["02b50b", "0123456789", "secretsecret"] {
                assert!(!said.contains(secret), "{said}");
            }
        }
        assert!(spec(&rows[0], None).is_none());
        let spec = spec(&rows[1], None).unwrap();
        assert_eq!(spec.groups.len(), 1);
        assert_eq!(spec.usages.len(), 2);
    }
}
