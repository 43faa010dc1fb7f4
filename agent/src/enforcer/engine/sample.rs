//! Reads what is held once a second: what passed, what was refused, how near the line it is.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use super::{Engine, Line, Mode, Place, orders::shown};
use crate::{
    cgroup::{Counting, Hits, Max, Tasks},
    enforcer::{OnPidsLimit, spending::Reading},
    ledger::{
        journal::{Kind, Note, Who},
        limits::{Passed, What},
    },
    network::{Handle, Statistics},
};

/// How long processes that were killed may take to end.
const UNTIL_ENDED: Duration = Duration::from_secs(2);

/// What a line used when it was read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Used {
    /// In the line's unit.
    pub now: Option<u64>,
    /// It was over the line, or near it.
    is_over: bool,
    is_near: bool,
    /// Bytes that a dry run saw.
    bytes: Option<u64>,
    /// Hits that the journal does not know of yet, and when it was told last.
    unsaid: u64,
    said: Option<Instant>,
}

/// How often the journal hears of one container's hits: a fork bomb has thousands a second.
const HITS_AGAIN: Duration = Duration::from_mins(1);

impl Engine {
    pub(super) fn sample(&mut self) {
        let elapsed = std::mem::replace(&mut self.read, Instant::now()).elapsed();
        if self.lines.is_empty() {
            return;
        }
        let queues = self.queues();
        let counters = self.counters();
        for line in self.lines.clone() {
            match line.what {
                What::Tasks => self.sample_tasks(&line, elapsed),
                What::Ingress | What::Egress if line.mode == Mode::Enforce => {
                    if let Some(queues) = &queues {
                        self.sample_queue(&line, queues, elapsed);
                    }
                }
                What::Ingress | What::Egress => self.sample_dry(&line, &counters, elapsed),
            }
            if let Err(error) = self.spending.write(line.key()) {
                tracing::debug!("limits: {error}");
            }
        }
    }

    /// What our queues tell, by place.
    fn queues(&mut self) -> Option<HashMap<Place, Statistics>> {
        let wanted = self.places();
        if wanted.keys().all(|place| matches!(place, Place::Tasks(_))) {
            return Some(HashMap::new());
        }
        let requests = self.doer.requests();
        // Interrupted by one that came or went: the next time tells it all.
        let (Ok(qdiscs), Ok(ifbs)) = (requests.qdiscs(), requests.ifbs()) else { return None };
        let ifbs: HashMap<u32, u32> =
            ifbs.into_iter().filter_map(|ifb| Some((ifb.ifindex, ifb.name.ifindex()?))).collect();
        let ours = qdiscs.into_iter().filter(|qdisc| qdisc.handle == Handle::SHAPER);
        let told = ours.map(|qdisc| {
            let place = match ifbs.get(&qdisc.ifindex) {
                Some(ifindex) => Place::Egress(*ifindex),
                None => Place::Ingress(qdisc.ifindex),
            };
            (place, qdisc.statistics)
        });
        Some(told.collect())
    }

    /// What interfaces tell, for dry runs: received and transmitted by containers.
    fn counters(&mut self) -> HashMap<u32, [u64; 2]> {
        if !self.lines.iter().any(|line| line.mode == Mode::DryRun && line.what != What::Tasks) {
            return HashMap::new();
        }
        let links = self.doer.requests().links().unwrap_or_default();
        links.into_iter().map(|link| (link.ifindex, [link.transmitted.bytes, link.received.bytes])).collect()
    }

    fn sample_queue(&mut self, line: &Line, queues: &HashMap<Place, Statistics>, elapsed: Duration) {
        let there = || line.places.iter().filter_map(|place| Some((*place, queues.get(place)?)));
        let now: BTreeMap<Place, Reading> = there().map(|(place, told)| (place, told.into())).collect();
        let waits = there().any(|(_, told)| told.queued_bytes > 0);
        let more = self.spending.read(line.key(), &line.places, &now);
        if waits || more.delayed > 0 {
            self.spending.spend(line.key(), millis(elapsed), 0);
        }
        let used = rate(more.passed.bytes, elapsed);
        self.used.insert(line.key(), Used { now: Some(used), ..Used::default() });
    }

    fn sample_dry(&mut self, line: &Line, counters: &HashMap<u32, [u64; 2]>, elapsed: Duration) {
        let direction = usize::from(line.what == What::Egress);
        let bytes = line.places.iter().filter_map(|place| match place {
            Place::Ingress(ifindex) | Place::Egress(ifindex) => {
                counters.get(ifindex).map(|both| both[direction])
            }
            Place::Tasks(_) | Place::Frozen(_) => None,
        });
        let bytes: u64 = bytes.sum();
        let before = self.used.get(&line.key()).copied().unwrap_or_default();
        let Some(more) = before.bytes.and_then(|before| bytes.checked_sub(before)) else {
            self.used.insert(line.key(), Used { bytes: Some(bytes), ..Used::default() });
            return;
        };
        let used = rate(more, elapsed);
        let is_over = used > line.value;
        self.over(line, used, is_over, before.is_over, elapsed);
        self.used
            .insert(line.key(), Used { now: Some(used), is_over, bytes: Some(bytes), ..Used::default() });
    }

    /// In a dry run: time over the line, and each time that it was gone over.
    fn over(&mut self, line: &Line, used: u64, is_over: bool, was_over: bool, elapsed: Duration) {
        if !is_over {
            return;
        }
        self.spending.spend(line.key(), millis(elapsed), u64::from(!was_over));
        if !was_over {
            let why = format!("{} is used; a dry run holds nothing back", shown(line.what, used));
            let note =
                Note { to: shown(line.what, line.value), why, ..Note::new(Kind::Violation, Who::Agent) };
            self.write(note.of(line.account, &line.identity, Some(line.what)));
        }
    }

    pub(super) fn sample_tasks(&mut self, line: &Line, elapsed: Duration) {
        let (Some(Place::Tasks(cgroup)), Some(pids)) = (line.places.first(), &self.pids) else { return };
        let Ok(tasks) = Tasks::open(pids, &line.path, *cgroup) else { return };
        let Ok(current) = tasks.current() else { return };
        let before = self.used.get(&line.key()).copied().unwrap_or_default();
        let near = line.value * u64::from(self.policies.soft_percent) / 100;
        // One that swings around it is told once.
        let is_near = current >= near.max(1) || before.is_near && current >= near - near / 10;
        if line.mode == Mode::DryRun {
            let is_over = current > line.value;
            self.over(line, current, is_over, before.is_over, elapsed);
            self.used.insert(line.key(), Used { now: Some(current), is_over, is_near, ..Used::default() });
            return;
        }
        let is_over = current > line.value;
        if is_over && !before.is_over {
            let why = format!(
                "{current} tasks: a line below what is there stops nothing, nor does it who is moved in"
            );
            let note = Note { to: line.value.to_string(), why, ..Note::new(Kind::Over, Who::Kernel) };
            self.write(note.of(line.account, &line.identity, Some(line.what)));
        }
        if is_near && !before.is_near {
            let why =
                format!("{current} tasks, {} percent of the line is {near}", self.policies.soft_percent);
            let note = Note { to: line.value.to_string(), why, ..Note::new(Kind::SoftLine, Who::Kernel) };
            self.write(note.of(line.account, &line.identity, Some(line.what)));
        }
        let (Ok(Hits { count: hits, counting }), Ok(max)) = (tasks.hits(), tasks.max()) else { return };
        let reading = Reading { hits, ..Reading::default() };
        let now = BTreeMap::from([(Place::Tasks(*cgroup), reading)]);
        let more = self.spending.read(line.key(), &line.places, &now);
        if current >= line.value {
            self.spending.spend(line.key(), millis(elapsed), 0);
        }
        let mut used = Used { now: Some(current), is_near, is_over, ..before };
        used.unsaid += more.hits;
        if used.unsaid > 0 && used.said.is_none_or(|said| said.elapsed() >= HITS_AGAIN) {
            let why = format!("{} forks refused", used.unsaid);
            let note = Note { to: line.value.to_string(), why, ..Note::new(Kind::Hit, Who::Kernel) };
            self.write(note.of(line.account, &line.identity, Some(line.what)));
            (used.unsaid, used.said) = (0, Some(Instant::now()));
        }
        self.used.insert(line.key(), used);
        // Where a kernel counts hits of limits above, too, and there are some, only what stands at its own line is acted upon.
        let is_at_line = matches!(max, Max::Number(max) if current >= max);
        let is_own = || counting == Counting::OwnLimit || is_at_line || !tasks.is_below_a_limit();
        if more.hits > 0 && is_own() {
            self.hit(line, &tasks);
        }
    }

    fn hit(&mut self, line: &Line, tasks: &Tasks) {
        let (kind, done) = match line.on_hit {
            OnPidsLimit::Deny => return,
            OnPidsLimit::Freeze => {
                let frozen = self.doer.freeze(&line.path);
                (
                    Kind::Freeze,
                    frozen.map(|()| "until somebody thaws it".into()).map_err(|error| error.to_string()),
                )
            }
            OnPidsLimit::Kill => {
                let killed = tasks.kill(UNTIL_ENDED);
                (Kind::Kill, killed.map(|by| format!("{by:?}")).map_err(|error| error.to_string()))
            }
            OnPidsLimit::KillNewest => {
                let killed = tasks.kill_newest().map_err(|error| error.to_string());
                (
                    Kind::KillNewest,
                    killed.map(|pid| pid.map_or_else(String::new, |pid| format!("process {pid}"))),
                )
            }
        };
        let why = done.unwrap_or_else(|error| format!("refused: {error}"));
        let note = Note { why, ..Note::new(kind, Who::Agent) };
        self.write(note.of(line.account, &line.identity, Some(line.what)));
    }
}

impl From<&Statistics> for Reading {
    fn from(told: &Statistics) -> Self {
        Self {
            passed: Passed { bytes: told.bytes, packets: told.packets },
            dropped: told.drops.into(),
            delayed: told.overlimits.into(),
            hits: 0,
        }
    }
}

fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Bits a second.
fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let bits = u128::from(bytes) * 8 * 1_000_000 / elapsed.as_micros().max(1);
    u64::try_from(bits).unwrap_or(u64::MAX)
}
