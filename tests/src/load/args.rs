//! The command line.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Forks `count` children that end in every way.
    Fork,
    /// Creates `count` threads.
    Threads,
    /// A thread that is not the leader executes a program, `count` times.
    MtExec,
    /// `count` processes whose leader thread exits before the others.
    Leader,
    /// Forks `count` children straight into the target cgroup.
    Into,
    /// Executes `count` programs after a vfork.
    VforkExec,
    /// Forks and creates threads, `count` of each, while being moved between the two cgroups.
    Bounce,
}

/// The command line, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Args {
    pub(super) mode: Mode,
    pub(super) cgroup: PathBuf,
    pub(super) target: Option<PathBuf>,
    /// [`u64::MAX`]: until a line comes on standard input.
    pub(super) count: u64,
    pub(super) workers: u64,
    pub(super) live_processes: u64,
    pub(super) live_threads: u64,
    pub(super) counters: Option<PathBuf>,
    pub(super) start_on_stdin: bool,
    pub(super) hold: bool,
}

const USAGE: &str = "usage: plimsoll-load fork|threads|mtexec|leader|into|vforkexec|bounce --cgroup DIR [--target DIR] \
    [--count N] [--workers N] [--live-processes N] [--live-threads N] [--counters FILE] [--start-on-stdin] [--hold]";

impl Args {
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let (mode, rest) = words.split_first().context(USAGE)?;
        let mut args = Self {
            mode: Mode::named(mode)?,
            cgroup: PathBuf::new(),
            target: None,
            count: u64::MAX,
            workers: 2,
            live_processes: 0,
            live_threads: 0,
            counters: None,
            start_on_stdin: false,
            hold: false,
        };
        let mut rest = rest.iter();
        while let Some(option) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{option} needs a value; {USAGE}"));
            match *option {
                "--cgroup" => args.cgroup = value()?.into(),
                "--target" => args.target = Some(value()?.into()),
                "--count" => args.count = number(value()?)?,
                "--workers" => args.workers = number(value()?)?,
                "--live-processes" => args.live_processes = number(value()?)?,
                "--live-threads" => args.live_threads = number(value()?)?,
                "--counters" => args.counters = Some(value()?.into()),
                "--start-on-stdin" => args.start_on_stdin = true,
                "--hold" => args.hold = true,
                other => bail!("unknown option {other}; {USAGE}"),
            }
        }
        if args.cgroup.as_os_str().is_empty() {
            bail!("--cgroup is missing; {USAGE}");
        }
        Ok(args)
    }
}

impl Mode {
    fn named(name: &str) -> Result<Self> {
        Ok(match name {
            "fork" => Self::Fork,
            "threads" => Self::Threads,
            "mtexec" => Self::MtExec,
            "leader" => Self::Leader,
            "into" => Self::Into,
            "vforkexec" => Self::VforkExec,
            "bounce" => Self::Bounce,
            other => bail!("unknown mode {other}; {USAGE}"),
        })
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("`{text}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::{Args, Mode};

    #[test]
    fn every_option_is_read() {
        let args =
            Args::parse(&["bounce", "--cgroup", "/a", "--target", "/b", "--count", "7", "--hold"]).unwrap();
        assert_eq!((args.mode, args.count, args.hold, args.workers), (Mode::Bounce, 7, true, 2));
        assert_eq!(args.target.unwrap().to_str(), Some("/b"));
    }

    #[test]
    fn a_mistake_is_told() {
        for words in
            [&["fork"][..], &["fork", "--cgroup"], &["dance"], &["fork", "--cgroup", "/a", "--count", "x"]]
        {
            assert!(Args::parse(words).is_err(), "{words:?}");
        }
    }
}
