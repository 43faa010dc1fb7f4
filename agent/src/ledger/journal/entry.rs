//! One entry of the journal. Data only.

use std::{fmt, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::{
    inventory::{Identity, visible},
    ledger::{limits::What, moment},
};

/// Bytes that the texts of an entry have together, at most.
pub const MAX_TEXT: usize = 512;

/// Stands where a text was cut.
pub(super) const CUT: char = '…';

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Somebody wants a limit.
    Set,
    /// Somebody wants it no more.
    Unset,
    /// A limit is held now, or held at another line.
    Applied,
    /// What held it is undone.
    Undone,
    /// Something was refused at the line.
    Hit,
    /// A container came near the line.
    SoftLine,
    /// It has more tasks than its line, which the kernel does not end: who is moved in is not refused (`docker exec` moves its
    /// process in), nor is a line drawn below what is there.
    Over,
    /// It went over the line in a dry run.
    Violation,
    /// Somebody else changed what holds a limit.
    Drift,
    /// A limit is not held, or not as well as elsewhere.
    Degraded,
    /// A limit that was set for a time is over.
    Expired,
    /// A configuration is in force.
    ConfigLoaded,
    /// A configuration says what cannot be: the one before stays in force.
    ConfigRefused,
    /// A container was frozen at its line.
    Freeze,
    /// It was killed at its line.
    Kill,
    /// Its newest processes were.
    KillNewest,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Set,
        Self::Unset,
        Self::Applied,
        Self::Undone,
        Self::Hit,
        Self::SoftLine,
        Self::Over,
        Self::Violation,
        Self::Drift,
        Self::Degraded,
        Self::Expired,
        Self::ConfigLoaded,
        Self::ConfigRefused,
        Self::Freeze,
        Self::Kill,
        Self::KillNewest,
    ];

    /// Its name in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Unset => "unset",
            Self::Applied => "applied",
            Self::Undone => "undone",
            Self::Hit => "hit",
            Self::SoftLine => "soft-line",
            Self::Over => "over",
            Self::Violation => "violation",
            Self::Drift => "drift",
            Self::Degraded => "degraded",
            Self::Expired => "expired",
            Self::ConfigLoaded => "config-loaded",
            Self::ConfigRefused => "config-refused",
            Self::Freeze => "freeze",
            Self::Kill => "kill",
            Self::KillNewest => "kill-newest",
        }
    }
}

/// Whose doing something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Somebody at the control socket, by the user id that the kernel tells.
    Uid(u32),
    /// A policy of the configuration, by its name.
    Policy(String),
    /// A label of the container, by its key.
    Label(String),
    /// The kernel.
    Kernel,
    /// The agent itself.
    Agent,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Policy(name) => write!(f, "policy {name}"),
            Self::Label(key) => write!(f, "label {key}"),
            Self::Kernel => f.write_str("kernel"),
            Self::Agent => f.write_str("agent"),
        }
    }
}

/// A container, or another cgroup, as entries and answers name it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Container {
    /// The runtime's own id; else the cgroup's path.
    pub id: String,
    /// Its name; empty where it has none.
    pub name: String,
}

impl From<&Identity> for Container {
    fn from(identity: &Identity) -> Self {
        let id = if identity.container_id.is_empty() { &identity.id } else { &identity.container_id };
        Self { id: id.clone(), name: identity.name.clone() }
    }
}

impl fmt::Display for Container {
    /// The name and the first 12 characters of the id, as runtimes show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name } = self;
        let hexadecimal = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let short = id.get(..12).filter(|_| hexadecimal).unwrap_or(id);
        if name.is_empty() { f.write_str(short) } else { write!(f, "{name} ({short})") }
    }
}

/// What is to be written down. What does not apply stays empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What happened.
    pub kind: Kind,
    /// The account of the container; 0: of none.
    pub account: u64,
    /// To whom.
    pub container: Container,
    /// Which limit.
    pub what: Option<What>,
    /// What was before: `50`, `10mbit`, `max`.
    pub from: String,
    /// What is now.
    pub to: String,
    /// Whose doing it is.
    pub who: Who,
    /// Why, or what more there is to say.
    pub why: String,
}

impl Note {
    /// That this happened, by them.
    #[must_use]
    pub const fn new(kind: Kind, who: Who) -> Self {
        Self {
            kind,
            account: 0,
            container: Container { id: String::new(), name: String::new() },
            what: None,
            from: String::new(),
            to: String::new(),
            who,
            why: String::new(),
        }
    }

    /// The same, of a limit of that container.
    #[must_use]
    pub fn of(self, account: u64, identity: &Identity, what: Option<What>) -> Self {
        Self { account, container: identity.into(), what, ..self }
    }

    /// The entry that it becomes: its texts have [`MAX_TEXT`] bytes at most, what is cut ends in `…`.
    pub(super) fn entry(self, sequence: u64, at: SystemTime) -> Entry {
        let Self { kind, account, container: Container { id, name }, what, from, to, who, why } = self;
        let mut room = MAX_TEXT;
        let mut fit = |text: String, most: usize| {
            let text = cut(text, most.min(room));
            room -= text.len();
            text
        };
        let container = Container { id: fit(id, 100), name: fit(name, 100) };
        let (from, to, who) = (fit(from, 40), fit(to, 40), fit(who.to_string(), 80));
        let why = fit(why, MAX_TEXT);
        Entry { sequence, at, kind, account, container, what, from, to, who, why }
    }
}

/// The text, or as much of it as so many bytes hold.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub(CUT.len_utf8())));
        text.push(CUT);
    }
    text
}

/// What happened once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1 on, without gaps, since the agent started.
    pub sequence: u64,
    /// When, in seconds since 1970.
    #[serde(with = "moment")]
    pub at: SystemTime,
    /// What happened.
    pub kind: Kind,
    /// The account of the container; 0: of none. Inside the agent only.
    #[serde(skip)]
    pub account: u64,
    /// To whom; both empty where it is no container's.
    pub container: Container,
    /// Which limit; `null` where it is about none.
    pub what: Option<What>,
    /// What was before; empty where nothing was, or nothing changed.
    pub from: String,
    /// What is now.
    pub to: String,
    /// Whose doing it is: `uid 0`, `policy web`, `label plimsoll.pids`, `kernel`, `agent`.
    pub who: String,
    /// Why, or what more there is to say.
    pub why: String,
}

impl Entry {
    /// What changed: `50 -> 200`.
    #[must_use]
    pub fn change(&self) -> String {
        match (self.from.as_str(), self.to.as_str()) {
            ("", to) => to.to_owned(),
            (from, "") => format!("{from} ->"),
            (from, to) => format!("{from} -> {to}"),
        }
    }
}

impl fmt::Display for Entry {
    /// As it is logged: `limits: set tasks 50 -> 200 of web (4f2a11bc0d9e) by uid 0: for 1h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, container, what, who, why, .. } = self;
        let mut line = format!("limits: {}", kind.as_str());
        let change = self.change();
        let what = what.map_or("", What::as_str);
        let named =
            if container == &Container::default() { String::new() } else { format!("of {container}") };
        for part in [what, &change, &named, &format!("by {who}")].into_iter().filter(|part| !part.is_empty())
        {
            line.push(' ');
            line.push_str(part);
        }
        if !why.is_empty() {
            line.push_str(": ");
            line.push_str(why);
        }
        f.write_str(&visible(&line))
    }
}
