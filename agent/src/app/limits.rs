//! Limits in a running agent: the engine on its thread, who is there and what the configuration says brought to it, and the desk
//! at which people ask for more.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};

use crate::{
    cgroup::{self, Hierarchies, Hierarchy},
    config::Config,
    control::{Desk, Refused, Set, Settled, Unset, Why},
    enforcer::{
        BitsPerSecond, Mode,
        engine::{self, Engine, HandRequest, Order, Refusal, Setting},
        lines::Protection,
    },
    ledger::{
        journal::{Container, Journal, JournalReader, Who},
        limits::{Limits, What},
        roster::Subject,
    },
    privilege,
    runtimes::daemons,
};

/// How often it is looked whether the configuration changed.
const LOOK: Duration = Duration::from_secs(2);

/// Everything that people ask of limits.
#[derive(Debug, Clone)]
pub(super) struct Counter {
    orders: Sender<Order>,
    limits: watch::Receiver<Arc<Limits>>,
    roster: watch::Receiver<Option<Arc<[Subject]>>>,
    journal: JournalReader,
}

/// Starts the engine.
///
/// # Errors
/// Pins are missing, or the kernel's.
pub(super) fn start(
    pins: &Path,
    config: &Config,
    hierarchies: &Hierarchies,
    counted: &Hierarchy,
    roster: watch::Receiver<Option<Arc<[Subject]>>>,
    sweeps: bool,
) -> anyhow::Result<Counter> {
    let (journal, reads) = Journal::new(SystemTime::now());
    let (orders, arrive) = channel();
    let (engine, limits) = Engine::new(Setting {
        pins,
        pids: hierarchies.pids().cloned(),
        freezer: cgroup::freezer_mount()?.unwrap_or_else(|| counted.mount.clone()),
        counted: counted.clone(),
        protection: protection(counted),
        policies: config.limits.clone(),
        journal,
        sweeps,
        orders: orders.clone(),
    })?;
    let run = move || engine.run(&arrive);
    thread::Builder::new().name("limits".into()).spawn(run).context("start a thread for limits")?;
    Ok(Counter { orders, limits, roster, journal: reads })
}

/// Cgroups that are never limited.
fn protection(counted: &Hierarchy) -> Protection {
    let found = |pid| cgroup::path_of_pid(pid, counted).ok().flatten();
    let path = |pid| found(pid).unwrap_or_else(|| b"/".to_vec());
    let runtimes = daemons::running(&daemons::ALL).filter_map(found).collect();
    Protection { agent: path(std::process::id()), init: path(1), runtimes }
}

impl Counter {
    /// Brings the engine who is there, until there is no ledger any more.
    pub(super) fn follow_roster(&self) -> impl Future<Output = ()> + Send + use<> {
        let (orders, mut roster) = (self.orders.clone(), self.roster.clone());
        async move {
            loop {
                let now = roster.borrow_and_update().clone();
                let is_taken = now.is_none_or(|now| orders.send(Order::Roster(now)).is_ok());
                if !is_taken || roster.changed().await.is_err() {
                    return;
                }
            }
        }
    }

    /// Reads the configuration again at SIGHUP and when its file changes; a bad one changes nothing.
    ///
    /// # Errors
    /// The signal cannot be caught.
    pub(super) fn follow_file(
        &self,
        file: Option<PathBuf>,
        command_line: Option<Mode>,
    ) -> anyhow::Result<impl Future<Output = ()> + Send + use<>> {
        let mut hangup = signal(SignalKind::hangup()).context("catch SIGHUP")?;
        let orders = self.orders.clone();
        Ok(async move {
            let mut seen = file.as_deref().and_then(stamp);
            loop {
                let is_asked = tokio::select! {
                    asked = hangup.recv() => asked.is_some(),
                    () = tokio::time::sleep(LOOK) => false,
                };
                let now = file.as_deref().and_then(stamp);
                if !is_asked && now == seen {
                    continue;
                }
                seen = now;
                if orders.send(reloaded(file.as_deref(), command_line)).is_err() {
                    return;
                }
            }
        })
    }

    /// How limits are.
    pub(super) fn limits(&self) -> watch::Receiver<Arc<Limits>> {
        self.limits.clone()
    }

    pub(super) fn journal(&self) -> JournalReader {
        self.journal.clone()
    }

    /// Of whom a request speaks.
    fn subject(&self, container: &str) -> Result<Subject, Refused> {
        let Some(roster) = self.roster.borrow().clone() else {
            let why = "the agent has just started, and does not know all containers yet";
            return Err(Refused::new(Why::Away, why, "ask again in a second"));
        };
        let named: Vec<&Subject> = roster.iter().filter(|one| one.identity.name == container).collect();
        let found = if named.is_empty() && container.len() >= 4 {
            let is_it = |one: &&Subject| one.identity.container_id.starts_with(container);
            roster.iter().filter(is_it).collect()
        } else {
            named
        };
        match found.as_slice() {
            [] => Err(Refused::new(
                Why::Unknown,
                format!("no container is named {container:?}, nor has an id that begins so"),
                "`plimsoll ps` shows all containers; an id needs its first 4 digits",
            )),
            [one] => Ok((*one).clone()),
            several => {
                let all: Vec<String> =
                    several.iter().map(|one| Container::from(&*one.identity).to_string()).collect();
                Err(Refused::new(
                    Why::Ambiguous,
                    format!("{container:?} may be any of {}", all.join(", ")),
                    "give more of the id",
                ))
            }
        }
    }

    async fn ask(&self, request: HandRequest, subject: Subject) -> Result<Settled, Refused> {
        let away = || Refused::new(Why::Away, "limits are not looked after any more", "see the agent's log");
        let (answer, settled) = oneshot::channel();
        self.orders.send(Order::Hand(Box::new(request), answer)).map_err(|_| away())?;
        let result = settled.await.map_err(|_| away())?;
        let engine::Settled { lines, notes } = result.map_err(|refusal| {
            let why = match &refusal {
                Refusal::Protected(_) => Why::Protected,
                Refusal::Impossible(_) => Why::Impossible,
                Refusal::Failed(_) => Why::Failed,
            };
            Refused::new(why, refusal.to_string(), "")
        })?;
        Ok(Settled { container: Container::from(&*subject.identity), lines, notes })
    }
}

/// What tells one state of a file from another.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    std::fs::metadata(file).and_then(|found| Ok((found.modified()?, found.len()))).ok()
}

fn reloaded(file: Option<&Path>, command_line: Option<Mode>) -> Order {
    match Config::load(file) {
        Ok((config, warnings)) => {
            for (path, warning) in file.iter().flat_map(|path| warnings.iter().map(move |it| (path, it))) {
                tracing::warn!("{}:{warning}", path.display());
            }
            if config.limits.kills() && !privilege::can_kill() {
                tracing::warn!(
                    "a policy kills at the task limit, and this agent gave up the right to when it started: start it again"
                );
            }
            let mut policies = config.limits;
            policies.command_line = command_line;
            Order::Policies(Box::new(policies))
        }
        Err(error) => Order::Refused(error.to_string()),
    }
}

/// The user that asks.
fn uid(who: &Who) -> u32 {
    if let Who::Uid(uid) = who { *uid } else { 0 }
}

fn rate(text: Option<&String>, what: What) -> Result<Option<(What, Option<u64>)>, Refused> {
    let Some(text) = text else { return Ok(None) };
    let rate: BitsPerSecond = text.parse().map_err(|error| {
        Refused::new(
            Why::Impossible,
            format!("{}: {text:?}: {error}", what.as_str()),
            "a rate is written as 10mbit",
        )
    })?;
    Ok(Some((what, Some(rate.bits()))))
}

impl Desk for Counter {
    fn limits(&self) -> Arc<Limits> {
        self.limits.borrow().clone()
    }

    async fn set(&self, set: Set, who: Who) -> Result<Settled, Refused> {
        let Set { container, pids, egress, ingress, lasts, dry_run } = set;
        let subject = self.subject(&container)?;
        let pids = pids.map(|pids| (What::Tasks, Some(pids)));
        let (egress, ingress) =
            (rate(egress.as_ref(), What::Egress)?, rate(ingress.as_ref(), What::Ingress)?);
        let request = HandRequest {
            account: subject.account,
            changes: [pids, ingress, egress].into_iter().flatten().collect(),
            dry_run,
            until: lasts.map(|lasts| SystemTime::now() + lasts.duration()),
            uid: uid(&who),
        };
        self.ask(request, subject).await
    }

    async fn unset(&self, unset: Unset, who: Who) -> Result<Settled, Refused> {
        let Unset { container, what } = unset;
        let subject = self.subject(&container)?;
        let what = if what.is_empty() { What::ALL.to_vec() } else { what };
        let request = HandRequest {
            account: subject.account,
            changes: what.into_iter().map(|what| (what, None)).collect(),
            dry_run: false,
            until: None,
            uid: uid(&who),
        };
        self.ask(request, subject).await
    }

    fn journal(&self) -> JournalReader {
        self.journal.clone()
    }
}
