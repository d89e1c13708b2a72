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
error-cli-not-confirmed = Not confirmed, nothing was written
    .hint = Repeat with --yes, or type the device's name when asked.
error-image-bad-name = The image's name is not acceptable
    .hint = Use letters, digits, dashes and dots; no part may be empty, begin with a dot or be “..”.
error-image-not-found = Not found
    .hint = Check the spelling; “azud image list DIR” shows what there is.
error-image-not-native = Not an image in Azud's format
    .hint = If another program made it, convert it with “azud image import”.
error-image-truncated = The image ends too early
    .hint = The copy was cut short: copy it again, or take a former version (“azud image history”).
error-image-corrupt = The image is damaged
    .hint = Do not restore it. Copy it again, or go back to a former version (“azud image rollback”).
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
error-fs-dirty = The file system was not shut down cleanly
    .hint = Check and repair it, or capture the whole device with --dirty raw.
error-fs-hibernated = Windows is hibernated on this volume
    .hint = Start Windows, turn fast start-up off and shut it down completely (shutdown /s /f /t 0).
error-fs-corrupt = The file system is damaged
    .hint = Repair it with its own tool (fsck, chkdsk) and try again.
error-fs-unsupported = The file system uses a feature that Azud does not know
    .hint = Try --engine partclone, or update azud.
error-fs-unknown = No known file system
    .hint = Check that it is the right partition, not the whole disk or an encrypted volume.
error-disk-mounted = The device is mounted
    .hint = Unmount it (umount) and try again.
error-disk-busy = The device is in use
    .hint = Stop what uses it (lsblk and fuser -v show it) and try again.
error-disk-not-a-device = Neither a block device nor a regular file
    .hint = lsblk shows the devices of this computer.
error-disk-too-small = The target is too small
    .hint = Choose a larger partition, or shrink the file system before capturing it.
error-disk-sector-size = The target's sector size does not fit the image
    .hint = Restore to a disk whose logical sectors have the size of the original's.
error-disk-holds-source = The target holds the very image to be restored
    .hint = Copy the image to another disk first, or choose another target.
error-disk-target-is-image = The target is itself an image
    .hint = Move it away first (“azud image rm” keeps it in the trash), or choose another target.
error-disk-empty = There is nothing to capture
    .hint = Check that it is the right device: it has no bytes.
error-disk-changed = The device changed or vanished during the work
    .hint = Check cables and who else uses it, then start again.
error-disk-read-only = The medium is read-only
    .hint = Remove the write protection, or mount it for writing.
error-disk-no-space = No space left
    .hint = Free space or write elsewhere; former versions of images take space too.
error-disk-read-back = What was read back is not what was written
    .hint = Do not use the target: its disk, cable or memory is failing.
error-disk-io = The operating system refused an operation
    .hint = Look at the cause; dmesg tells whether the disk is failing.
error-disk-permission = Not allowed
    .hint = Run it as root (sudo), or check the permissions of the file.
error-tool-missing = A program is missing
    .hint = Install it with the system's package manager.
error-tool-failed = An external program failed
    .hint = Read what it said; running it by hand may say more.

## Asking for consent

confirm-prompt = This destroys what { $device } holds. To go on, type its name:
confirm-nobody = nobody said that the content of { $device } may go
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
bad-size = a size is a number of bytes, or one like 10M, 10MiB, 1.5G
bad-level = it is a whole number from 1 to 19
bad-number = it is a whole number, 0 or greater

value-a = A
value-b = B
value-command = COMMAND
value-device = DEVICE
value-dir = DIR
value-engine = ENGINE
value-foreign = FOREIGN
value-format = FORMAT
value-how = HOW
value-image = IMAGE
value-lang = LANG
value-n = N
value-out = OUT
value-shell = SHELL
value-size = SIZE
value-version = VERSION

## Help

help = Keeps the disk images of computer rooms, and puts them on their disks
help-args =
    .help = Explain this command
    .version = Show the version
    .json = JSON for programs: one object per line, the last one is the result
    .quiet = Nothing but what was asked for, and errors
    .lang = Language of messages; else AZUD_LANG, LC_ALL, LC_MESSAGES, LANG
    .dry-run = Show the plan and stop
    .yes = Go ahead without asking
    .image = The image
    .level = Compression, 1 (fast) to 19 (small)
help-demo = Show the whole story on this computer, without root
    .dir = Where to work, instead of a temporary directory
    .keep = Keep the files that were made
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
    .read-back = Read the image again when it is written, and check it
    .keep-days = Delete former versions older than this many days
    .keep-bytes = Delete the oldest former versions beyond this size
help-image-restore = Put an image on a device
    .image = The image; - reads it from standard input
    .device = Device or file to write; what it holds is lost
    .changed-only = Compare first, write only blocks that differ; resumes as well
    .read-back = Read the medium again when it is written, and check it
    .unused = Space that the image does not use
    .discard = Short for --unused discard
help-image-info = Say what an image holds
help-image-verify = Check every frame of an image
    .deep = Decode the frames as well
help-image-list = List images
    .dir = Where to look
help-image-diff = Say what two images share
    .a = An image
    .b = Another
help-image-history = List the former versions of an image
help-image-rollback = Bring a former version of an image back
    .version = Which one, as history shows it; else the last
help-image-rm = Move an image to the trash
help-image-export = Convert an image to another format
    .out = File to write
    .to = Format
help-image-import = Make an image of one that another program made
    .foreign = partclone or ntfsclone image, or a whole disk, plain or compressed
    .image = File to write

## Manual pages

man-name = NAME
man-synopsis = SYNOPSIS
man-description = DESCRIPTION
man-version = VERSION
man-done = { $count ->
    [one] { $count } page written to
   *[other] { $count } pages written to
}

## Progress

phase-map = Reading the map
phase-capture = Capturing
phase-compare = Comparing
phase-restore = Restoring
phase-read-back = Reading back
phase-verify = Verifying
phase-convert = Converting
progress-of = { $done } of { $total }
progress-left = { $time } left
progress-end = { $phase }: { $done } in { $time }, { $rate }

## Plans and results

plan-demo = Show the whole story
plan-image-create = Capture an image
plan-image-restore = Restore an image
plan-image-rollback = Bring a former version back
plan-image-rm = Move an image to the trash
plan-image-export = Convert an image
plan-image-import = Import an image

result-image-create = Image captured
result-image-restore = Image restored
result-image-verify = The image is sound
result-image-rollback = Former version brought back
result-image-rm = Image moved to the trash
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
label-host = Computer
label-identity = Identity
label-image = Image
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
label-reused = Taken over
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
label-written = Written

word-changed-only = only what differs
word-discard = discarded
word-leave = left as it is
word-native = Azud
word-no = no
word-none = none
word-partclone = partclone
word-qcow2 = qcow2
word-raw = the whole device
word-stdin = standard input
word-whole = everything
word-yes = yes
word-zero = zeroed

warn-destroys = All that { $device } holds will be lost.
warn-dirty-raw = The file system was not shut down cleanly: its device is captured whole. Check it after a restore.
warn-left-out = { $name } is left out: { $size } that Windows makes anew (--keep-pagefile keeps it).
warn-no-map = No known file system: the whole device is captured, except zeros and holes.
warn-replaces = { $image } exists: it goes to the trash.

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
label-kept = In place
label-to-fetch = To fetch
label-dirty = Not clean
warn-new-file = { $device } does not exist: a new file is made, not a device written.
warn-incomplete = { $device } may be incomplete now, without a file system; repeat with --changed-only to go on.
warn-undiscarded = The device cannot discard: unused space was left as it is.
word-current = current
verify-bad-frames = Damaged frames: { $frames }
word-raw-file = the device's bytes

## The demo

label-size = Size
demo-volume = A file system of real files of this computer, in a file
demo-capture = Capture its used blocks into one image, and check every byte of it
demo-damage = One flipped bit in a copy is noticed
demo-restore = Restore the image, read it back, and let others judge
demo-same-files = { $count } files, all equal
demo-change = Change a few files and capture again: equal frames are taken over
demo-follow = Bring the restored copy up to date: only blocks that differ are written
demo-kept = The files are in { $dir }
demo-step = Step
demo-step-files = Files
demo-step-capture = Capture
demo-step-image = Image, compressed
demo-step-verify = Verify, decoding everything
demo-step-restore = Restore and read back
demo-step-recapture = Capture after changes
demo-step-new = New in the second image
demo-step-follow = Restore only what differs
