//! The agent's own metrics: what it lost, filled and left out, what it costs, what it may still do.
//! Made anew for each page from [`Health`] and `/proc/self`; only what happens in the exporter is kept here.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, TextEncoder,
    core::Collector,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::process;
use crate::{
    inventory::bounded,
    ledger::{
        limits::Limits,
        moment::seconds,
        snapshot::{Health, Program},
    },
};

/// Upper bounds in seconds of the time that a page takes.
const BUCKETS: [f64; 11] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// What happened in the exporter since it started. Clones share their numbers.
#[derive(Debug, Clone)]
pub struct Own {
    /// How long a page took, from the request to its last byte.
    pub scrapes: Histogram,
    /// Connections that were refused because as many as may be were open.
    pub refused: IntCounter,
    started: Option<f64>,
}

impl Own {
    /// Nothing happened yet.
    ///
    /// # Errors
    /// Where the `prometheus` crate dislikes a name or the buckets.
    pub fn new() -> prometheus::Result<Self> {
        let scrapes = HistogramOpts::new(
            "plimsoll_scrape_duration_seconds",
            "Time from a request of this page to its last byte.",
        );
        Ok(Self {
            scrapes: Histogram::with_opts(scrapes.buckets(BUCKETS.to_vec()))?,
            refused: IntCounter::new(
                "plimsoll_http_connections_refused_total",
                "Connections refused because 16 were open.",
            )?,
            started: process::started().map(|since| since.as_secs_f64()),
        })
    }

    /// The page of our own metrics.
    ///
    /// # Errors
    /// Where the `prometheus` crate cannot encode a family.
    pub fn page(&self, health: &Health, limits: &Limits) -> prometheus::Result<String> {
        let mut families = vec![build_info()];
        families.extend(of_limits(limits));
        families.extend(programs(&health.programs));
        families.extend(maps(health));
        families.extend(losses(health));
        families.extend(capabilities());
        families.extend(self.scrapes.collect());
        families.extend(self.refused.collect());
        families.extend(process(self.started));
        families.retain(|family| !family.get_metric().is_empty());
        TextEncoder::new().encode_to_string(&families)
    }
}

fn build_info() -> MetricFamily {
    let layout = plimsoll_common::LAYOUT.to_string();
    let labels = labels([("layout", &layout), ("version", env!("CARGO_PKG_VERSION"))]);
    gauge(
        "plimsoll_build_info",
        "Version of the agent and of the layout of its pins; always 1.",
        [(labels, 1.0)],
    )
}

fn of_limits(limits: &Limits) -> [MetricFamily; 3] {
    let held = ["enforce", "dry-run"].map(|mode| {
        let lines = limits.lines.iter().filter(|line| line.mode == mode).count();
        (labels([("mode", mode)]), number(lines as u64))
    });
    [
        gauge("plimsoll_limits", "Limits of containers, by what becomes of them.", held),
        counter(
            "plimsoll_limit_drift_total",
            "Times since the agent started that somebody else had changed what holds a limit; it was put back.",
            [(Vec::new(), number(limits.drift))],
        ),
        gauge(
            "plimsoll_limits_configuration_ok",
            "1 where the configuration of limits as it stands is in force, 0 where it was refused.",
            [(Vec::new(), f64::from(u8::from(limits.problem.is_none())))],
        ),
    ]
}

fn programs(programs: &[Program]) -> [MetricFamily; 4] {
    let loaded = programs.iter().map(|Program { name, hook, left_out, .. }| {
        let reason = left_out.as_deref().unwrap_or_default();
        let attached = f64::from(u8::from(left_out.is_none()));
        (labels([("hook", hook), ("program", name), ("reason", reason)]), attached)
    });
    let misses =
        programs.iter().filter_map(|program| Some((labels([("program", program.name)]), program.misses?)));
    let costs =
        || programs.iter().filter_map(|program| Some((labels([("program", program.name)]), program.cost?)));
    [
        gauge(
            "plimsoll_program_loaded",
            "1 for a kernel program that counts, 0 for one left out, with the reason.",
            loaded,
        ),
        counter(
            "plimsoll_program_runs_total",
            "Times that a kernel program ran; only while kernel.bpf_stats_enabled is 1.",
            costs().map(|(labels, (runs, _))| (labels, number(runs))),
        ),
        counter(
            "plimsoll_program_run_seconds_total",
            "Time that a kernel program ran; only while kernel.bpf_stats_enabled is 1.",
            costs().map(|(labels, (_, nanoseconds))| (labels, number(nanoseconds) / 1e9)),
        ),
        counter(
            "plimsoll_program_recursion_misses_total",
            "Runs of a kernel program that the kernel left out, as it would have run within itself.",
            misses.map(|(labels, misses)| (labels, number(misses))),
        ),
    ]
}

fn maps(health: &Health) -> [MetricFamily; 2] {
    let maps = || health.maps.iter().map(|&(map, entries, room)| (labels([("map", map)]), entries, room));
    [
        gauge(
            "plimsoll_map_entries",
            "Entries in a map of the kernel programs.",
            maps().map(|(labels, entries, _)| (labels, number(entries))),
        ),
        gauge(
            "plimsoll_map_max_entries",
            "Entries that a map of the kernel programs has room for.",
            maps().map(|(labels, _, room)| (labels, number(room))),
        ),
    ]
}

fn losses(health: &Health) -> [MetricFamily; 7] {
    let Health {
        events_lost,
        tallies,
        unresolved,
        folded_accounts,
        audit_corrections,
        last_audit,
        network_watched,
        ..
    } = health;
    let tallies = tallies.iter().map(|&(tally, count)| (labels([("tally", tally)]), number(count)));
    let last_audit = last_audit.map(seconds).map(|seconds| (Vec::new(), seconds));
    [
        counter(
            "plimsoll_events_lost_total",
            "Events that found no room in the ring buffer; what they told is read from cgroup files instead.",
            one(*events_lost),
        ),
        counter(
            "plimsoll_kernel_tally_total",
            "What the kernel programs met that should not be, or could not do.",
            tallies,
        ),
        gauge(
            "plimsoll_unresolved_cgroups",
            "Live cgroups that look like a container's and have no name.",
            one(*unresolved),
        ),
        counter(
            "plimsoll_folded_accounts_total",
            "Accounts of dead containers that were added to their workloads since the agent started.",
            one(*folded_accounts),
        ),
        counter(
            "plimsoll_audit_corrections_total",
            "Entries that an audit corrected since the agent started.",
            one(*audit_corrections),
        ),
        gauge("plimsoll_audit_last_timestamp_seconds", "When the last audit ended.", last_audit),
        gauge(
            "plimsoll_network_watched",
            "1: veth pairs are seen to come and go. 0: new ones are not counted, the agent's log says why.",
            one(u64::from(*network_watched)),
        ),
    ]
}

fn capabilities() -> [MetricFamily; 2] {
    let bits = process::capabilities();
    let kept =
        process::capability_names(bits.unwrap_or(0)).map(|name| (labels([("capability", &name)]), 1.0));
    [
        gauge(
            "plimsoll_capability_kept",
            "Capabilities that a thread of the agent still has; always 1.",
            kept,
        ),
        gauge(
            "plimsoll_capabilities_kept",
            "How many capabilities a thread of the agent still has.",
            bits.map(|bits| (Vec::new(), f64::from(bits.count_ones()))),
        ),
    ]
}

fn process(started: Option<f64>) -> [MetricFamily; 4] {
    let cpu = process::cpu_time().map(|time| (Vec::new(), time.as_secs_f64()));
    let open_fds = process::open_fds().and_then(|fds| u64::try_from(fds).ok());
    [
        counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", cpu),
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            process::resident_bytes().into_iter().flat_map(one),
        ),
        gauge("process_open_fds", "Number of open file descriptors.", open_fds.into_iter().flat_map(one)),
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            started.map(|seconds| (Vec::new(), seconds)),
        ),
    ]
}

type Sample = (Vec<LabelPair>, f64);

fn one(value: u64) -> [Sample; 1] {
    [(Vec::new(), number(value))]
}

fn gauge(name: &str, help: &str, samples: impl IntoIterator<Item = Sample>) -> MetricFamily {
    family(
        name,
        help,
        MetricType::GAUGE,
        samples.into_iter().map(|(labels, value)| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            let mut metric = Metric::from_gauge(gauge);
            metric.set_label(labels);
            metric
        }),
    )
}

fn counter(name: &str, help: &str, samples: impl IntoIterator<Item = Sample>) -> MetricFamily {
    family(
        name,
        help,
        MetricType::COUNTER,
        samples.into_iter().map(|(labels, value)| {
            let mut counter = Counter::default();
            counter.set_value(value);
            let mut metric = Metric::from_label(labels);
            metric.set_counter(counter);
            metric
        }),
    )
}

fn family(name: &str, help: &str, kind: MetricType, metrics: impl Iterator<Item = Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics.collect());
    family
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Vec<LabelPair> {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(bounded(value).into_owned());
        pair
    };
    pairs.map(pair).into()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus holds every value as f64")]
const fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporter::fixture::health;

    fn page(health: &Health) -> String {
        Own::new().expect("names").page(health, &Limits::default()).expect("a page")
    }

    #[test]
    fn losses_costs_and_reasons_are_told() {
        let page = page(&health());
        for line in [
            r#"plimsoll_program_loaded{hook="tp_btf/task_newtask",program="task_newtask",reason=""} 1"#,
            r#"plimsoll_program_loaded{hook="tp_btf/x",program="cgroup_freeze",reason="no \"freezer\"\nhere"} 0"#,
            r#"plimsoll_program_runs_total{program="task_newtask"} 7"#,
            r#"plimsoll_program_run_seconds_total{program="task_newtask"} 2.5"#,
            r#"plimsoll_map_entries{map="PROC"} 10"#,
            r#"plimsoll_map_max_entries{map="ROWS"} 40"#,
            "plimsoll_events_lost_total 1",
            r#"plimsoll_kernel_tally_total{tally="rows_full"} 3"#,
            "plimsoll_unresolved_cgroups 4",
            "plimsoll_folded_accounts_total 5",
            "plimsoll_audit_corrections_total 6",
            "plimsoll_audit_last_timestamp_seconds 1795380000",
            "plimsoll_network_watched 1",
            "plimsoll_scrape_duration_seconds_count 0",
            "plimsoll_http_connections_refused_total 0",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        for family in ["build_info{layout=", "capabilities_kept "] {
            assert!(page.contains(&format!("\nplimsoll_{family}")), "{family} is not in\n{page}");
        }
        for family in ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"] {
            assert!(page.contains(&format!("\nprocess_{family} ")), "{family} is not in\n{page}");
        }
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let page = page(&Health::default());
        assert!(!page.contains("plimsoll_audit_last_timestamp_seconds"), "{page}");
        assert!(!page.contains("plimsoll_program_run"), "{page}");
        assert!(page.contains("plimsoll_events_lost_total 0"), "{page}");
    }

    #[test]
    fn scrapes_are_kept_over_pages() {
        let own = Own::new().expect("names");
        own.clone().scrapes.observe(0.004);
        let page = own.page(&Health::default(), &Limits::default()).expect("a page");
        assert!(page.contains("plimsoll_scrape_duration_seconds_bucket{le=\"0.005\"} 1"), "{page}");
    }
}
