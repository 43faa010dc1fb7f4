//! A cgroup with a network of its own: processes in a fresh network namespace, joined to a bridge by a veth pair.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use nix::sched::CloneFlags;

use crate::{
    bridge::{Bridge, interface, ip, keep_quiet},
    cgroup::Cgroup,
    counters::{self, Counters},
    host, netkit, settings,
};

/// A namespace with an interface `eth0`, and a cgroup whose processes are in it.
#[derive(Debug)]
pub struct Sandbox {
    /// Its cgroup.
    pub cgroup: Cgroup,
    holder: Child,
    number: u8,
    outside: String,
    /// Without IPv6, which speaks by itself.
    quiet: bool,
    /// The cgroup above its own, if there is one.
    _parent: Option<Cgroup>,
}

impl Sandbox {
    /// A cgroup of that name, whose processes are on the bridge as `10.213.0.number` and `fd00:213::number`.
    pub fn new(name: &str, bridge: &Bridge, number: u8) -> Result<Self> {
        let mut sandbox = Self::without_network(name, number)?;
        sandbox.connect(bridge)?;
        Ok(sandbox)
    }

    /// The same in a namespace that has a loopback interface alone.
    pub fn without_network(name: &str, number: u8) -> Result<Self> {
        Self::alone(Cgroup::create(name)?, None, number)
    }

    /// One whose cgroup is named like a container that no runtime knows, in a cgroup of that name.
    pub fn container(name: &str, bridge: &Bridge, number: u8) -> Result<Self> {
        let parent = Cgroup::create(name)?;
        parent.delegate("pids")?;
        let cgroup = parent.child(&format!("test-{:060x}{number:04x}.scope", std::process::id()))?;
        let mut sandbox = Self::alone(cgroup, Some(parent), number)?;
        sandbox.connect(bridge)?;
        Ok(sandbox)
    }

    fn alone(cgroup: Cgroup, parent: Option<Cgroup>, number: u8) -> Result<Self> {
        let sandbox = Self::with(cgroup, parent, number, || nix::sched::unshare(CloneFlags::CLONE_NEWNET))?;
        sandbox.ip(&["link", "set", "lo", "up"])?;
        // Its addresses are its own at once: nobody else can have them.
        sandbox.shell("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad")?;
        Ok(sandbox)
    }

    /// The same, where nothing is said that nobody asked for: it will have no IPv6.
    pub fn silent(name: &str, number: u8) -> Result<Self> {
        let mut sandbox = Self::without_network(name, number)?;
        sandbox.quiet = true;
        sandbox.shell("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")?;
        Ok(sandbox)
    }

    fn shell(&self, line: &str) -> Result<()> {
        host::run(self.command("sh")?.args(["-c", line])).map(drop)
    }

    /// Another cgroup in the same namespace.
    pub fn member(&self, name: &str) -> Result<Self> {
        let namespace = self.namespace()?;
        Self::with(Cgroup::create(name)?, None, self.number, move || {
            nix::sched::setns(&namespace, CloneFlags::CLONE_NEWNET)
        })
    }

    fn with(
        cgroup: Cgroup,
        parent: Option<Cgroup>,
        number: u8,
        mut enter: impl FnMut() -> nix::Result<()> + Send + Sync + 'static,
    ) -> Result<Self> {
        let mut command = Command::new("sleep");
        let procs = File::options().write(true).open(cgroup.path().join("cgroup.procs"))?;
        // SAFETY: between fork and exec, plain system calls on the child itself.
        unsafe {
            command.pre_exec(move || {
                nix::unistd::write(&procs, b"0")?;
                Ok(enter()?)
            });
        }
        let holder = command.arg("100000").stdin(Stdio::null()).spawn().context("hold a namespace")?;
        let outside = interface("v");
        Ok(Self { cgroup, holder, number, outside, quiet: false, _parent: parent })
    }

    /// Joins it to a bridge, by a pair whose host's end nothing passes before it is up.
    pub fn connect(&mut self, bridge: &Bridge) -> Result<()> {
        let (pid, outside) = (self.pid().to_string(), self.outside.clone());
        ip(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &pid])?;
        keep_quiet(&outside)?;
        ip(&["link", "set", &outside, "master", bridge.name(), "up"])?;
        self.set_up()
    }

    /// The same in Docker's way: both ends are made outside, and one is moved.
    pub fn connect_by_moving(&mut self, bridge: &Bridge) -> Result<()> {
        let moved = interface("m");
        ip(&["link", "add", &self.outside, "type", "veth", "peer", "name", &moved])?;
        self.move_in(&moved, bridge)
    }

    /// Takes one end of a pair in, and puts the other on a bridge.
    fn move_in(&self, inside: &str, bridge: &Bridge) -> Result<()> {
        [&self.outside, inside].into_iter().try_for_each(keep_quiet)?;
        ip(&["link", "set", &self.outside, "master", bridge.name(), "up"])?;
        ip(&["link", "set", inside, "netns", &self.pid().to_string(), "name", "eth0"])?;
        self.set_up()
    }

    /// Gives the end inside its addresses.
    fn set_up(&self) -> Result<()> {
        // One program for all: pairs come and go by the hundred.
        let number = self.number;
        let six = if self.quiet { "" } else { "addr add fd00:213::N/64 dev eth0\n" };
        let batch = format!(
            "addr add 10.213.0.N/24 dev eth0\naddr add 10.214.0.N/24 dev eth0\n{six}link set eth0 up\n"
        );
        let file = tempfile::NamedTempFile::new().context("make a file")?;
        fs::write(file.path(), batch.replace('N', &number.to_string())).context("write a batch")?;
        self.ip(&["-batch", &file.path().display().to_string()])
    }

    /// Joins it to the host alone, whose end of the pair has the address `10.216.0.1`; its own is `10.216.0.2`.
    pub fn connect_to_host(&mut self) -> Result<()> {
        let (pid, outside) = (self.pid().to_string(), self.outside.clone());
        ip(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &pid])?;
        ip(&["addr", "add", "10.216.0.1/24", "dev", &outside])?;
        ip(&["link", "set", &outside, "up"])?;
        self.ip(&["addr", "add", "10.216.0.2/24", "dev", "eth0"])?;
        self.ip(&["link", "set", "eth0", "up"])
    }

    /// Gives it an interface `eth0` on top of one of the host's: `macvlan` or `ipvlan`. `false` where this kernel has no
    /// such kind.
    pub fn connect_above(&mut self, parent: &str, kind: &str) -> Result<bool> {
        let (pid, name) = (self.pid().to_string(), self.outside.clone());
        if ip(&["link", "add", &name, "link", parent, "type", kind, "mode", mode_of(kind)]).is_err() {
            return Ok(false);
        }
        ip(&["link", "set", &name, "netns", &pid, "name", "eth0"])?;
        self.ip(&["addr", "add", &format!("10.213.0.{}/24", self.number), "dev", "eth0"])?;
        self.ip(&["link", "set", "eth0", "up"])?;
        Ok(true)
    }

    /// Joins it to a bridge by a netkit pair. `false` where this kernel has no such kind.
    pub fn connect_by_netkit(&mut self, bridge: &Bridge) -> Result<bool> {
        let inside = interface("k");
        match netkit::add(&self.outside, &inside) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(false),
            added => added.context("make a netkit pair")?,
        }
        self.move_in(&inside, bridge).map(|()| true)
    }

    /// Its process that keeps the namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// The name of the host's end of its pair.
    #[must_use]
    pub fn outside(&self) -> &str {
        &self.outside
    }

    fn namespace(&self) -> Result<File> {
        File::open(format!("/proc/{}/ns/net", self.pid())).context("open a namespace")
    }

    /// Its address.
    #[must_use]
    pub fn ipv4(&self) -> String {
        format!("10.213.0.{}", self.number)
    }

    /// Its address on the bridge that the host has one on.
    #[must_use]
    pub fn hosts_ipv4(&self) -> String {
        format!("10.214.0.{}", self.number)
    }

    /// Its address.
    #[must_use]
    pub fn ipv6(&self) -> String {
        format!("fd00:213::{}", self.number)
    }

    /// Runs `ip` in its namespace.
    pub fn ip(&self, words: &[&str]) -> Result<()> {
        let namespace = self.namespace()?;
        let mut command = Command::new("ip");
        // SAFETY: between fork and exec, a plain system call on the child itself.
        unsafe {
            command.pre_exec(move || Ok(nix::sched::setns(&namespace, CloneFlags::CLONE_NEWNET)?));
        }
        host::run(command.args(words)).map(drop)
    }

    /// Changes the host's end of its pair.
    pub fn ip_outside(&self, words: &[&str]) -> Result<()> {
        ip(&[&["link", "set", &self.outside], words].concat())
    }

    /// Runs a load of packets in its namespace and cgroup to the end.
    pub fn traffic(&self, words: &[&str]) -> Result<()> {
        let mut command = self.command(&settings::load()?)?;
        host::run(command.arg("traffic").args(words)).map(drop)
    }

    /// A command in its namespace and cgroup.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let procs = File::options().write(true).open(self.cgroup.path().join("cgroup.procs"))?;
        let namespace = self.namespace()?;
        let mut command = Command::new(program);
        // SAFETY: between fork and exec, plain system calls on the child itself.
        unsafe {
            command.pre_exec(move || {
                nix::unistd::write(&procs, b"0")?;
                Ok(nix::sched::setns(&namespace, CloneFlags::CLONE_NEWNET)?)
            });
        }
        Ok(command)
    }

    /// Starts to take what comes, until its end.
    pub fn sink(&self) -> Result<Sink> {
        let mut command = self.command(&settings::load()?)?;
        let child =
            command.args(["traffic", "sink"]).stdout(Stdio::piped()).spawn().context("start a sink")?;
        Sink::ready(child)
    }

    /// What the host's end of its pair has counted, as the container sees it; the kernel's own numbers.
    pub fn counters(&self) -> Result<Counters> {
        counters::outside(&self.outside)
    }

    /// The same, once nothing passes.
    pub fn at_rest(&self) -> Result<Counters> {
        counters::at_rest(&self.outside)
    }

    /// What its own end of its pair has counted, in the order of [`counters::NAMES`].
    pub fn inside(&self) -> Result<[u64; 8]> {
        counters::inside(self.pid(), "eth0")
    }

    /// Takes its process out of its cgroup.
    pub fn leave_to_the_root(&self) -> Result<()> {
        let procs = self.cgroup.hierarchy_root().join("cgroup.procs");
        fs::write(procs, self.pid().to_string()).context("move to the root")
    }

    /// Runs a load of packets in its namespace, in this process's cgroup, to the end.
    pub fn traffic_from_outside(&self, words: &[&str]) -> Result<()> {
        let namespace = self.namespace()?;
        let mut command = Command::new(settings::load()?);
        // SAFETY: between fork and exec, a plain system call on the child itself.
        unsafe {
            command.pre_exec(move || Ok(nix::sched::setns(&namespace, CloneFlags::CLONE_NEWNET)?));
        }
        host::run(command.arg("traffic").args(words)).map(drop)
    }

    /// Ends its process and its cgroup; its pair stays, as another member of its namespace lives.
    pub fn die(mut self) -> Result<Orphan> {
        let pair = Orphan(std::mem::take(&mut self.outside));
        self.holder.kill().context("end a sandbox")?;
        self.holder.wait().context("wait for its end")?;
        Ok(pair)
    }

    /// The number of the host's end of its pair.
    pub fn ifindex(&self) -> Result<u32> {
        let text =
            fs::read_to_string(format!("/sys/class/net/{}/ifindex", self.outside)).context("an interface")?;
        text.trim().parse().context("its number")
    }

    /// Removes its pair.
    pub fn disconnect(&self) -> Result<()> {
        ip(&["link", "del", &self.outside])
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _gone_before = ip(&["link", "del", &self.outside]);
        let _ended_before = self.holder.kill();
        let _status = self.holder.wait();
    }
}

/// The mode in which an interface of that kind reaches all others.
fn mode_of(kind: &str) -> &'static str {
    if kind == "ipvlan" { "l2" } else { "bridge" }
}

/// Runs a load of packets in a cgroup and the host's network to the end.
pub fn traffic_on_the_host(cgroup: &Cgroup, words: &[&str]) -> Result<()> {
    let shell = "echo 0 >cgroup.procs; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", shell, "sh"]).arg(settings::load()?).arg("traffic").args(words);
    host::run(command.current_dir(cgroup.path())).map(drop)
}

/// The same that takes what comes, until its end.
pub fn sink_on_the_host(cgroup: &Cgroup) -> Result<Sink> {
    let mut command = Command::new(settings::load()?);
    let child = command.args(["traffic", "sink"]).stdout(Stdio::piped()).spawn().context("start a sink")?;
    cgroup.add(child.id().cast_signed())?;
    Sink::ready(child)
}

/// A pair whose sandbox is gone, and that is not. Its end removes it.
#[derive(Debug)]
pub struct Orphan(String);

impl Orphan {
    /// What the host's end has counted, as the container sees it, once nothing passes.
    pub fn at_rest(&self) -> Result<Counters> {
        counters::at_rest(&self.0)
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        let _gone_before = ip(&["link", "del", &self.0]);
    }
}

/// A process that takes what comes. Its end kills it.
#[derive(Debug)]
pub struct Sink(Child);

impl Sink {
    fn ready(mut child: Child) -> Result<Self> {
        let out = child.stdout.take().context("a sink's output")?;
        let sink = Self(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        ensure!(line == "ready\n", "the sink said {line:?}");
        Ok(sink)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _status = self.0.wait();
    }
}
