//! Commands from a browser: who may give them, and how one signs in.
//!
//! ```text
//!   GET /session      who am I, what may I do       POST /session       sign in
//!   POST /session/end sign out                      POST /do/<command>  a command
//! ```
//!
//! Only over TLS or from this host; only where a file of passwords is configured; only from
//! a page of this server (Origin, Host); a command needs the session's cookie, which no
//! other site sends along, and its token, which no other site can read.

mod gate;
pub mod password;
mod sessions;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{COOKIE, HeaderValue, RETRY_AFTER, SET_COOKIE};
use hyper::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::admin::answer::{self, Answer};
use crate::admin::connection::Host;
use crate::admin::route::Door;
use gate::{Refusal, Way};
use password::Passwords;
use sessions::{Sessions, Ticket, same};

/// Largest body: a name and a password, or a server's name.
const BODY_SIZE: usize = 4 * 1024;

/// The header that carries the token of a session.
const TOKEN: &str = "x-csrf-token";

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Web {
    passwords: Option<PathBuf>,
    sessions: Mutex<Sessions>,
    /// One password is tried at a time: a flood of tries costs one thread.
    trying: Arc<tokio::sync::Mutex<()>>,
}

/// A request on its way.
struct Asked<'a> {
    way: Way,
    host: &'a Host,
    headers: HeaderMap,
}

/// Whether a path is one of these.
pub(crate) fn is_here(path: &str) -> bool {
    path == "/session" || path == "/session/end" || path.starts_with("/do/")
}

impl Web {
    /// Signing in is possible with the passwords of this file; not at all without one.
    pub(crate) fn new(passwords: Option<PathBuf>) -> Self {
        Self {
            passwords,
            sessions: Mutex::default(),
            trying: Arc::default(),
        }
    }

    /// Answers one of these paths.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        door: Door,
        source: Option<IpAddr>,
        host: &Host,
    ) -> Answer {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let asked = Asked {
            way: Way { door, source },
            host,
            headers: parts.headers,
        };
        if path == "/session" && matches!(parts.method, Method::GET | Method::HEAD) {
            return self.tell(&asked);
        }
        if parts.method != Method::POST {
            return answer::not_allowed("POST", &format!("{path} takes POST"));
        }
        if let Err(refusal) = self.passes(&asked) {
            tracing::warn!(path, source = ?source, reason = refusal.name(), "refused");
            return answer::refusal(StatusCode::FORBIDDEN, &refusal.to_string());
        }
        let body = match Limited::new(body, BODY_SIZE).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                return answer::refusal(
                    StatusCode::BAD_REQUEST,
                    "the body is too large, or broke off",
                );
            }
        };
        match path.strip_prefix("/do/") {
            Some(command) => self.act(command, &body, &asked).await,
            None if path == "/session/end" => self.sign_out(&asked),
            None => self.sign_in(&body, &asked).await,
        }
    }

    fn passes(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if self.passwords.is_none() {
            return Err(Refusal::NoPasswords);
        }
        asked.way.passes(&asked.headers)
    }

    /// What a page can offer. Tells nothing that only one who has signed in may know.
    fn tell(&self, asked: &Asked<'_>) -> Answer {
        let possible = match &self.passwords {
            None => Err(Refusal::NoPasswords),
            Some(_) => asked.way.is_private(&asked.headers),
        };
        let ticket = self.ticket(asked);
        let commands = asked.host.surface.web_commands();
        answer::value(&json!({
            "possible": possible.is_ok(),
            "why": possible.err().map(|refusal| refusal.to_string()),
            "user": ticket.as_ref().map(|ticket| &ticket.user),
            "token": ticket.as_ref().map(|ticket| &ticket.csrf),
            "commands": commands,
        }))
    }

    async fn sign_in(&self, body: &Bytes, asked: &Asked<'_>) -> Answer {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(user), Some(password)) = (text("user"), text("password")) else {
            return answer::refusal(
                StatusCode::BAD_REQUEST,
                "write {\"user\": …, \"password\": …}",
            );
        };
        let source = asked.way.address();
        if !self.with(|sessions| sessions.may_try(source, Instant::now())) {
            tracing::warn!(%source, "too many wrong passwords");
            let mut answer = answer::refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "too many tries; wait a minute",
            );
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("60"));
            return answer;
        }
        match self.try_password(user.clone(), password).await {
            Err(error) => {
                tracing::error!(error = crate::chain(&*error), "nobody can sign in");
                answer::refusal(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the passwords cannot be read; the log says why",
                )
            }
            Ok(false) => {
                tracing::warn!(%source, "wrong user or password");
                answer::refusal(StatusCode::FORBIDDEN, "wrong user or password")
            }
            Ok(true) => {
                let begun = self.with(|s| s.begin(&user, source, Instant::now()));
                let Some(ticket) = begun else {
                    return answer::refusal(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "the system gives no random numbers",
                    );
                };
                tracing::info!(%source, user, "signed in");
                let mut answer =
                    answer::value(&json!({"user": user, "token": ticket.csrf}));
                set_cookie(&mut answer, asked.way.cookie(), &ticket.token, "");
                answer
            }
        }
    }

    async fn try_password(
        &self,
        user: String,
        password: String,
    ) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let turn = Arc::clone(&self.trying).lock_owned().await;
        let file = self.passwords.clone().unwrap_or_default();
        // Read anew each time: who was taken out of the file is out.
        let tried = tokio::task::spawn_blocking(move || {
            // Until this thread is done, also when nobody waits for it any more.
            let _turn = turn;
            Passwords::read(&file).map(|passwords| passwords.allow(&user, &password))
        });
        Ok(tried.await??)
    }

    fn sign_out(&self, asked: &Asked<'_>) -> Answer {
        if let Some(ticket) = self.ticket(asked) {
            self.with(|sessions| sessions.end(&ticket.token));
        }
        let mut answer = answer::value(&json!({}));
        set_cookie(&mut answer, asked.way.cookie(), "", "; Max-Age=0");
        answer
    }

    async fn act(&self, command: &str, body: &Bytes, asked: &Asked<'_>) -> Answer {
        let Some(ticket) = self.ticket(asked) else {
            return answer::refusal(StatusCode::UNAUTHORIZED, "sign in first");
        };
        let token = asked
            .headers
            .get(TOKEN)
            .and_then(|value| value.to_str().ok());
        if !token.is_some_and(|token| same(token, &ticket.csrf)) {
            tracing::warn!(
                user = ticket.user,
                reason = Refusal::Token.name(),
                "refused"
            );
            return answer::refusal(StatusCode::FORBIDDEN, &Refusal::Token.to_string());
        }
        let surface = &asked.host.surface;
        let Some(command) = surface.web_commands().iter().find(|name| **name == command)
        else {
            return answer::refusal(
                StatusCode::NOT_FOUND,
                "no such command here; the unix socket takes all of them",
            );
        };
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return answer::refusal(StatusCode::BAD_REQUEST, "the body is not JSON");
        };
        let shown = value.to_string();
        let result = surface.command(command, value).await;
        let error = result.as_ref().err().map(ToString::to_string);
        let source = asked.way.address();
        tracing::info!(command, body = shown, user = ticket.user, %source, error, "command");
        answer::command(result)
    }

    fn ticket(&self, asked: &Asked<'_>) -> Option<Ticket> {
        let cookies = asked.headers.get_all(COOKIE).into_iter();
        let cookies = cookies.filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|text| text.split("; "));
        let token = pairs
            .find_map(|pair| pair.strip_prefix(asked.way.cookie())?.strip_prefix('='))?;
        self.with(|sessions| sessions.of(token, Instant::now()))
    }

    fn with<R>(&self, act: impl FnOnce(&mut Sessions) -> R) -> R {
        // Poisoned only by a panic within; what is there is whole.
        act(&mut self.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn set_cookie(answer: &mut Answer, name: &str, token: &str, more: &str) {
    let secure = if name.starts_with("__Host-") {
        "; Secure"
    } else {
        ""
    };
    let cookie =
        format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
}
