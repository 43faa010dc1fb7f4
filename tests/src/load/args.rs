//! The command line.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

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
    pub(super) fn parse(words: &[OsString]) -> Result<Self> {
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
            let mut value =
                || rest.next().with_context(|| format!("{} needs a value; {USAGE}", option.display()));
            match option.to_str() {
                Some("--cgroup") => args.cgroup = value()?.into(),
                Some("--target") => args.target = Some(value()?.into()),
                Some("--count") => args.count = number(value()?)?,
                Some("--workers") => args.workers = number(value()?)?,
                Some("--live-processes") => args.live_processes = number(value()?)?,
                Some("--live-threads") => args.live_threads = number(value()?)?,
                Some("--counters") => args.counters = Some(value()?.into()),
                Some("--start-on-stdin") => args.start_on_stdin = true,
                Some("--hold") => args.hold = true,
                _ => bail!("unknown option {}; {USAGE}", option.display()),
            }
        }
        if args.cgroup.as_os_str().is_empty() {
            bail!("--cgroup is missing; {USAGE}");
        }
        Ok(args)
    }
}

impl Mode {
    fn named(name: &OsStr) -> Result<Self> {
        Ok(match name.to_str() {
            Some("fork") => Self::Fork,
            Some("threads") => Self::Threads,
            Some("mtexec") => Self::MtExec,
            Some("leader") => Self::Leader,
            Some("into") => Self::Into,
            Some("vforkexec") => Self::VforkExec,
            Some("bounce") => Self::Bounce,
            _ => bail!("unknown mode {}; {USAGE}", name.display()),
        })
    }
}

fn number(text: &OsStr) -> Result<u64> {
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.with_context(|| format!("`{}` is not a number", text.display()))
}

#[cfg(test)]
mod tests {
    use super::{Args, Mode, Result};

    fn parse(words: &[&str]) -> Result<Args> {
        Args::parse(&words.iter().map(Into::into).collect::<Vec<_>>())
    }

    #[test]
    fn every_option_is_read() {
        let args = parse(&["bounce", "--cgroup", "/a", "--target", "/b", "--count", "7", "--hold"]).unwrap();
        assert_eq!((args.mode, args.count, args.hold, args.workers), (Mode::Bounce, 7, true, 2));
        assert_eq!(args.target.unwrap().to_str(), Some("/b"));
    }

    #[test]
    fn a_mistake_is_told() {
        for words in
            [&["fork"][..], &["fork", "--cgroup"], &["dance"], &["fork", "--cgroup", "/a", "--count", "x"]]
        {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
