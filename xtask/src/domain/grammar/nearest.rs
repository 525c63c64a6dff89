//! Suggestions for mistyped words.

/// The most similar word, unless all differ too much.
pub(super) fn nearest<'a>(typed: &str, words: &[&'a str]) -> Option<&'a str> {
    let most = (typed.chars().count() / 3).max(1);
    let near = words.iter().map(|word| (distance(typed, word), *word)).filter(|(far, _)| *far <= most);
    near.min_by_key(|(far, _)| *far).map(|(_, word)| word)
}

/// The number of typing errors: wrong, missing, additional or swapped letters.
pub(super) fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let changed = row[j] + usize::from(a != b);
            let mut least = changed.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slip_counts_once() {
        assert_eq!(distance("filter", "filter"), 0);
        assert_eq!(distance("fliter", "filter"), 1);
        assert_eq!(distance("filer", "filter"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_nearest_is_found_and_nonsense_is_not() {
        let words = ["string", "text", "int"];
        assert_eq!(nearest("strng", &words), Some("string"));
        assert_eq!(nearest("txet", &words), Some("text"));
        assert_eq!(nearest("banana", &words), None);
    }
}
