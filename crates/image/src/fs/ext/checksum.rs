//! The two checksums of ext4's metadata: CRC-16/ARC's polynomial for `uninit_bg`, CRC-32C for
//! `metadata_csum`. Neither inverts its result, so that a result can seed the next piece.

/// CRC-32C of `data`, going on from `seed` (`u32::MAX` to begin).
pub(super) fn crc32c(seed: u32, data: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, data)
}

/// CRC-16 (0x8005 reflected) of `data`, going on from `seed` (`u16::MAX` to begin).
pub(super) fn crc16(seed: u16, data: &[u8]) -> u16 {
    data.iter().fold(seed, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xA001
            } else {
                crc >> 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{crc16, crc32c};

    #[test]
    fn known_answers() {
        // The catalogue's check values: CRC-16/MODBUS as it is, CRC-32C before its final inversion.
        assert_eq!(crc16(u16::MAX, b"123456789"), 0x4B37);
        assert_eq!(crc32c(u32::MAX, b"123456789"), !0xE306_9283);
    }

    #[test]
    fn pieces_make_the_whole() {
        let (a, b) = b"one two three".split_at(5);
        assert_eq!(
            crc16(crc16(u16::MAX, a), b),
            crc16(u16::MAX, b"one two three")
        );
        assert_eq!(
            crc32c(crc32c(u32::MAX, a), b),
            crc32c(u32::MAX, b"one two three")
        );
    }
}
