#!/bin/busybox sh
# First process of the machine: makes the host's files, read-only, and a layer in memory its root.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
# Whatever goes wrong here ends the machine, with the reason on the console.
fail() {
    echo "azud-vm: $1"
    poweroff -f
}
word() { sed -n "s/.* $1=\([^ ]*\).*/\1/p" /proc/cmdline; }
while read -r module; do
    insmod "/modules/$module" || fail "module $module"
done </modules/order
mkdir -p /host /layer /root
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 host /host || fail "the host's files"
mount -t tmpfs -o size=80% layer /layer || fail "the layer in memory"
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work azud-vm /root || fail "the layers"
modules=$(word azud.modules)
mkdir -p /root/proc /root/sys /root/dev /root/run "/root/lib/modules/$(uname -r)"
mount -o bind "/root$modules" "/root/lib/modules/$(uname -r)" || fail "the modules"
mount -t tmpfs run /root/run
for place in proc sys dev; do
    mount --move "/$place" "/root/$place"
done
exec switch_root /root /bin/busybox sh "$(sed -n 's/.* azud.job=\([^ ]*\).*/\1/p' /root/proc/cmdline)/inside"
