//! A datagram in a buffer with spare room after it.
//!
//! A packet is rewritten and protected in place: its protection, such as the SRTP tag (RFC 3711
//! §3.1), is appended without a copy. **Invariant: the datagram lies within its buffer.**

/// Maximum octets that protection adds to a packet.
pub const TAIL: usize = 32;

/// A datagram, and the spare room after it.
#[derive(Debug)]
pub struct Datagram<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Datagram<'a> {
    /// The first `len` octets of a buffer, or all of it if it is shorter.
    pub fn new(buffer: &'a mut [u8], len: usize) -> Self {
        let len = len.min(buffer.len());
        Self { buffer, len }
    }

    /// The octets.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The octets, for changing in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.len).unwrap_or_default()
    }

    /// Appends octets; returns false, changing nothing, if there is no room for them.
    pub fn append(&mut self, octets: &[u8]) -> bool {
        let end = self.len + octets.len();
        let Some(room) = self.buffer.get_mut(self.len..end) else {
            return false;
        };
        room.copy_from_slice(octets);
        self.len = end;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_within_its_buffer() {
        let mut buffer = [1, 2, 3, 4, 5];
        let mut datagram = Datagram::new(&mut buffer, 2);
        assert!(datagram.append(&[7, 8]));
        assert!(!datagram.append(&[9, 9]));
        datagram.bytes_mut()[0] = 0;
        assert_eq!(datagram.bytes(), [0, 2, 7, 8]);
        assert_eq!(Datagram::new(&mut buffer, 99).bytes(), [0, 2, 7, 8, 5]);
    }
}
