//! Mixing: sums in 32 bits, saturated to 16 at the end.
//!
//! **Invariant: up to 65 536 sources sum without overflow, and the result never wraps.**
//! So that each participant hears all the others, add everyone once, then remove each one's own
//! samples with [`subtract`].

/// Adds `samples` to `sum`, as many as both hold.
pub fn add(sum: &mut [i32], samples: &[i16]) {
    for (sum, sample) in sum.iter_mut().zip(samples) {
        *sum = sum.saturating_add(i32::from(*sample));
    }
}

/// Removes `samples` from `sum`, as many as both hold.
pub fn subtract(sum: &mut [i32], samples: &[i16]) {
    for (sum, sample) in sum.iter_mut().zip(samples) {
        *sum = sum.saturating_sub(i32::from(*sample));
    }
}

/// Writes `sum` to `out`, limited to 16 bits, as many as both hold.
pub fn saturate(sum: &[i32], out: &mut [i16]) {
    for (out, sum) in out.iter_mut().zip(sum) {
        *out = (*sum).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
    }
}

/// Adds `samples` to `out`, limited to 16 bits, as many as both hold.
pub fn add_saturating(out: &mut [i16], samples: &[i16]) {
    for (out, sample) in out.iter_mut().zip(samples) {
        *out = out.saturating_add(*sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_hears_the_others() {
        let parties = [
            [100, i16::MAX, i16::MIN],
            [20, i16::MAX, i16::MIN],
            [3, i16::MAX, 7],
        ];
        let mut sum = [0; 3];
        for party in &parties {
            add(&mut sum, party);
        }
        let mut all = [0; 3];
        saturate(&sum, &mut all);
        assert_eq!(all, [123, i16::MAX, i16::MIN]);
        let mut others = sum;
        subtract(&mut others, &parties[0]);
        saturate(&others, &mut all);
        assert_eq!(all, [23, i16::MAX, i16::MIN + 7]);
    }

    #[test]
    fn lengths_may_differ() {
        let mut sum = [1, 1];
        add(&mut sum, &[5]);
        add(&mut sum, &[5, 5, 5]);
        assert_eq!(sum, [11, 6]);
        let mut out = [1, i16::MAX];
        add_saturating(&mut out, &[1, 1, 1]);
        assert_eq!(out, [2, i16::MAX]);
    }
}
