//! What real hosts have mounted.

use super::{Hierarchies, Hierarchy, Kind, Mode, unescape};

/// A minimal init's host: v1 hierarchies for all, cgroup2 beside them.
const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

/// Ubuntu 20.04 with systemd's hybrid layout.
const SYSTEMD_HYBRID: &str = "\
24 30 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
32 24 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
33 32 0:28 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
34 32 0:29 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd
38 32 0:33 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,net_cls,net_prio
48 32 0:43 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime shared:26 - cgroup cgroup rw,pids
";

/// Debian 12.
const UNIFIED: &str = "\
22 28 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
31 22 0:27 / /sys/fs/pstore rw,nosuid,nodev,noexec,relatime shared:10 - pstore pstore rw
";

/// An old host without cgroup2.
const LEGACY: &str = "\
26 18 0:22 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:8 - tmpfs tmpfs ro,mode=755
27 26 0:23 / /sys/fs/cgroup/systemd rw,nosuid shared:9 - cgroup cgroup rw,xattr,name=systemd
37 26 0:33 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime shared:19 - cgroup cgroup rw,pids
";

const PIDS_IN_8: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t21\t1\npids\t8\t1\t1\n";
const PIDS_IN_2: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t93\t1\npids\t0\t93\t1\n";

fn cgroup2(mount: &str) -> Hierarchy {
    Hierarchy { mount: mount.into(), kind: Kind::Cgroup2, hierarchy_id: 0 }
}

fn pids_v1(mount: &str) -> Hierarchy {
    Hierarchy { mount: mount.into(), kind: Kind::PidsV1, hierarchy_id: 8 }
}

#[test]
fn every_layout_is_recognised() {
    let rows = [
        (
            HYBRID,
            PIDS_IN_8,
            Some(cgroup2("/sys/fs/cgroup/unified")),
            Some(pids_v1("/sys/fs/cgroup/pids")),
            Mode::Hybrid,
        ),
        (
            SYSTEMD_HYBRID,
            PIDS_IN_8,
            Some(cgroup2("/sys/fs/cgroup/unified")),
            Some(pids_v1("/sys/fs/cgroup/pids")),
            Mode::Hybrid,
        ),
        (UNIFIED, PIDS_IN_2, Some(cgroup2("/sys/fs/cgroup")), None, Mode::Unified),
        (LEGACY, PIDS_IN_8, None, Some(pids_v1("/sys/fs/cgroup/pids")), Mode::Legacy),
        ("", "", None, None, Mode::Legacy),
    ];
    for (mountinfo, cgroups, cgroup2, pids_v1, mode) in rows {
        let wanted = Hierarchies { cgroup2, pids_v1, mode };
        assert_eq!(Hierarchies::detect(mountinfo, cgroups), wanted, "{mountinfo}");
    }
}

#[test]
fn pids_max_lies_in_v1_where_the_controller_is_there() {
    let mount = |mountinfo, cgroups| {
        let hierarchies = Hierarchies::detect(mountinfo, cgroups);
        hierarchies.pids_mount().map(|path| path.display().to_string())
    };
    assert_eq!(mount(HYBRID, PIDS_IN_8).as_deref(), Some("/sys/fs/cgroup/pids"));
    assert_eq!(mount(UNIFIED, PIDS_IN_2).as_deref(), Some("/sys/fs/cgroup"));
    assert_eq!(mount("", PIDS_IN_2), None);
}

#[test]
fn a_part_of_the_hierarchy_counts_only_if_there_is_no_whole() {
    let part = "50 22 0:26 /docker/x /mnt/part rw - cgroup2 cgroup2 rw\n";
    let whole = Hierarchies::detect(&format!("{part}{UNIFIED}"), PIDS_IN_2);
    assert_eq!(whole.cgroup2, Some(cgroup2("/sys/fs/cgroup")));
    assert_eq!(Hierarchies::detect(part, PIDS_IN_2).cgroup2, Some(cgroup2("/mnt/part")));
}

#[test]
fn a_mount_hidden_by_a_later_one_does_not_count() {
    let hidden = format!("{UNIFIED}{}", "60 22 0:40 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n");
    assert_eq!(Hierarchies::detect(&hidden, PIDS_IN_2).cgroup2, None);
}

#[test]
fn lines_that_make_no_sense_are_passed_over() {
    let text = format!("\n-\n - \n1 2 3\n1 2 3 4 5 - cgroup2\n{UNIFIED}");
    assert_eq!(Hierarchies::detect(&text, "pids\npids x\n").cgroup2, Some(cgroup2("/sys/fs/cgroup")));
}

#[test]
fn octal_escapes_of_mount_points_are_undone() {
    let rows = [(r"/a\040b\134", "/a b\\"), (r"/a\04", r"/a\04"), (r"\0119", "\t9"), (r"/\777", r"/\777")];
    for (text, path) in rows {
        assert_eq!(unescape(text).to_str(), Some(path));
    }
}

#[test]
fn this_host_has_a_hierarchy() {
    let found = Hierarchies::read().unwrap();
    for hierarchy in found.cgroup2.iter().chain(&found.pids_v1) {
        assert!(hierarchy.mount.join("cgroup.procs").exists(), "{hierarchy:?}");
    }
    assert!(found.pids_mount().is_some());
}
