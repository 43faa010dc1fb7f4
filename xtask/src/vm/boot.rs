//! Runs one guest from boot to its end in QEMU, with a limit of time.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::prctl;
use nix::sys::signal::Signal;

use super::Boot;
use super::kernel::Kernel;
use super::need;
use super::outcome::Outcome;

/// Memory of one guest in MiB.
pub const MEMORY_MIB: u64 = 3072;

/// What booting, sending the results back and powering off may take on top of the job's own limit.
const GRACE: Duration = Duration::from_mins(1);

/// Everything that one run of a guest is made of.
#[derive(Debug)]
pub struct Guest {
    /// What was asked for.
    pub boot: Boot,
    /// The kernel to boot.
    pub kernel: Kernel,
    /// Its initrd.
    pub initrd: PathBuf,
    /// The root disk; never written to.
    pub root: PathBuf,
    /// The job as a tar.
    pub job: PathBuf,
    /// How long the job may run.
    pub limit: Duration,
    /// Empty folder for what the run leaves.
    pub folder: PathBuf,
}

impl Guest {
    /// Boots the guest, prints what it writes, and tells how it ended.
    pub fn run(&self) -> Result<Outcome> {
        let mut qemu = self.start()?;
        let output = qemu.stdout.take().context("qemu has no stdout")?;
        let ended = thread::scope(|scope| {
            scope.spawn(|| self.follow(output));
            wait(&mut qemu, self.limit + GRACE)
        })?;
        match ended {
            None => Ok(Outcome::Overdue),
            Some(status) if status.success() => Outcome::read(&self.folder.join("rc")),
            Some(status) => bail!("qemu ended with {status}: {}", self.read("qemu.log")),
        }
    }

    /// The last lines of the kernel's log.
    pub fn kernel_log(&self) -> String {
        let log = self.read("kmsg");
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// The tar that the guest sent back.
    pub fn results(&self) -> PathBuf {
        self.folder.join("res")
    }

    fn start(&self) -> Result<Child> {
        let log = self.folder.join("qemu.log");
        let log = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut qemu = need::program("qemu-system-x86_64")?;
        qemu.args(self.arguments()).env("TMPDIR", &self.folder);
        qemu.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        end_with_parent(&mut qemu);
        qemu.spawn().context("start qemu")
    }

    /// QEMU's command line. One thread for all CPUs: with one each, guests panic while kernel text is patched.
    /// Without five page levels and byte-wise string instructions, emulation is a seventh faster.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            "-accel tcg,thread=single -cpu max,la57=off,erms=off -smp 2 -no-user-config -nodefaults \
             -display none -monitor none -no-reboot -device virtio-serial"
                .split_whitespace()
                .map(OsString::from)
                .collect();
        let mut add = |words: [OsString; 2]| arguments.extend(words);
        add(["-m".into(), format!("{MEMORY_MIB}M").into()]);
        add(["-kernel".into(), self.kernel.image().into()]);
        add(["-initrd".into(), self.initrd.clone().into()]);
        add(["-append".into(), self.boot_arguments().into()]);
        add(["-drive".into(), with_path("if=virtio,format=raw,snapshot=on,file=", &self.root)]);
        add(["-drive".into(), with_path("if=virtio,format=raw,readonly=on,file=", &self.job)]);
        add(["-serial".into(), with_path("file:", &self.folder.join("kmsg"))]);
        for (port, file) in
            [("out", PathBuf::from("/dev/stdout")), ("rc", self.folder.join("rc")), ("res", self.results())]
        {
            add(["-chardev".into(), with_path(&format!("file,id={port},path="), &file)]);
            add(["-device".into(), format!("virtserialport,chardev={port},name={port}").into()]);
        }
        arguments
    }

    /// The kernel's command line; words of the form NAME=value reach the guest's init as variables. On a busy host the
    /// kernel measures its time stamp counter wrongly, up to twice too fast, and finds its timers broken.
    fn boot_arguments(&self) -> String {
        let cgroup = if self.boot.cgroup_v1 { "v1" } else { "v2" };
        format!(
            "console=ttyS0 quiet panic=-1 apparmor=0 lsm=landlock,lockdown,yama,bpf tsc=unstable \
             no_timer_check VM_KERNEL={} VM_CGROUP={cgroup} VM_LIMIT={} VM_FILTER=\"{}\"",
            self.boot.kernel,
            self.limit.as_secs(),
            self.boot.filter.join(" ")
        )
    }

    /// Prints what the guest writes, line by line as it comes.
    fn follow(&self, output: impl Read) {
        let mut lines = BufReader::new(output);
        let label = self.boot.label();
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            println!("[{}] {}", label, String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }
}

/// QEMU's `key=value,` lists: a comma in a path is written twice.
fn with_path(before: &str, path: &Path) -> OsString {
    let path = path.to_string_lossy().replace(',', ",,");
    OsString::from(format!("{before}{path}"))
}

/// No guest is left running when this process is killed.
fn end_with_parent(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe and the closure allocates nothing.
    unsafe { command.pre_exec(|| Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)) };
}

/// Waits for the end; none when it did not come in time and the process was killed.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().context("wait for qemu")? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(50));
    }
    child.kill().context("kill qemu")?;
    child.wait().context("wait for qemu")?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_does_not_end_it() {
        assert_eq!(with_path("file=", Path::new("/a,b")), "file=/a,,b");
    }

    #[test]
    fn a_process_over_its_limit_is_killed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(wait(&mut child, Duration::from_millis(100)).unwrap().is_none());
    }
}
