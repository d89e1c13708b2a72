//! The assembly: an image file that is filled in any order from any sources, piece by verified piece.
//!
//! Architecture invariant: pure. What to do is decided here ([`Plan`], [`Tracker`]) and written down here
//! ([`journal`]); who reads, writes and syncs is the store.

mod depth;
pub mod journal;
mod layout;
mod plan;
mod queue;
mod roster;
mod source;
mod space;
mod track;

pub use depth::Depth;
pub use layout::{Layout, LayoutError, Piece};
pub use plan::{MAX_RUN, Origin, Plan, Run};
pub use queue::Queue;
pub use roster::{Answer, Roster};
pub use source::{Source, SourceError};
pub use space::{Medium, Need, holes};
pub use track::{RECORD_BYTES, Tracker};

#[cfg(test)]
mod testing {
    //! Small images whose pieces are of any length.

    use super::Layout;
    use crate::format::container;
    use crate::format::index::{Frame, Index};
    use proptest::prelude::*;

    /// An image and its bytes.
    #[derive(Debug, Clone)]
    pub(super) struct Image {
        pub(super) layout: Layout,
        pub(super) bytes: Vec<u8>,
    }

    /// Of frames that are told by a number each and a length.
    pub(super) fn layout(frames: &[(u8, u32)]) -> Layout {
        let bytes = frames.iter().map(|(fill, len)| vec![*fill; *len as usize]);
        of(&bytes.collect::<Vec<_>>()).layout
    }

    fn of(frames: &[Vec<u8>]) -> Image {
        let frame = |bytes: &Vec<u8>| Frame {
            compressed_len: u32::try_from(bytes.len()).unwrap(),
            content_len: u32::try_from(bytes.len()).unwrap(),
            compressed_hash: *blake3::hash(bytes).as_bytes(),
            content_hash: [0; 32],
        };
        let index = Index {
            frames: frames.iter().map(frame).collect(),
            ..Index::default()
        };
        let mut bytes = frames.concat();
        bytes.extend(container::ending(&index).0);
        let layout = Layout::read_native(&bytes).unwrap();
        Image { layout, bytes }
    }

    /// Images of few different pieces, so that two of them share some.
    pub(super) fn image() -> impl Strategy<Value = Image> {
        prop::collection::vec(0u8..12, 0..24).prop_map(|kinds| {
            let piece = |kind: &u8| vec![*kind + 1; usize::from(*kind % 5) * 7 + 3];
            of(&kinds.iter().map(piece).collect::<Vec<_>>())
        })
    }
}
