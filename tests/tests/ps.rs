//! `plimsoll ps`, as somebody at a shell and at a terminal sees it.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use plimsoll_tests::{
    accounts::{gauges, totals},
    agent::Agent,
    bridge::Bridge,
    cgroup::Cgroup,
    host, http,
    pins::Pins,
    report::Case,
    sandbox::{Sandbox, Sink},
    settings,
    storm::{Plan, Storm},
    terminal::Terminal,
    wait,
};
use serde_json::Value;

/// Longer than a page is shared.
const PAGE: Duration = Duration::from_millis(300);

/// `plimsoll ps` of this agent.
fn ps(agent: &Agent, args: &[&str]) -> Result<Command> {
    let mut command = Command::new(settings::agent()?);
    command.args(["ps", "--agent", &agent.address().to_string()]).args(args);
    Ok(command)
}

/// What `plimsoll ps --json` prints.
fn json(agent: &Agent) -> Result<Value> {
    Ok(serde_json::from_str(&host::run(&mut ps(agent, &["--json"])?)?)?)
}

/// The account of this id in a document.
fn row<'a>(document: &'a Value, id: &str) -> Result<&'a Value> {
    let rows = document["containers"].as_array().context("no containers")?;
    rows.iter().find(|row| row["id"] == *id).with_context(|| format!("no {id}"))
}

#[test]
fn ps_tells_what_the_page_tells() -> Result<()> {
    Case::run("ps_tells_what_the_page_tells", |case| {
        let (pins, cgroup) = (Pins::new()?, Cgroup::create("ps")?);
        let agent = Agent::start(&pins, &[])?;
        let plan = Plan { mode: "fork", count: Some(60), live_processes: 3, live_threads: 4, target: None };
        let mut storm = Storm::start(&cgroup, &plan)?;
        storm.done()?;
        let (page, id) = (agent.scrape()?, cgroup.id());
        let answer = json(&agent)?;
        let row = row(&answer, &id)?;
        let told = |what: &str| number(row, what);
        case.compare("gauges", (told("processes")?, told("threads")?), gauges(&page, &id)?);
        let ours = totals(&page, &id)?;
        let all = (ours.forks, ours.thread_creations, ours.execs);
        case.compare("totals", (told("forks")?, told("thread_creations")?, told("execs")?), all);
        let table = host::run(&mut ps(&agent, &["--all"])?)?;
        case.prove("the table has it", table.lines().any(|line| line.starts_with(&id)));
        storm.end()?;
        Ok(())
    })
}

/// Two sandboxes, one with an endless bulk to the other, and an agent that was there before them.
struct Setting {
    agent: Agent,
    a: Sandbox,
    b: Sandbox,
    _sink: Sink,
    _bridge: Bridge,
    _pins: Pins,
}

impl Setting {
    fn new() -> Result<Self> {
        let (pins, bridge) = (Pins::new()?, Bridge::new()?);
        let agent = Agent::start(&pins, &[])?;
        let (mut a, mut b) = (Sandbox::silent("ps-a", 1)?, Sandbox::silent("ps-b", 2)?);
        a.connect(&bridge)?;
        b.connect(&bridge)?;
        let sink = b.sink()?;
        let setting = Self { agent, a, b, _sink: sink, _bridge: bridge, _pins: pins };
        wait::until_true("it has a network", || {
            let document = setting.document()?;
            Ok(row(&document, &setting.a.cgroup.id()).is_ok_and(|row| row["network_source"] != ""))
        })?;
        Ok(setting)
    }

    /// The API's document.
    fn document(&self) -> Result<Value> {
        let answer = http::get(self.agent.address(), "/api/v1/containers")?;
        serde_json::from_str(answer.text()?).context("the API's document")
    }

    /// A bulk from `a` to `b` until it is dropped.
    fn bulk(&self) -> Result<Bulk> {
        let mut command = self.a.command(settings::load()?)?;
        let words = ["traffic", "tcp", &self.b.ipv4(), &(u64::MAX >> 8).to_string()];
        Ok(Bulk(command.args(words).spawn().context("start a bulk")?))
    }
}

/// A load that its end ends.
struct Bulk(Child);

impl Drop for Bulk {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}

fn number(value: &Value, what: &str) -> Result<u64> {
    value[what].as_u64().with_context(|| format!("no {what} in {value}"))
}

fn seconds(document: &Value, what: &str) -> Result<f64> {
    document[what].as_f64().with_context(|| format!("no {what}"))
}

/// Seconds since 1970.
fn moment() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

/// What `ps --json` tells of a load that passed between its two readings, and the API before and after both.
fn around_a_load(setting: &Setting) -> Result<[Value; 3]> {
    let bytes = settings::scaled(100_000_000).to_string();
    wait::until("a load passes between two readings", || {
        thread::sleep(PAGE);
        let before = setting.document()?;
        let mut ps = ps(&setting.agent, &["--json", "--interval", "6"])?;
        let ps = ps.stdout(Stdio::piped()).spawn().context("start plimsoll ps")?;
        thread::sleep(Duration::from_secs(2));
        let begun = moment()?;
        setting.a.traffic(&["tcp", &setting.b.ipv4(), &bytes])?;
        let ended = moment()?;
        let told: Value = serde_json::from_slice(&ps.wait_with_output()?.stdout)?;
        // The counters are read before the moment that is told.
        let between = seconds(&told, "since")? < begun && ended + 0.5 < seconds(&told, "at")?;
        Ok(if between { Some([before, told, setting.document()?]) } else { None })
    })
}

#[test]
fn rates_of_ps_are_bytes_over_the_time_between() -> Result<()> {
    Case::run("rates_of_ps_are_bytes_over_the_time_between", |case| {
        let (setting, silent) = (Setting::new()?, Sandbox::without_network("ps-none", 3)?);
        let [before, told, after] = around_a_load(&setting)?;
        let elapsed = seconds(&told, "at")? - seconds(&told, "since")?;
        case.prove(format!("{elapsed} s are between"), (5.5..30.0).contains(&elapsed));
        for (sandbox, total, rate) in [
            (&setting.a, "received_bytes", "receive_bytes_per_second"),
            (&setting.a, "transmitted_bytes", "transmit_bytes_per_second"),
            (&setting.b, "received_bytes", "receive_bytes_per_second"),
            (&setting.b, "transmitted_bytes", "transmit_bytes_per_second"),
        ] {
            let id = sandbox.cgroup.id();
            let rate = seconds(row(&told, &id)?, rate)?;
            let bytes = number(row(&after, &id)?, total)? - number(row(&before, &id)?, total)?;
            let ours = format!("{:.0}", rate * elapsed).parse()?;
            case.prove(format!("{bytes} passed"), bytes > 1_000);
            // A question of ARP may be late.
            case.compare_within(format!("{total} of {id}"), ours, bytes - 100, bytes + 1);
        }
        let silent = row(&told, &silent.cgroup.id())?;
        case.prove("no interface is not 0 bytes", silent["received_bytes"].is_null());
        case.prove("nor 0 bytes a second", silent["receive_bytes_per_second"].is_null());
        Ok(())
    })
}

/// The cells of a row of the table, by the id that it begins with.
fn cells(screen: &str, id: &str) -> Option<Vec<String>> {
    let line = screen.lines().find(|line| line.starts_with(id))?;
    Some(line.split("  ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect())
}

/// Where the table has what is transmitted per second.
const TRANSMITTED: usize = 7;

fn transmitted(screen: &str, id: &str) -> Option<String> {
    cells(screen, id)?.get(TRANSMITTED).cloned()
}

/// Whether a cell says that a lot passes.
fn is_much(cell: &str) -> bool {
    ["kB", "MB", "GB"].iter().any(|unit| cell.ends_with(unit))
}

#[test]
fn a_pipe_gets_one_table_with_rates() -> Result<()> {
    Case::run("a_pipe_gets_one_table_with_rates", |case| {
        let setting = Setting::new()?;
        let _bulk = setting.bulk()?;
        thread::sleep(Duration::from_secs(1));
        let table = host::run(&mut ps(&setting.agent, &["--all", "--sort", "tx", "--interval", "0.5"])?)?;
        case.compare("headings", table.matches("RX/S").count(), 1);
        case.prove("nothing moves a cursor", !table.contains('\u{1b}'));
        let id = setting.a.cgroup.id();
        let cell = transmitted(&table, &id).context("no such row")?;
        case.prove(format!("{cell} a second"), is_much(&cell));
        let first = table.lines().nth(1).context("no rows")?;
        case.prove(format!("most is first: {table}"), first.starts_with(&id));
        Ok(())
    })
}

/// A live table that is on the screen.
fn live(agent: &Agent, args: &[&str], columns: u16) -> Result<Terminal> {
    let mut terminal = Terminal::start(&mut ps(agent, args)?, 40, columns)?;
    terminal.until("it draws", |screen| screen.contains("q ends").then_some(()))?;
    Ok(terminal)
}

#[test]
fn a_live_table_follows_what_passes() -> Result<()> {
    Case::run("a_live_table_follows_what_passes", |case| {
        let setting = Setting::new()?;
        let (a, b) = (setting.a.cgroup.id(), setting.b.cgroup.id());
        let mut terminal = live(&setting.agent, &["--all", "--sort", "tx", "--interval", "0.3"], 120)?;
        case.prove("it has another screen", terminal.screen()?.1);
        let still = |screen: &str| transmitted(screen, &a).filter(|cell| cell == "0 B");
        terminal.until("nothing passes", still)?;
        let bulk = setting.bulk()?;
        let much =
            |screen: &str| transmitted(screen, &a).filter(|cell| is_much(cell)).map(|_| screen.to_owned());
        let screen = terminal.until("a bulk passes", much)?;
        let lines: Vec<&str> = screen.lines().collect();
        case.prove(format!("state, heading, most:\n{screen}"), lines[1].starts_with("NAME"));
        case.prove("most is first", lines[2].starts_with(&a));
        case.prove("all are there", cells(&screen, &b).is_some_and(|cells| cells.len() == 9));
        drop(bulk);
        terminal.until("it ends", still)?;
        terminal.resize(4, 70)?;
        let more = |screen: &str| screen.contains(" more").then(|| screen.to_owned());
        let screen = terminal.until("it is drawn in four lines", more)?;
        let lines: Vec<&str> = screen.lines().collect();
        case.compare("lines", lines.len(), 4);
        case.prove(format!("what is not there is told:\n{screen}"), lines[3].starts_with("... "));
        case.prove("names give way", lines[2].contains('…') && !lines[2].starts_with(&a));
        terminal.press("q")?;
        case.compare("its exit code", terminal.ended()?.code(), Some(0));
        case.prove("the terminal is as before", terminal.is_as_before()?);
        Ok(())
    })
}

#[test]
fn whatever_ends_a_live_table_the_terminal_is_as_before() -> Result<()> {
    Case::run("whatever_ends_a_live_table_the_terminal_is_as_before", |case| {
        let pins = Pins::new()?;
        let agent = Agent::start(&pins, &[])?;
        for (name, keys) in [("q", "q"), ("Esc", "\u{1b}"), ("Ctrl-C", "\u{3}"), ("SIGTERM", "")] {
            let mut terminal = live(&agent, &[], 80)?;
            case.prove("it is another while it is drawn", !terminal.is_as_before()?);
            if keys.is_empty() {
                terminal.signal(Signal::SIGTERM)?;
            } else {
                terminal.press(keys)?;
            }
            case.compare(format_args!("exit code after {name}"), terminal.ended()?.code(), Some(0));
            case.prove(format_args!("as before after {name}"), terminal.is_as_before()?);
        }
        Ok(())
    })
}

#[test]
fn a_live_table_outlives_an_agent_that_is_silent() -> Result<()> {
    Case::run("a_live_table_outlives_an_agent_that_is_silent", |case| {
        let (pins, cgroup) = (Pins::new()?, Cgroup::create("ps-silent")?);
        let agent = Agent::start(&pins, &[])?;
        let mut terminal = live(&agent, &["--all", "--interval", "0.3"], 120)?;
        let id = cgroup.id();
        let has = |screen: &str, what: &str| (screen.contains(what) && screen.contains(&id)).then_some(());
        terminal.until("it is there", |screen| has(screen, "q ends"))?;
        agent.signal(Signal::SIGSTOP)?;
        terminal.until("it hangs", |screen| has(screen, "NO ANSWER since "))?;
        agent.signal(Signal::SIGCONT)?;
        terminal.until("it answers again", |screen| has(screen, "q ends"))?;
        agent.kill()?;
        terminal.until("it is gone", |screen| has(screen, "trying on: no agent answers"))?;
        terminal.press("q")?;
        case.compare("its exit code", terminal.ended()?.code(), Some(0));
        case.prove("the terminal is as before", terminal.is_as_before()?);
        let mut nobody =
            Terminal::start(Command::new(settings::agent()?).args(["ps", "--agent", "127.0.0.1:1"]), 9, 80)?;
        case.compare("exit code where nobody answers", nobody.ended()?.code(), Some(1));
        case.prove("and no table", nobody.screen()?.0.starts_with("plimsoll: no agent answers"));
        Ok(())
    })
}
