//! The plural of an English noun, for tables and routes. `--plural` overrides it.

/// Nouns with an irregular plural, also at the end of a longer word, as in `grandchild`.
const IRREGULAR: &[(&str, &str)] = &[
    ("appendix", "appendices"),
    ("calf", "calves"),
    ("child", "children"),
    ("criterion", "criteria"),
    ("datum", "data"),
    ("echo", "echoes"),
    ("elf", "elves"),
    ("epoch", "epochs"),
    ("foot", "feet"),
    ("goose", "geese"),
    ("half", "halves"),
    ("hero", "heroes"),
    ("human", "humans"),
    ("knife", "knives"),
    ("leaf", "leaves"),
    ("life", "lives"),
    ("loaf", "loaves"),
    ("matrix", "matrices"),
    ("medium", "media"),
    ("monarch", "monarchs"),
    ("mouse", "mice"),
    ("person", "people"),
    ("phenomenon", "phenomena"),
    ("potato", "potatoes"),
    ("quiz", "quizzes"),
    ("scarf", "scarves"),
    ("stomach", "stomachs"),
    ("thief", "thieves"),
    ("tomato", "tomatoes"),
    ("tooth", "teeth"),
    ("vertex", "vertices"),
    ("veto", "vetoes"),
    ("wife", "wives"),
    ("wolf", "wolves"),
    ("woman", "women"),
    ("man", "men"),
];

/// Nouns whose plural is irregular only as whole words: `fox` is no `ox`.
const WHOLE: &[(&str, &str)] = &[("die", "dice"), ("ox", "oxen"), ("roman", "romans"), ("german", "germans")];

/// Nouns that are their own plural.
const UNCOUNTABLE: &[&str] = &[
    "advice",
    "aircraft",
    "clothing",
    "data",
    "deer",
    "equipment",
    "evidence",
    "feedback",
    "fish",
    "furniture",
    "hardware",
    "homework",
    "information",
    "luggage",
    "media",
    "metadata",
    "money",
    "music",
    "news",
    "series",
    "sheep",
    "software",
    "species",
    "staff",
    "traffic",
    "weather",
    "research",
];

/// Endings with their replacements; the first match counts.
const ENDINGS: &[(&str, &str)] = &[
    ("ay", "ays"),
    ("ey", "eys"),
    ("iy", "iys"),
    ("oy", "oys"),
    ("uy", "uys"),
    ("y", "ies"),
    ("sis", "ses"),
    ("xis", "xes"),
    ("s", "ses"),
    ("x", "xes"),
    ("z", "zes"),
    ("ch", "ches"),
    ("sh", "shes"),
];

/// `blog_posts` of `blog_post`: the last word is the noun.
pub(crate) fn plural(name: &str) -> String {
    let (before, noun) = name.rsplit_once('_').map_or(("", name), |(before, noun)| (before, noun));
    let joint = if before.is_empty() { "" } else { "_" };
    format!("{before}{joint}{}", of_noun(noun))
}

fn of_noun(noun: &str) -> String {
    if UNCOUNTABLE.contains(&noun) {
        return noun.to_owned();
    }
    let whole = WHOLE.iter().find(|(one, _)| noun == *one);
    let ending = || IRREGULAR.iter().chain(ENDINGS).find(|(one, _)| noun.ends_with(one));
    match whole.or_else(ending) {
        Some((one, many)) => format!("{}{many}", noun.strip_suffix(one).unwrap_or_default()),
        None => format!("{noun}s"),
    }
}

/// Singular nouns that end like a plural.
const ONE_IN_S: &[&str] =
    &["alias", "atlas", "bias", "canvas", "chaos", "corps", "cosmos", "gas", "lens", "means"];

/// The singular, if the name is a plural: `post` of `posts`. A guess, as good as [`plural`] is.
pub(crate) fn singular(name: &str) -> Option<String> {
    let (before, noun) = name.rsplit_once('_').map_or(("", name), |(before, noun)| (before, noun));
    let joint = if before.is_empty() { "" } else { "_" };
    one_of(noun).map(|one| format!("{before}{joint}{one}"))
}

fn one_of(noun: &str) -> Option<String> {
    if UNCOUNTABLE.contains(&noun) || ONE_IN_S.contains(&noun) {
        return None;
    }
    let irregular = IRREGULAR.iter().chain(WHOLE).find(|(_, many)| noun == *many);
    if let Some((one, _)) = irregular {
        return Some((*one).to_owned());
    }
    if ["ss", "us", "is"].iter().any(|ending| noun.ends_with(ending)) {
        return None;
    }
    let in_es = ["sses", "tuses", "buses", "xes", "ches", "shes"].iter().any(|ending| noun.ends_with(ending));
    let one = match noun.strip_suffix("ies") {
        Some(rest) => format!("{rest}y"),
        None => noun.strip_suffix(if in_es { "es" } else { "s" })?.to_owned(),
    };
    (one.len() > 1 && of_noun(&one) == noun).then_some(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_are_made_plural() {
        let pairs = [
            ("post", "posts"),
            ("news", "news"),
            ("category", "categories"),
            ("address", "addresses"),
            ("status", "statuses"),
            ("data", "data"),
            ("box", "boxes"),
            ("fox", "foxes"),
            ("ox", "oxen"),
            ("person", "people"),
            ("child", "children"),
            ("grandchild", "grandchildren"),
            ("fish", "fish"),
            ("day", "days"),
            ("key", "keys"),
            ("boy", "boys"),
            ("match", "matches"),
            ("wish", "wishes"),
            ("analysis", "analyses"),
            ("axis", "axes"),
            ("quiz", "quizzes"),
            ("photo", "photos"),
            ("hero", "heroes"),
            ("leaf", "leaves"),
            ("bus", "buses"),
            ("class", "classes"),
            ("human", "humans"),
            ("woman", "women"),
            ("craftsman", "craftsmen"),
            ("index", "indexes"),
            ("page", "pages"),
            ("v2", "v2s"),
        ];
        for (one, many) in pairs {
            assert_eq!(plural(one), many);
        }
    }

    #[test]
    fn the_last_word_is_the_noun() {
        assert_eq!(plural("blog_post"), "blog_posts");
        assert_eq!(plural("product_category"), "product_categories");
        assert_eq!(plural("people_status"), "people_statuses");
    }

    #[test]
    fn several_are_told_from_one() {
        for (many, one) in [
            ("posts", "post"),
            ("users", "user"),
            ("categories", "category"),
            ("addresses", "address"),
            ("statuses", "status"),
            ("boxes", "box"),
            ("houses", "house"),
            ("people", "person"),
            ("children", "child"),
            ("order_items", "order_item"),
            ("v2s", "v2"),
        ] {
            assert_eq!(singular(many).as_deref(), Some(one));
        }
        for one in [
            "post", "status", "address", "news", "data", "analysis", "bus", "lens", "specimen", "s", "series",
        ] {
            assert_eq!(singular(one), None, "{one}");
        }
    }
}
