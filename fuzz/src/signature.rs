//! Target of the foreign signatures.

use azud_image::fs::HEAD_LEN;
use azud_image::fs::signature::foreign;

use super::Input;

const TAIL: usize = 1 << 20;

/// A device of zeros (size: u32 times 512, at most 4 MiB, plus a byte) on which bytes are written:
/// a position (u32; the uppermost bit: from the end), a length (u8), the bytes. Zeroing what is found leaves
/// nothing to be found, where it is seen.
pub fn signature(data: &[u8]) {
    let mut input = Input(data);
    let (Some(sectors), Some(odd)) = (input.u24(), input.u8()) else {
        return;
    };
    let mut device = vec![0; sectors % 8192 * 512 + usize::from(odd)];
    while let Some(()) = write(&mut device, &mut input) {}
    let size = device.len();
    let head = size.min(HEAD_LEN);
    let tail = size - size.min(TAIL);
    for found in foreign(&device[..head], &device[tail..], size as u64) {
        let (start, end) = (found.range.start, found.range.end);
        assert!(start < end && end <= size as u64, "{found:?} of {size}");
        let at = |offset: u64| usize::try_from(offset).expect("in memory");
        device[at(start)..at(end)].fill(0);
    }
    let left = foreign(&device[..head], &device[tail..], size as u64);
    assert!(left.is_empty(), "still there: {left:?}");
}

fn write(device: &mut [u8], input: &mut Input<'_>) -> Option<()> {
    let place = input.u32()?;
    let len = usize::from(input.u8()?);
    let bytes = input.bytes(len)?;
    let at = (place & 0x7FFF_FFFF) as usize;
    let at = if place >> 31 == 0 {
        at
    } else {
        device.len().wrapping_sub(at)
    };
    if let Some(room) = at.checked_add(len).and_then(|end| device.get_mut(at..end)) {
        room.copy_from_slice(bytes);
    }
    Some(())
}
