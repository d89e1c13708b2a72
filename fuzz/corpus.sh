#!/bin/bash
# Makes fuzz/bases/, small real volumes that the targets patch, and seeds of foreign images. Run it again only to
# add one: what fuzzers found depends on the bytes. Needs e2fsprogs, ntfs-3g, dosfstools, mtools, exfatprogs,
# xfsprogs, btrfs-progs, partclone and the compressors; no root.
set -euo pipefail
cd "$(dirname "$0")"
out=$PWD/bases seeds=$PWD/seeds work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work/tree/dir" && cd "$work"
export E2FSPROGS_FAKE_TIME=1000000000 SOURCE_DATE_EPOCH=1000000000 MTOOLS_SKIP_CHECK=1
id=01234567-89ab-cdef-0123-456789abcdef
echo text > tree/dir/file; ln -s file tree/dir/link; seq 3000 > tree/numbers; seq 99 | sed 's,^,tree/dir/,' | xargs touch

new() { rm -f vol; truncate -s "$2" vol; name=$1; }
# A table of capital letters, which no map reads, is what does not compress in an NTFS volume.
upcase() { perl -0777 -pi -e 'substr($_, index($_, pack("v*", 0..63)), 131072) = "\0" x 131072' vol; }
keep() { zstd -q -f -19 --long=27 vol -o "$out/$name.zst"; }

ext() { new "$1" "$2"; mke2fs -q -F -U $id -E "hash_seed=$id$4" -d tree -O "$3" ${5:-} vol; keep; }
ext ext4 8M 64bit,metadata_csum,^has_journal "" "-t ext4 -b 1024 -g 1024"
ext ext4-bigalloc 16M bigalloc,metadata_csum_seed,^has_journal "" "-t ext4 -C 16384"
ext ext4-uninit 8M uninit_bg,^metadata_csum,meta_bg,^resize_inode,^has_journal "" "-t ext4 -b 1024 -g 512"
ext ext2 2M none "" "-t ext2 -b 1024"

ntfs() { new "$1" "$2"; mkntfs -q -F -Q -p 0 -H 0 -S 0 -L fuzz -s "$3" -c "$4" vol 2>/dev/null; }
ntfs ntfs 4M 512 4096; upcase; keep
ntfs ntfs-files 6M 512 1024; seq 1 40 | while read -r n; do ntfscp -q vol tree/numbers "f$n"; done
ntfscp -q vol tree/numbers pagefile.sys; upcase; keep
ntfs ntfs-4k 8M 4096 4096; upcase; keep

fat() { new "$1" "$2"; mkfs.fat -i 12345678 --invariant -F "$3" ${4:-} vol >/dev/null; mcopy -s -i vol tree/numbers tree/dir ::; keep; }
fat fat12 1M 12
fat fat16 8M 16 "-s 1"
fat fat32 34M 32 "-s 1"
new exfat 8M; mkfs.exfat -L fuzz -c 4096 vol >/dev/null; keep
export TEST_DIR=/ TEST_DEV=/ QA_CHECK_FS=1 # mkfs.xfs makes small volumes for tests only.
new xfs 32M; mkfs.xfs -q -m uuid=$id -d agcount=2 vol; keep
new xfs-v4 32M; mkfs.xfs -q -d agcount=2 -m uuid=$id,crc=0 -b size=1024 vol 2>/dev/null; keep
new btrfs 16M; mkfs.btrfs -q -U $id --mixed -n 4096 -m single -d single --rootdir tree vol; keep
new btrfs-dup 128M; mkfs.btrfs -q -U $id vol; keep
new swap 1M; mkswap -q -U $id vol; keep
new image 1M; mke2fs -q -F -t ext2 -b 1024 -N 16 -U $id vol 128
clone() { partclone.ext2 -q -c "$@" -s vol -o image 2>/dev/null; }
rm -f image; clone -a 0; cp image "$out/partclone-a0.img"
for how in a1 k16; do
    rm -f image; clone -"${how:0:1}" "${how:1}"
    { printf '\1'; cat image; } > "$seeds/foreign_partclone/partclone-$how"
done
seq 200 > text
for tool in gzip zstd xz bzip2 lz4 lzop; do $tool -c text > "$seeds/foreign_compress/text.$tool"; done
