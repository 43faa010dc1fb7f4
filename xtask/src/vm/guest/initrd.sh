#!/bin/busybox sh
# First program of the guest: loads what the root disk needs, mounts it, hands over to /init there.
b=/bin/busybox
$b mount -t proc none /proc
$b mount -t sysfs none /sys
$b mount -t devtmpfs none /dev
# Some of these are built into one kernel and modules of the other; the mount below is the check.
for module in virtio_pci virtio_blk virtio_console ext4; do
    $b modprobe $module 2>/dev/null
done
if ! $b mount -t ext4 -o noatime /dev/vda /newroot; then
    echo "initrd: mount the root disk /dev/vda" >/dev/kmsg
    $b poweroff -f
fi
# The root disk serves every kernel, so the modules travel in the initrd.
$b mount -t tmpfs none /newroot/usr/lib/modules
$b cp -r /lib/modules/. /newroot/usr/lib/modules/
for dir in proc sys dev; do
    $b mount --move /$dir /newroot/$dir
done
exec $b switch_root /newroot /init
