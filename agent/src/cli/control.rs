//! What commands that ask over the control socket have in common.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow};

use super::BPFFS;
use crate::{
    control::{
        SOCKET,
        client::{Agent, ClientError},
    },
    kernel::pins,
};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Control {
    /// The agent's control socket.
    #[arg(long = "control", value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
}

impl Control {
    /// The agent to ask.
    pub(super) fn agent(&self) -> Agent<'_> {
        Agent { socket: &self.socket }
    }
}

/// Does what asks, to its end.
pub(super) fn block_on(asking: impl Future<Output = Result<()>>) -> Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(asking).map_err(explained)?;
    Ok(ExitCode::SUCCESS)
}

/// The error, with more to say where an agent runs that has no such socket.
fn explained(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(ClientError::NoSocket(path)) => match pins::user(Path::new(BPFFS)) {
            Some(agent) => unheard(&agent, path),
            None => error,
        },
        _ => error,
    }
}

fn unheard(agent: &str, path: &Path) -> anyhow::Error {
    let path = path.display();
    anyhow!(
        "an agent runs on this host, {agent}, but not with control socket {path}: it was started with another \
         --control, to be named here too, or is older than this command: restart it then"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_without_a_socket_is_told_from_none() {
        let text = unheard("pid 7 (plimsoll)", Path::new("/run/x")).to_string();
        assert!(
            text.contains("pid 7 (plimsoll)") && text.contains("/run/x") && text.contains("restart it"),
            "{text}"
        );
        let other = explained(ClientError::NoAgent("/run/x".into()).into());
        assert!(other.to_string().contains("no agent answers on /run/x"), "{other}");
    }
}
