//! The page against the `prometheus` crate's own encoder, and against names that want to break it.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::{
    Encoder, TextEncoder,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

use super::*;
use crate::{
    exporter::fixture::{HOSTILE, account, limits, many, snapshot, totals},
    inventory::bounded,
    ledger::snapshot::{
        Account, Gauges, Identity, Kind, Network, Node, Shares, Totals, Workload, WorkloadKind,
    },
};

fn all() -> impl Iterator<Item = &'static Family> {
    (0..).map_while(family)
}

fn page(snapshot: &Arc<Snapshot>) -> String {
    let bytes: Vec<u8> = Page::new(Arc::clone(snapshot)).flatten().collect();
    String::from_utf8(bytes).expect("a page is UTF-8")
}

type LabelSet = BTreeMap<String, String>;

/// The labels of an account, by a way of its own: whole maps of owned strings.
fn labels_of(account: &Account, info: bool) -> LabelSet {
    let identity = &account.identity;
    let mut labels = LabelSet::new();
    for (key, value) in &identity.labels {
        let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let name: String = name.chars().take(256).collect();
        labels.entry(format!("container_label_{name}")).or_insert_with(|| bounded(value).into_owned());
    }
    let mut add = |name: &str, value: &str| labels.insert(name.to_owned(), bounded(value).into_owned());
    add("id", &identity.id);
    add("image", &identity.image);
    add("name", &identity.name);
    if info {
        add("container_id", &identity.container_id);
        add("kind", "container");
        add("network_source", account.network.source.as_str());
        add("project", &identity.project);
        add("runtime", &identity.runtime);
        add("service", &identity.service);
    }
    labels
}

fn metric(labels: &LabelSet, more: &[(&str, &str)], kind: &str, value: f64) -> Metric {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    let own = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut metric = Metric::from_label(own.chain(more.iter().copied()).map(pair).collect());
    if kind == "gauge" {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    } else {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    }
    metric
}

#[expect(clippy::cast_precision_loss, reason = "the crate's model holds every value as f64")]
fn number(value: Value) -> f64 {
    match value {
        Value::Count(count) => count as f64,
        Value::Millis(millis) => millis as f64 / 1_000.0,
        Value::Time(time) => {
            let millis = time.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
            millis as f64 / 1_000.0
        }
    }
}

fn workload_labels(workload: &Workload) -> LabelSet {
    let name = bounded(&workload.name).into_owned();
    LabelSet::from([("kind".to_owned(), "image".to_owned()), ("workload".to_owned(), name)])
}

fn model(snapshot: &Snapshot, family: &Family) -> MetricFamily {
    let mut samples = Vec::new();
    let mut each = |labels: LabelSet, tell: &dyn Fn(Tell<'_>)| {
        tell(&mut |more, value| samples.push(metric(&labels, more, family.kind, number(value))));
    };
    match family.read {
        Read::Account(read) => {
            snapshot.accounts.iter().for_each(|a| each(labels_of(a, false), &|tell| read(a, tell)));
        }
        Read::Info(read) => {
            snapshot.accounts.iter().for_each(|a| each(labels_of(a, true), &|tell| read(a, tell)));
        }
        Read::Workload(read) => {
            snapshot
                .workloads
                .iter()
                .for_each(|(w, totals)| each(workload_labels(w), &|tell| read(totals, tell)));
        }
        Read::Node(read) => each(LabelSet::new(), &|tell| read(&snapshot.node, tell)),
    }
    let mut model = MetricFamily::default();
    model.set_name(family.name.to_owned());
    model.set_help(family.help.to_owned());
    model.set_field_type(if family.kind == "gauge" { MetricType::GAUGE } else { MetricType::COUNTER });
    model.set_metric(samples);
    model
}

/// What the crate's encoder makes of the same snapshot.
fn crate_page(snapshot: &Snapshot) -> String {
    let mut families: Vec<MetricFamily> = all().map(|family| model(snapshot, family)).collect();
    families.retain(|family| !family.get_metric().is_empty());
    let mut out = Vec::new();
    TextEncoder::new().encode(&families, &mut out).expect("the crate encodes it");
    String::from_utf8(out).expect("UTF-8")
}

fn hostile() -> Arc<Snapshot> {
    let long = HOSTILE.map(|text| text.repeat(10_000 / text.len().max(1)));
    let texts = HOSTILE.iter().copied().chain(long.iter().map(String::as_str));
    let account = |(place, text): (usize, &str)| {
        let account = account(&format!("/{place:02}{text}"), text);
        Account { limits: limits(&account.identity), ..account }
    };
    snapshot(texts.enumerate().map(account).collect())
}

#[test]
fn the_page_is_byte_for_byte_that_of_the_prometheus_crate() {
    for snapshot in [hostile(), many(500), snapshot(Vec::new())] {
        let (ours, theirs) = (page(&snapshot), crate_page(&snapshot));
        assert!(ours.lines().count() > 10);
        for (our, their) in ours.lines().zip(theirs.lines()) {
            assert_eq!(our, their);
        }
        assert_eq!(ours.len(), theirs.len());
    }
}

/// Reads one sample strictly: the series (name and label set), and the value.
fn parse_sample(line: &str) -> (String, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().expect("a number");
    let Some((name, labels)) = series.split_once('{') else { return (series.to_owned(), value) };
    assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
    let mut rest = labels.strip_suffix('}').expect("labels end");
    let mut names = BTreeSet::new();
    loop {
        let (label, quoted) = rest.split_once("=\"").expect("a label");
        assert!(label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{line}");
        assert!(names.insert(label), "label {label} twice: {line}");
        let end = value_end(quoted);
        assert!(end <= 2 * 256, "{line}");
        rest = &quoted[end + 1..];
        if rest.is_empty() {
            return (series.to_owned(), value);
        }
        rest = rest.strip_prefix(',').expect("a comma");
    }
}

/// Where a quoted value ends; every escape in it must be one that the format knows.
fn value_end(quoted: &str) -> usize {
    let mut chars = quoted.char_indices();
    loop {
        match chars.next().expect("the value ends") {
            (end, '"') => return end,
            (_, '\\') => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n')))),
            (_, c) => assert_ne!(c, '\n'),
        }
    }
}

#[test]
fn every_line_of_a_hostile_page_parses_and_no_series_occurs_twice() {
    let (page, mut series, mut heads) = (page(&hostile()), BTreeSet::new(), BTreeSet::new());
    for line in page.split_terminator('\n') {
        if let Some(head) = line.strip_prefix("# ") {
            let words: Vec<&str> = head.splitn(3, ' ').collect();
            assert!(heads.insert((words[0].to_owned(), words[1].to_owned())), "{line} twice");
        } else {
            let (name, _) = parse_sample(line);
            assert!(series.insert(name), "{line} twice");
        }
    }
    assert_eq!(heads.len(), 2 * all().count());
    assert!(series.len() > 20 * HOSTILE.len());
}

#[test]
fn labels_with_the_same_clean_name_give_one_the_first() {
    let mut account = account("/a", "x");
    let identity = Arc::make_mut(&mut account.identity);
    let labels = [("a.z", "1"), ("a/b", "2"), ("a_z", "3"), ("a-z", "0")];
    identity.labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let page = page(&snapshot(vec![account]));
    let line = r#"container_processes{container_label_a_b="2",container_label_a_z="0",id="/a",image="x",name="x"} 3"#;
    assert!(page.lines().any(|found| found == line), "{page}");
}

#[test]
fn ids_that_differ_after_256_bytes_stay_two_series() {
    let long = "/".to_owned() + &"x".repeat(400);
    let accounts = vec![account(&format!("{long}1"), ""), account(&format!("{long}2"), "")];
    let page = page(&snapshot(accounts));
    let series: BTreeSet<&str> =
        page.lines().filter(|line| line.starts_with("container_processes")).collect();
    assert_eq!(series.len(), 2, "{series:?}");
}

#[test]
fn chunks_are_bounded_however_many_accounts_there_are() {
    let chunks: Vec<Bytes> = Page::new(many(2_000)).collect();
    assert!(chunks.len() > 50, "{}", chunks.len());
    let (last, full) = chunks.split_last().expect("chunks");
    assert!(last.len() < CHUNK + SLACK);
    assert!(full.iter().all(|chunk| (CHUNK..CHUNK + SLACK).contains(&chunk.len())));
}

#[test]
fn a_dead_account_keeps_totals_and_last_seen_alone() {
    let mut dead = account("/dead", "x");
    dead.gauges = None;
    let page = page(&snapshot(vec![dead]));
    let mut names: Vec<&str> = page
        .lines()
        .filter(|line| line.contains("id=\"/dead\""))
        .map(|line| line.split('{').next().unwrap_or_default())
        .collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "container_oom_events_total",
            "container_last_seen",
            "plimsoll_container_forks_total",
            "plimsoll_container_thread_creations_total",
            "plimsoll_container_execs_total",
            "plimsoll_container_exits_total",
            "container_network_receive_bytes_total",
            "container_network_receive_errors_total",
            "container_network_receive_packets_dropped_total",
            "container_network_receive_packets_total",
            "container_network_transmit_bytes_total",
            "container_network_transmit_errors_total",
            "container_network_transmit_packets_dropped_total",
            "container_network_transmit_packets_total",
            "plimsoll_container_network_wire_bytes_total",
            "plimsoll_container_network_protocol_bytes_total",
            "plimsoll_container_network_protocol_packets_total",
            "plimsoll_container_network_uncounted_bytes_total",
            "plimsoll_container_network_receive_bytes_total",
            "plimsoll_container_network_receive_packets_total",
            "plimsoll_container_network_transmit_bytes_total",
            "plimsoll_container_network_transmit_packets_total",
            "plimsoll_container_tcp_connections_opened_total",
            "plimsoll_container_tcp_connections_accepted_total",
            "plimsoll_container_tcp_retransmitted_segments_total",
            "plimsoll_container_tcp_resets_total",
        ]
    );
    assert!(!page.contains("plimsoll_container_info"), "a family without a sample has no head");
}

/// The whole page of one container, one cgroup and two workloads, as a reader sees it.
#[test]
fn the_page_reads_as_documented() {
    let mut api = account("/docker/4f", "api");
    Arc::make_mut(&mut api.identity).labels.clear();
    api.network.interfaces.truncate(1);
    let unit = Account {
        identity: Arc::new(Identity {
            id: "/system.slice/cron.service".to_owned(),
            kind: Kind::Cgroup,
            name: String::new(),
            image: String::new(),
            container_id: String::new(),
            runtime: String::new(),
            project: String::new(),
            service: String::new(),
            labels: BTreeMap::new(),
            every_label: BTreeMap::new(),
            created: None,
            started: None,
        }),
        gauges: Some(Gauges { processes: 1, threads: 1, threads_max: None, degraded: false }),
        totals: Totals::default(),
        last_seen: api.last_seen,
        network: Network::default(),
        limits: Vec::new(),
    };
    let workload = |kind, name: &str| Workload { kind, name: name.to_owned() };
    let snapshot = Snapshot {
        workloads: BTreeMap::from([
            (workload(WorkloadKind::Compose, "shop/api"), totals(20)),
            (workload(WorkloadKind::Other, "other"), Totals::default()),
        ]),
        node: Node {
            processes: 4,
            threads: 8,
            totals: Totals { forks: u64::MAX, ..totals(30) },
            network: Shares::default(),
        },
        ..(*snapshot(vec![api, unit])).clone()
    };
    assert_eq!(page(&Arc::new(snapshot)), include_str!("page.txt"));
}
