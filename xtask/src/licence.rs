//! SPDX licence expressions, in the forms that manifests use.

/// True if licences for which `allowed` returns true satisfy the expression: either side of an `OR`, both sides of an `AND`.
///
/// `/` between two names is an old form of `OR`. An expression that can't be parsed is not satisfied.
pub(crate) fn is_met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    reader.either() == Some(true) && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.next();
        }
        found
    }

    fn either(&mut self) -> Option<bool> {
        let mut met = self.both()?;
        while self.take("OR") {
            met |= self.both()?;
        }
        Some(met)
    }

    fn both(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let met = self.either()?;
            return self.take(")").then_some(met);
        }
        let name = self.next().filter(|name| !matches!(*name, "AND" | "OR" | "WITH" | ")"))?;
        if !self.take("WITH") {
            return Some((self.allowed)(name));
        }
        let exception = self.next()?;
        Some((self.allowed)(&format!("{name} WITH {exception}")))
    }
}

#[cfg(test)]
mod tests {
    use super::is_met;

    fn met(expression: &str) -> bool {
        is_met(expression, &|name| {
            ["MIT", "ISC", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].contains(&name)
        })
    }

    #[test]
    fn one_side_of_an_or_is_enough() {
        assert!(met("MIT"));
        assert!(met("GPL-3.0 OR MIT"));
        assert!(met("Apache-2.0/MIT"));
        assert!(met("Apache-2.0 / MIT"));
        assert!(!met("GPL-3.0-or-later"));
    }

    #[test]
    fn both_sides_of_an_and_are_needed() {
        assert!(met("ISC AND (Apache-2.0 OR OpenSSL)"));
        assert!(!met("MIT AND OpenSSL"));
        assert!(!met("(MIT OR ISC) AND GPL-3.0"));
        assert!(met("MIT OR ISC AND GPL-3.0"));
    }

    #[test]
    fn an_exception_belongs_to_the_name() {
        assert!(met("Apache-2.0 WITH LLVM-exception"));
        assert!(!met("MIT WITH LLVM-exception"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for expression in ["", "AND", "MIT OR", "(MIT", "MIT)", "MIT ISC", "MIT WITH"] {
            assert!(!met(expression), "{expression}");
        }
    }
}
