//! What the agent itself costs and may do, from `/proc/self`. What cannot be read is `None`, never zero.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// Ticks a second of times in `/proc`, 100 on `x86_64` and `aarch64` (`include/asm-generic/param.h`).
const USER_HZ: u32 = 100;

/// Names of the capabilities by their bit, `include/uapi/linux/capability.h`.
const CAPABILITIES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// A file of a process. With room for all of it from the start, it takes one read and not ten.
fn read(path: impl AsRef<Path>) -> Option<String> {
    let mut text = String::with_capacity(4 << 10);
    File::open(path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}

/// CPU time that all threads used so far, in user and kernel mode.
#[must_use]
pub fn cpu_time() -> Option<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    u64::try_from(microseconds).ok().map(Duration::from_micros)
}

/// Resident memory in bytes.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = read("/proc/self/status")?;
    let kib: u64 = field(&status, "VmRSS:")?.strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1_024)
}

/// Open file descriptors.
#[must_use]
pub fn open_fds() -> Option<usize> {
    // Since 6.2 the size of the directory tells.
    let size = fs::metadata("/proc/self/fd").ok()?.len();
    if size > 0 {
        return size.try_into().ok();
    }
    // The listing itself needs one.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1))
}

/// When the process was started, in time since 1970.
#[must_use]
pub fn started() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let up = Duration::try_from_secs_f64(uptime.split(' ').next()?.parse().ok()?).ok()?;
    let age = up.saturating_sub(start_after_boot(&stat)?);
    SystemTime::now().duration_since(UNIX_EPOCH).ok()?.checked_sub(age)
}

/// `starttime`, field 22 of `/proc/<pid>/stat`; the name before it may hold spaces and brackets.
fn start_after_boot(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let ticks: u32 = after_name.split(' ').nth(19)?.parse().ok()?;
    Some(Duration::from_secs(1) * ticks / USER_HZ)
}

/// Effective capabilities of all threads together, one bit each: a thread that kept one can use it.
#[must_use]
pub fn capabilities() -> Option<u64> {
    let mut kept = None;
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let Some(status) = read(thread.path().join("status")) else { continue };
        let bits = u64::from_str_radix(field(&status, "CapEff:")?, 16).ok()?;
        kept = Some(kept.unwrap_or(0) | bits);
    }
    kept
}

/// Names of capabilities, in the order of their bits; `cap_<bit>` where this table has no name.
pub fn capability_names(bits: u64) -> impl Iterator<Item = String> {
    (0..u64::BITS).filter(move |bit| bits & (1 << bit) != 0).map(|bit| {
        let known = usize::try_from(bit).ok().and_then(|bit| CAPABILITIES.get(bit));
        known.map_or_else(|| format!("cap_{bit}"), |&name| name.to_owned())
    })
}

/// The value of one line of a `status` file.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_cpu_memory_descriptors_and_a_start() {
        let before = cpu_time().expect("CPU time");
        assert!((0..20_000_000_u64).fold(1, |sum, n| sum ^ n.wrapping_mul(sum)) != 7);
        assert!(cpu_time().expect("CPU time") > before);
        assert!(resident_bytes().expect("memory") > 100 << 10);

        let fds = open_fds().expect("descriptors");
        let kept: Vec<fs::File> =
            (0..50).map(|_| fs::File::open("/proc/self/stat").expect("a file of our own")).collect();
        // Other tests open and close some at the same time.
        assert!(open_fds().expect("descriptors") + 20 > fds + kept.len());

        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        assert!(now.abs_diff(started().expect("a start")) < Duration::from_mins(10));
    }

    #[test]
    fn a_name_with_brackets_does_not_hide_the_start() {
        let stat = "7 (a) b ) S 1 7 7 0 -1 4194560 1 0 0 0 2 3 0 0 20 0 4 0 12345 1 1 18446744073709551615";
        assert_eq!(start_after_boot(stat), Some(Duration::from_millis(123_450)));
        assert_eq!(start_after_boot("7 (a"), None);
    }

    #[test]
    fn capabilities_have_the_names_of_the_kernel() {
        let names = |bits| capability_names(bits).collect::<Vec<_>>();
        assert_eq!(names(1 << 21 | 1 << 39 | 1 << 63), ["cap_sys_admin", "cap_bpf", "cap_63"]);
        assert!(names(0).is_empty());
        assert!(capabilities().is_some());
    }
}
