//! Every way a question can end. One list feeds the condition on the request, the log
//! line, the metric's label, `explain` and the table of the manual.

use std::fmt;
use std::time::SystemTime;

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decision {
    /// The condition `Approved` is written.
    Approve,
    /// The condition `Denied` is written: it is ours, and certainly bad.
    Deny,
    /// Nothing is written; asked again when something it depends on changes.
    Wait,
    /// Nothing is written, and nothing will be: it is not ours, or it is over.
    Ignore,
}

impl Decision {
    /// As the manual, `explain` and metrics call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Wait => "wait",
            Self::Ignore => "ignore",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Declares the reasons with their decision and the sentence that is said of them.
macro_rules! reasons {
    ($($name:ident: $decision:ident, $sentence:literal;)*) => {
        /// Why a verdict is what it is. Each stands for exactly one [`Decision`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $sentence] $name,)*
        }

        impl Reason {
            /// All of them, in the order of the manual's table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As conditions, events, logs and metrics name it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The decision it stands for.
            #[must_use]
            pub fn decision(self) -> Decision {
                match self {
                    $(Self::$name => Decision::$decision,)*
                }
            }

            /// One sentence for a person.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

reasons! {
    NewNode: Approve, "a bootstrap identity asks for a name that no live node has";
    Renewal: Approve, "a node renews its own client certificate";
    Serving: Approve, "a node asks to serve under its own names and addresses";

    SignerNotOurs: Ignore, "the request is for a signer that is not handled here";
    RequestNameOdd: Ignore, "the request's own name is none that a kubelet gives";
    AlreadyDecided: Ignore, "somebody approved or denied it, or its signer failed";
    AlreadyIssued: Ignore, "it has its certificate";
    BeingDeleted: Ignore, "it is being deleted";
    RequesterUnknown: Ignore, "the requester is neither a bootstrap identity nor a node";
    RequesterGroupMissing: Ignore, "the requester lacks the group its name promises";

    QuotaExceeded: Wait, "the requester has too many requests that are pending or were refused";

    RequestTooLarge: Deny, "the request is larger than any kubelet's";
    PemNotAlone: Deny, "something stands before or after the one PEM block";
    PemTypeWrong: Deny, "the PEM block is no CERTIFICATE REQUEST";
    PemInvalid: Deny, "the PEM block is damaged";
    DerTrailing: Deny, "bytes follow the request inside its PEM block";
    DerInvalid: Deny, "the request is not DER of a PKCS #10 request";
    KeyNotAllowed: Deny, "the key is none of P-256, P-384 and RSA";
    KeyTooWeak: Deny, "the RSA key is too short, too long or has a small exponent";
    SignatureInvalid: Deny, "the request is not signed with its own key";
    AttributeNotAllowed: Deny, "the request has an attribute besides its extensions";
    ExtensionNotAllowed: Deny, "the request asks for an extension besides its names";
    SubjectNotExact: Deny, "the subject is not exactly one O and one CN";
    OrganizationNotExact: Deny, "the organization is not system:nodes";
    CommonNameNotNode: Deny, "the common name does not begin with system:node:";
    NodeNameInvalid: Deny, "the node's name is not a DNS subdomain of at most 253 characters";
    NodeNameReserved: Deny, "the node's name belongs to the API server or to no host";
    NodeNameNotAllowed: Deny, "the node's name is not on the allow-list";
    UsagesNotExact: Deny, "the usages are not those of a kubelet";
    ExpirationOutOfBounds: Deny, "the lifetime asked for is too short or too long";
    SanOnClient: Deny, "a client's request carries names";
    SanKindNotAllowed: Deny, "a name is neither a DNS name nor an IP address";
    SanMissing: Deny, "a serving request carries no name";
    SanTooMany: Deny, "a serving request carries too many names";
    SanNameInvalid: Deny, "a DNS name is not one, or has a wildcard";
    SanReserved: Deny, "a name or address belongs to the API server, or to no host";
    SanNotAllowed: Deny, "a name or address is not on the allow-list";
    RequesterNotThisNode: Deny, "a node asks in the name of another";
    ServingForBootstrap: Deny, "a bootstrap identity asks for a serving certificate";
    ControlPlaneName: Deny, "a bootstrap identity asks for the name of a control-plane node";
    TokenExpired: Deny, "the bootstrap token has expired";
    TokenNotForAuthentication: Deny, "the bootstrap token may not authenticate";
    TokenNameMismatch: Deny, "the bootstrap token is for other node names";
    TokenSpent: Deny, "the bootstrap token has made all the nodes it may";
    NodeTaken: Deny, "a Ready node has this name";
    NotInInventory: Deny, "the inventory file does not list this node";
    ClaimedByOtherNode: Deny, "another live node has this name or address";
    SanNotOnNode: Deny, "a name or address is not the node's, and it had time to become so";
    KeyUsedByOtherNode: Deny, "another node used this key";
    Superseded: Deny, "the requester made a newer request for the same node";

    FactsUnknown: Wait, "what the decision needs is not known";
    TokenUnknown: Wait, "the bootstrap token is not there, or being deleted";
    NodeMissing: Wait, "there is no Node object of this name";
    NodeExists: Wait, "a node of this name is there, though not Ready";
    NameHeld: Wait, "another key asked for the name before, or was just given it";
    SanNotOnNodeYet: Wait, "a name or address is not the node's yet";
    ClaimedTwice: Wait, "another node has this name or address too";
    AccessNotGranted: Wait, "no RBAC rule lets the requester create such a request";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is decided about a request, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Why; says the decision too.
    pub reason: Reason,
    /// What it was about this request, for a person: the offending name, the limit.
    pub detail: String,
    /// When the clock alone may change it.
    pub again: Option<SystemTime>,
}

impl Verdict {
    /// What is done.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.reason.decision()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.decision(), self.reason)?;
        match self.detail.as_str() {
            "" => f.write_str(self.reason.sentence()),
            detail => write!(f, "{} ({detail})", self.reason.sentence()),
        }
    }
}
