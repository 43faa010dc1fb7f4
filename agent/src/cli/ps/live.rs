//! The live table: asks the agent, draws, and hears keys, until somebody ends it.

use std::{
    net::SocketAddr,
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyModifiers};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep, sleep_until},
};
use tokio_stream::StreamExt as _;

use super::{
    Arguments, NOTHING,
    rates::{rated, same_moment},
    reading::{AGAIN, Reading, read},
    rows,
    screen::{self, Size},
    terminal::Terminal,
};
use crate::cli::units;

/// How late an answer may be before that is told.
const LATE: Duration = Duration::from_secs(2);
/// How long until an agent is asked again that did not answer, at most.
const TRIED: Duration = Duration::from_secs(1);
/// How often the screen is drawn although nothing happened: it tells seconds.
const REDRAWN: Duration = Duration::from_secs(1);

/// What the screen shows.
struct Live<'a> {
    arguments: &'a Arguments,
    before: Option<Reading>,
    now: Reading,
    /// When the agent last answered.
    heard: (Instant, SystemTime),
    /// Why it did not since.
    problem: Option<String>,
}

/// Shows the table until q, Esc, Ctrl-C or SIGTERM.
///
/// # Errors
/// Nobody answers at the beginning, or the terminal cannot be used.
pub(super) async fn show(arguments: &Arguments) -> Result<()> {
    let now = read(arguments.agent).await?;
    let heard = (Instant::now(), SystemTime::now());
    let mut live = Live { arguments, before: None, now, heard, problem: None };
    let terminal = Terminal::take().context("use the terminal (--once needs none)")?;
    live.run(&terminal).await
}

impl Live<'_> {
    async fn run(&mut self, terminal: &Terminal) -> Result<()> {
        let mut events = EventStream::new();
        let mut terminate = signal(SignalKind::terminate()).context("hear SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("hear SIGINT")?;
        let mut due = Instant::now() + self.arguments.interval;
        let mut answer = pin!(ask(self.arguments.agent, due));
        loop {
            let size = Terminal::size();
            terminal.draw(&self.screen(size), size).context("draw on the terminal")?;
            tokio::select! {
                event = events.next() => {
                    let event = event.transpose().context("read from the terminal")?;
                    if event.is_none_or(|event| is_end(&event)) {
                        return Ok(());
                    }
                }
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                answered = &mut answer => {
                    due = self.answered(answered, due);
                    answer.set(ask(self.arguments.agent, due));
                }
                () = sleep(REDRAWN) => {}
            }
        }
    }

    /// Takes in what the agent answered when it was asked at `due`; gives when to ask next.
    fn answered(&mut self, answer: Result<Reading>, due: Instant) -> Instant {
        let (now, interval) = (Instant::now(), self.arguments.interval);
        match answer {
            Err(error) => {
                self.problem = Some(format!("{error:#}"));
                return now + interval.min(TRIED);
            }
            Ok(reading) => {
                (self.heard, self.problem) = ((now, SystemTime::now()), None);
                if same_moment(reading.at, self.now.at) {
                    return now + AGAIN;
                }
                self.before = Some(std::mem::replace(&mut self.now, reading));
            }
        }
        now.max(due + interval)
    }

    fn screen(&self, size: Size) -> Vec<String> {
        let Arguments { all, sort, .. } = *self.arguments;
        let rows = rows::chosen(rated(self.before.as_ref(), &self.now), all, sort);
        let shown = screen::room(rows.len(), size.rows);
        let table = match rows.get(..shown) {
            Some(shown) if !rows.is_empty() => rows::lines(shown, self.now.at, Some(size.columns)),
            _ => vec![screen::cut(NOTHING, size.columns)],
        };
        screen::lines(&self.state(rows.len()), table, rows.len() - shown, size)
    }

    /// The line above the table.
    fn state(&self, rows: usize) -> String {
        let Arguments { agent, all, interval, .. } = self.arguments;
        let silent = self.heard.0.elapsed();
        if self.problem.is_none() && silent < *interval + LATE {
            let what = if *all { "account" } else { "container" };
            let plural = if rows == 1 { "" } else { "s" };
            return format!("{rows} {what}{plural} on {agent}, every {} s; q ends", interval.as_secs_f64());
        }
        let since = self.heard.1.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let why = self.problem.as_deref().unwrap_or("the agent is asked, and silent");
        let (since, silent) = (units::time_of_day(since), silent.as_secs());
        format!("NO ANSWER since {since} UTC, for {silent} s, trying on: {why}")
    }
}

/// Asks at that time.
async fn ask(agent: SocketAddr, at: Instant) -> Result<Reading> {
    sleep_until(at).await;
    read(agent).await
}

/// Whether it is a key that ends the table.
fn is_end(event: &Event) -> bool {
    let Event::Key(KeyEvent { code, modifiers, .. }) = event else { return false };
    match code {
        KeyCode::Char('c') => modifiers.contains(KeyModifiers::CONTROL),
        code => matches!(code, KeyCode::Char('q' | 'Q') | KeyCode::Esc),
    }
}
