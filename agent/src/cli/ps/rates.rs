//! What passed between two readings, per second. Pure.

use std::collections::HashMap;

use serde::Serialize;

use super::reading::Reading;
use crate::exporter::accounts::Row;

/// An account and its rates.
#[derive(Debug, Serialize)]
pub(super) struct Rated<'a> {
    #[serde(flatten)]
    pub(super) row: &'a Row<'static>,
    /// `None` where it is not known: see [`passed`].
    pub(super) receive_bytes_per_second: Option<f64>,
    /// The same.
    pub(super) transmit_bytes_per_second: Option<f64>,
}

/// Whether two readings are of one snapshot: nothing can be told of what is between.
pub(super) fn same_moment(one: f64, other: f64) -> bool {
    one.total_cmp(&other).is_eq()
}

/// All accounts of a reading with their rates since the one before.
pub(super) fn rated<'a>(before: Option<&Reading>, now: &'a Reading) -> Vec<Rated<'a>> {
    let elapsed = before.map(|before| now.at - before.at).filter(|elapsed| *elapsed > 0.0);
    let earlier = before.iter().flat_map(|before| &before.containers);
    let earlier: HashMap<&str, &Row<'_>> = earlier.map(|row| (&*row.id, row)).collect();
    let rates = |row: &Row<'_>| {
        let (passed, elapsed) = (passed(earlier.get(&*row.id)?, row)?, elapsed?);
        Some(passed.map(|bytes| bytes / elapsed))
    };
    let with_rates = |row: &'a Row<'static>| {
        let [receive, transmit] = rates(row).map_or([None; 2], |rates| rates.map(Some));
        Rated { row, receive_bytes_per_second: receive, transmit_bytes_per_second: transmit }
    };
    now.containers.iter().map(with_rates).collect()
}

/// Bytes received and transmitted between two readings of a live account by what counts in both; `None` where nothing
/// does, or where the agent began anew.
fn passed(before: &Row<'_>, now: &Row<'_>) -> Option<[f64; 2]> {
    let counted = counters(before).into_iter().zip(counters(now));
    let (before, now) = counted.filter(|_| now.alive).find_map(|(before, now)| Some((before?, now?)))?;
    Some([difference(before[0], now[0])?, difference(before[1], now[1])?])
}

/// Received and transmitted: of its interfaces while somebody counts there, and of its own sockets.
fn counters(row: &Row<'_>) -> [Option<[u64; 2]>; 2] {
    let both = |received: Option<u64>, transmitted: Option<u64>| Some([received?, transmitted?]);
    let interfaces = both(row.received_bytes, row.transmitted_bytes);
    [
        interfaces.filter(|_| !row.network_source.is_empty()),
        both(row.own_received_bytes, row.own_transmitted_bytes),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "exact below 9 petabytes")]
fn difference(before: u64, now: u64) -> Option<f64> {
    now.checked_sub(before).map(|bytes| bytes as f64)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::exporter::accounts::Exits;

    /// A container whose interfaces have counted these bytes.
    pub(in super::super) fn row(name: &str, received: u64, transmitted: u64) -> Row<'static> {
        Row {
            id: format!("/docker/{name}").into(),
            kind: "container".into(),
            name: name.to_owned().into(),
            image: "busybox".into(),
            runtime: "docker".into(),
            container_id: "4f".into(),
            processes: Some(2),
            threads: Some(3),
            forks: 10,
            thread_creations: 1,
            execs: 5,
            exits: Exits { ok: 4, error: 3, signal: 1 },
            oom_kills: 0,
            network_source: "tcx".into(),
            received_bytes: Some(received),
            transmitted_bytes: Some(transmitted),
            own_received_bytes: None,
            own_transmitted_bytes: None,
            started: Some(1_000.0),
            alive: true,
        }
    }

    pub(in super::super) fn reading(at: f64, containers: Vec<Row<'static>>) -> Reading {
        Reading { at, containers }
    }

    /// Rates of the one account of the second reading.
    fn rates(before: &Reading, now: &Reading) -> Option<(f64, f64)> {
        let [Rated { receive_bytes_per_second, transmit_bytes_per_second, .. }] =
            rated(Some(before), now)[..]
        else {
            panic!("one account");
        };
        Some((receive_bytes_per_second?, transmit_bytes_per_second?))
    }

    #[test]
    fn rates_are_bytes_over_the_time_between() {
        let before = reading(1_000.5, vec![row("other", 0, 0), row("a", 1_000, 50)]);
        let now = reading(1_002.5, vec![row("a", 5_000, 50)]);
        assert_eq!(rates(&before, &now), Some((2_000.0, 0.0)));
    }

    #[test]
    fn what_is_not_in_both_has_no_rates() {
        let now = reading(1_001.0, vec![row("a", 5_000, 5_000)]);
        assert_eq!(rated(None, &now)[0].receive_bytes_per_second, None, "one reading");
        assert_eq!(rates(&reading(1_000.0, vec![row("b", 0, 0)]), &now), None, "new");
        for at in [1_001.0, 1_002.0] {
            assert_eq!(rates(&reading(at, vec![row("a", 0, 0)]), &now), None, "no time passed");
        }
        assert_eq!(rates(&reading(1_000.0, vec![row("a", 0, 5_001)]), &now), None, "it counts anew");
        let mut dead = row("a", 5_000, 5_000);
        dead.alive = false;
        assert_eq!(rates(&reading(1_000.0, vec![row("a", 0, 0)]), &reading(1_001.0, vec![dead])), None);
    }

    #[test]
    fn nobody_counts_is_not_zero() {
        let silent = |name: &str| Row { network_source: "".into(), ..row(name, 7, 7) };
        let before = reading(1_000.0, vec![silent("a")]);
        assert_eq!(rates(&before, &reading(1_001.0, vec![silent("a")])), None, "its interface is gone");
        assert_eq!(rates(&before, &reading(1_001.0, vec![row("a", 9, 9)])), None, "it is just back");
    }

    #[test]
    fn without_interfaces_its_own_sockets_tell() {
        let member = |bytes: u64| Row {
            network_source: "".into(),
            received_bytes: None,
            transmitted_bytes: None,
            own_received_bytes: Some(bytes),
            own_transmitted_bytes: Some(2 * bytes),
            ..row("a", 0, 0)
        };
        let (before, now) = (reading(1_000.0, vec![member(10)]), reading(1_010.0, vec![member(110)]));
        assert_eq!(rates(&before, &now), Some((10.0, 20.0)));
        let owner = |bytes: u64| Row {
            own_received_bytes: Some(0),
            own_transmitted_bytes: Some(0),
            ..row("a", bytes, 0)
        };
        let (before, now) = (reading(1_000.0, vec![owner(10)]), reading(1_010.0, vec![owner(110)]));
        assert_eq!(rates(&before, &now), Some((10.0, 0.0)), "an owner's interfaces go before");
    }

    #[test]
    fn the_document_has_rates_beside_what_there_is() {
        let (before, now) =
            (reading(1.0, vec![row("a", 0, 0)]), reading(2.0, vec![row("a", 3, 0), row("b", 1, 1)]));
        let value = serde_json::to_value(rated(Some(&before), &now)).expect("a value");
        assert_eq!(value[0]["receive_bytes_per_second"], 3.0);
        assert_eq!((&value[0]["received_bytes"], &value[0]["exits"]["error"]), (&3.into(), &3.into()));
        assert!(value[1]["transmit_bytes_per_second"].is_null(), "{value}");
        assert_eq!(value[1].as_object().map(serde_json::Map::len), Some(22));
    }
}
