//! `plimsoll check`: what this host allows, what is left out, and why.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use serde::Serialize;

use super::{BPFFS, say, table::table};
use crate::{
    app,
    cgroup::Hierarchies,
    config::{Config, Problem},
    control::Door,
    kernel::{
        memory::{self, possible_cpus},
        pins,
        plan::{release, version},
        programs::TAPS,
        start::host_plan,
        taps,
    },
    privilege,
    runtimes::Roots,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configuration file (TOML): checked too.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The bpf filesystem that programs and counts are pinned in.
    #[arg(long, value_name = "DIR", default_value = BPFFS)]
    bpffs: PathBuf,
    /// Tell the memory of maps for a host with this many possible CPUs, not for this one.
    #[arg(long, value_name = "NUMBER")]
    possible_cpus: Option<u32>,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// One line of the answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Line {
    feature: String,
    state: State,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Ok,
    Doubtful,
    LeftOut,
    Missing,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Doubtful => "doubtful",
            Self::LeftOut => "left out",
            Self::Missing => "MISSING",
        }
    }
}

fn line(feature: impl Into<String>, state: State, reason: impl Into<String>) -> Line {
    Line { feature: feature.into(), state, reason: reason.into() }
}

impl Arguments {
    /// Ends with 1 where something is missing that nothing works without.
    pub(super) fn run(self) -> Result<ExitCode> {
        let (config, warnings) = Config::load(self.config.as_deref())?;
        let mut lines = config_lines(self.config.as_deref(), &config, &warnings);
        lines.extend([privilege_line(&config), cgroup_line(&config), pins_line(&self.bpffs)]);
        let cgroup2 = counts_cgroup2(&config);
        lines.extend(program_lines(cgroup2));
        lines.extend(tap_lines(cgroup2));
        lines.push(memory_line(self.possible_cpus));
        lines.push(control_line(&config));
        lines.extend(docker_lines(&config));
        if self.json {
            say(serde_json::to_string_pretty(&lines)?)?;
        } else {
            let rows = lines.iter().map(|Line { feature, state, reason }| {
                vec![feature.clone(), state.as_str().into(), reason.clone()]
            });
            say(table(&["FEATURE", "STATE", "REASON"], rows, &[]))?;
        }
        let missing = lines.iter().any(|line| line.state == State::Missing);
        Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The file, and each of its warnings.
fn config_lines(path: Option<&Path>, config: &Config, warnings: &[Problem]) -> Vec<Line> {
    let Some(path) = path.map(Path::display) else { return Vec::new() };
    let (policies, mode) = (config.limits.policies.len(), config.limits.mode());
    let reason = format!("{path} can be used; policies of limits: {policies}, mode: {mode}");
    let whole = line("configuration", State::Ok, reason);
    let doubtful = warnings.iter().map(|it| line("configuration", State::Doubtful, format!("{path}:{it}")));
    std::iter::once(whole).chain(doubtful).collect()
}

fn privilege_line(config: &Config) -> Line {
    if let Err(error) = app::require_root("run", "load kernel programs") {
        return line("privilege", State::Missing, error.to_string());
    }
    let mut kept: Vec<_> = privilege::needed(version(&release()), config.limits.kills())
        .iter()
        .map(ToString::to_string)
        .collect();
    kept.sort_unstable();
    line("privilege", State::Ok, format!("root; once everything is loaded, kept: {}", kept.join(", ")))
}

fn cgroup_line(config: &Config) -> Line {
    let counted = Hierarchies::read().map_err(Into::into).and_then(|found| app::counted(&found, config));
    match counted {
        Ok(counted) => line("cgroups", State::Ok, format!("{} at {}", counted.kind, counted.mount.display())),
        Err(error) => line("cgroups", State::Missing, format!("{error:#}")),
    }
}

fn pins_line(bpffs: &Path) -> Line {
    match pins::look(bpffs) {
        Ok(said) => line("pins", State::Ok, said),
        Err(error) => line("pins", State::Missing, error.to_string()),
    }
}

/// Whether the cgroups that are counted are cgroup2's.
fn counts_cgroup2(config: &Config) -> bool {
    let counted = Hierarchies::read().map_err(Into::into).and_then(|found| app::counted(&found, config));
    counted.is_ok_and(|counted| counted.hierarchy_id == 0)
}

fn program_lines(cgroup2: bool) -> Vec<Line> {
    match host_plan(cgroup2) {
        Err(error) => vec![line("kernel programs", State::Missing, error.to_string())],
        Ok(plan) => plan
            .into_iter()
            .map(|decision| match decision.left_out {
                None => {
                    line(decision.hook.feature, State::Ok, format!("tp_btf/{}", decision.hook.tracepoint))
                }
                Some(reason) => line(decision.hook.feature, State::LeftOut, reason),
            })
            .collect(),
    }
}

fn tap_lines(cgroup2: bool) -> Vec<Line> {
    let kernel = version(&release());
    let lines = TAPS.iter().map(|tap| match taps::left_out(tap.place, kernel, cgroup2) {
        None => line(tap.feature, State::Ok, tap.place.hook()),
        Some(reason) => line(tap.feature, State::LeftOut, reason),
    });
    lines.collect()
}

/// `cpus` are those of a host that is asked for; without them, this host's.
fn memory_line(cpus: Option<u32>) -> Line {
    let feature = "memory of maps";
    match cpus.map_or_else(possible_cpus, Ok) {
        Ok(cpus) => {
            let megabytes = memory::most(cpus).div_ceil(1 << 20);
            line(
                feature,
                State::Ok,
                format!("at most {megabytes} MiB in the kernel, with {cpus} possible CPUs"),
            )
        }
        Err(error) => line(feature, State::LeftOut, error),
    }
}

/// The socket at which limits are set by hand.
fn control_line(config: &Config) -> Line {
    let feature = "control socket";
    let path = &config.control;
    match Door::is_taken(path) {
        Ok(true) => line(feature, State::Ok, format!("an agent listens at {}", path.display())),
        Ok(false) => line(feature, State::Ok, format!("{} is free", path.display())),
        Err(error) => line(feature, State::Missing, error.to_string()),
    }
}

fn docker_lines(config: &Config) -> Vec<Line> {
    let Roots { docker, problems, .. } = Roots::find(config.docker_root.as_deref());
    let root = |root: &crate::runtimes::DockerRoot| {
        let path = root.path.join("containers");
        match std::fs::read_dir(&path) {
            Ok(_) => {
                line("names from docker", State::Ok, format!("{} ({})", root.path.display(), root.source))
            }
            Err(error) => line("names from docker", State::LeftOut, format!("{}: {error}", path.display())),
        }
    };
    let problems = problems.iter().map(|problem| line("names from docker", State::LeftOut, problem.clone()));
    docker.iter().map(root).chain(problems).collect()
}
