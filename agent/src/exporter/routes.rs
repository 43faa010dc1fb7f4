//! Answers one request: who may ask, what there is, and from where it comes. Read-only.

use std::{
    future::Future,
    iter,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode, Version,
    header::{ALLOW, HOST, HeaderValue},
};

use super::{
    accounts,
    hosts::{Host, Hosts},
    own::Own,
    text,
};
use crate::{
    http::{
        answer::{Body, JSON, chunks, plain, response},
        events::Question,
    },
    ledger::{journal::JournalReader, snapshot::Snapshot},
};

/// Where the exporter gets its numbers.
pub trait Source: Clone + Send + Sync + 'static {
    /// Asks the ledger's owner for a snapshot that is at most 250 ms old. `None` while there is none.
    fn snapshot(&self) -> impl Future<Output = Option<Arc<Snapshot>>> + Send;

    /// Whether the programs are attached and what ran before is counted.
    fn ready(&self) -> bool;

    /// What became of limits.
    fn journal(&self) -> JournalReader;

    /// Hears that a page of metrics made of the snapshot that was taken then was handed out to its last byte.
    fn scraped(&self, _taken: SystemTime) {}
}

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

const NO_HOST: &str = "the Host header holds no host";

/// Why a request is not answered, and with which status.
#[derive(Debug)]
struct Refusal(StatusCode, String);

/// Everything that requests have in common.
#[derive(Debug)]
pub struct Site<S> {
    /// Where the numbers come from.
    pub source: S,
    /// Which hosts a request may name.
    pub hosts: Hosts,
    /// Our own numbers.
    pub own: Own,
    /// How long a snapshot may take.
    pub deadline: Duration,
}

impl<S: Source> Site<S> {
    /// Answers a request that came in on our address `local`. The server drops the body of an answer to HEAD.
    pub async fn answer<B>(&self, request: &Request<B>, local: IpAddr) -> Response<Body> {
        if let Err(Refusal(status, why)) = self.check(request, local) {
            let mut refusal = plain(status, why);
            if status == StatusCode::METHOD_NOT_ALLOWED {
                refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            return refusal;
        }
        match request.uri().path() {
            "/metrics" => self.metrics().await,
            "/api/v1/containers" => self.containers().await,
            "/api/v1/events" => self.events(request.uri().query()),
            "/healthz" => plain(StatusCode::OK, "ok".to_owned()),
            "/readyz" if self.source.ready() => plain(StatusCode::OK, "ready".to_owned()),
            "/readyz" => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "not ready: programs are being attached, or what runs already is being counted".to_owned(),
            ),
            _ => plain(
                StatusCode::NOT_FOUND,
                "not found: there are /metrics, /healthz, /readyz, /api/v1/containers and /api/v1/events"
                    .to_owned(),
            ),
        }
    }

    /// Refuses methods that could change something, and hosts that are not ours.
    fn check<B>(&self, request: &Request<B>, local: IpAddr) -> Result<(), Refusal> {
        let bad = |why: &str| Refusal(StatusCode::BAD_REQUEST, why.to_owned());
        if let Some(text) = named_host(request).map_err(bad)? {
            let host = Host::parse(text).ok_or_else(|| bad(NO_HOST))?;
            if !self.hosts.allow(&host, local) {
                let why = format!(
                    "host {text:?} is not served, as a page of another site may ask for it: \
                     use 127.0.0.1, or start the agent with --allowed-host and this host"
                );
                return Err(Refusal(StatusCode::FORBIDDEN, why));
            }
        }
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Ok(());
        }
        Err(Refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            "everything here is read-only: use GET or HEAD".to_owned(),
        ))
    }

    async fn metrics(&self) -> Response<Body> {
        let began = Instant::now();
        let Some(snapshot) = self.snapshot().await else { return no_snapshot() };
        let own = match self.own.page(&snapshot.health, &snapshot.limits) {
            Ok(page) => page,
            Err(error) => {
                return plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("write the agent's own metrics: {error}"),
                );
            }
        };
        let (scrapes, source, taken) = (self.own.scrapes.clone(), self.source.clone(), snapshot.taken);
        let end = iter::once_with(move || {
            scrapes.observe(began.elapsed().as_secs_f64());
            source.scraped(taken);
            Bytes::new()
        });
        let page = iter::once(Bytes::from(own)).chain(text::Page::new(snapshot)).chain(end);
        response(StatusCode::OK, METRICS, chunks(page))
    }

    async fn containers(&self) -> Response<Body> {
        match self.snapshot().await {
            Some(snapshot) => response(StatusCode::OK, JSON, chunks(accounts::Page::new(snapshot))),
            None => no_snapshot(),
        }
    }

    fn events(&self, query: Option<&str>) -> Response<Body> {
        match Question::parse(query, SystemTime::now()) {
            Ok(question) if question.follow => plain(
                StatusCode::BAD_REQUEST,
                "follow: over the control socket only; `plimsoll events --follow` does so".to_owned(),
            ),
            Ok(question) => question.answer(&self.source.journal()),
            Err(error) => plain(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }

    async fn snapshot(&self) -> Option<Arc<Snapshot>> {
        tokio::time::timeout(self.deadline, self.source.snapshot()).await.ok().flatten()
    }
}

/// The host that a request names: in its target, else in its one `Host` header, which HTTP/1.1 demands.
fn named_host<B>(request: &Request<B>) -> Result<Option<&str>, &'static str> {
    let mut headers = request.headers().get_all(HOST).iter();
    let (header, another) = (headers.next(), headers.next());
    match (request.uri().authority(), header, another) {
        (_, _, Some(_)) => Err("the request has more than one Host header"),
        (_, None, _) if request.version() == Version::HTTP_11 => Err("HTTP/1.1 needs a Host header"),
        (Some(authority), _, _) => Ok(Some(authority.as_str())),
        (None, Some(host), _) => host.to_str().map(Some).map_err(|_| NO_HOST),
        (None, None, _) => Ok(None),
    }
}

fn no_snapshot() -> Response<Body> {
    plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "no numbers yet: the agent is starting, stopping or too busy; see /readyz and its log".to_owned(),
    )
}
