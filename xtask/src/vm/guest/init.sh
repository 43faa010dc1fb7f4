#!/bin/sh
# Process 1 of the guest: mounts, unpacks the job from the second disk, runs it, sends back its exit code and /job/out.
# From the kernel's command line: VM_KERNEL, VM_CGROUP (v1 or v2), VM_LIMIT (seconds), VM_FILTER (words).
# The port `out` can be opened once only: a job writes errors with >&2, never into /dev/stderr.
export PATH=/usr/bin HOME=/root TERM=dumb LANG=C.UTF-8
export VM_OUT=/job/out VM_REPORT=/job/out/report.jsonl

port() {
    for dir in /sys/class/virtio-ports/*; do
        [ "$(cat "$dir/name")" = "$1" ] && echo "/dev/${dir##*/}"
    done
}

finish() {
    echo "$1" >"$(port rc)"
    poweroff -f
}

need() {
    "$@" || finish "guest set-up: $*"
}

mount_cgroup2() {
    need mount -t cgroup2 none /sys/fs/cgroup
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
    done
}

# Debian's 6.12 has no v1 cpuset and memory any more.
mount_cgroup1() {
    need mount -t tmpfs none /sys/fs/cgroup
    for controllers in cpu,cpuacct cpuset memory devices freezer blkio pids; do
        mkdir "/sys/fs/cgroup/$controllers"
        if ! mount -t cgroup -o "$controllers" none "/sys/fs/cgroup/$controllers" 2>/dev/null; then
            echo "vm: this kernel has no v1 hierarchy of $controllers"
            rmdir "/sys/fs/cgroup/$controllers"
        fi
    done
    [ -d /sys/fs/cgroup/pids ] || finish "guest set-up: v1 hierarchy of pids"
    ln -s cpu,cpuacct /sys/fs/cgroup/cpu
    ln -s cpu,cpuacct /sys/fs/cgroup/cpuacct
    mkdir /sys/fs/cgroup/systemd
    need mount -t cgroup -o none,name=systemd none /sys/fs/cgroup/systemd
}

# Ends a job that hangs while the report can still be saved, after a look at what hangs.
watchdog() {
    sleep "$VM_LIMIT"
    : >/run/overdue
    echo "vm: over the limit of $VM_LIMIT s; processes:"
    ps -o pid,ppid,stat,args
    echo w >/proc/sysrq-trigger
    kill -9 -1
}

exec >"$(port out)" 2>&1
need mount -t tmpfs none /run
need mount -t tmpfs none /tmp
mkdir -p /dev/pts /dev/shm
need mount -t devpts none /dev/pts
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
need mount -t tmpfs none /dev/shm
need mount -t securityfs none /sys/kernel/security
need mount -t bpf none /sys/fs/bpf
need mount -t debugfs none /sys/kernel/debug
need mount -t tracefs none /sys/kernel/tracing
case $VM_CGROUP in
v1) mount_cgroup1 ;;
*) mount_cgroup2 ;;
esac
need mount --make-rshared /
need ip link set lo up
hostname plimsoll-vm
need tar x -C / -f /dev/vdb
mkdir -p "$VM_OUT"
cd /job || finish "guest set-up: no /job"
dmesg -c >/dev/null
echo "vm: $(uname -r), cgroup $VM_CGROUP, up after $(cut -d' ' -f1 /proc/uptime) s"

watchdog &
sh ./run.sh </dev/null &
wait $!
code=$?
[ -e /run/overdue ] && code=overdue
dmesg | tail -n 60 >/dev/ttyS0
tar c -C "$VM_OUT" . >"$(port res)"
finish "$code"
