//! Plays audio that arrives while it is being played.
//!
//! **Invariant: every sample that was accepted comes out once, in order and without gaps between
//! samples that were there in time; a mark is passed when the frame with the last sample before it has
//! been played out.** What does not fit is refused. Left to others: when a frame is due, and sending it.

use crate::report::PlayId;
use std::collections::VecDeque;

/// Maximum samples that wait to be played: five minutes.
pub(crate) const MAX_QUEUED: usize = 5 * 60 * audio::RATE as usize;
/// Maximum pieces and marks that wait, so that tiny pieces do not take much more memory than their
/// samples.
const MAX_PIECES: usize = 100_000;
/// Marks that are passed in one frame without allocating; more of them are passed early.
const MARKS_AT_ONCE: usize = 64;

#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) play: PlayId,
    queue: VecDeque<Piece>,
    /// Samples in the queue that were not yet played.
    queued: usize,
    /// Samples of the first piece already played.
    offset: usize,
    /// Marks that the last frame reached: they are passed when it has been played out.
    reached: Vec<u64>,
}

#[derive(Debug)]
enum Piece {
    Sound(Vec<i16>),
    Mark(u64),
}

impl Live {
    pub(crate) fn new(play: PlayId) -> Self {
        Self {
            play,
            queue: VecDeque::new(),
            queued: 0,
            offset: 0,
            reached: Vec::with_capacity(MARKS_AT_ONCE),
        }
    }

    /// Adds audio; returns how many of its samples were refused.
    pub(crate) fn push(&mut self, mut samples: Vec<i16>) -> usize {
        let room = if self.queue.len() < MAX_PIECES {
            MAX_QUEUED - self.queued
        } else {
            0
        };
        let refused = samples.len().saturating_sub(room);
        samples.truncate(room);
        if !samples.is_empty() {
            self.queued += samples.len();
            self.queue.push_back(Piece::Sound(samples));
        }
        refused
    }

    /// Adds a mark; false if there are too many.
    pub(crate) fn mark(&mut self, mark: u64) -> bool {
        let fits = self.queue.len() < MAX_PIECES;
        if fits {
            self.queue.push_back(Piece::Mark(mark));
        }
        fits
    }

    /// Drops everything that waits. No mark is passed any more.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.reached.clear();
        (self.queued, self.offset) = (0, 0);
    }

    /// Overwrites `out` with the next samples, then silence; passes the marks reached before.
    pub(crate) fn fill(&mut self, out: &mut [i16], mut passed: impl FnMut(u64)) {
        self.reached.drain(..).for_each(&mut passed);
        let mut filled = 0;
        loop {
            match self.queue.front() {
                Some(Piece::Mark(mark)) => {
                    // Nothing that is in this frame comes before it, or there are too many.
                    if filled == 0 || self.reached.len() == MARKS_AT_ONCE {
                        passed(*mark);
                    } else {
                        self.reached.push(*mark);
                    }
                    self.queue.pop_front();
                }
                Some(Piece::Sound(samples)) if filled < out.len() => {
                    let rest = samples.get(self.offset..).unwrap_or_default();
                    let len = rest.len().min(out.len() - filled);
                    out[filled..filled + len].copy_from_slice(&rest[..len]);
                    filled += len;
                    self.queued -= len;
                    self.offset += len;
                    if len == rest.len() {
                        self.queue.pop_front();
                        self.offset = 0;
                    }
                }
                Some(Piece::Sound(_)) | None => break,
            }
        }
        out[filled..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next frame of four samples, and the marks passed.
    fn frame(live: &mut Live) -> ([i16; 4], Vec<u64>) {
        let (mut out, mut marks) = ([9; 4], Vec::new());
        live.fill(&mut out, |mark| marks.push(mark));
        (out, marks)
    }

    #[test]
    fn pieces_of_any_length_follow_without_gaps() {
        let mut live = Live::new(PlayId(1));
        assert_eq!(frame(&mut live), ([0; 4], vec![]));
        for piece in [&[1, 2, 3][..], &[], &[4, 5, 6, 7, 8, 9], &[10]] {
            assert_eq!(live.push(piece.to_vec()), 0);
        }
        assert_eq!(frame(&mut live).0, [1, 2, 3, 4]);
        assert_eq!(frame(&mut live).0, [5, 6, 7, 8]);
        assert_eq!(frame(&mut live).0, [9, 10, 0, 0]);
        live.push(vec![11]);
        assert_eq!(frame(&mut live).0, [11, 0, 0, 0]);
    }

    #[test]
    fn a_mark_is_passed_when_what_came_before_it_was_played() {
        let mut live = Live::new(PlayId(1));
        live.mark(1);
        live.push(vec![1; 6]);
        live.mark(2);
        live.push(vec![2; 2]);
        live.mark(3);
        live.mark(4);
        let frames: Vec<_> = (0..4).map(|_| frame(&mut live).1).collect();
        // The second frame holds the end of both pieces; it has been played when the third one begins.
        assert_eq!(frames, [vec![1], vec![], vec![2, 3, 4], vec![]]);
        // More marks at once than there is room for come early, not late.
        live.push(vec![1]);
        (0..70).for_each(|mark| assert!(live.mark(mark)));
        assert_eq!(frame(&mut live).1, [64, 65, 66, 67, 68, 69]);
        assert_eq!(frame(&mut live).1, (0..64).collect::<Vec<_>>());
    }

    #[test]
    fn what_waits_can_be_dropped() {
        let mut live = Live::new(PlayId(1));
        live.push(vec![1; 8]);
        live.mark(1);
        assert_eq!(frame(&mut live).0, [1; 4]);
        live.push(vec![1; 2]);
        live.clear();
        live.push(vec![2; 4]);
        live.mark(2);
        assert_eq!(frame(&mut live), ([2; 4], vec![]));
        assert_eq!(frame(&mut live), ([0; 4], vec![2]));
        // Also a mark that was just reached.
        live.push(vec![3; 4]);
        live.mark(3);
        frame(&mut live);
        live.clear();
        assert_eq!(frame(&mut live), ([0; 4], vec![]));
    }

    #[test]
    fn what_waits_is_limited() {
        let mut live = Live::new(PlayId(1));
        assert_eq!(live.push(vec![1; MAX_QUEUED - 3]), 0);
        assert_eq!(live.push(vec![2; 5]), 2);
        assert_eq!(live.push(vec![2; 5]), 5);
        frame(&mut live);
        assert_eq!(live.push(vec![2; 5]), 1);
        live.clear();
        assert_eq!(live.push(vec![2; 5]), 0);
        assert!((1..MAX_PIECES as u64).all(|mark| live.mark(mark)));
        assert!(!live.mark(0));
        assert_eq!(live.push(vec![2; 5]), 5);
    }
}
