//! New code into files that people have edited since: three texts into one, or a sentence on why not.

use super::manifest::hash;

/// The texts of one file; none where it is not there.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Versions<'a> {
    /// The hash of what was generated at the time.
    pub(crate) recorded: Option<&'a str>,
    /// What would be generated today for the domain as it was.
    pub(crate) base: Option<&'a str>,
    /// What is there.
    pub(crate) ours: Option<&'a str>,
    /// What is generated for the domain as it will be.
    pub(crate) theirs: Option<&'a str>,
}

/// What becomes of the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It stays as it is.
    Keep,
    /// It is, or becomes, as it is generated.
    Take,
    /// It has the edits and what is new.
    Merged(String),
    /// It goes.
    Delete,
    /// Edits stand where something new has to be: both, with the conflict markers of git, and why.
    Conflict(String, &'static str),
    /// A person has to decide; why.
    Stuck(&'static str),
}

/// What becomes of a file.
pub(crate) fn merge(file: Versions<'_>) -> Outcome {
    let is_untouched = |ours: &str| file.recorded == Some(hash(ours).as_str());
    match (file.ours, file.theirs) {
        (None, None) => Outcome::Keep,
        (None, Some(_)) if file.recorded.is_none() => Outcome::Take,
        (None, Some(theirs)) if file.base == Some(theirs) => Outcome::Keep,
        (None, Some(_)) => Outcome::Stuck("was deleted, and has to change"),
        (Some(ours), None) if is_untouched(ours) => Outcome::Delete,
        (Some(_), None) => Outcome::Stuck("was edited, and is no longer needed"),
        // Even where today's templates would make it otherwise: a domain keeps the shape of its day.
        (Some(_), Some(theirs)) if file.base == Some(theirs) => Outcome::Keep,
        (Some(ours), Some(theirs)) if file.base == Some(ours) || ours == theirs => Outcome::Take,
        (Some(_), Some(_)) if file.recorded.is_none() => {
            Outcome::Stuck("is in the way of a file that is to be generated")
        }
        (Some(ours), Some(theirs)) if is_untouched(ours) => aged(file, ours, theirs),
        (Some(ours), Some(theirs)) => three_way(file, ours, theirs),
    }
}

/// Nobody edited it, and other templates made it: it gets what is new, and nothing else of what they are today.
fn aged(file: Versions<'_>, ours: &str, theirs: &str) -> Outcome {
    match diffy::merge(file.base.unwrap_or_default(), ours, theirs) {
        Ok(merged) => Outcome::Merged(merged),
        Err(marked) => Outcome::Conflict(
            marked,
            "was made by other templates than today's, and has to change where they do",
        ),
    }
}

fn three_way(file: Versions<'_>, ours: &str, theirs: &str) -> Outcome {
    let Some(base) = file.base.filter(|base| file.recorded == Some(hash(base).as_str())) else {
        return Outcome::Stuck(
            "was edited, and the templates have changed since it was generated, so the edits can't be told apart",
        );
    };
    match diffy::merge(base, ours, theirs) {
        Ok(merged) => Outcome::Merged(merged),
        Err(marked) => Outcome::Conflict(marked, "was edited where it has to change"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "one\ntwo\nthree\nfour\nfive\nsix\n";
    const THEIRS: &str = "one\ntwo\nthree\nfour\nfive\nnew\nsix\n";

    fn merged(recorded: &str, base: Option<&str>, ours: Option<&str>, theirs: Option<&str>) -> Outcome {
        merge(Versions { recorded: Some(&hash(recorded)), base, ours, theirs })
    }

    fn edited(ours: &str) -> Outcome {
        merged(BASE, Some(BASE), Some(ours), Some(THEIRS))
    }

    #[test]
    fn what_nobody_edited_is_generated_again() {
        assert_eq!(edited(BASE), Outcome::Take);
        assert_eq!(edited(THEIRS), Outcome::Take);
    }

    #[test]
    fn what_older_templates_made_gets_what_is_new_and_no_more() {
        let old = "one\ntwo as it was\nthree\nfour\nfive\nsix\n";
        assert_eq!(merged(old, Some(BASE), Some(old), Some(BASE)), Outcome::Keep);
        let new = old.replace("five\n", "five\nnew\n");
        assert_eq!(merged(old, Some(BASE), Some(old), Some(THEIRS)), Outcome::Merged(new));
        let other = "made otherwise\n";
        assert!(matches!(merged(other, Some(BASE), Some(other), Some(THEIRS)), Outcome::Conflict(..)));
    }

    #[test]
    fn edits_and_new_code_go_together() {
        assert_eq!(
            edited("one\nmine\nthree\nfour\nfive\nsix\n"),
            Outcome::Merged("one\nmine\nthree\nfour\nfive\nnew\nsix\n".into())
        );
        assert_eq!(
            edited("one\nthree\nfour\nfive\nsix\nmore\n"),
            Outcome::Merged("one\nthree\nfour\nfive\nnew\nsix\nmore\n".into())
        );
    }

    #[test]
    fn what_was_written_by_hand_already_is_not_there_twice() {
        let ours = "one\nmine\nthree\nfour\nfive\nnew\nsix\n";
        assert_eq!(edited(ours), Outcome::Merged(ours.into()));
    }

    #[test]
    fn edits_in_the_same_place_are_left_to_a_person() {
        let marked = "one\ntwo\nthree\nfour\nfive\n<<<<<<< ours\nmine\n||||||| original\n=======\nnew\n>>>>>>> theirs\nsix\n";
        assert_eq!(
            edited("one\ntwo\nthree\nfour\nfive\nmine\nsix\n"),
            Outcome::Conflict(marked.into(), "was edited where it has to change")
        );
    }

    #[test]
    fn edits_of_what_older_templates_made_can_not_be_told_apart() {
        let outcome = merged("made by older templates\n", Some(BASE), Some("edited\n"), Some(THEIRS));
        assert!(matches!(outcome, Outcome::Stuck(why) if why.contains("the templates have changed")));
    }

    #[test]
    fn what_need_not_change_keeps_its_edits_whatever_the_templates() {
        assert_eq!(merged("old\n", Some(BASE), Some("edited\n"), Some(BASE)), Outcome::Keep);
        assert_eq!(merged(BASE, Some(BASE), None, Some(BASE)), Outcome::Keep);
    }

    #[test]
    fn files_come_and_go() {
        let new = |ours| merge(Versions { theirs: Some(THEIRS), ours, ..Versions::default() });
        assert_eq!(new(None), Outcome::Take);
        assert_eq!(new(Some(THEIRS)), Outcome::Take);
        assert_eq!(new(Some("other\n")), Outcome::Stuck("is in the way of a file that is to be generated"));
        assert_eq!(
            merged(BASE, Some(BASE), None, Some(THEIRS)),
            Outcome::Stuck("was deleted, and has to change")
        );
        assert_eq!(merged(BASE, Some(BASE), Some(BASE), None), Outcome::Delete);
        assert_eq!(
            merged(BASE, Some(BASE), Some("edited\n"), None),
            Outcome::Stuck("was edited, and is no longer needed")
        );
        assert_eq!(merged(BASE, Some(BASE), None, None), Outcome::Keep);
    }
}
