# Second half of the start: what a system has before its first program runs, then the job, then the end.
# The job's directory holds `command` (a shell script) and `seconds` (how long it may take).
job=$(sed -n 's/.* azud.job=\([^ ]*\).*/\1/p' /proc/cmdline)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mkdir -p /dev/pts /dev/shm /run/lock
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
ln -sf /proc/self/fd /dev/fd
ip link set lo up
hostname azud-vm
for module in $(cat "$job/modules"); do
    modprobe "$module" || echo "azud-vm: no module $module" >/dev/console
done
# The ports are numbered by us, their device by the kernel. They may come a little late.
until [ -e /dev/vport*p3 ]; do
    sleep 0.05
done
ports=$(echo /dev/vport*p3)
ports=${ports%3}
# Disks come up on their own time.
for name in $(cat "$job/disks"); do
    waited=0
    until [ -b "/dev/$name" ] || [ $waited -ge 300 ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
done
(
    sleep "$(cat "$job/seconds")"
    busybox poweroff -f
) &
setsid sh "$job/command" >"$ports"1 2>"$ports"2 </dev/null
echo $? >"$ports"3
busybox poweroff -f
