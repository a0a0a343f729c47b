//! What is held of a request's content: all of it while it is pending, and of one that was
//! decided only what decisions about others ask for.

use policy::{Request, Unreadable};

/// The content of one request.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it.
    Whole(Result<Request, Unreadable>),
    /// For whom, with which key; nothing when it cannot be read.
    Digest(Option<(String, String)>),
}

impl Content {
    pub(super) fn read(pem: &[u8]) -> Self {
        Self::Whole(Request::read(pem))
    }

    /// The node it is for.
    pub(super) fn node(&self) -> Option<&str> {
        match self {
            Self::Whole(request) => request.as_ref().ok()?.node(),
            Self::Digest(digest) => digest.as_ref().map(|(node, _)| node.as_str()),
        }
    }

    /// What tells its key from others, of a request that is for a node.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Whole(request) => {
                let request = request.as_ref().ok()?;
                request.node().map(|_| request.key_id.as_str())
            }
            Self::Digest(digest) => digest.as_ref().map(|(_, key)| key.as_str()),
        }
    }

    /// All of it, where it is held.
    pub(super) fn whole(&self) -> Option<&Result<Request, Unreadable>> {
        match self {
            Self::Whole(request) => Some(request),
            Self::Digest(_) => None,
        }
    }

    /// What is left of it once it is decided.
    pub(super) fn digest(&self) -> Self {
        let digest = self.node().zip(self.key());
        Self::Digest(digest.map(|(node, key)| (node.to_owned(), key.to_owned())))
    }
}
