#!/bin/bash
# Makes the volumes on which frame cutting was chosen (docs/adr/0004): one Debian in four states, each an
# ext4 image file. Needs root, debootstrap and a Debian mirror; takes some ten minutes.
#   os-upgrade.sh DIR [MIRROR]
set -euo pipefail
dir=$1 mirror=${2:-http://deb.debian.org/debian}
more=gcc,make,python3-numpy,git,vim,perl-doc,openjdk-17-jre-headless,locales-all,linux-image-amd64,fonts-dejavu
mnt=$(mktemp -d)
cleanup() { umount -R "$mnt" 2>/dev/null || true; rmdir "$mnt"; }
trap cleanup EXIT

new() { # FILE: an empty volume, mounted
    truncate -s 6G "$1" && mkfs.ext4 -q "$1" && mount -o loop "$1" "$mnt"
}
install() { # SUITE
    debootstrap --variant=minbase --include=ca-certificates "$1" "$mnt" "$mirror" >/dev/null
    echo "deb $mirror $1 main" >"$mnt/etc/apt/sources.list"
    inside "apt-get update -q && apt-get install -qy ${more//,/ }"
}
inside() {
    mountpoint -q "$mnt/proc" || mount -t proc proc "$mnt/proc"
    chroot "$mnt" env DEBIAN_FRONTEND=noninteractive LC_ALL=C sh -c "$1" >/dev/null
}
keep() { # NAME: a copy of the volume as it is now
    inside "apt-get clean"
    umount -R "$mnt"
    cp --sparse=always "$dir/work.img" "$dir/$1.img"
    mount -o loop "$dir/work.img" "$mnt"
}

mkdir -p "$dir"
new "$dir/work.img"
install bullseye
keep 1-installed
inside "apt-get install -qy tmux htop nano && apt-get install -qy --reinstall git make perl-modules-5.32"
keep 2-small-update
echo "deb $mirror bookworm main" >"$mnt/etc/apt/sources.list"
inside "apt-get update -q && apt-get -qy -o Dpkg::Options::=--force-confold dist-upgrade && apt-get -qy autoremove"
keep 3-upgraded
umount -R "$mnt"
new "$dir/work.img"
install bookworm
keep 4-reinstalled
umount -R "$mnt"
rm "$dir/work.img"
