//! What signing does at the API server.

use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest as Csr, CertificateSigningRequestCondition as Condition,
};
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{Order, Refusal};
use crate::act::{ActError, NAME, within};

/// What upstream's signer writes in the same case.
const REASON: &str = "SignerValidationFailure";

/// Requests of one page of a list.
const PAGE: u32 = 500;

/// What writes certificates.
#[derive(Clone)]
pub struct Pen {
    requests: Api<Csr>,
    events: Api<Event>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It stands in the API.
    Written,
    /// The request is another than it was, or none.
    Overtaken,
}

impl Pen {
    /// At the API server behind `client`.
    pub fn new(client: &Client) -> Self {
        Self {
            requests: Api::all(client.clone()),
            events: Api::namespaced(client.clone(), "default"),
        }
    }

    /// The request as it is.
    ///
    /// # Errors
    /// The API server does not say.
    pub async fn look(&self, name: &str) -> Result<Option<Csr>, ActError> {
        within(self.requests.get_opt(name)).await
    }

    /// Every request as it is, page by page.
    ///
    /// # Errors
    /// The API server does not say.
    pub async fn every(&self, mut see: impl FnMut(&Csr)) -> Result<(), ActError> {
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = within(self.requests.list(&params)).await?;
            page.items.iter().for_each(&mut see);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(next) => params.continue_token = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Writes a certificate onto the request as it was seen.
    ///
    /// # Errors
    /// The API server did not do it.
    pub async fn issue(&self, order: &Order, pem: String) -> Result<Put, ActError> {
        let certificate = ByteString(pem.into_bytes());
        self.put(order, json!({ "certificate": certificate })).await
    }

    /// Writes that it will not be signed.
    ///
    /// # Errors
    /// The API server did not do it.
    pub async fn fail(&self, order: &Order, why: &Refusal) -> Result<Put, ActError> {
        let mut conditions = order.conditions.clone();
        conditions.push(Condition {
            type_: "Failed".to_owned(),
            status: "True".to_owned(),
            reason: Some(REASON.to_owned()),
            message: Some(said(why)),
            last_update_time: Some(Time(jiff::Timestamp::now())),
            ..Condition::default()
        });
        self.put(order, json!({ "conditions": conditions })).await
    }

    async fn put(&self, order: &Order, status: Value) -> Result<Put, ActError> {
        let patch = json!({
            "metadata": { "resourceVersion": order.version, "uid": order.uid },
            "status": status,
        });
        let params = PatchParams {
            field_manager: Some(NAME.to_owned()),
            ..PatchParams::default()
        };
        let (name, patch) = (&order.submitted.name, Patch::Merge(patch));
        let written = self
            .requests
            .patch_subresource("status", name, &params, &patch);
        match within(written).await {
            Ok(_) => Ok(Put::Written),
            Err(ActError::Api(error)) if is_overtaken(&error) => Ok(Put::Overtaken),
            Err(error) => Err(error),
        }
    }

    /// Says on the request why it was not issued.
    ///
    /// # Errors
    /// The API server did not do it.
    pub async fn tell(&self, order: &Order, why: &Refusal) -> Result<(), ActError> {
        let name = &order.submitted.name;
        let event = json!({
            "metadata": { "generateName": format!("{name}."), "namespace": "default" },
            "involvedObject": {
                "apiVersion": "certificates.k8s.io/v1",
                "kind": "CertificateSigningRequest",
                "name": name,
                "uid": order.uid,
            },
            "reason": REASON,
            "message": said(why),
            "type": "Warning",
            "action": "sign",
            "reportingComponent": NAME,
            "reportingInstance": NAME,
            "source": { "component": NAME },
            "eventTime": jiff::Timestamp::now().to_string(),
        });
        match serde_json::from_value::<Event>(event) {
            Ok(event) => within(self.events.create(&PostParams::default(), &event))
                .await
                .map(drop),
            Err(error) => Err(ActError::Api(Box::new(kube::Error::SerdeError(error)))),
        }
    }
}

/// A requester's own words may be long; an Event takes 1,024 bytes.
fn said(why: &Refusal) -> String {
    const LONGEST: usize = 900;
    let text = why.to_string();
    let mut lengths = text.char_indices().map(|(at, _)| at);
    match lengths
        .find(|at| *at >= LONGEST)
        .and_then(|at| text.get(..at))
    {
        Some(start) => format!("{start}..."),
        None => text,
    }
}

fn is_overtaken(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
}
