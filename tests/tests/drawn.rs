//! The dashboard and the alerts over a real Prometheus that scrapes the agent: whatever they ask has an answer.

#[path = "drawn/dashboard.rs"]
mod dashboard;

use std::{
    collections::BTreeSet,
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use dashboard::{Choice, Dashboard, Panel, Variable};
use plimsoll_tests::{
    agent::Agent,
    bridge::Bridge,
    docker::{Docker, IMAGE},
    host,
    pins::Pins,
    prometheus::Prometheus,
    report::Case,
    wait,
};
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

const DASHBOARD: &str = include_str!("../../dashboards/plimsoll.json");
const RULES: &str = include_str!("../../dashboards/rules/plimsoll.rules.yml");
const RULE_TESTS: &str = include_str!("../../dashboards/rules/plimsoll.test.yml");

/// Panels that rightly show nothing but zeros over a healthy agent and the containers here, and why.
const ZERO: [(&str, &str); 20] = [
    ("Agents down", "the agent runs"),
    ("Events lost", "the ring buffer is larger than what happens here"),
    ("Events lost over time", "the ring buffer is larger than what happens here"),
    ("Kernel tallies", "nothing is full or unknown"),
    ("Unresolved and degraded", "every container has a name, and no map is full"),
    ("Audit corrections", "nothing is wrong"),
    ("Accounts folded", "the dead are kept for longer than this takes"),
    ("Connections refused", "one reader scrapes"),
    ("Thread creations per container", "busybox has no threads"),
    ("Network errors and drops", "a veth pair makes none"),
    ("Bytes that no program saw", "the agent may be there before the first packet"),
    ("TCP connections accepted per container", "nobody listens in these containers"),
    ("TCP segments sent again per container", "nothing is lost on the way"),
    ("TCP of the host", "neither is anything lost, nor does anybody listen"),
    ("TCP per workload", "neither is anything lost, nor does anybody listen"),
    ("Forks refused", "nobody forks to the line"),
    ("Packets at bandwidth limits", "little passes: none waits or is dropped"),
    ("Limits not held", "all are held"),
    ("Lines gone over in dry runs", "who is over it stays over it"),
    ("Limits changed by others", "there is nobody else"),
];

/// How long the panels may take to show something.
const DRAWN: Duration = Duration::from_secs(40);

/// Every kind of exit, and a subshell that the OOM killer ends before anything else in the container.
const BUSY: &str = "while true; do true; false; sleep 9 & kill $!; wait; ping -c 1 -w 1 $HOST_ADDRESS; \
    nc -w 1 $HOST_ADDRESS 9 </dev/null; (echo 1000 >/proc/self/oom_score_adj; x=$(seq 1 9999999)); sleep 0.2; done";
/// What shares the network of another.
const SIDECAR: &str = "while true; do ping -c 1 -w 1 $HOST_ADDRESS; sleep 0.2; done";
const STILL: &str = "sleep 1000 & sleep 1000 & sleep 1000 & wait";

#[test]
fn promtool_accepts_the_alerts() -> Result<()> {
    Case::run("promtool_accepts_the_alerts", |case| {
        let folder = TempDir::with_prefix("plimsoll-test-rules").context("make a folder")?;
        let [rules, tests] = ["plimsoll.rules.yml", "plimsoll.test.yml"].map(|name| folder.path().join(name));
        fs::write(&rules, RULES).context("write the rules")?;
        fs::write(&tests, RULE_TESTS).context("write their tests")?;
        let checked = host::run(Command::new("promtool").args(["check", "rules"]).arg(rules))?;
        case.prove("promtool finds nine alerts", checked.contains("9 rules found"));
        host::run(Command::new("promtool").args(["test", "rules"]).arg(tests))?;
        for alert in words_after("- alert: ") {
            case.prove(format_args!("{alert} has tests"), RULE_TESTS.matches(alert).count() > 1);
        }
        Ok(())
    })
}

/// What follows `key` in the lines of the rules that begin with it.
fn words_after(key: &str) -> impl Iterator<Item = &'static str> {
    RULES.lines().filter_map(move |line| line.trim_start().strip_prefix(key))
}

#[test]
fn the_dashboard_is_well_formed() -> Result<()> {
    Case::run("the_dashboard_is_well_formed", |case| {
        let dashboard = Dashboard::parse(DASHBOARD)?;
        let panels = &dashboard.panels;
        let ids: BTreeSet<u64> = panels.iter().map(|panel| panel.id).collect();
        case.compare("different ids", ids.len(), panels.len());
        let titles: BTreeSet<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
        case.compare("different titles", titles.len(), panels.len());
        case.prove("panels that may be zero exist", ZERO.iter().all(|(title, _)| titles.contains(title)));
        for (place, panel) in panels.iter().enumerate() {
            let at = panel.grid_pos;
            case.prove(
                format_args!("{} is on the grid", panel.title),
                at.h > 0 && at.w > 0 && at.x + at.w <= 24,
            );
            let covered = panels[..place].iter().find(|other| at.overlaps(other.grid_pos));
            let covered = covered.map(|other| other.title.as_str());
            case.compare(format_args!("panels under {}", panel.title), covered, None);
        }
        dashboard.drawing().for_each(|panel| well_formed(case, panel));
        sources(case, &dashboard, &serde_json::from_str(DASHBOARD)?);
        Ok(())
    })
}

fn well_formed(case: &mut Case, panel: &Panel) {
    let title = &panel.title;
    case.prove(format_args!("{title} is described"), panel.description.ends_with('.'));
    case.prove(format_args!("{title} has a unit"), !panel.field_config.defaults.unit.is_empty());
    case.prove(format_args!("{title} asks something"), !panel.targets.is_empty());
    let letters: BTreeSet<&str> = panel.targets.iter().map(|target| target.ref_id.as_str()).collect();
    case.compare(format_args!("different names of queries of {title}"), letters.len(), panel.targets.len());
    for target in &panel.targets {
        let expr = &target.expr;
        let named = panel.kind == "table" || !target.legend_format.is_empty();
        case.prove(format_args!("{title} has a legend"), named);
        case.prove(
            format_args!("{expr} is of the chosen agents"),
            expr.contains("{job=~\"$job\", instance=~\"$instance\""),
        );
        let mut windows = expr.split('[').skip(1);
        let fits = windows.all(|rest| ["$__rate_interval]", "$__range]"].iter().any(|w| rest.starts_with(w)));
        case.prove(format_args!("{expr} fits the resolution"), fits);
    }
}

/// Every query goes where the reader chose.
fn sources(case: &mut Case, dashboard: &Dashboard, whole: &Value) {
    let first = dashboard.templating.list.first();
    let chosen = matches!(first, Some(Variable::Datasource { name, query }) if name == "datasource" && query == "prometheus");
    case.prove("the data source is the first variable", chosen);
    let mut values = vec![whole];
    while let Some(value) = values.pop() {
        if let Some(source) = value.get("datasource") {
            case.prove(format_args!("{source} is chosen by the reader"), source["uid"] == "${datasource}");
        }
        values.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
        values.extend(value.as_array().into_iter().flatten());
    }
}

#[test]
fn every_query_is_answered_over_live_containers() -> Result<()> {
    Case::run("every_query_is_answered_over_live_containers", |case| {
        let (bridge, pins, _stats) = (Bridge::new()?, Pins::new()?, RunTimes::on()?);
        let docker = Docker::start_on(&bridge)?;
        start_containers(&docker, &bridge)?;
        let (root, limits) = (docker.root().display().to_string(), limits()?);
        let config = limits.path().display().to_string();
        let agent = Agent::start(&pins, &["--docker-root", &root, "--config", &config])?;
        let prometheus = Prometheus::start(&[("plimsoll", agent.address())], Duration::from_secs(1))?;
        prometheus.wait_until_up("plimsoll")?;
        let dashboard = Dashboard::parse(DASHBOARD)?;
        for wanted in [&[][..], &["busy", IMAGE], &["shop/web"]] {
            let choice = Choice::of(&dashboard, &prometheus, wanted)?;
            draw(case, &prometheus, &dashboard, &choice)?;
        }
        let choice = Choice::of(&dashboard, &prometheus, &["still"])?;
        for (title, number) in [("Containers", 4.0), ("Processes per container", 4.0)] {
            let shown =
                query_of(&dashboard, title).and_then(|query| prometheus.number(&choice.fill(query)?))?;
            case.compare(title, shown, Some(number));
        }
        for family in agent.scrape()?.families.keys() {
            case.prove(format_args!("{family} is drawn"), DASHBOARD.contains(family));
        }
        alerts(case, agent, &prometheus)
    })
}

/// Lines that nobody comes near, one that a dry run sees gone over, and one of each kind that is held.
fn limits() -> Result<NamedTempFile> {
    let file = NamedTempFile::with_suffix(".toml")?;
    let text = "[[limits.policy]]\nname = \"still\"\nselect = { name = \"still\" }\npids = 64\n\
        [[limits.policy]]\nname = \"busy\"\nselect = { all = true }\npids = 1\nmode = \"dry-run\"\n\
        [[limits.policy]]\nname = \"all\"\nselect = { name = [\"busy\", \"shop_web_1\"] }\negress = \"1mbit\"\ningress = \"100mbit\"\n";
    fs::write(file.path(), text).context("write a configuration")?;
    Ok(file)
}

fn start_containers(docker: &Docker, bridge: &Bridge) -> Result<()> {
    let address = format!("HOST_ADDRESS={}", bridge.address());
    let network = ["--network", "bridge", "--env", &address];
    let service = ["com.docker.compose.project=shop", "com.docker.compose.service=web"];
    let limits = ["--pids-limit", "64", "--memory", "16m", "--memory-swap", "16m"];
    docker.start_container(&[&["--name", "busy"], &limits[..], &network].concat(), BUSY)?;
    let shared = ["--name", "sidecar", "--network", "container:busy", "--env", &address];
    docker.start_container(&shared, SIDECAR)?;
    let labels = ["--label", service[0], "--label", service[1]];
    docker.start_container(&[&["--name", "shop_web_1"], &limits[..], &labels, &network].concat(), BUSY)?;
    docker.start_container(&["--name", "still"], STILL).map(|_| ())
}

/// Runs every query of every panel until each shows something.
fn draw(case: &mut Case, prometheus: &Prometheus, dashboard: &Dashboard, choice: &Choice) -> Result<()> {
    let mut left = Vec::new();
    for panel in dashboard.drawing() {
        let zero = ZERO.iter().any(|(title, _)| *title == panel.title);
        for target in &panel.targets {
            left.push((&panel.title, choice.fill(&target.expr)?, zero));
        }
    }
    let begun = Instant::now();
    while !left.is_empty() && begun.elapsed() < DRAWN {
        let mut missing = Vec::new();
        for query in left {
            if shows(prometheus, &query.1, query.2)? {
                case.prove(format_args!("{} shows something", query.0), true);
            } else {
                missing.push(query);
            }
        }
        left = missing;
        // Outside containers too, something has to happen.
        Command::new("true").status().context("run true")?;
        thread::spawn(|| ()).join().ok().context("run a thread")?;
        thread::sleep(Duration::from_millis(500));
    }
    case.prove(format_args!("every query shows something: {left:#?}"), left.is_empty());
    Ok(())
}

/// Whether a query gives a number, and unless `zero` is right one that is not 0.
fn shows(prometheus: &Prometheus, query: &str, zero: bool) -> Result<bool> {
    let series = prometheus.query(query)?;
    let mut numbers = series.iter().flat_map(|one| &one.samples).map(|(_, value)| *value);
    Ok(numbers.any(|value| value.is_finite() && (zero || value != 0.0)))
}

fn query_of<'a>(dashboard: &'a Dashboard, title: &str) -> Result<&'a str> {
    let panel = dashboard.panels.iter().find(|panel| panel.title == title);
    let target = panel.and_then(|panel| panel.targets.first());
    target.map(|target| target.expr.as_str()).with_context(|| format!("no panel {title}"))
}

/// None is raised over a healthy agent, though what each looks at is there; of a dead agent one is.
fn alerts(case: &mut Case, agent: Agent, prometheus: &Prometheus) -> Result<()> {
    let queries: Vec<&str> = words_after("expr: ").collect();
    case.compare("alerts with a query", queries.len(), words_after("- alert: ").count());
    for query in &queries {
        case.prove(format_args!("{query} raises nothing"), prometheus.query(query)?.is_empty());
        let compared = query.split_once(" == ").or_else(|| query.split_once(" > "));
        let (looked_at, _) = compared.with_context(|| format!("{query} compares nothing"))?;
        case.prove(format_args!("{looked_at} is there"), !prometheus.query(looked_at)?.is_empty());
    }
    agent.kill()?;
    let down = queries.first().context("no alert")?;
    wait::until_true("the alert is raised", || Ok(!prometheus.query(down)?.is_empty()))
}

/// The kernel measures the time of eBPF programs for as long as this lives.
struct RunTimes(String);

impl RunTimes {
    const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

    fn on() -> Result<Self> {
        let before = fs::read_to_string(Self::SWITCH).context("read whether run times are measured")?;
        fs::write(Self::SWITCH, "1").context("have run times measured")?;
        Ok(Self(before))
    }
}

impl Drop for RunTimes {
    fn drop(&mut self) {
        if let Err(error) = fs::write(Self::SWITCH, &self.0) {
            eprintln!("left behind: {}: {error}", Self::SWITCH);
        }
    }
}
