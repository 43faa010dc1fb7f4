//! What must be done as root, and how: directly, or through sudo.

use std::process::Command;

use anyhow::{Result, bail};
use nix::unistd::geteuid;

use crate::shell;

/// True when this process may do what root may.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The same command, through sudo where this process is not root.
pub fn as_root(command: Command, why: &str) -> Result<Command> {
    if is_root() {
        return Ok(command);
    }
    if shell::find("sudo").is_none() {
        bail!("{why} needs root, and there is no sudo here: run this again as root");
    }
    eprintln!("    not root: {why} goes through sudo, which may ask for your password");
    Ok(through_sudo(&command))
}

/// Sudo forgets the environment, so what the command was given goes onto its line.
fn through_sudo(command: &Command) -> Command {
    let mut sudo = Command::new("sudo");
    sudo.arg("env");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            let mut setting = name.to_os_string();
            setting.push("=");
            setting.push(value);
            sudo.arg(setting);
        }
    }
    sudo.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        sudo.current_dir(folder);
    }
    sudo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sudo_keeps_the_environment_that_was_given() {
        let mut command = Command::new("plimsoll");
        command.arg("run").env("PLIMSOLL_SCALE", "20").env_remove("PATH");
        assert_eq!(shell::line(&through_sudo(&command)), "sudo env PLIMSOLL_SCALE=20 plimsoll run");
    }
}
