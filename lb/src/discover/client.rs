//! A connection to one apiserver, asked once or more; lines of an answer that does not end.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{Credentials, Failure};
use crate::config::{Keepalive, Tcp};
use crate::tcp;

/// A master of the same network connects and shakes hands within some milliseconds.
const CONNECT: Duration = Duration::from_secs(2);

/// An apiserver answers a small list within milliseconds, one under load within seconds.
const ANSWER: Duration = Duration::from_secs(10);

/// The slices of one service, each of at most a hundred endpoints, take some 10 KiB.
const LARGEST: usize = 1024 * 1024;

/// A dead host is noticed by the kernel within half a minute, also while nothing is said.
const OPTIONS: Tcp = Tcp {
    keepalive: Some(Keepalive {
        idle: Duration::from_secs(10),
        interval: Duration::from_secs(5),
        probes: 3,
    }),
    user_timeout: Some(Duration::from_secs(20)),
};

/// A connection to one apiserver; it ends when this is dropped.
pub(super) struct Client {
    sender: SendRequest<Empty<Bytes>>,
    driver: AbortHandle,
    address: SocketAddr,
    authorization: Option<String>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    pub(super) async fn open(
        credentials: &Credentials,
        address: SocketAddr,
    ) -> Result<Self, Failure> {
        let stream = probe::open(&credentials.tls, address, CONNECT).await;
        let stream = stream.map_err(|outcome| Failure::Connect(address, outcome))?;
        // Without them a dead host is noticed when its checks fail, or the watch ends.
        let _ = tcp::set_options(&socket2::SockRef::from(stream.get_ref().0), OPTIONS);
        let shaken = Builder::new().handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|e| Failure::Broken(address, e))?;
        // Its end is seen by whoever reads from it.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        let token = credentials.token.as_ref();
        Ok(Self {
            sender,
            driver,
            address,
            authorization: token.map(|token| format!("Bearer {}", token.expose())),
        })
    }

    /// Asks, and returns the status with what comes.
    pub(super) async fn get(
        &mut self,
        path: &str,
    ) -> Result<(StatusCode, Response<Incoming>), Failure> {
        let mut request = Request::get(path)
            .header(HOST, self.address.to_string())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("api-lb/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let unfit = Failure::Malformed(self.address, "the request cannot be written");
        let request = request.body(Empty::new()).map_err(|_| unfit)?;
        let answer = timeout(ANSWER, self.sender.send_request(request)).await;
        let answer = answer.map_err(|_| Failure::Silent(self.address))?;
        let response = answer.map_err(|e| Failure::Broken(self.address, e))?;
        Ok((response.status(), response))
    }

    /// The whole body.
    pub(super) async fn whole(
        &self,
        response: Response<Incoming>,
    ) -> Result<Vec<u8>, Failure> {
        let mut body = response.into_body();
        let mut text = Vec::new();
        let read = async {
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|e| Failure::Broken(self.address, e))?;
                text.extend_from_slice(&frame.into_data().unwrap_or_default());
                if text.len() > LARGEST {
                    return Err(Failure::Malformed(
                        self.address,
                        "the answer is too long",
                    ));
                }
            }
            Ok(())
        };
        let ended = timeout(ANSWER, read).await;
        ended.map_err(|_| Failure::Silent(self.address))??;
        Ok(text)
    }
}

/// The lines of a watch.
pub(super) struct Lines {
    body: Incoming,
    kept: BytesMut,
    address: SocketAddr,
}

impl Lines {
    pub(super) fn of(response: Response<Incoming>, address: SocketAddr) -> Self {
        Self {
            body: response.into_body(),
            kept: BytesMut::new(),
            address,
        }
    }

    /// The next line without its end; none when the server has ended the answer. Safe to
    /// cancel.
    pub(super) async fn next(&mut self) -> Result<Option<BytesMut>, Failure> {
        loop {
            if let Some(at) = self.kept.iter().position(|byte| *byte == b'\n') {
                let line = self.kept.split_to(at);
                self.kept.advance(1);
                return Ok(Some(line));
            }
            if self.kept.len() > LARGEST {
                return Err(Failure::Malformed(self.address, "an event is too long"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(Failure::Broken(self.address, error)),
                Some(Ok(frame)) => {
                    self.kept
                        .extend_from_slice(&frame.into_data().unwrap_or_default());
                }
            }
        }
    }
}
