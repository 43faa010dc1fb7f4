//! The terminal, taken for a while: another screen, keys as they are pressed. Its end, an error or a panic give it back.

use std::{
    io::{self, Write as _},
    panic,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    execute, queue,
    style::Print,
    terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen},
};

use super::screen::Size;

/// What a terminal has that does not tell its size.
const USUAL: Size = Size { columns: 80, rows: 24 };

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours.
#[derive(Debug)]
pub(super) struct Terminal {
    stdout: io::Stdout,
}

impl Terminal {
    /// Takes it.
    ///
    /// # Errors
    /// It cannot be read from, or not written to.
    pub(super) fn take() -> io::Result<Self> {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back(); // what is told next would be gone with our screen
            told(panic);
        }));
        terminal::enable_raw_mode()?;
        TAKEN.store(true, Relaxed);
        let mut terminal = Self { stdout: io::stdout() };
        execute!(terminal.stdout, EnterAlternateScreen, Hide)?;
        Ok(terminal)
    }

    /// Its size now.
    pub(super) fn size() -> Size {
        match terminal::size() {
            Ok((columns @ 1.., rows @ 1..)) => Size { columns: columns.into(), rows: rows.into() },
            _ => USUAL,
        }
    }

    /// Draws these lines and nothing else on a screen of that size; they must fit.
    ///
    /// # Errors
    /// It cannot be written to.
    pub(super) fn draw(&self, lines: &[String], size: Size) -> io::Result<()> {
        let mut frame = Vec::new();
        for (row, line) in (0..).zip(lines) {
            // Cleared first: at the end of a full line that would take its last character.
            queue!(frame, MoveTo(0, row), Clear(ClearType::UntilNewLine), Print(line))?;
        }
        let below = u16::try_from(lines.len()).unwrap_or(u16::MAX);
        if lines.len() < size.rows {
            queue!(frame, MoveTo(0, below), Clear(ClearType::FromCursorDown))?;
        }
        let mut stdout = self.stdout.lock();
        stdout.write_all(&frame)?;
        stdout.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives it back, once; where that fails the terminal is gone.
fn give_back() {
    if TAKEN.swap(false, Relaxed) {
        let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}
