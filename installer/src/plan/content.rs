//! What is to be in a file, as far as that may be printed.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::facts::sha256;
use crate::resource::File;

/// Permission bits by which everybody may read.
const EVERYBODY: u32 = 0o004;

/// What is to be in a file.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Everybody may read it.
    Open(String),
    /// Not everybody may: it is printed as its checksum. A manifest may hold Secrets.
    Private(String),
}

impl Content {
    /// That of a file, by its rights.
    #[must_use]
    pub fn of(file: &File) -> Self {
        let text = file.content.clone();
        match file.mode & EVERYBODY {
            0 => Self::Private(text),
            _ => Self::Open(text),
        }
    }

    /// All of it, for whoever writes it.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Open(text) | Self::Private(text) => text,
        }
    }

    /// What anybody may see of it.
    #[must_use]
    pub fn printed(&self) -> String {
        match self {
            Self::Open(text) => text.clone(),
            Self::Private(text) => {
                format!("(not for everybody; sha256 {})", sha256(text.as_bytes()))
            }
        }
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.printed())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.printed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Owner;

    #[test]
    fn what_is_not_for_everybody_is_printed_by_nobody() {
        let file = |mode| File {
            path: "/a".to_owned(),
            mode,
            owner: Owner::Root,
            content: "Hunter2".to_owned(),
        };
        for (mode, shown) in [(0o644, true), (0o600, false), (0o640, false)] {
            let content = Content::of(&file(mode));
            let json = serde_json::to_string(&content).unwrap();
            let debug = format!("{content:?}");
            assert_eq!(json.contains("Hunter2"), shown, "{mode:o}: {json}");
            assert_eq!(debug.contains("Hunter2"), shown, "{mode:o}: {debug}");
            assert_eq!(content.text(), "Hunter2");
        }
    }
}
