//! `plimsoll run`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::Result;

use super::{BPFFS, Level, log_to_stderr};
use crate::{
    app::{self, Run},
    config::{Config, Hierarchy},
    enforcer::Mode,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Configuration file (TOML). Without one the built-in defaults are in force.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where metrics are served [default: 127.0.0.1:17546].
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Docker's data root. Found by itself where it is in daemon.json or on the daemon's command line.
    #[arg(long, value_name = "DIR")]
    docker_root: Option<PathBuf>,
    /// Which hierarchy's cgroups are counted.
    #[arg(long, value_enum)]
    hierarchy: Option<Hierarchy>,
    /// A name that a request's Host may have, beside loopback and the listen address. May be repeated.
    #[arg(long = "allowed-host", value_name = "HOST")]
    allowed_hosts: Vec<String>,
    /// The unix socket that limits are set and listed over [default: /run/plimsoll/control.sock].
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// A group whose members may use it, beside root.
    #[arg(long, value_name = "GROUP")]
    control_group: Option<String>,
    /// For a throw-away run: programs and counts end with the agent, and nothing is left in the kernel.
    #[arg(long)]
    no_pin: bool,
    /// Move pins aside that cannot be adopted, and start anew.
    #[arg(long, conflicts_with = "no_pin")]
    takeover: bool,
    /// What becomes of all limits, whatever the configuration says: nothing, counted only, or held.
    #[arg(long, value_enum, value_name = "MODE")]
    limits: Option<Limits>,
    /// The bpf filesystem that programs and counts are pinned in.
    #[arg(long, value_name = "DIR", default_value = BPFFS)]
    bpffs: PathBuf,
    /// How much is logged to stderr.
    #[arg(long, value_enum, default_value = "info")]
    log_level: Level,
    /// Log as JSON, a line each.
    #[arg(long)]
    log_json: bool,
    /// Another eBPF object than the built-in one.
    #[arg(long, hide = true, value_name = "FILE")]
    programs: Option<PathBuf>,
    /// Room for processes in the kernel's map.
    #[arg(long, hide = true, value_name = "N")]
    proc_entries: Option<u32>,
    /// Room for cgroups in the kernel's map.
    #[arg(long, hide = true, value_name = "N")]
    rows_entries: Option<u32>,
    /// Bytes of the ring buffer, a power of two and pages.
    #[arg(long, hide = true, value_name = "N")]
    ring_bytes: Option<u32>,
    /// Seconds that series of a dead container stay.
    #[arg(long, hide = true, value_name = "SECONDS")]
    retention: Option<u64>,
}

/// What becomes of all limits.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Limits {
    /// Nothing.
    Off,
    /// They are decided and counted; nothing is touched.
    DryRun,
    /// They are held.
    Enforce,
}

impl From<Limits> for Mode {
    fn from(limits: Limits) -> Self {
        match limits {
            Limits::Off => Self::Off,
            Limits::DryRun => Self::DryRun,
            Limits::Enforce => Self::Enforce,
        }
    }
}

impl Arguments {
    pub(super) fn run(self) -> Result<ExitCode> {
        log_to_stderr(self.log_level, self.log_json);
        let (mut config, warnings) = Config::load(self.config.as_deref())?;
        for (path, warning) in self.config.iter().flat_map(|path| warnings.iter().map(move |it| (path, it))) {
            tracing::warn!("{}:{warning}", path.display());
        }
        config.listen = self.listen.unwrap_or(config.listen);
        config.docker_root = self.docker_root.or(config.docker_root);
        config.allowed_hosts.extend(self.allowed_hosts);
        config.retention_seconds = self.retention.unwrap_or(config.retention_seconds);
        config.hierarchy = self.hierarchy.unwrap_or(config.hierarchy);
        config.control = self.control.unwrap_or(config.control);
        config.limits.command_line = self.limits.map(Mode::from);
        if self.no_pin && config.limits.command_line != Some(Mode::Off) {
            // What nothing remembers could not be undone after a crash.
            tracing::info!("without pins limits are counted only, none is held");
            config.limits.command_line = Some(Mode::DryRun);
        }
        config.control_group = self.control_group.or(config.control_group);
        config.check()?;
        app::run(&Run {
            file: self.config,
            config,
            bpffs: self.bpffs,
            no_pin: self.no_pin,
            takeover: self.takeover,
            programs: self.programs,
            proc_entries: self.proc_entries,
            rows_entries: self.rows_entries,
            ring_bytes: self.ring_bytes,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
