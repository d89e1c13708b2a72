### Azud's words in English. Same keys and variables as locales/es/azud.ftl.

## How errors are laid out

error-label-what = error:
error-label-why = cause:
error-label-hint = remedy:
error-label-code = code:
error-label-warning = warning:

## Errors: what each code means, and what to do

error-cli-usage = The command line was not understood
    .hint = Read the command's help: add --help.
error-cli-bad-config = The configuration was not understood
    .hint = Correct /etc/azud/azud.toml (or the file that AZUD_CONFIG names), the AZUD_… variables or the options.
error-cli-not-confirmed = Not confirmed, nothing was written
    .hint = Repeat with --yes, or type the name when asked.
error-cli-interrupted = Interrupted by a signal
    .hint = Run the same command again: what was begun is cleared away, or gone on with.
error-image-bad-name = The image's name is not acceptable
    .hint = No part of it may be empty, begin with a dot or hold control characters, and its end must not be that of a side file (.info, .sum, .lock …).
error-image-not-a-file = Not the kind of file that it has to be
    .hint = Images are regular files: name the file itself. A device is captured with “azud image create”; a stream is restored with -.
error-image-not-found = Not found
    .hint = Check the spelling; “azud image list DIR” shows what there is, “azud image list REPO:” what a repository has.
error-image-outside = The name leads out of its repository
    .hint = Somebody planted a link there: look at it (ls -l) and remove it.
error-image-case-twin = Upper and lower case differ
    .hint = Write the name exactly as it is there.
error-image-not-native = Not an image in Azud's format
    .hint = If another program made it, convert it with “azud image import”.
error-image-truncated = The image ends too early
    .hint = The copy was cut short: copy it again, or take a former version (“azud image history”).
error-image-corrupt = The image is damaged
    .hint = Copy it again, repair it in the cache (“azud cache repair”), or go back to a former version (“azud image rollback”).
error-image-false-sum = A sum beside the image is not the image's
    .hint = OpenGnsys would copy the image again and again, or take an old one for new. Remove the file that is named, or write it anew.
error-image-newer-version = The image comes from a newer Azud
    .hint = Update azud on this computer.
error-image-too-large = A size in the image is beyond what the format allows
    .hint = The file is damaged or was made to do harm: do not use it; copy it again from its source.
error-image-foreign-endian = The image was made on a machine with the other byte order
    .hint = Restore and capture it again on a little-endian machine.
error-image-unknown-format = Unknown format or compression
    .hint = Known are partclone and ntfsclone images and whole disks, plain or in gzip, lzop, zstd, xz, bzip2 or lz4.
error-image-locked = The image is locked
    .hint = Wait until whoever locked it has ended and try again.
error-image-no-such-version = The trash has no such version
    .hint = “azud image history IMAGE” shows those there are.
error-place-bad-name = The repository's name is not acceptable
    .hint = It is REPO, CACHE, an address (IPv6 in brackets), a computer's name, USB-id or DVD-id; write ./ before a file whose name has a colon.
error-place-no-manager = Nobody said which computer the manager is
    .hint = Set “manager” in /etc/azud/azud.toml, AZUD_MANAGER or --manager; on the manager itself “serving = true” or --serving: REPO: means “images” of [serve] there, else the root.
error-place-not-mounted = The repository is not there
    .hint = Mount it first (“azud env” shows what is mounted), or, if it is a manager, make it known here: azud repo add ADDRESS --protocol http --token-file FILE
error-place-not-answering = The repository does not answer
    .hint = Its server or the network is gone. Wait and try again, or take it out of the way (“azud repo unmount ADDRESS”, else umount -f -l) and mount it later; other repositories go on working.
error-place-gone = What was mounted there is gone
    .hint = Unmount what is left (“azud repo unmount ADDRESS”, “azud storage unmount MEDIUM”) and mount it anew.
error-place-ambiguous = Several repositories answer to that name
    .hint = Name the one that is meant by its path, or unmount the others.
error-place-alias-taken = A file or directory stands where an alias belongs
    .hint = Rename it: addresses, REPO, CACHE, USB-… and DVD-… are names of repositories.
error-cache-pinned = The image is pinned
    .hint = “azud cache unpin IMAGE” lets it go.
error-cache-in-use = The image is in use
    .hint = Wait until the restore, update or mount has ended and try again.
error-cache-last-copy = The image is the last copy in the cache of what this computer runs
    .hint = Bring another copy of it into the cache first, or restore something else to that partition. “azud cache evict IMAGE --even-last-copy” gives it up.
error-cache-no-room = There is no room in the cache
    .hint = Unpin images, wait until those in use are free, or give the cache a larger partition.
error-cache-no-copy = The other copy does not have what is damaged
    .hint = Name another copy of the same version with --from, or copy the whole image again.
error-cache-unknown-version = Nobody knows which version of the image this was
    .hint = “azud cache update IMAGE” brings the present one; what is right here is kept.
error-store-no-room = There is not enough room for the image; nothing was written
    .hint = Remove images or former versions that nobody needs.
error-store-file-too-large = The file system cannot hold a file of this size; nothing was written
    .hint = FAT32 holds files up to 4 GiB: use a medium formatted with exFAT, ext4 or NTFS.
error-store-source-changed = The image changed while it was being read
    .hint = Run the command again: it goes on with the new one.
error-store-half-moved = A part of the image lies in an update of it that was broken off
    .hint = Run that update again, with the same source. Until then the image can be restored, but not replaced.
error-site-problems = Something on this computer is in the way of work
    .hint = Do what “azud doctor” says beside each problem.
error-fs-dirty = The file system was not shut down cleanly
    .hint = Check and repair it, or capture the whole device with --dirty raw.
error-fs-hibernated = Windows is hibernated on this volume
    .hint = Start Windows, turn fast start-up off and shut it down completely (shutdown /s /f /t 0).
error-fs-corrupt = The file system is damaged
    .hint = Repair it with its own tool (fsck, chkdsk) and try again. If it is larger than its device, give the partition its former size first: a repair would cut off what lies beyond.
error-fs-unsupported = The file system uses a feature that Azud does not know
    .hint = Try --engine partclone, or update azud.
error-fs-unknown = No known file system
    .hint = Check that it is the right partition, not the whole disk or an encrypted volume.
error-disk-mounted = It is mounted already
    .hint = Unmount it (umount) and try again.
error-disk-busy = The device is in use
    .hint = Stop what uses it (lsblk and fuser -v show it) and try again.
error-disk-not-a-device = Neither a block device nor a regular file
    .hint = lsblk shows the devices of this computer.
error-disk-bad-name = The device's name was not understood
    .hint = It is /dev/…, a file, DISK:PARTITION (1:2) or serial=SERIAL:PARTITION; lsblk -o NAME,SERIAL shows them.
error-disk-ambiguous = Several disks answer to that name
    .hint = Name the device by its path; lsblk -o NAME,SERIAL shows them.
error-disk-too-small = The target is too small
    .hint = Choose a larger partition, or shrink the file system before capturing it.
error-disk-sector-size = The target's sector size does not fit the image
    .hint = Restore to a disk whose logical sectors have the size of the original's.
error-disk-holds-source = The device holds the image itself
    .hint = Put the image on another disk, or choose another device.
error-disk-target-is-image = The target is itself an image
    .hint = Move it away first (“azud image rm” keeps it in the trash), or choose another target.
error-disk-empty = There is nothing to capture
    .hint = Check that it is the right device: it has no bytes.
error-disk-changed = The device changed or vanished during the work
    .hint = Check cables and who else uses it, then start again.
error-disk-read-only = The medium is read-only
    .hint = Remove the write protection, or mount it for writing. If it could be written a moment ago, its disk failed or was pulled out: the kernel's log (dmesg) says so.
error-disk-no-space = No space left
    .hint = Free space or write elsewhere; former versions of images take space too.
error-disk-read-back = What was read back is not what was written
    .hint = Do not use the target: its disk, cable or memory is failing.
error-disk-io = The operating system refused an operation
    .hint = Look at the cause; dmesg tells whether the disk is failing.
error-disk-permission = Not allowed
    .hint = Run it as root (sudo), or check the permissions of the file. Where root is refused, too, the system keeps it from this container or machine.
error-disk-bad-table = The partition table is not usable
    .hint = Look at it (sfdisk --list) and repair it; nothing more is written to it until then.
error-disk-no-place = There is no place for the partition
    .hint = Ask for less (--size), shrink or delete another partition, or name a partition that is there.
error-disk-not-empty = What the disk holds would be lost
    .hint = Look at it (blkid, lsblk -f). If it may go, empty it yourself (wipefs --all DEVICE) and try again.
error-cache-not-found = There is no cache
    .hint = “azud cache init DISK” makes one; “azud cache find” shows what was looked at. A directory is one, too: AZUD_CACHE=DIR before a command says so.
error-cache-ambiguous = Several devices are caches
    .hint = Name the one that is meant (“azud cache mount DEVICE”), or take the label CACHE from the others.
error-cache-exists = There is a cache already
    .hint = To lose all its images, name its partition and add --reformat.
error-cache-no-file-system = The cache's partition has no file system that is recognised
    .hint = Look first: “blkid -p DEVICE” and “wipefs DEVICE” show what is on it, “e2fsck -fn DEVICE” (xfs_repair -n, btrfs check) checks it without a change. “azud cache init DEVICE” formats what is blank; with --reformat also what is not, and all images in it are lost then.
error-mount-unsupported = The kernel cannot mount such a file system
    .hint = Load the kernel's module (modprobe), or use a kernel that has it.
error-mount-bad-place = Nothing can be mounted there
    .hint = Name a directory of its own, one that is no link and where nothing is mounted.
error-mount-not-mounted = Nothing is mounted there
    .hint = findmnt shows what is mounted where.
error-repo-unreachable = The server does not answer
    .hint = Check the address, the cable and the server's firewall; --protocol says how it is asked. Then repeat the command: updates, copies and deploys go on where they were.
error-repo-denied = The server refuses it
    .hint = SMB: check the user and the password (--user with --password-stdin, or --credentials FILE). NFS: have the server export the directory to this computer (/etc/exports, exportfs -ra).
error-repo-no-such-share = The server has nothing of that name
    .hint = Check --path; “smbclient -L ADDRESS” and “showmount -e ADDRESS” show what the server has.
error-repo-wrong-protocol = The server does not speak this version of the protocol
    .hint = Ask for another one: --option vers=2.1 or vers=3.0 for SMB, vers=3 or vers=4.2 for NFS, or another --protocol.
error-repo-unknown = It is not known how the repository is reached
    .hint = Say it with --protocol and --path; “azud repo add” remembers it.
error-repo-untrusted = The server is not the one that is known
    .hint = If the manager was made anew, compare the fingerprint that it shows at its start, then “azud repo add ADDRESS --protocol http --pin PIN --token-file FILE”. If not, somebody else answers in its place.
error-repo-unauthorised = The server does not accept the token
    .hint = “azud token create” on the manager makes a new one; “azud repo add” remembers it here.
error-repo-bad-token = There is no token in the file
    .hint = “azud token create --role read” on the manager shows a new one: write it into a file of root's alone (umask 077) and name that, azud repo add ADDRESS --protocol http --pin PIN --token-file FILE. A person comes for some hours with “azud login”.
error-repo-token-expired = The token has ended
    .hint = Ask for a new one: “azud login” for a person, “azud token create” on the manager for a computer. If its clock or the manager's was wrong, correct that first.
error-repo-bad-login = The code is not good
    .hint = A code is good once and for five minutes: “azud token code” on the manager shows another.
error-repo-too-many-logins = Too many codes were tried
    .hint = Wait some seconds, then type the code once more. A code is good for five minutes: “azud token code” on the manager shows another.
error-repo-token-elsewhere = The token is not good at this address
    .hint = “azud token list” on the manager shows for which subnets it is; make one for this computer's.
error-repo-not-allowed = The token is good, but not for this
    .hint = A person comes with “azud login” and a code of “azud token code” on the manager; for a computer, “azud token create --role write” there makes a token and “azud repo add” remembers it here. “azud token list” there shows what each token is for.
error-repo-read-only = The manager takes nothing from anybody
    .hint = It only reads out (--read-only, or read_only below [serve]). Send to another one, or work on its computer.
error-repo-cannot-read = The manager may not read it
    .hint = On its computer: the file and its folder must be readable for the account that the manager runs as (chown, chmod; the package has the account azud).
error-repo-cannot-store = The manager cannot write there
    .hint = On its computer: the folder must belong to the account that the manager runs as (chown; the package has the account azud), and its disk must not be read-only.
error-repo-disk-fails = A disk of the manager's computer fails
    .hint = On its computer: “azud image verify” finds what of the image can still be read, “journalctl -k” shows what the disk, or the share that is mounted there, reports. Other copies help: “--from”, “azud cache repair --from”.
error-repo-bad-answer = The server's answer is not what was asked for
    .hint = Try again; if it stays, something between here and the manager changes what it sends, or it has another version.
error-repo-too-busy = The server has too much to do at the moment
    .hint = Try again in a moment: updates, copies and deploys go on where they were. If it stays, too many connections or requests come from this address or this room; “azud room status” shows who is at work.
error-repo-bad-request = The manager does not understand what it was asked for
    .hint = Client and manager may have different versions: azud --version on both. Whoever writes programs finds what there is in the manager's /openapi.json.
error-repo-index-in-making = The index of the image is being made
    .hint = Ask again in a moment.
error-repo-bad-range = A range of bytes that cannot be served
    .hint = Ask for one range within the file.
error-repo-bad-upload = What is sent cannot be a part of the image
    .hint = Try again; if it stays, client and manager have different versions, or something between them changes what is sent.
error-repo-no-upload = The manager does not have what it was sent
    .hint = Run the same command again: what is there need not be sent again.
error-repo-too-many-uploads = The manager receives as many images as it can
    .hint = Try again in a moment.
error-repo-bad-report = A report of a computer's work that is not acceptable
    .hint = Bring Azud on that computer to the manager's version.
error-server-cannot-listen = Nobody can listen at the address
    .hint = Name an address of this computer and a port that is free; ss -ltn shows which are taken.
error-server-bad-certificate = A certificate is damaged
    .hint = Put the manager's ca.pem and ca.key back from a copy; without them it needs a new authority, and every client has to be told.
error-server-no-state = No manager has its state there
    .hint = “azud serve” makes it when it is first started there; --state says which directory it is.
error-server-no-token = There is no such token
    .hint = “azud token list” shows them.
error-trust-unsigned = The image is not signed, and this computer takes signed ones only
    .hint = Whoever answers for the image signs it: azud image sign IMAGE --key FILE. The keys that are trusted are in azud.toml ([trust] keys).
error-trust-bad-signature = The signature of the image is worth nothing
    .hint = Have the image signed again (azud image sign), with a key that is in azud.toml here ([trust] keys). Until then do not use it: somebody may have changed it.
error-trust-other-image = The signature is that of another image
    .hint = Somebody may have renamed or exchanged images. If the name was changed on purpose, sign it under the new one: azud image sign IMAGE --key FILE
error-trust-older-image = The image was signed before one that this computer has seen under the same name
    .hint = Somebody may have put an old version back. If it was done on purpose, sign it again: azud image sign IMAGE --key FILE
error-trust-bad-key = It is no key for signatures, or it cannot be opened
    .hint = Keys are those of minisign (“minisign -G” makes a pair); --password-stdin gives the password of a secret one.
error-repo-open-secret = A file with a secret can be read by others
    .hint = Make it its owner's alone: chmod 600 FILE, or chmod 700 DIR.
error-storage-no-medium = No such removable medium
    .hint = “azud storage list” shows what is plugged in.
error-tool-missing = A program is missing
    .hint = Install it with the system's package manager.
error-tool-failed = An external program failed
    .hint = Read what it said; running it by hand may say more.

## What failed in this very case, where more languages than English have words for it

detail-interrupted = stopped half-way, as was asked
detail-too-small = the target has { $has } bytes, the image needs { $needs } bytes
detail-trailing = the file has { $extra } bytes after the image's end
    .hint = Somebody appended to it or padded it. The image may be whole: truncate -s { $end } FILE takes off what follows, then verify it.
detail-no-device = { $path }: no such device or file
detail-mounted = { $path }: mounted on { $at }
detail-busy-exclusive = { $path }: in use by another program, which has { $device } to itself
detail-busy = { $path }: in use by { $by }
detail-not-found = there is no { $path }
detail-directory-absent = there is no directory { $path }
    .hint = Make it (mkdir -p { $path }), or mount the disk that it lies on.
detail-not-a-directory = { $path } is { $what }
    .hint = Name a directory, or move that file out of the way.
detail-nothing-there = there is neither a directory { $path } nor an image { $image }
detail-locked = somebody else is changing { $path }
detail-no-room-at-all = { $needed } bytes more would have to be free, and nothing can go
detail-stays-pinned = { $image } is pinned
detail-stays-in-use = somebody is at work with { $image }
detail-stays-not-planned = the plan did not name { $image }
detail-half-moved = a part of { $image } lies in an update of it that was broken off
detail-second-name = { $path } has a second name (a hard link), which would lose what moves
    .hint = Repeat the command: where there is room for both images, the old one is left as it is. Where there is not, or a part has moved already, take the other name away (find DIRECTORY -xdev -samefile { $path } shows it), or make it a copy of its own (cp), and repeat the command.
detail-state-no-directory = { $path } is no directory
    .hint = The state of a manager is the directory in which “azud serve” keeps its authority and its tokens (/var/lib/azud where root runs it). It is named by --state DIR, AZUD_STATE, or state in azud.toml.
detail-sent-is-gone = what was sent of { $path } is not there any more
    .hint = Somebody removed it on the manager, or the folder that it was to lie in. Run the same command again: the folder is made anew, and all of it is sent again.
detail-images-no-directory = { $path } is no directory
    .hint = Name the directory in which the images lie: --images DIR, AZUD_IMAGES, or images below [serve] in azud.toml.
detail-token-missing = --token-file FILE is missing
    .hint = “azud token create --role read” on the manager shows a token: write it into a file of root's alone (umask 077) and name that. A person comes without one, for some hours: azud login { $host } --pin PIN
detail-net-nameless = { $name } cannot be resolved: nobody says which address it has
    .hint = Check the spelling; “getent hosts { $name }” asks as Azud does. Where no name server knows it, write its address and the name into /etc/hosts, or call the computer by its address.
detail-net-unauthorised-login = { $host } does not accept the token of the login here
    .hint = “azud login { $host }” with a new code renews the login; “azud login { $host } --out” ends it, and the token that “azud repo add” kept counts again.
detail-net-login-ended = the login for { $host } here has ended, and { $host } does not accept the token of this computer either
    .hint = Log in again: azud login { $host }. “azud login { $host } --out” forgets that there was a login.
detail-net-bad-certificate = what is kept of the manager's authority is no certificate
    .hint = Introduce the manager to this computer again: azud repo add ADDRESS --protocol http --pin PIN --token-file FILE
detail-held-azud = { $image } is locked by azud on { $host }, process { $pid }, since { $since }
    .hint = Wait until it has ended. If { $host } is off, try again in a minute: its lock lapses by itself.
detail-held-here = { $image } is locked by azud on { $host }, process { $pid }, since { $since }
    .hint = Wait until process { $pid } of this computer has ended (ps { $pid } shows it).
detail-held-sent = { $image } is locked by azud on { $host }, process { $pid }, since { $since }, to which { $sender } sends it
    .hint = Wait until { $sender } has sent it; do not stop process { $pid }, the manager. What was broken off lapses two minutes after the last sign of life of { $sender }, and the same command there goes on with it at once.
detail-being-sent = { $image } is being received from { $sender }, which lapses after { $seconds } seconds without a sign of life
    .hint = Wait until { $sender } has sent it, and try again. If it was broken off there, try again in { $seconds } seconds, or repeat the command there: it goes on at once.
detail-put-together = { $image } came from { $sender } and is being put together
    .hint = It came whole; try again in a moment.
detail-held-ownerless = { $image } is locked by a tool that does not say who it is
    .hint = Wait until the tool that made the lock has ended. If none is at work: rm '{ $lock }'
detail-held-mounted = { $image } is locked by a server that has its file system mounted
    .hint = Have the server finish with the image. If it is not mounted there: rm '{ $lock }'
detail-held-reduced = { $image } is locked by a server that is shrinking its file system
    .hint = Have the server finish with the image. If it is not being reduced there: rm '{ $lock }'
detail-stays-last-copy = { $image } is the last copy in the cache of what { $partition } runs
detail-sampled-room = { $path } would need about { $likely } bytes ({ $least } bytes at the very least, as samples of the content tell), and there are { $has } bytes
detail-dirty = { $fs } was not shut down cleanly: { $why }
detail-outside = { $path } leads out of its repository
detail-case-twin-hidden = there is no { $wanted }, but one in another case
detail-case-twin = there is no { $wanted }, but “{ $there }” is there
detail-place-silent = { $place } at { $at } does not answer
detail-place-gone = { $place }: what was mounted at { $at } is gone
detail-net-place = { $host }: { $detail }
    .hint = Mount it on the computer of that manager (“azud repo list” and “azud doctor” there say what is), or here. If it is a manager itself, make it known here: azud repo add ADDRESS --protocol http
detail-net-not-mounted = { $host }: { $place } is not mounted
    .hint = { detail-net-place.hint }
detail-repo-denied = { $repo }: the server refuses it ({ $protocol })
detail-repo-no-share = { $repo }: the server has no such share or directory ({ $protocol })
detail-repo-wrong-protocol = { $repo }: the server does not speak this version of the protocol ({ $protocol })
detail-place-not-mounted = { $place } is not mounted at { $at }
detail-cache-not-mounted = { $place } is not mounted at { $at }
    .hint = “azud cache mount” mounts the cache that this computer has, “azud cache init DISK” makes one. A directory is one, too: AZUD_CACHE=DIR before a command says so.
detail-cache-dir-absent = there is no directory { $path }
    .hint = Make it (mkdir -p { $path }) where it is to be a cache, mount the disk that it lies on, or name another one.
detail-cache-no-directory = { $path } is no directory
    .hint = A cache is a directory: name another one. Where neither AZUD_CACHE nor an option names one, the cache is that of this computer.
detail-cache-absent = { $place } is not mounted
    .hint = “azud cache mount” mounts the cache that this computer has, “azud cache init DISK” makes one. A directory is one, too: AZUD_CACHE=DIR before a command says so.

## What is in the way of work

doctor-label-why = why:
doctor-state-ok = ok
doctor-state-unknown = unknown
doctor-state-warning = warning
doctor-state-problem = problem
doctor-area-kernel = Kernel and rights
doctor-area-tools = Programs
doctor-area-config = Configuration
doctor-area-site = Site
doctor-area-mounts = Mounts
doctor-area-clocks = Clocks
doctor-area-managers = Managers
doctor-area-space = Room
doctor-area-stages = Unfinished work
doctor-area-cache = Cache
doctor-sum = In order: { $ok }, not looked at: { $unknown }, warnings: { $warnings }, problems: { $problems }
doctor-problems = { $problems ->
    [one] { $problems } problem
   *[other] { $problems } problems
}

doctor-for-nfs = mounting repositories over NFS
doctor-for-smb = mounting repositories over SMB
doctor-for-cache = a cache partition of the usual kind
doctor-for-cache-shares = a cache whose images share what they have in common
doctor-for-sticks = USB sticks and disks
doctor-for-discs = DVDs
doctor-for-loops = trying things out on files instead of disks
doctor-for-fuse = mounts without the kernel's own driver (exFAT, NTFS)
doctor-for-find-cache = finding the cache and removable storage
doctor-for-mounting = mounting
doctor-for-cache-table = making a cache partition
doctor-for-other-file-systems = capturing f2fs, HFS+, JFS and other rare file systems
doctor-for-qcow2 = exporting images to qcow2
doctor-for-dirty-ext = repairing ext2, ext3 and ext4 before they are captured
doctor-for-dirty-ntfs = repairing NTFS before it is captured
doctor-for-dirty-fat = repairing FAT before it is captured

doctor-root = This is root
doctor-not-root = This is not root
    .why = Only root may read and write disks and mount; some of what follows cannot be looked at.
    .remedy = sudo azud doctor
doctor-openat2 = Names are resolved by the kernel (openat2)
doctor-no-openat2 = The kernel does not resolve names itself (openat2), or a sandbox forbids it
    .why = Azud then walks every path step by step: just as safe, but slower.
    .remedy = Run Linux 5.6 or newer; a container needs a newer seccomp profile.
doctor-no-modules = The modules of the running kernel { $release } are not installed
    .why = After an update of the kernel nothing more can be loaded until the next start.
    .remedy = sudo reboot; if there were none before either: sudo apt-get install linux-image-amd64
doctor-driver = The kernel drives { $name }
doctor-driver-loadable = The kernel drives { $name }, once its module is loaded
doctor-no-driver = The kernel does not drive { $name }
    .why = It is needed for { $purpose }.
    .remedy = Boot a kernel that has it: sudo apt-get install linux-image-amd64

doctor-tool = { $path }
doctor-no-tool = { $name } is not installed
    .why = It is needed for { $purpose }.
    .remedy = sudo apt-get install --no-install-recommends { $package }

doctor-config = { $path } is understood
doctor-no-config = There is no { $path }: what the environment says holds, else the defaults
doctor-config-wrong = The configuration is not understood: { $wrong }
    .why = Every command that names a repository stops there.
    .remedy = Correct it; the message names file and line, or the variable.
doctor-config-open = Others than root may change { $path }
    .why = Root works by what it says.
    .remedy = sudo chown root:root { $path } && sudo chmod 644 { $path }

doctor-images-root = The images root is { $path }
doctor-no-images-root = There is no images root { $path }
    .why = Repositories are mounted below it.
    .remedy = sudo mkdir -p { $path }
doctor-images-root-no-directory = The images root { $path } is no directory
    .why = Repositories are mounted below it.
    .remedy = sudo mv { $path } { $path }.old && sudo mkdir -p { $path }
doctor-images-root-silent = The images root { $path } does not answer
    .why = A server that it is mounted from is gone: every program that looks there stands still.
    .remedy = sudo umount -l { $path }
doctor-addresses = This computer's addresses: { $addresses }
doctor-no-address = This computer has no address
    .why = Without a network only the cache and removable storage can be used.
    .remedy = ip -brief address; sudo dhclient -v
doctor-serving = This computer is the manager
doctor-manager = The manager is { $host }
doctor-no-manager = Nobody said which computer the manager is
    .why = REPO means nothing here.
    .remedy = echo 'manager = "ADDRESS"' | sudo tee -a /etc/azud/azud.toml
doctor-manager-is-here = The manager's address { $host } is this computer's, which does not serve
    .why = REPO and the cache get mixed up.
    .remedy = If it is the manager: echo 'serving = true' | sudo tee -a /etc/azud/azud.toml
doctor-names = The names of repositories in { $path } are in step
doctor-names-stale = Names of repositories in { $path } do not fit what is mounted: { $count }
    .why = Scripts that go by REPO, CACHE or an address reach the wrong place, or none.
    .remedy = sudo azud env
doctor-name-taken = { $path } stands where the name of a repository belongs
    .why = The alias cannot be made, so scripts reach this instead.
    .remedy = sudo mv { $path } { $path }.old && sudo azud env
doctor-names-unknown = The repositories cannot be looked at: { $why }
doctor-names-silent = The repositories do not answer; what is mounted is told below

doctor-no-mounts = No repository is mounted
doctor-mount = { $path }: { $source } ({ $fs })
doctor-mount-read-only = { $path }: { $source } ({ $fs }), read-only
doctor-mount-covered = { $path }: { $source } ({ $fs }) lies hidden beneath another mount
    .why = It was mounted twice; unmounting once does not free the place.
    .remedy = sudo umount { $path }
doctor-mount-stale = { $path }: { $source } ({ $fs }) is gone
    .why = The server, its export or the medium was taken away; every use fails.
    .remedy = sudo umount -l { $path }
doctor-mount-silent = { $path }: { $source } ({ $fs }) does not answer
    .why = Every program that looks there stands still until the server is back.
    .remedy = Look after the server, or give it up: sudo umount -f -l { $path }
doctor-view-silent = { $path }: the manager { $source } does not answer
    .why = The images are not there for programs that look, until it answers again.
    .remedy = See whether “azud serve” runs there and the network is right; or take the view away: azud repo unmount { $source }
doctor-view-refused = { $path }: the manager { $source } does not take the token any more
    .why = It was revoked or has ended: the images are not there for programs that look.
    .remedy = Make one on the manager (azud token create), then: azud repo add { $source } --protocol http --token-file FILE. The view goes on with it by itself.

doctor-date = The clock says { $date }
doctor-date-wrong = The clock says { $date }, which cannot be
    .why = Certificates, locks and the age of former versions are judged by it.
    .remedy = sudo timedatectl set-ntp true; without a network: sudo date -s 'YYYY-MM-DD hh:mm'
doctor-clock = { $path } has this computer's time
doctor-clock-skew = { $path } stamps its files { $seconds } s from this computer's clock
    .why = Servers refuse log-ins, and former versions look older or younger than they are.
    .remedy = On both computers: sudo timedatectl set-ntp true
doctor-clock-unknown = The clock of { $path } cannot be seen: { $why }

doctor-room = { $path }: { $free } free of { $size }
doctor-room-little = { $path }: only { $free } free of { $size }
    .why = The next image may not fit.
    .remedy = Former versions go first: azud image history IMAGE; du -xh { $path } | sort -h | tail shows the rest.
doctor-room-none = { $path } is full: { $free } free of { $size }
    .why = Nothing more can be written, not even what is needed to clear up.
    .remedy = du -xh { $path } | sort -h | tail
doctor-room-no-files = { $path } takes no more files ({ $free } free of { $size })
    .why = The file system has run out of inodes.
    .remedy = du --inodes -x { $path } | sort -n | tail
doctor-room-unknown = The room of { $path } is not known: { $why }
doctor-place-silent = { $path } does not answer

doctor-stages = { $path }: nothing was left unfinished
doctor-stage-at-work = { $path }: somebody is at work
doctor-stage-committed = { $path } holds an image that is whole, but not in its place
    .why = Somebody was interrupted; the former image is still seen.
    .remedy = sudo azud image list { $dir }
doctor-stage-broken-off = { $path } holds the beginning of an image whose copy, update or capture was broken off
    .why = The image is not up to date. What is there is not read again.
    .remedy = Repeat the command that was broken off: sudo azud cache update or sudo azud image copy, at a manager also a client’s sudo azud image create. If its source is damaged, take another copy.
      If nobody is to go on: sudo azud image rm --unfinished { $image }
doctor-stage-abandoned = { $path } was left by a run that was killed
    .why = It takes room. Any command on the folder clears it away.
    .remedy = sudo azud image list { $dir }
doctor-stages-unknown = { $path } cannot be looked through: { $why }

doctor-no-managers = No manager is known here
doctor-managers-unknown = It cannot be read which managers are known here: { $why }
doctor-manager-answers = The manager { $host } answers in { $milliseconds } ms{ $allows ->
    [read] ; the token is for reading
    [write] ; the token is for reading and writing
    [admin] ; the token is for everything
    [read-only] ; it only reads out what it has
   *[other] {""}
}
doctor-manager-unasked = The manager { $host } was not asked: { $why }
doctor-manager-unusable = What is kept here of the manager { $host } is of no use: { $why }
    .why = It cannot be asked for anything.
    .remedy = { $hint }
doctor-manager-silent = The manager { $host } says nothing within { $seconds } s
    .why = Its images can be neither fetched nor sent until it does.
    .remedy = See whether its computer is on, the address and the network are right, and firewalls let port { $port } pass.
doctor-manager-unreachable = The manager { $host } does not answer at port { $port }: { $why }
    .why = Its images can be neither fetched nor sent until it does.
    .remedy = See whether “azud serve” runs there and listens at this address and port, and the network is right.
doctor-managers-same = { $hosts } are one manager: they have one authority
doctor-manager-nameless = The manager { $host } cannot be asked: { $why }
    .why = Its images can be neither fetched nor sent until it can.
    .remedy = { $hint }
doctor-manager-untrusted = The manager { $host } is not the one that is known here: another authority answers
    .why = It may be somebody else in its place, so it is not asked for anything and not sent anything.
    .remedy = { $hint }
doctor-manager-refused = The manager { $host } does not let this computer in: { $why }
    .why = Its images can be neither fetched nor sent.
    .remedy = { $hint }
doctor-manager-odd = The manager { $host } does not answer as it should: { $why }
    .why = Its images can be neither fetched nor sent until it does.
    .remedy = { $hint }
doctor-manager-clock = The clock of the manager { $host } is { $seconds } s from this computer's
    .why = Tokens end by the manager's clock, and the dates of images, former versions and reports do not fit together.
    .remedy = On both computers: sudo timedatectl set-ntp true

doctor-cache = The cache { $device } is mounted at { $path }
doctor-cache-named = The cache is { $path }, as AZUD_CACHE says
doctor-cache-named-absent = AZUD_CACHE names no cache that can be used: { $why }
    .why = Every command that needs the cache stops there.
    .remedy = { $hint }
doctor-cache-read-only = The cache { $device } is mounted at { $path }, read-only
    .why = It can be restored from, but not brought up to date. The kernel does that to a damaged file system.
    .remedy = sudo dmesg | tail; sudo azud cache unmount && sudo fsck { $device } && sudo azud cache mount
doctor-cache-unmounted = The cache { $device } is not mounted
    .why = CACHE means nothing until then.
    .remedy = sudo azud cache mount
doctor-cache-unformatted = The cache { $device } is blank: it has no file system yet
    .why = It cannot be mounted.
    .remedy = sudo azud cache init { $device }
doctor-cache-unrecognised = The cache { $device } has no file system that is recognised, though it is not blank
    .why = It cannot be mounted. Images may be in it that a repair brings back.
    .remedy = sudo blkid -p { $device }; sudo wipefs { $device } (it only shows)
      sudo e2fsck -fn { $device } (it changes nothing; XFS: xfs_repair -n, btrfs: btrfs check)
      Only if neither helps, as all images in it are lost: sudo azud cache init { $device } --reformat
doctor-cache-several = Several devices are caches: { $devices }
    .why = Nothing is chosen where two could be meant, so no command finds the cache.
    .remedy = Rename one, for instance: sudo e2label { $second } OLDCACHE
doctor-no-cache = There is no cache partition
    .why = Images must then come over the network every time.
    .remedy = azud cache init DISK --dry-run
doctor-cache-unneeded = There is no cache partition; the manager needs none
doctor-cache-shares = Images in the cache can share what they have in common (reflink)
doctor-cache-copies = The cache's file system copies what images have in common (no reflink)
doctor-cache-shares-unknown = Whether images in the cache can share what they have in common cannot be tried
doctor-cache-direct = The cache can be written past the page cache (O_DIRECT)
doctor-cache-indirect = The cache is written through the page cache (no O_DIRECT)
doctor-cache-direct-unknown = Whether the cache can be written past the page cache cannot be tried
doctor-cache-unknown = The cache cannot be looked for: { $why }
doctor-device-unknown = { $device } cannot be looked at: { $why }
doctor-disks-silent = A disk does not answer

## Asking for consent

confirm-prompt = All that { $device } holds now is lost. To go on, type its name:
confirm-prompt-table = This changes the partition table of { $device }. To go on, type its name:
confirm-nobody = nobody said that the content of { $device } may go
confirm-pin-prompt = If the manager shows the same fingerprint at its start, type its name here, { $device }, to go on:
confirm-pin-nobody = nobody compared the fingerprint of { $device }
confirm-replacing-prompt = To put it in the place of what is kept for { $device }, type that name:
confirm-replacing-nobody = nobody said that what is kept for { $device } may go
confirm-other = the answer was not { $device }

## The command line

usage-heading = Usage:
usage-commands = Commands
usage-arguments = Arguments
usage-options = Options
usage-global = For every command
usage-any-options = [OPTIONS]
usage-possible = [{ $values }]
usage-default = [default: { $value }]
usage-hint = { $command } --help
usage-unknown = there is no { $arg } here
usage-suggestion = (did you mean { $tip }?)
usage-no-command = there is no command “{ $command }”
usage-which-command = it does not say which command
usage-missing = missing: { $args }
usage-no-value = { $arg } needs a value
usage-bad-value = { $arg } cannot be “{ $value }”
usage-valid-values = it is one of { $values }
usage-conflict = { $arg } and { $other } contradict each other
bad-pin = a fingerprint is sha256: and 64 hexadecimal digits, as the manager shows it
bad-size = a size is a number of bytes, or one like 10M, 10MiB, 1.5G
bad-level = it is a whole number from 1 to 19
bad-duration = a duration is a number with s, m, h, d or w: 90m, 8h, 30d
bad-subnet = it is an address and a number of bits, like 10.0.0.0/8
bad-host-bits = it has bits beyond those that the subnet is known by: 10.0.0.0/8, not 10.0.0.1/8
bad-pattern = it is a name of an image, with * for anything: “aula1/*”
bad-number = it is a whole number, 0 or greater

value-address = ADDRESS
value-file = FILE
value-medium = MEDIUM
value-option = OPTION
value-path = PATH
value-protocol = PROTOCOL
value-user = NAME
value-a = A
value-b = B
value-dst = DESTINATION
value-command = COMMAND
value-device = DEVICE
value-dir = DIR
value-engine = ENGINE
value-foreign = FOREIGN
value-format = FORMAT
value-fs = FS
value-how = HOW
value-host = HOST
value-image = IMAGE
value-lang = LANG
value-layout = LAYOUT
value-n = N
value-name = NAME
value-out = OUT
value-source = SOURCE
value-shell = SHELL
value-size = SIZE
value-table = TABLE
value-src = SOURCE
value-way = WAY
value-when = WHEN
value-version = VERSION

## Help

help = Keeps the disk images of computer rooms, and puts them on their disks
help-args =
    .moving = Let parts of the old image move over to the new one: when there is no room for both, or …
    .no-evict = Refuse where something in the cache would have to go to make room
    .help = Explain this command
    .version = Show the version
    .json = JSON for programs: one object per line, the last one is the result
    .quiet = Nothing but what was asked for, and errors
    .lang = Language of messages; else AZUD_LANG, LC_ALL, LC_MESSAGES, LANG
    .dry-run = Show the plan and stop
    .yes = Go ahead without asking
    .image = The image
    .level = Compression, 1 (fast) to 19 (small)
    .root = The images root; else AZUD_ROOT, /etc/azud/azud.toml, /opt/opengnsys/images
    .layout = How the site lays out its trees; else AZUD_LAYOUT, opengnsys
    .package = The package in the paths of the layout eac
    .manager = The manager's address, and its other names after commas; else AZUD_MANAGER
    .serving = This computer is the manager: REPO: means “images” of [serve] (AZUD_IMAGES), else the root
    .address = The computer, by address or name
    .protocol = How it is reached; auto asks the server
    .path = Exported path (nfs), share with folder (smb), directory (file)
    .write = Mount it for writing as well
    .credentials = File with name and password, readable by its owner only
    .user = Name for the server; the password comes with --password-stdin
    .password-stdin = Read the password from standard input
    .options = Option for the mount helper; never a password
    .state = Where the manager keeps its authority and tokens; else AZUD_STATE, /var/lib/azud
    .port = Port of a manager
    .pin = Fingerprint of the manager's authority, as it shows at its start
    .token-file = File with a token of the manager, readable by its owner only
    .medium = The medium: USB-tools, tools, or its device
help-demo = Show the whole story on this computer, without root
    .dir = Where to work, instead of a temporary directory
    .keep = Keep the files that were made
help-doctor = Look for what is in the way of work, and say what to do
help-env = Print where the repositories are, for scripts: eval "$(azud env)"
    .shell = The shell that reads it
help-cache = Make, find, mount and describe the cache partition, and look after its images
help-cache-find = List the devices that are caches, and say which one is taken
    .devices = Look only at these disks or partitions
help-cache-init = Make a cache: a new partition on a disk, or a partition that is there
    .device = A disk (one more partition is made, the others stay), or a partition (all that it holds is lost)
    .fs = File system; XFS and btrfs let images share blocks
    .size = Size of the new partition; else all of the largest gap
    .start = Where the new partition begins, a multiple of 1M; else as far back as possible
    .number = Number of the new partition; else 4 in an MBR, the first free one but 4 in a GPT
    .table = Partition table for a disk that has none
    .reformat = Format a cache anew: all its images are lost
help-cache-mount = Mount the cache
    .device = The cache's disk or partition; else it is searched
    .at = Where; else the place of the layout (ROOT/localhost)
    .read-only = Refuse all writing
help-cache-unmount = Unmount the cache
    .device = The cache's disk or partition; else it is searched
help-cache-status = Say where the cache is and what room it has
    .device = The cache's disk or partition; else it is searched
help-cache-list = List what the cache holds, and why it stays
    .cache = Directory of the cache; else AZUD_CACHE, or CACHE:
help-cache-pin = Keep images, whatever room is needed
    .images = The images, by their paths in the cache
    .cache = Directory of the cache; else AZUD_CACHE, or CACHE:
help-cache-unpin = Let images go again when room is needed
    .images = The images, by their paths in the cache
    .cache = Directory of the cache; else AZUD_CACHE, or CACHE:
help-cache-evict = Remove images from the cache for good
    .images = The images; else those least recently used, until the limits hold
    .free = Make room for so much more, within the limits
    .budget = Most that the cache may hold; else AZUD_CACHE_BUDGET
    .floor = What stays free; else AZUD_CACHE_FLOOR, or a twentieth of the file system (1 GiB at least)
    .even-last-copy = Also an image that is the last copy of what a partition of this computer runs
    .cache = Directory of the cache; else AZUD_CACHE, or CACHE:
help-cache-verify = Check images, those first whose check is longest ago
    .images = The images; else all
    .older-than = Only those not checked for so many days
    .rate = Read at most so much a second
    .cache = Directory of the cache; else AZUD_CACHE, or CACHE:
help-cache-repair = Fetch damaged frames of an image again from another copy
    .image = The image, by its path in the cache
    .from = Another copy of it, or a tree that has one
    .cache = Directory of the cache; else AZUD_CACHE, or CACHE:
help-completions = Print the completion script of a shell
    .shell = The shell
help-man = Write the manual pages
    .dir = Directory to write them to
help-help = Explain a command
    .words = The command, word by word
help-image = Capture, check, compare and restore images
help-image-create = Capture a file system into an image
    .device = Device or file to read; it is never written
    .image = File to write; if it exists, the former goes to the trash
    .base = Take over equal frames from this image, or none; else from the one that is replaced
    .engine = Who finds the used blocks; else Azud, and partclone for what it does not know
    .dirty = Capture a file system that was not shut down cleanly, as a whole
    .keep-pagefile = Keep the content of Windows' page, swap and hibernation files
    .keep-days = Delete former versions older than this many days
    .keep-bytes = Delete the oldest former versions beyond this size
help-image-restore = Put an image on a device
    .image = The image; - reads it from standard input
    .device = Device or file to write; what it holds is lost
    .changed-only = Compare first, write only blocks that differ; resumes as well
    .verify-first = Check the whole image before anything is written, not only each frame before it is written
    .read-back = Read the medium again when it is written, and check it
    .unused = Space that the image does not use
    .discard = Short for --unused discard
help-image-info = Say what an image holds
    .index-out = Write the index of the image to this file: what “azud image sign” signs
help-image-verify = Check every frame of an image
    .deep = Decode the frames as well, and compare all bytes with .full.sum
help-image-list = List images
    .dir = Where to look
help-image-diff = Say what two images share
    .a = An image
    .b = Another
help-image-history = List the former versions of an image
help-image-rollback = Bring a former version of an image back
    .version = Which one, as history shows it; else the last
help-image-sign = Sign an image, so that computers which trust the key take it
    .key = File with the secret key of minisign, readable by its owner only
    .name = The name in a repository that the signature is good for; else that of the image
help-image-rm = Move an image to the trash; what a copy or update of it that was broken off left goes for good
    .unfinished = Clear away only what a copy, update or capture that was broken off left; the image, if there is one, stays as it is
help-image-copy = Copy an image to another repository; what is there already is not read again
    .src = The image to copy
    .dst = Where to: an image, the directory for it (REPO:FOLDER/ is one, too), or a repository (USB-x:), where it gets the same place
help-cache-update = Bring an image up to date; what is there already is not read again
    .from = The newer image, the repository that has it at the same place (USB-x:), or the directory that has it under the same name; said again, all of them are read at once, and the first one tells which image it is
    .via = How it comes: auto reads files where the repository is mounted, else HTTPS; file; http
help-image-export = Convert an image to another format
    .out = File to write
    .to = Format
    .compress = Compress a partclone image: lzop and gzip are what OpenGnsys 1 reads
help-image-import = Make an image of one that another program made
    .foreign = partclone or ntfsclone image, or a whole disk, plain or compressed
    .image = File to write
help-deploy = Bring the newest image into the cache and onto a device, in one pass
    .image = The image: in a repository, whose place in the cache is the same
    .device = Device or file to write; what it holds is lost
    .from = Who else has this image, and gives its part: an image, the repository that has it at the same place (USB-x:), or the directory that has it under the same name; can be said again
    .cache = The cache's directory, if it is not this computer's cache
    .no-cache = Leave the cache alone: only what the device lacks is fetched
    .read-back = Read the medium again when it is written, and check it
help-repo = Mount and list repositories of other computers
help-repo-add = Remember how a repository is reached
help-repo-forget = Forget what “azud repo add” remembered of a repository: address, pin and token. Images stay, those in the cache too
help-repo-mount = Mount a repository at its place under the root
    .for-all = Let every user of this computer read the images of a manager; else only root does
help-repo-unmount = Unmount a repository
help-repo-list = List repositories and how they are
help-repo-import = Bring the images of a repository; what is there already is not read again
    .src = The repository (USB-x:, 10.0.0.9:) or a folder of it
    .update = Leave images alone that were captured later than what would come in their place; those of other programs, of which that is not known, are replaced
    .dst = The folder that gets them, each at the same place below it
help-serve = Serve images to other computers over HTTPS
    .images = Where they lie; else the images root
    .listen = Address to listen on, with or without a port; else only this computer reaches it
    .patience = A client that takes or sends nothing for so long is cut (30s)
    .read-only = Take nothing from anybody: whoever has a token reads, and that is all. Without --images it is the cache of this computer, if it has one
    .https-only = Images that travel over HTTPS from here alone, like “exams/*”: no neighbour, no torrent and no multicast gives them; may be said again
    .keep-days = Days that former versions of images stay (30); the last one of an image stays whatever its age
    .keep-bytes = Space that former versions may take in a folder; the oldest go first
help-token = Make, list and revoke the manager's tokens
help-token-create = Make a token and print it, once
    .role = What it allows
    .note = A note to oneself: for whom it is
    .expires = How long it is good: 90m, 8h, 30d; else until it is revoked
    .subnet = Addresses that it is good at, like 10.0.0.0/8; may be said again
    .images = Images that there are for it, like “aula1/*”; may be said again
help-token-code = Show a code with which a person gets a token at a client (azud login)
    .role = What that token allows
    .expires = How long that token is good
    .subnet = Addresses that that token and the code are good at, like 10.0.0.0/8; may be said again
    .images = Images that there are for that token, like “aula1/*”; may be said again
    .note = A note to oneself: for whom it is
help-token-list = List the tokens, without their secrets
help-token-revoke = Take a token back
    .id = Which one, as the list shows it
help-login = Come to a manager as a person, with a code that “azud token code” shows there
    .address = The manager; else REPO
    .out = Forget the login that there is; at the manager its token stays good until it ends
help-room = Look after the computers that the manager knows of
help-room-status = Show every computer: its image, how far its work is, what failed and what to do. On the manager’s own computer that is its room; elsewhere that of the manager that is set (“manager =”), also where a cache is served
    .watch = Show it anew whenever it changes, until stopped
    .state = Show the room of the manager whose state this is, here, whatever manager is set; else AZUD_STATE, /var/lib/azud
help-storage = Mount and list USB sticks and discs
help-storage-list = List what is plugged in, with the images of what is mounted
help-storage-mount = Mount a medium, or all that are not mounted
    .read-only = Refuse writes; discs are always mounted so
help-storage-watch = Withdraw what is pulled without having been unmounted, at once, until stopped
help-storage-unmount = Unmount a medium, so that it may be pulled

## Manual pages

man-name = NAME
man-synopsis = SYNOPSIS
man-description = DESCRIPTION
man-version = VERSION
man-status = EXIT STATUS
man-statuses = 0 when it was done, 1 when it failed, 2 when the command line was not understood. 128 and the number of the signal when one ended the work: 130 for Ctrl\-C (SIGINT), 143 for SIGTERM, 129 for SIGHUP. OpenGnsys' names have their own.
man-done = { $count ->
    [one] { $count } page written to
   *[other] { $count } pages written to
}

## Progress

phase-map = Reading the map
phase-capture = Capturing
phase-compare = Comparing, writing what differs
phase-restore = Restoring
phase-read-back = Reading back
phase-verify = Verifying
phase-repair = Repairing
phase-assemble = Gathering
phase-send = Sending
phase-convert = Converting
stopping = Stopping at the next safe moment; a second Ctrl-C ends it at once.
progress-of = { $done } of { $total }
progress-left = { $time } left
progress-done = { $phase }: { $time }
progress-end = { $phase }: { $done } in { $time }, { $rate }
progress-short = { $phase }: { $done }

## Plans and results

plan-demo = Show the whole story
plan-cache-create = Make a cache partition
plan-cache-format = Format a partition as cache
plan-cache-mount = Mount the cache
plan-cache-unmount = Unmount the cache
plan-image-create = Capture an image
plan-image-restore = Restore an image
plan-image-rollback = Bring a former version back
plan-image-copy = Copy an image
plan-login = Log in at a manager
plan-logout = Forget a login
plan-image-sign = Sign an image
plan-deploy = Deploy an image
plan-cache-update = Bring an image up to date
plan-image-rm = Move an image to the trash
plan-remains-rm = Clear away what a copy or update that was broken off left; the image itself is not there
plan-unfinished-rm = Clear away what a copy, update or capture that was broken off left; the image itself stays as it is
plan-image-export = Convert an image
plan-image-import = Import an image
plan-token-revoke = Take a token back

result-image-create = Image captured
result-image-restore = Image restored
result-image-verify = The image is sound
result-image-verify-as-indexed = The bytes are those of the index that the manager made of the image
result-image-verify-as-summed = The image is what the sum beside it says
result-image-verify-readable = The image can be read to its end
result-image-rollback = Former version brought back
result-image-copy = Image copied
result-deploy = Image deployed
result-cache-update = Image brought up to date
result-image-rm = Image moved to the trash
result-remains-rm = Cleared away
result-no-remains = Nothing of it was left unfinished
result-image-export = Image converted
result-image-import = Image imported
result-nothing = Nothing to do

label-base = Base
label-block-size = Block size
label-changed = Changed
label-created = Captured
label-device = Device
label-device-size = Device size
label-engine = Map by
label-file-size = Image size
label-file-system = File system
label-former = Former version
label-format = Format
label-frames = Frames
label-remains = Left unfinished
label-from-here = From images here
label-from-source = From the source
label-from-source-at-most = From the source, at most
label-from-one = – given by { $source }
label-there = Held there
label-brought = Brought
label-unchanged = There already
label-not-brought = Not brought
label-to-send = To be sent, at most
label-sent = Sent
label-holes = Holes, not read
label-holds = Holds now
label-host = Computer
label-identity = Identity
label-image = Image
label-image-check = Image is checked
label-keep-bytes = Keep at most
label-keep-days = Days to keep
label-label = Label
label-left-out = Left out
label-level = Level
label-minimum-size = Smallest target
label-mode = Mode
label-only-in-first = Only in the first
label-only-in-second = Only in the second
label-out = Output
label-rate = Rate
label-ratio = Ratio
label-read-back = Read back
label-replaced = Replaced
label-reused = Taken over
label-resumed = Here from before
label-resumed-there = There from before
label-room = Room there is
label-room-needed = Room needed
label-room-needed-at-most = Room needed, at most
label-same = Same
label-sector-size = Sector size
label-shared = Shared
label-source = Source
label-target = Target
label-time = Time
label-tool = Made by
label-unused = Unused space
label-used = In use
label-uuid = UUID
label-version = Version
label-way = Way
label-written = Written

word-alike = only what differs, if it holds something alike; else everything
word-as-reached = each frame before it is written
word-changed-only = only what differs
word-copy = copied beside the old one
word-copy-first = copied; there is none of that name yet
word-discard = discarded
word-first = all of it before anything is written
word-leave = left as it is
word-move = parts of the old one move over
word-native = Azud
word-nothing = it is there already
word-no-sums = by nothing: it has no checksums
word-first-no-sums = by reading all of it before anything is written; it has no checksums
word-no = no
word-none = none
word-own-sums = by its own checksums while it is written
word-partclone = partclone
word-qcow2 = qcow2
word-raw = the whole device
word-stdin = standard input
word-whole = everything
word-yes = yes
word-zero = zeroed

warn-destroys = All that { $device } holds will be lost.
warn-destroys-disk = { $device } is a divided disk: { $count ->
    [one] the partition on it is lost
   *[other] all { $count } partitions on it are lost
}, not one file system alone.
warn-damaged-here = { $image } was found damaged: what of it is right is used again, the rest is fetched.
warn-dirty-raw = The file system was not shut down cleanly: its device is captured whole. Check it after a restore.
warn-left-out = { $name } is left out: { $size } that Windows makes anew (--keep-pagefile keeps it).
warn-known-damaged = { $image } was found damaged: it is checked before anything is written.
warn-moves = The former { $image } is not kept: parts of it become parts of the new one.
warn-no-sums = It has no checksums, and no sum beside it covers it: nothing tells whether its content is what was captured. “azud image import” makes an image of it that is checked from then on.
warn-view-refused = The manager { $address } does not take the token of the view any more. Make one there (“azud token create”), then “azud repo add { $address } --protocol http --token-file FILE”: the view goes on with it by itself.
warn-view-silent = The manager { $address } does not answer: until it does, the view shows at most what was seen of it before, and reading that gives errors. See whether “azud serve” runs there, or take the view away (“azud repo unmount { $address }”).
warn-imports-no-sums = It has no checksums, and no sum beside it covers it: nothing tells whether its content is what was captured. The new image keeps it as it is, and is checked from then on.
warn-no-map = No known file system: the whole device is captured. Zeros take hardly any room.
warn-packed-luks = { $device } is encrypted (LUKS): the whole of it is captured, free space too, and it does not compress. For its file system alone: cryptsetup open { $device } NAME, then azud image create /dev/mapper/NAME IMAGE
warn-packed-bitlocker = { $device } is encrypted (BitLocker): the whole of it is captured, free space too, and it does not compress. For its file system alone, turn BitLocker off in Windows first: manage-bde -off DRIVE:
warn-packed-lvm = { $device } belongs to LVM: the whole of it is captured, free space too. For one of its volumes alone: vgchange -ay, then azud image create /dev/GROUP/VOLUME IMAGE
warn-packed-raid = { $device } is part of a RAID of Linux: the whole of it is captured, and it is of use with all other parts only. For what the RAID holds: azud image create /dev/mdN IMAGE
warn-packed-zfs = { $device } belongs to ZFS: the whole of it is captured, free space too, and it is of use with all other parts of its pool only. For what it holds: zfs send
warn-replaces = { $image } exists: it goes to the trash.
warn-not-cached = { $device } holds the whole image; only the cache was not brought up to date.
warn-hurt-here = { $image } was found damaged in the cache. What is wrong of it was asked of the source; the next “azud deploy” or “azud cache update” puts it right.
warn-waiting = { $host } does not answer; it is asked again for up to { $seconds } seconds. Ctrl-C ends the waiting.
warn-other-answer = { $host } answers, but not what it was asked for; it is asked again for up to { $seconds } seconds. Ctrl-C ends the waiting.
warn-no-answer-yet = { $host } has not answered yet; it is waited for up to { $seconds } seconds. Ctrl-C ends the waiting.
warn-no-sign = Nothing comes from { $host } at the moment; it is waited for up to { $seconds } seconds from its last answer on. Ctrl-C ends the waiting.
warn-nobody-answers = None of the sources answers; they are asked again for up to { $seconds } seconds (AZUD_PATIENCE says how long). Ctrl-C ends the waiting.
warn-index-in-making = { $host } reads the whole image once to make its index, which may take a while. It is waited for; Ctrl-C ends the waiting.
warn-disk-fails = A disk of { $host } fails; it is asked again for up to { $seconds } seconds. Ctrl-C ends the waiting.
warn-preparing = { $host } asks to wait; it is asked again for up to { $seconds } seconds. Ctrl-C ends the waiting.
hint-images-there = Check the spelling; “azud image list { $host }:” shows what there is.
warn-nothing-below = There is no image in { $folder }. If there should be, check the spelling: “azud image list { $place }:” shows all that there is.
hint-nothing-begun = Nothing was begun, and nothing is changed.
hint-remains-there = What a capture or copy that was broken off left of it there is cleared away on the manager’s computer: “azud doctor” there names it, with the command.
hint-on-the-manager = Through the manager images are read, sent, removed and brought back to former versions. For this, work on the manager's computer itself.
hint-damaged-there = See on { $host } what is damaged (there: “azud image verify { $image }”), or take the image from somebody else who has it (--from).
hint-damaged-below = See on { $host } what is damaged (there: “azud image verify DIR/{ $image }”, where DIR is the directory of its images), or take the image from somebody else who has it (--from).
hint-evict = Leave out --no-evict: the plan then names what would go, and asks. Or make room yourself: “azud cache list” shows what there is, azud cache evict NAME removes it.
hint-room-there = Make room on the manager: remove what nobody needs there; how long former versions stay, “azud serve --keep-days N --keep-bytes SIZE” says.
hint-room-or-move = Remove images or former versions that nobody needs, or leave --move never out: parts of the old image then move over to the new one.
hint-room-by-way-of-here = By samples the image will have some { $likely }, for which there is room; while it is captured, its size is known only to be at most that of what is used. Capture it to a file here and send that with “azud image copy”, or make room on the manager.
hint-file-system-there = The manager keeps its images on a file system with small files (FAT32 ends at 4 GiB): they belong on ext4, XFS or btrfs.
hint-port = A port is said apart: { $address } --port { $port }
hint-url = It is named by its name or address alone: { $address }. To make a manager known: azud repo add { $address } --protocol http --pin PIN --token-file FILE
hint-pin = If the manager shows this fingerprint too (when “azud serve” starts; of the service, “journalctl -u azud” on its computer shows it), repeat with --pin { $pin }
hint-only-read = The manager only reads it out. Mount it here (“azud repo mount { $place } …”), or work on the manager's computer, where it is mounted.
deploy-foreign = It is not an image of Azud: azud cache update brings it into the cache, azud image restore puts it on the device. “azud image import” makes an image of it that can be deployed.
deploy-without-cache = Or leave the cache alone: --no-cache
warn-to-history = The present version goes to the history: the next “azud image rollback” without a version brings it back.
warn-rolls-forward = This version was captured later than the present one.
warn-purges = Those former versions are deleted for good; the one that is replaced now stays.
warn-may-not-fit = It should fit, but that is only certain when all is compressed. If it does not, the work fails, and nothing half-made stays.
warn-hardly-fits = There is probably not enough room: about { $needed } are needed, and there are { $room }. If it does not fit, the work fails, and nothing half-made stays.
warn-several-replaced = { $count ->
    [one] One image here is replaced: it goes
   *[other] { $count } images here are replaced: they go
} to the trash.
warn-older-come = What comes is older than what is here: { $names }
warn-not-all-fit = There may not be room for all of them: an image that does not fit is refused when it is its turn, the others come.
hint-no-space-nothing = Nothing of { $image } stays: what was written of it is gone again. Free space or write elsewhere; former versions of images take space too.
hint-no-space-former = { $image } is as it was before: what was written of the new version is gone again. Free space or write elsewhere; former versions of images take space too.
warn-unchecked = Nothing tells what the bytes of this version should be: it is not checked.

holds-table = { $count ->
    [0] { $kind } partition table without partitions
    [one] { $kind } partition table with { $count } partition
   *[other] { $kind } partition table with { $count } partitions
}
holds-labelled = { $name }, label “{ $label }”
holds-unknown = something unknown
holds-nothing = nothing

count-frames = { $count ->
    [one] { $count } frame
   *[other] { $count } frames
}
count-images = { $count ->
    [one] { $count } image
   *[other] { $count } images
}

## Commands' own words

warn-untrue = { $count ->
    [one] { $count } image is not what its description says (“azud image info IMAGE” shows how)
   *[other] { $count } images are not what their descriptions say (“azud image info IMAGE” shows how)
}
label-modified = Date
label-state = State
word-locked = locked
word-mounted = mounted
word-reduced = being reduced
word-verified = verified
word-damaged = damaged
word-untrue = misdescribed
label-claimed = Described as
label-lock = Locked by
label-problem = Problem
label-side-files = Beside it
label-untrue = Misdescribed
claim-and-finding = { $fact }: described as { $claimed }, is { $found }
format-directory = directory
format-unreadable = unreadable
format-filesystem = filesystem
format-disk = disk
format-empty = empty
format-unknown = unknown
fact-program = program
fact-compressor = compressor
fact-fs = file system
fact-size-kb = size in KiB
lock-for-sender = azud on { $host }, process { $pid }, since { $since }: { $sender } sends it
lock-of-azud = azud on { $host }, process { $pid }, since { $since }
lock-of-a-tool = a tool that does not say who it is
lock-of-a-mount = a server that has its file system mounted
lock-of-a-reduction = a server that is shrinking its file system
label-kept = In place
label-to-fetch = To fetch
label-dirty = Not clean
warn-beyond-stays = The last { $size } of the target lie behind the volume and keep what they hold: --unused does not reach there.
warn-new-file = { $device } does not exist: a new file is made, not a device written.
warn-incomplete = { $device } may be incomplete now, without a file system. Repeated, “azud deploy” goes on by itself, “azud image restore” with --changed-only.
warn-incomplete-image = { $device } may be incomplete now, without a file system. With a sound image “azud deploy” goes on by itself where this ended, “azud image restore” with --changed-only.
warn-undiscarded = The device cannot discard: unused space was left as it is.
word-current = current
word-unchecked = not checked
label-checked = Check
label-present = Present version
label-keeps = Former versions
former-kept = { $days ->
    [one] kept for one day
   *[other] kept for { $days } days
}{ $bounded ->
    [true] , at most { $size } in a folder
   *[other] { "" }
}
label-name = Name
label-purged = Deleted
label-purges = To be deleted
label-room-most = At most
purged = { $count ->
    [one] { $count } former version, { $size }
   *[other] { $count } former versions, { $size }
}
purged-there = Former versions at the manager, { $size }, as its rules say
purges = { $count ->
    [one] { $count } former version of { $names }, { $size }, replaced { $oldest }
   *[other] { $count } former versions of { $names }, { $size }, replaced { $oldest } to { $newest }
}
version-captured = captured { $time }
history-next = Without a version, “azud image rollback” brings { $version } back.
word-false-sum = false sum
false-sum = { $file } says “{ $told }”, the image's sum is { $is }
hint-false-sum = The image itself is sound. OpenGnsys would copy it again and again, or take an old one for new: rm { $files }
hint-false-sum-there = The image itself is sound. OpenGnsys would copy it again and again, or take an old one for new: on { $host }, where its images lie: rm { $files }
hint-export-device = An export goes into a file. To put the image on the device: azud image restore '{ $image }' '{ $device }'
hint-rollback-unheard = It may have been done all the same, and once more would undo it: “azud image history { $image }” tells.
hint-rollback-other = Nothing was moved. “azud image history IMAGE” shows the other versions: azud image rollback IMAGE VERSION
verify-bad-frames = Damaged frames: { $frames }
word-raw-file = the device's bytes

## The cache

result-cache-init = Cache made on { $device }
result-cache-mount = Cache mounted at { $at }
result-cache-unmount = Cache unmounted
label-found-by = Found by
label-mounted-at = Mounted at
label-read-only = Read-only
label-free = Free
label-clones = Shares blocks
label-images-coming = To come
label-images-there = There already
label-images-unread = Known when they are read
label-images-replaced = In the place of another
label-images-older = Older than what is here
label-images-newer = Stay, for they are newer
label-images-own = Left out, for they are in that folder
label-newer-here = Newer here
label-images-names = They are called
label-images = Images
label-images-at = Images at
label-table = Partition table
label-partition = Partition
label-start = Begins at
label-compressor = Compressor
word-gpt = GPT
word-mbr = MBR
word-label = label
word-partlabel = partition name
word-environment = AZUD_CACHE
word-mbr-type = partition type
word-gpt-name = name in the table
warn-another-cache = There is another cache: { $devices }. Where two could be meant nothing is chosen: relabel one afterwards (sudo e2label DEVICE OLDCACHE), or name the one that is meant in every command.
warn-several-caches = Several devices are caches: { $devices }. Commands need to be told which one is meant.
warn-unformatted = { $device } has no file system that is recognised.
warn-mounted-read-only = The cache is mounted already, read-only. To write to it, unmount it (“azud cache unmount”) and mount it again.
warn-read-only-medium = The medium is write-protected: the cache is mounted read-only.
warn-new-table = { $device } gets a new partition table.
warn-images-lost = { $count ->
    [one] { $count } image ({ $size }) in it will be lost.
   *[other] { $count } images ({ $size }) in it will be lost.
}
warn-images-unknown = It is a cache, and what images it holds cannot be told.
hint-no-cache = “azud cache init DISK” makes one. “lsblk -o NAME,LABEL,PARTLABEL” shows what each partition is called.
hint-plan-again = What the plan named is not enough any more: somebody uses it, or the disk has filled meanwhile. Nothing else was removed. Run the command again: its plan says what would have to go now.
hint-cache-blank = Nothing is on it: “azud cache init { $device }” formats it.
hint-cache-unrecognised = It is not blank and may hold images: do not format it yet.
    Look what is on it: blkid -p { $device }; wipefs { $device } (it only shows)
    Check it without a change: e2fsck -fn { $device } (XFS: xfs_repair -n, btrfs: btrfs check)
    Only if neither helps, as all images in it are lost: azud cache init { $device } --reformat
hint-reformat = To lose all its images: azud cache init { $device } --reformat
confirm-removal-prompt = The images named above are deleted from { $device }; one that is nowhere else is lost. To go on, type its name:
confirm-last-copy-prompt = What a partition of this computer runs can then not be put back from { $device }. To go on, type its name:
plan-cache-evict = Remove images from the cache
plan-cache-pin = Pin images
plan-cache-unpin = Unpin images
plan-cache-repair = Repair an image
result-cache-evict = Images removed from the cache
result-cache-pin = Images pinned
result-cache-unpin = Images unpinned
result-cache-repair = Image repaired
label-budget = Most to hold
label-cache = Cache
label-damaged-frames = Damaged frames
label-damaged-index = Damaged index
label-fetched = Fetched
label-floor = To stay free
label-freed = Freed
label-evicts = Goes to make room
label-older = Stays though older
label-frees = To be freed
label-held = Held
label-last-used = Last used
label-need = Room for
label-stays = Stays because
label-verified = Checked
word-changed = changed during the check
word-in-use = in use
word-half-moved = partly in an update that was broken off
word-not-planned = not named by the plan
word-never = never
word-no-sum = no frames and no .full.sum to check it by
word-pinned = pinned
stays-last-copy = last in the cache of what { $partitions } runs
word-sound = sound
word-unreadable = cannot be read
warn-cache-damaged = { $name }: what the cache knew of it is damaged and was made good from the files.
warn-cache-state = What was learnt of the image could not be noted: { $why }
warn-evicted = To make room, these left the cache: { $names }
warn-below-floor = { $left } will stay free in the cache, less than the { $floor } that are to stay free: the image itself fits.
hint-begun = What has come of { $image } stays in { $dir }: the next run goes on with it.
warn-last-copy = { $image } is the last copy in the cache of what { $partition } runs: that cannot be put back from here then.
warn-removes-last-copy = It is the last copy in the cache of what { $partition } runs. As long as it is in the trash, “azud image rollback” brings it back.
warn-evicts = These images are removed for good; one that is nowhere else is lost.
warn-not-remembered = The cache is read-only: the check is not remembered.
warn-uncertain = Images share bytes here: how much is freed shows after each, and no more is removed than needed, nor anything else.
cache-no-evict = { $needed } of other images would have to go to make room, and --no-evict keeps them
evicts-image = { $name } (last used { $used })
evicts-former = { $name } (former version, of { $used })
cache-repair-hint = “azud cache repair { $image } --from COPY” fetches only what is damaged.
cache-renew-hint = “azud cache update { $image } --from COPY” keeps what of it is right and fetches the rest.
cache-verified = Checked: { $count }, damaged: { $bad }

## The demo

label-size = Size
demo-no-dir = Make the directory, or name another one with --dir: the demo works in one that is there.
demo-volume = A file system of real files of this computer, in a file
demo-capture = Capture its used blocks into one image, and check every byte of it
demo-damage = One flipped bit in a copy is noticed
demo-restore = Restore the image, read it back, and let others judge
demo-same-files = { $count } files, all equal
demo-change = Change a few files and capture again: equal frames are taken over
demo-follow = Bring the restored copy up to date: only blocks that differ are written
demo-serve = Start a manager on loopback, and put the image into it
demo-deploy = Deploy it to another PC: into its empty cache and onto its disk, in one pass
demo-second = Bring it into the empty cache of a third PC
demo-delta = A newer image: the caches fetch only what changed, and nothing comes twice
demo-kept = The files are in { $dir }
demo-step = Step
demo-step-files = Files
demo-step-capture = Capture
demo-step-image = Image, compressed
demo-step-verify = Verify, decoding everything
demo-step-restore = Restore and read back
demo-step-recapture = Capture after changes
demo-step-new = New in the second image
demo-step-first = First deployment, from the manager
demo-step-update2 = First update of the second cache, from the manager
demo-step-delta = Update of the cache, from the manager
demo-step-delta2 = Update of the second cache, from the manager
demo-step-again = Second deployment, from the manager
demo-step-follow = Restore only what differs

## Repositories and removable storage

plan-repo-add = Remember a repository
plan-repo-forget = Forget a repository; its images stay
plan-repo-mount = Mount a repository
plan-repo-unmount = Unmount a repository
plan-repo-import = Bring the images of a repository
plan-storage-mount = Mount removable storage
plan-storage-unmount = Unmount removable storage
result-repo-add = Remembered
result-repo-forget = Forgotten
result-repo-mount = Mounted at { $at }
result-repo-mounted = It is mounted already, at { $at }
repo-taken = { $source } is at { $at } already, to be written too
repo-taken-read-only = { $source } is at { $at } already, read-only
hint-repo-taken = First take it away: sudo azud repo unmount { $address }
hint-nearly-a-device = A device is written with its directory (/dev/sda2), or by the numbers of disk and partition (1:2); a new file of that name is ./{ $name }.
hint-not-known = “azud repo list” shows the addresses that are known.
hint-login-unknown = Say how it is recognised, “azud login { $host } --pin PIN” (“azud serve” shows the fingerprint at its start), or make it known first: azud repo add { $host } --protocol http --pin PIN --token-file FILE
hint-other-states = It may be one of these, said with --state: { $states }. “azud serve” makes a new one.
hint-known-otherwise = The manager is known here as { $known }, but the first of its names in azud.toml is the one it is looked for by, and that is { $first }. Put { $known } first, or make it known as { $first } too: azud repo add { $first } --protocol http --pin PIN --token-file FILE
hint-code-elsewhere = The code is for other addresses, and still good: type it at a computer that has one of these, or have another made on the manager for this computer's, “azud token code --subnet SUBNET”.
hint-login-broken-off = Whether the code was taken is not known. If a token came of it, “azud token list” on the manager shows it, and “azud token revoke ID” ends it. A code that was taken is not good again.
hint-replacing = Keep what is there, or repeat with --yes. For some hours a person gets more with “azud login”.
hint-for-all = --for-all is for managers (--protocol http); of other servers, the server’s own rights count.
hint-asked-through = { $place } is neither mounted nor known here, so { $host } was asked for what it has mounted of it. If { $place } is a manager itself, make it known: azud repo add { $place } --protocol http --pin PIN --token-file FILE
hint-via-http = A manager that is known is reached over HTTPS: azud repo add ADDRESS --protocol http
warn-another-image = { $source } has another image and is left aside
warn-all-is-sent = Something that was to be taken over at the manager is not right: { $detail }. All of it is read again and sent
warn-without = { $from } does not help, and the work goes on without it: { $why }.
warn-without-source = Nothing comes from { $source } any more; the work goes on with the others
warn-bad-source = { $source } gave wrong bytes or changed, and was not asked any more. Check what is there (“azud image verify”)
warn-wrong-bytes = { $count ->
    [one] { $source } gave wrong bytes once; others were asked for these
   *[other] { $source } gave wrong bytes { $count } times; others were asked for these
}. Check what is there (“azud image verify”)
warn-silent-source = { $count ->
    [one] { $source } did not answer once; others were asked for that
   *[other] { $source } did not answer { $count } times; others were asked for that
}
hint-view-read-only = A view of a manager is for reading. What is sent to it goes by its name: azud image create DEVICE REPO:NAME
result-repo-unmount = Unmounted
result-repo-import = Images brought
result-repo-import-stopped = Stopped; what came until then stays
result-storage-mount = { $count ->
    [0] Nothing new is plugged in
    [one] { $count } medium mounted
   *[other] { $count } media mounted
}
result-storage-unmount = Unmounted: it may be pulled now
label-access = Access
label-address = Address
label-credentials = Password in
label-medium = Medium
label-mount-point = Mounted at
label-removed-files = Files removed
label-path = Path
label-protocol = Protocol
word-auto = as the server answers
word-file = directory
word-http = HTTPS
word-nfs = NFS
word-read-only = read-only
word-smb = SMB
word-stale = stale
word-unmounted = not mounted
word-unreachable = no answer
word-mounted-silent = mounted, no answer
word-answers = answers
word-untrusted = another authority
word-refused = token refused
word-write = read and write
repo-no-directory = This computer has no such directory: check --path.
repo-same = { $hosts } are one manager: they have one authority.
repo-none = No repository is mounted or known
repo-is-cache = That is this computer's cache: “azud cache mount” mounts it.
repo-is-storage = That is removable storage: “azud storage mount” mounts it.
storage-none = No removable storage is plugged in
storage-nameless = It has no label or UUID of its own that a directory could be named by: give it a label.
warn-pulled = { $medium } was pulled while it was mounted: it is unmounted now, and what was not yet written to it is lost.
warn-names = Aliases are not in step: { $what }
warn-base-silent = { $path } does not answer: what is mounted there is not shown.
warn-no-views = These variables are not set, as the links that they lead through cannot be made: { $names } ({ $why })
warn-silent = { $path } does not answer: its variables are not set.
storage-watching = Watching removable storage; Ctrl-C ends it
repo-is-here = This computer is the manager: its repository is here already.
warn-wrong-sum = { $file } is not the sum of the image that was copied; the copy has the right one.
## OpenGnsys' names

help-aliases = Install the names that OpenGnsys' scripts call
help-aliases-install = Make a link to azud for every name
    .dir = Directory for the links, such as /usr/local/bin
help-aliases-list = List the names and what stands behind each
plan-aliases-install = Make links for OpenGnsys' names
result-aliases-install = { $count ->
    [one] { $count } name leads to azud
   *[other] { $count } names lead to azud
}
label-directory = Directory
label-program = Program
label-names = New names
warn-other-case = There is no { $wanted }; { $found } differs only in upper and lower case and is taken.
compat-format = Format
compat-example = Example
compat-ogGetPath = prints where a file is, nothing if it is not there
compat-ogGetParentPath = prints where the folder of a file is, nothing if it is not there
compat-ogMakeDir = makes a folder and those above it
compat-ogCalculateChecksum = prints the MD5 of the last MiB of a file
compat-ogCalculateFullChecksum = prints the MD5 of a file
compat-ogFindCache = prints disk and partition of the cache
compat-ogGetCacheSize = prints the size of the cache's partition in KiB
compat-ogMountCache = mounts the cache and prints where
compat-ogUnmountCache = unmounts the cache
compat-MountCache = mounts the cache and prints the variables for the script
compat-MountRepo = mounts a repository and prints the variables for the script
compat-MountStorage = mounts removable storage, all of it or one, and prints the variables for the script
compat-createImage = captures a partition into an image
compat-restoreImage = puts an image on a partition
compat-deleteimage = moves an image to the trash; -b removes its backup too, -r brings it back
compat-ogIsImageLocked = ends with 0 if an image is locked, with 1 if not
compat-ogLockImage = locks an image until it is unlocked
compat-ogUnlockImage = unlocks an image
compat-ogGetImageInfo = prints TOOL:COMPRESSOR:FILESYSTEM:KIB of an image
compat-ogGetImageProgram = prints the tool of an image
compat-ogGetImageCompressor = prints the compressor of an image
compat-ogGetImageType = prints the file system of an image
compat-ogGetImageSize = prints the size of an image’s device in KiB
compat-updateCache = brings an image into the cache; UpdateCache has another order
compat-UpdateCache = brings an image into the cache; updateCache has another order
compat-ogUpdateCacheIsNecesary = ends with 0 if the cache lacks an image of the repository, with 1 if not
compat-ogDeleteFile = deletes a file
compat-ogDeleteTree = deletes a folder with all that is in it
compat-ogMount = mounts a partition, the cache or the disc, and prints where
compat-ogUnmount = unmounts a partition, the cache or the disc
compat-ogGetRepoIp = prints the address of the server that holds the repository
compat-ogIsRepoLocked = ends with 0 if files of the repository are open, with 1 if not
compat-ogRestoreImage = puts an image on a partition
compat-deployImage = brings an image into the cache and from there on a partition, which is then configured
compat-without-cache = The cache does not take the image; it is restored without it.
compat-not-configured = No configureOs is installed: the restored system keeps the name and settings of the model.
compat-initCache = makes, keeps or removes the cache partition and mounts it
compat-ogCreateCache = makes a partition for the cache
compat-ogDeleteCache = removes the cache’s partition with all that it holds
compat-ogFormatCache = formats the cache’s partition and mounts it
compat-ogGetCacheSpace = prints the KiB that a cache may have
compat-cache-goes = { $device } goes with all that it holds.
compat-no-zstd = OpenGnsys 1 itself cannot restore this image; for it: azud image export { $image } OUT --to partclone --compress lzop
compat-not-yet = This way of transfer is not here yet; UNICAST is.
compat-synchronised = It is a synchronised image, which cannot be brought into the cache yet: “azud image create” makes one that can.

## The room

label-done = Done
label-left = Time left
label-seen = Heard of
label-work = Work
word-done = done
word-failed = failed
word-silent = no longer answers
room-empty = No computer has reported yet.
room-copy = { $image } to { $to }
room-ago = { $time } ago
room-told-there = Told there: { $hint }
room-in = { $detail } (in { $dir })
room-other-manager = This is about the manager { $manager }, not this one.

## The manager

label-listen = Listening on
label-pin = Fingerprint
label-admin-token = Token (admin)
label-read-token = Token (read)
label-token-id = Token
label-role = Role
label-made = Made
label-note = Note
label-token-until = Good until
result-image-sign = Signed
result-login = Logged in
result-no-login = Nobody is logged in at { $host } here
result-logout = The login is forgotten here
login-prompt = Type the code that “azud token code” shows on the manager:
token-code-once = It is good once, within five minutes. At the client: azud login
token-code-bounds = Only for: { $bounds }
label-token-expires = Until
label-token-bounds = Only for
result-serve = Serving images
serve-first = The token is shown this once. Make others with “azud token create --role read”.
serve-clients = On each client: azud repo add { $address } --protocol http{ $port } --pin { $pin } --token-file FILE
serve-loopback = Only this computer reaches it; --listen ADDRESS opens it to others.
serve-may-not-write = The account that serves may not write into { $images }: clients read images, but nothing can be sent there or removed. Give the whole directory to that account (chown -R), or say that it is meant so (--read-only). Of azud.service the account is azud, and a directory elsewhere than below /opt/opengnsys/images needs ReadWritePaths= as well (systemctl edit azud).
serve-repo-elsewhere = On this computer itself REPO: means { $there }, not the images that are served here: name those by their path ({ $images }/NAME). To have REPO: mean them, put into { $config }: serving = true, and below [serve]: images = "{ $images }"
serve-repo-nothing = On this computer itself REPO: means nothing: name the images by their path ({ $images }/NAME). To have REPO: mean them, put into { $config }: serving = true, and below [serve]: images = "{ $images }"
token-ended = { $end } (ended)
token-once = It is shown this once.
result-token-revoke = Revoked
warn-not-pinned = No --pin was said: compare the fingerprint with the one that the manager shows at its start.
warn-login-outlives = The login at { $host } is forgotten here alone: its token stays good there until { $until }. “azud token revoke { $id }” on the manager ends it at once.
warn-login-replaced = The login at { $host } is forgotten: from now on the token that is said here counts. The token of the login stays good there until { $until }; “azud token revoke { $id }” on the manager ends it at once.
warn-lesser-token = The token that is kept for { $address } is for { $before ->
    [admin] managing
   *[write] writing
}, this one only for { $now ->
    [write] writing
   *[read] reading
}.
warn-no-manager-then = { $address } is known as a manager. It is that no longer then, and what is kept of it goes.
value-port = PORT
value-pin = PIN
value-text = TEXT
value-duration = DURATION
value-subnet = SUBNET
value-pattern = PATTERN
value-role = ROLE
value-id = ID
