//! "Did you mean": the allowed name that is closest to the one written.

/// The allowed word that was probably meant, or `None` if none is close.
///
/// Other letter case always counts as close; otherwise a third of the letters may differ, where
/// swapping two neighbours counts as one difference.
pub(crate) fn closest<'a>(
    written: &str,
    allowed: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 40;
    let written: Vec<char> = written
        .chars()
        .take(LONGEST)
        .flat_map(char::to_lowercase)
        .collect();
    let limit = (written.len() / 3).clamp(1, 3);
    allowed
        .into_iter()
        .map(|word| {
            let letters: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
            (distance(&written, &letters), word)
        })
        .filter(|(distance, word)| *distance <= limit && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edit distance with swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let replace = row[j] + usize::from(left != right);
            let mut best = replace.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let words = [
            "Say",
            "Play",
            "Pause",
            "Dial",
            "Redirect",
            "timeout",
            "timeLimit",
        ];
        let table = [
            ("say", Some("Say")),
            ("SAY", Some("Say")),
            ("Pley", Some("Play")),
            ("Pasue", Some("Pause")),
            ("Redirekt", Some("Redirect")),
            ("timelimit", Some("timeLimit")),
            ("timeOut", Some("timeout")),
            ("Dail", Some("Dial")),
            ("Conference", None),
            ("x", None),
            ("", None),
        ];
        for (written, meant) in table {
            assert_eq!(closest(written, words), meant, "{written}");
        }
    }
}
