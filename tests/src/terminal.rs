//! A pseudo terminal with a program in it: what its screen shows, keys pressed, its size changed.

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    num::NonZero,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    pty::{Winsize, openpty},
    sys::{
        signal::{self, Signal},
        termios::{Termios, tcgetattr},
    },
    unistd::{Pid, setsid},
};

use crate::wait;

/// A program that has a terminal of its own. Its end kills it.
pub struct Terminal {
    master: File,
    /// Kept: attributes are read here, and the terminal stays when the program ends.
    slave: File,
    child: Child,
    parser: vt100::Parser,
    usual: Termios,
}

impl Terminal {
    /// Starts a command on a terminal of that size.
    pub fn start(command: &mut Command, rows: u16, columns: u16) -> Result<Self> {
        let ends = openpty(&size(rows, columns), None).context("make a pseudo terminal")?;
        let (master, slave) = (File::from(ends.master), File::from(ends.slave));
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("read without waiting")?;
        let usual = tcgetattr(&slave).context("read a terminal's attributes")?;
        let end = || slave.try_clone().map(Stdio::from);
        command.env("TERM", "xterm").stdin(end()?).stdout(end()?).stderr(end()?);
        // SAFETY: between fork and exec, plain system calls on the child itself.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        Ok(Self { master, slave, child, parser: vt100::Parser::new(some(rows)?, some(columns)?, 0), usual })
    }

    /// What its screen shows now, and whether that is the other screen of programs that draw.
    pub fn screen(&mut self) -> Result<(String, bool)> {
        let mut bytes = [0; 4096];
        loop {
            match self.master.read(&mut bytes) {
                Ok(count) => self.parser.process(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("read a pseudo terminal"),
            }
        }
        let screen = self.parser.screen();
        Ok((screen.contents(), screen.alternate_screen()))
    }

    /// Waits until the screen shows what `look` finds.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let found = wait::until(what, || Ok(look(&self.screen()?.0)));
        found.with_context(|| format!("the screen:\n{}", self.parser.screen().contents()))
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.master.write_all(keys.as_bytes()).context("press keys")
    }

    /// Changes its size, which the program hears of.
    pub fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        let size = size(rows, columns);
        // SAFETY: the size lives over the call.
        let result = unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        ensure!(result == 0, "resize a pseudo terminal: {}", std::io::Error::last_os_error());
        self.parser.screen_mut().set_size(some(rows)?, some(columns)?);
        Ok(())
    }

    /// Whether it is as it was before the program: keys and lines, screen and cursor.
    pub fn is_as_before(&mut self) -> Result<bool> {
        let (_, other) = self.screen()?;
        let attributes = tcgetattr(&self.slave).context("read a terminal's attributes")?;
        Ok(attributes == self.usual && !other && !self.parser.screen().hide_cursor())
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal::kill(Pid::from_raw(self.child.id().cast_signed()), signal).context("signal a program")
    }

    /// Waits until the program ends by itself.
    pub fn ended(&mut self) -> Result<ExitStatus> {
        wait::until("a program ends", || self.child.try_wait().context("look after a program"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _status = self.child.wait();
    }
}

const fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn some(cells: u16) -> Result<NonZero<u16>> {
    NonZero::new(cells).context("a terminal without cells")
}
