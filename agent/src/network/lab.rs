//! A network namespace of a test's own. It goes with the thread that is in it, and everything with it.

use std::{
    net::UdpSocket,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use nix::sched::{CloneFlags, unshare};

use super::{Bucket, Requests};

/// Runs a test in a namespace that has a loopback interface alone.
pub(super) fn lab(test: impl FnOnce(&mut Requests) + Send) {
    thread::scope(|scope| {
        let run = || match unshare(CloneFlags::CLONE_NEWNET) {
            Err(error) => eprintln!("skipped: a network namespace takes root ({error})"),
            Ok(()) => test(&mut Requests::open().unwrap()),
        };
        if let Err(panic) = scope.spawn(run).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs a command line in the namespace, and gives what it printed.
pub(super) fn run(line: &str) -> String {
    let output = command(line).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a command line ends well.
pub(super) fn can(line: &str) -> bool {
    command(line).output().unwrap().status.success()
}

/// Words between spaces; what stands in quotes is one.
fn command(line: &str) -> Command {
    let words = |(number, part): (usize, &str)| match number % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    };
    let words: Vec<String> = line.split('\'').enumerate().flat_map(words).collect();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// What `tc` tells of all qdiscs and filters of an interface.
pub(super) fn listing(name: &str) -> String {
    [
        format!("tc -d qdisc show dev {name}"),
        format!("tc -d class show dev {name}"),
        format!("tc filter show dev {name} ingress"),
        format!("tc filter show dev {name} egress"),
    ]
    .map(|line| run(&line))
    .concat()
}

/// The number of an interface.
pub(super) fn ifindex(requests: &mut Requests, name: &str) -> u32 {
    requests.interface_named(name).unwrap().unwrap().ifindex
}

/// A veth pair of that MTU whose ends are up: `name`, and `name` with an x behind it, which is `10.9.0.2` for the other.
/// Gives the number of the first.
pub(super) fn pair(requests: &mut Requests, name: &str, mtu: u32) -> u32 {
    for file in ["default", "all"] {
        run(&format!("sysctl -qw net.ipv6.conf.{file}.disable_ipv6=1"));
    }
    run(&format!(
        "ip link add name {name} mtu {mtu} type veth peer name {name}x mtu {mtu} address 02:00:00:00:00:02"
    ));
    run(&format!("ip link set dev {name} up"));
    run(&format!("ip link set dev {name}x up"));
    ifindex(requests, name)
}

/// Has `10.9.0.2` be the other end of a pair.
pub(super) fn address(name: &str) {
    run(&format!("ip address add 10.9.0.1/24 dev {name}"));
    run(&format!("ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:02 dev {name}"));
}

/// A socket from which to send.
pub(super) fn socket() -> UdpSocket {
    UdpSocket::bind("10.9.0.1:0").unwrap()
}

/// Sends packets to `10.9.0.2` as fast as they are taken, for that long. Whoever sends waits where the queue is full.
pub(super) fn send(socket: &UdpSocket, packet: usize, duration: Duration) {
    socket.connect("10.9.0.2:9").unwrap();
    let (begun, packet) = (Instant::now(), vec![0; packet]);
    while begun.elapsed() < duration {
        socket.send(&packet).unwrap();
    }
}

/// Checks that what passed a bucket in some time is what it lets pass; on a busy machine less was sent.
pub(super) fn assert_holds(bucket: &Bucket, bytes: u64, time: Duration) {
    let rate = bucket.bytes_per_second * u64::try_from(time.as_micros()).unwrap() / 1_000_000;
    let most = rate + u64::from(bucket.burst_bytes) + 1_442; // the packet that is on its way
    assert!(bytes <= most, "{bytes} of {most} in {time:?}: {bucket:?}");
    assert!(bytes >= rate / 2, "{bytes} of {rate} in {time:?}: {bucket:?}");
}

/// Bytes that an interface received.
pub(super) fn received(requests: &mut Requests, name: &str) -> u64 {
    let links = requests.links().unwrap();
    links.iter().find(|link| link.name == name).unwrap().received.bytes
}
