//! What is done at the API server: asked for rights, decided, told.

mod alive;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::{self as core, Event, Secret};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use policy::{Access, Decision, Node, Token, Verdict};
use serde_json::json;

use self::alive::Alive;
pub use self::alive::Held;

use crate::api::{self, TOKEN, USED_BY};
use crate::book::Seen;
use crate::signing::Tray;

/// Who writes, in `managedFields` and events.
pub const NAME: &str = "bootstrap-signer";
/// How the message of a condition begins that is written here.
pub const MARK: &str = "bootstrap-signer: ";
/// An API server that takes longer is as good as gone; the balancer finds another.
const PATIENCE: Duration = Duration::from_secs(5);

/// What writes to the API server.
#[derive(Clone)]
pub struct Writer {
    requests: Api<CertificateSigningRequest>,
    reviews: Api<SubjectAccessReview>,
    secrets: Api<Secret>,
    tokens: Alive,
    nodes: Api<core::Node>,
    events: Api<Event>,
    tray: Arc<Tray>,
}

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It stands in the API.
    Written,
    /// Somebody else changed the object first; the watch tells what it is like now.
    Overtaken,
    /// The Node is not as the decision took it to be, but like this.
    NodeIs(Box<Node>),
    /// The token is not as the decision took it to be, but like this, or gone.
    TokenIs(Option<Box<Held>>),
}

/// Why an act failed; never a verdict.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The API server refused or could not be reached.
    #[error("the API server did not do it")]
    Api(#[source] Box<kube::Error>),
    /// It took too long.
    #[error("the API server took longer than {}s", PATIENCE.as_secs())]
    Slow,
    /// The token could not be looked at.
    #[error("the token could not be looked at")]
    Token(#[source] Arc<ActError>),
}

/// A claim on a token with limits: whoever writes it first has used it.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The token's id.
    pub id: String,
    /// Its Secret's resourceVersion.
    pub version: String,
    /// What its annotation says from here on.
    pub used_by: String,
}

/// A name that a bootstrap identity is to get.
#[derive(Debug, Clone)]
pub struct Join {
    /// The node's name.
    pub node: String,
    /// The Node of this name, as it was seen. Watches tell late.
    pub seen: Option<Node>,
}

/// The token that a decision to approve believes in.
#[derive(Debug, Clone)]
pub struct Believed {
    /// Its id.
    pub id: String,
    /// As it was seen. Watches tell late.
    pub seen: Token,
}

/// All that is written of one decision.
#[derive(Debug, Clone)]
pub struct Act {
    /// The request as it was seen.
    pub seen: Seen,
    /// What was decided.
    pub verdict: Verdict,
    /// The name it gives away.
    pub join: Option<Join>,
    /// The token that asked for it.
    pub token: Option<Believed>,
    /// The token it uses up.
    pub claim: Option<Claim>,
}

impl Writer {
    /// At the API server behind `client`; what it approves goes into `tray`.
    pub fn new(client: &Client, tray: Arc<Tray>) -> Self {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), "kube-system");
        Self {
            requests: Api::all(client.clone()),
            reviews: Api::all(client.clone()),
            tokens: Alive::new(secrets.clone()),
            secrets,
            nodes: Api::all(client.clone()),
            events: Api::namespaced(client.clone(), "default"),
            tray,
        }
    }

    /// Whether something is being signed.
    #[must_use]
    pub fn is_signing(&self) -> bool {
        self.tray.is_busy()
    }

    /// Whether the requester has the right that upstream's approver asks for.
    ///
    /// # Errors
    /// The API server does not say.
    pub async fn review(&self, seen: &Seen, access: Access) -> Result<bool, ActError> {
        let resource = ResourceAttributes {
            group: Some("certificates.k8s.io".to_owned()),
            resource: Some("certificatesigningrequests".to_owned()),
            subresource: Some(access.subresource().to_owned()),
            verb: Some("create".to_owned()),
            version: Some("*".to_owned()),
            ..ResourceAttributes::default()
        };
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                uid: Some(seen.requester_uid.clone()).filter(|uid| !uid.is_empty()),
                user: Some(seen.submitted.username.clone()),
                groups: Some(seen.submitted.groups.iter().cloned().collect()),
                extra: Some(seen.extra.clone()),
                resource_attributes: Some(resource),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let params = PostParams::default();
        let answer = within(self.reviews.create(&params, &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// Writes a decision on the object as it was seen, the claim on its token before it.
    ///
    /// # Errors
    /// The API server did not do it; nothing is decided then.
    pub async fn write(&self, act: &Act) -> Result<Done, ActError> {
        let Act { seen, verdict, .. } = act;
        // At once: the one needs not wait for the other.
        let (node, token) = futures_util::future::try_join(
            self.look(act.join.as_ref()),
            self.is_believed(act.token.as_ref(), act.claim.as_ref()),
        )
        .await?;
        if let Some(node) = node {
            return Ok(Done::NodeIs(Box::new(node)));
        }
        if let Some(changed) = token {
            return Ok(Done::TokenIs(changed.map(Box::new)));
        }
        if let Some(claim) = &act.claim
            && self.claim(claim).await? == Done::Overtaken
        {
            return Ok(Done::Overtaken);
        }
        let condition = match verdict.decision() {
            Decision::Approve => "Approved",
            Decision::Deny => "Denied",
            Decision::Wait | Decision::Ignore => return Ok(Done::Written),
        };
        // Pending objects have no conditions, and the version says that this one is still
        // as it was: a list of one condition replaces nothing.
        let patch = json!({
            "metadata": { "resourceVersion": seen.version, "uid": seen.submitted.uid },
            "status": { "conditions": [{
                "type": condition,
                "status": "True",
                "reason": verdict.reason.name(),
                "message": format!("{MARK}{}", said(verdict)),
            }]},
        });
        let params = PatchParams {
            field_manager: Some(NAME.to_owned()),
            ..PatchParams::default()
        };
        let name = &seen.submitted.name;
        let patch = Patch::Merge(patch);
        overtaken(
            within(
                self.requests
                    .patch_subresource("approval", name, &params, &patch),
            )
            .await
            .map(|written| {
                self.tray
                    .approved(&written, tokio::time::Instant::now().into_std())
            }),
        )
    }

    /// The Node of that name, where it is not as it was seen. A watch may be behind, and a
    /// name that was just taken is not to be given.
    async fn look(&self, join: Option<&Join>) -> Result<Option<Node>, ActError> {
        let Some(join) = join else { return Ok(None) };
        let there = within(self.nodes.get_opt(&join.node)).await?;
        let there = there.as_ref().map(api::node);
        Ok(
            there
                .filter(|node| !join.seen.as_ref().is_some_and(|seen| alike(seen, node))),
        )
    }

    /// What the token is, where it is not as it was believed to be. A claim asks nothing: it
    /// is written on the version of the Secret that was seen, or not at all.
    async fn is_believed(
        &self,
        token: Option<&Believed>,
        claim: Option<&Claim>,
    ) -> Result<Option<Option<Held>>, ActError> {
        let Some(token) = token.filter(|_| claim.is_none()) else {
            return Ok(None);
        };
        let there = self.tokens.look(&token.id).await.map_err(ActError::Token)?;
        let same = there.as_ref().is_some_and(|(now, _)| *now == token.seen);
        Ok((!same).then_some(there))
    }

    async fn claim(&self, claim: &Claim) -> Result<Done, ActError> {
        let patch = json!({ "metadata": {
            "resourceVersion": claim.version,
            "annotations": { USED_BY: claim.used_by },
        }});
        let name = format!("{TOKEN}{}", claim.id);
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let written = within(self.secrets.patch_metadata(&name, &params, &patch)).await;
        overtaken(written.map(drop))
    }

    /// Writes an Event on the object. Events are in `default` for what has no namespace.
    ///
    /// # Errors
    /// The API server did not do it.
    pub async fn tell(&self, seen: &Seen, verdict: &Verdict) -> Result<(), ActError> {
        let kind = match verdict.decision() {
            Decision::Approve => "Normal",
            Decision::Deny | Decision::Wait | Decision::Ignore => "Warning",
        };
        let now = jiff::Timestamp::now().to_string();
        let name = &seen.submitted.name;
        let event: Result<Event, _> = serde_json::from_value(json!({
            "metadata": { "generateName": format!("{name}."), "namespace": "default" },
            "involvedObject": {
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "CertificateSigningRequest",
                "name": name,
                "uid": seen.submitted.uid,
            },
            "reason": verdict.reason.name(),
            "message": said(verdict),
            "type": kind,
            "action": verdict.decision().name(),
            "reportingComponent": NAME,
            "reportingInstance": NAME,
            "source": { "component": NAME },
            "eventTime": now,
        }));
        match event {
            Ok(event) => within(self.events.create(&PostParams::default(), &event))
                .await
                .map(drop),
            Err(error) => Err(ActError::Api(Box::new(kube::Error::SerdeError(error)))),
        }
    }
}

pub(crate) async fn within<T>(
    act: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ActError> {
    match tokio::time::timeout(PATIENCE, act).await {
        Ok(done) => done.map_err(|error| ActError::Api(Box::new(error))),
        Err(_) => Err(ActError::Slow),
    }
}

/// But for the lease, which is another object.
fn alike(one: &Node, other: &Node) -> bool {
    let renewed = one.renewed;
    *one == Node {
        renewed,
        ..other.clone()
    }
}

/// A requester's own words may be 32 KiB of them; an Event takes 1,024 bytes.
fn said(verdict: &Verdict) -> String {
    const LONGEST: usize = 900;
    let text = verdict.to_string();
    if text.len() <= LONGEST {
        return text;
    }
    let ends = text.char_indices().map(|(place, _)| place);
    let end = ends.take_while(|place| *place <= LONGEST).last();
    let head = end.and_then(|end| text.get(..end)).unwrap_or_default();
    format!("{head}...")
}

/// What the server answered, if it did.
fn code(error: &ActError) -> Option<u16> {
    let ActError::Api(error) = error else {
        return None;
    };
    if let kube::Error::Api(status) = error.as_ref() {
        Some(status.code)
    } else {
        None
    }
}

/// A conflict, or an object that is gone, is no failure: another one was faster.
fn overtaken(done: Result<(), ActError>) -> Result<Done, ActError> {
    match done {
        Ok(()) => Ok(Done::Written),
        Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(Done::Overtaken),
        Err(error) => Err(error),
    }
}
