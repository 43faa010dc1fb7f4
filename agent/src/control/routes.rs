//! Answers one request: who may ask, what there is, and how it is refused.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Incoming},
    header::{ALLOW, CONNECTION, HeaderValue},
};
use tokio::{net::UnixStream, sync::Semaphore, time::timeout};

use super::{
    desk::{Desk, Refused, Settled, Why},
    document::{ErrorDocument, LimitsDocument, SettledDocument},
    follow,
    peer::{Guests, Peer},
    request::{MOST_BYTES, RequestError, Set, Unset},
};
use crate::{
    http::{
        answer::{Body, json, response},
        events::Question,
        server::{self, Ending},
    },
    ledger::journal::Who,
};

/// Streams of events that may be open at once: they must leave room for requests that end.
pub const FOLLOWERS: usize = 8;
/// The type of a stream of JSON, a document a line.
const LINES: &str = "application/x-ndjson";
/// What there is, each with the one method that it has.
const ROUTES: [(&str, &str); 4] =
    [("/v1/limits", "GET"), ("/v1/limits/set", "POST"), ("/v1/limits/unset", "POST"), ("/v1/events", "GET")];

/// Everything that requests have in common.
pub struct Site<D> {
    desk: D,
    guests: Guests,
    deadline: Duration,
    followers: Arc<Semaphore>,
}

/// Who asks on one connection.
#[derive(Debug, Clone)]
pub struct Caller {
    peer: Arc<Peer>,
    ending: Ending,
}

impl<D: Desk> Site<D> {
    pub fn new(desk: D, guests: Guests, deadline: Duration) -> Self {
        Self { desk, guests, deadline, followers: Arc::new(Semaphore::new(FOLLOWERS)) }
    }

    async fn route(&self, request: Request<Incoming>, caller: Caller) -> Result<Response<Body>, Refusal> {
        let Caller { peer, ending } = caller;
        if !self.guests.admit(&peer) {
            return Err(stranger(peer.uid));
        }
        let who = Who::Uid(peer.uid);
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/v1/limits") => {
                let limits = self.desk.limits();
                Ok(json(StatusCode::OK, &LimitsDocument::from(limits.as_ref())))
            }
            (&Method::GET, "/v1/events") => self.events(request.uri().query(), ending),
            (&Method::POST, "/v1/limits/set") => {
                let set = Set::parse(&self.body(request).await?)?;
                self.settled(self.desk.set(set, who)).await
            }
            (&Method::POST, "/v1/limits/unset") => {
                let unset = Unset::parse(&self.body(request).await?)?;
                self.settled(self.desk.unset(unset, who)).await
            }
            (_, path) => Err(no_route(path)),
        }
    }

    /// The whole body of a request, if it comes in time and is no longer than one may be.
    async fn body(&self, request: Request<Incoming>) -> Result<Bytes, Refusal> {
        let too_large = || {
            let error = format!("the request's body has more than {MOST_BYTES} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error, "")
        };
        let body = request.into_body();
        if body.size_hint().lower() > MOST_BYTES as u64 {
            return Err(too_large());
        }
        match timeout(self.deadline, Limited::new(body, MOST_BYTES).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => {
                Err(Refusal::new(StatusCode::BAD_REQUEST, format!("the request's body: {error}"), ""))
            }
            Err(_) => {
                let error = format!("the request's body did not come in {:?}", self.deadline);
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, error, ""))
            }
        }
    }

    async fn settled(
        &self,
        settling: impl Future<Output = Result<Settled, Refused>>,
    ) -> Result<Response<Body>, Refusal> {
        match timeout(self.deadline, settling).await {
            Ok(Ok(settled)) => Ok(json(StatusCode::OK, &SettledDocument::from(&settled))),
            Ok(Err(refused)) => Err(refused.into()),
            Err(_) => {
                let error = format!("not settled in {:?}; it may be yet", self.deadline);
                let hint = "see `plimsoll limit ls`, `plimsoll events` and the agent's log";
                Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, error, hint))
            }
        }
    }

    fn events(&self, query: Option<&str>, ending: Ending) -> Result<Response<Body>, Refusal> {
        let question = Question::parse(query, SystemTime::now())
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string(), ""))?;
        let journal = self.desk.journal();
        if !question.follow {
            return Ok(question.answer(&journal));
        }
        let Ok(place) = Arc::clone(&self.followers).try_acquire_owned() else {
            let error = format!("{FOLLOWERS} streams of events are open already");
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                error,
                "end one, or ask without follow",
            ));
        };
        Ok(response(StatusCode::OK, LINES, follow::body(question, journal, ending, place)))
    }
}

impl<D: Desk> server::Site for Site<D> {
    type Wire = UnixStream;
    type Caller = Caller;

    fn greet(&self, wire: &UnixStream, ending: &Ending) -> Option<Caller> {
        use std::os::fd::AsFd as _;
        let peer = wire.peer_cred().and_then(|peer| Peer::new(peer.uid(), peer.gid(), wire.as_fd()));
        match peer {
            Ok(peer) => Some(Caller { peer: Arc::new(peer), ending: ending.clone() }),
            Err(error) => {
                tracing::warn!("hang up on somebody of whom the kernel does not tell who it is: {error}");
                None
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>, caller: Caller) -> Response<Body> {
        self.route(request, caller).await.unwrap_or_else(Refusal::answer)
    }
}

/// Why a request is not answered, and with which status.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    error: String,
    hint: String,
    /// The method that there is, where another was used.
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status, error: error.into(), hint: hint.into(), allow: None }
    }

    fn answer(self) -> Response<Body> {
        let Self { status, error, hint, allow } = self;
        let mut response = json(status, &ErrorDocument { error: error.into(), hint: hint.into() });
        if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            // What is left of the body is not waited for.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(allow) = allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.to_string(), "docs/api.md has what a request may say")
    }
}

impl From<Refused> for Refusal {
    fn from(Refused { why, error, hint }: Refused) -> Self {
        let status = match why {
            Why::Unknown => StatusCode::NOT_FOUND,
            Why::Ambiguous => StatusCode::CONFLICT,
            Why::Impossible => StatusCode::UNPROCESSABLE_ENTITY,
            Why::Protected => StatusCode::FORBIDDEN,
            Why::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Why::Away => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error, hint)
    }
}

fn stranger(uid: u32) -> Refusal {
    tracing::warn!("user {uid} is refused at the control socket");
    let hint = "run it with sudo, or as a member of the group that control-group names";
    Refusal::new(StatusCode::FORBIDDEN, format!("user {uid} may not use the control socket"), hint)
}

fn no_route(path: &str) -> Refusal {
    if let Some((path, method)) = ROUTES.iter().find(|(known, _)| *known == path) {
        let error = format!("{path} is for {method} only");
        let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error, "");
        return Refusal { allow: Some(*method), ..refusal };
    }
    let known = ROUTES.map(|(path, _)| path).join(", ");
    let version = env!("CARGO_PKG_VERSION");
    let error = format!("this agent, version {version}, has no {path:?}: there are {known}");
    Refusal::new(StatusCode::NOT_FOUND, error, "if the command is newer, restart the agent")
}
