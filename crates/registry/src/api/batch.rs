//! The pieces of a body that are written together.

use bytes::{Bytes, BytesMut};

/// Pieces below this are put together. A client may send chunks of one byte: each kept for itself would be a write to the disk, and
/// take thirty times its bytes of memory.
const SMALL: usize = 16 << 10;

#[derive(Debug, Default)]
pub(crate) struct Batch {
    pieces: Vec<Bytes>,
    small: BytesMut,
    size: usize,
}

impl Batch {
    /// Its bytes.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn push(&mut self, piece: Bytes) {
        self.size += piece.len();
        if piece.len() >= SMALL {
            self.settle();
            self.pieces.push(piece);
            return;
        }
        self.small.extend_from_slice(&piece);
        if self.small.len() >= SMALL {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(self.small.split().freeze());
        }
    }

    /// What was pushed, in its order; it is empty then.
    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        self.settle();
        self.size = 0;
        std::mem::take(&mut self.pieces)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_is_lost_and_small_pieces_are_few(lengths in proptest::collection::vec(prop_oneof![1..4_usize, 1..40_000_usize], 0..200)) {
            let (mut batch, mut sent) = (Batch::default(), Vec::new());
            for (number, length) in lengths.iter().enumerate() {
                let piece = vec![number.to_le_bytes()[0]; *length];
                sent.extend_from_slice(&piece);
                batch.push(piece.into());
            }
            prop_assert_eq!(batch.size(), sent.len());
            let pieces = batch.take();
            prop_assert_eq!(pieces.concat(), sent);
            let large = lengths.iter().filter(|length| **length >= SMALL).count();
            prop_assert!(pieces.len() <= 2 * large + 1 + lengths.iter().sum::<usize>() / SMALL);
            prop_assert_eq!((batch.size(), batch.take().len()), (0, 0));
        }
    }

    #[test]
    fn a_body_of_single_bytes_is_some_pieces() {
        let mut batch = Batch::default();
        (0..512 << 10).for_each(|_| batch.push(Bytes::from_static(b"x")));
        assert_eq!(batch.take().len(), 32);
    }
}
