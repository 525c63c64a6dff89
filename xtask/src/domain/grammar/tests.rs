use proptest::prelude::*;

use super::*;
use crate::domain::spec::Kind;

fn field(text: &str) -> Field {
    parse(text).unwrap_or_else(|refusal| panic!("{refusal}"))
}

fn told(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn a_field_is_read() {
    let title = field("title:string:1..200:unique");
    assert_eq!(
        (title.name.as_str(), &title.kind, title.unique, title.optional),
        ("title", &Kind::String, true, false)
    );
    assert_eq!((title.range.min.as_deref(), title.range.max.as_deref()), (Some("1"), Some("200")));
    assert_eq!(title.on_delete, None);
    assert_eq!(field("price:decimal=10,2:optional").kind, Kind::Decimal { precision: 10, scale: 2 });
    assert_eq!(field("published:bool=false").default.as_deref(), Some("false"));
    let choices = ["news", "essay"].map(str::to_owned).to_vec();
    assert_eq!(field("category:enum=news,essay").kind, Kind::Enum(choices));
    let author = field("author:ref=user:owner");
    assert!(author.owner);
    assert_eq!(author.on_delete, Some(OnDelete::Cascade));
}

#[test]
fn what_happens_to_references_has_a_default() {
    let rule = |text| field(text).on_delete;
    assert_eq!(rule("a:ref=b"), Some(OnDelete::Restrict));
    assert_eq!(rule("a:ref=b:optional"), Some(OnDelete::Restrict));
    assert_eq!(rule("a:ref=b:optional:set-null"), Some(OnDelete::SetNull));
    assert_eq!(rule("a:ref=user:owner:restrict"), Some(OnDelete::Restrict));
    assert_eq!(rule("a:upload"), Some(OnDelete::Restrict));
    assert_eq!(rule("a:upload:optional"), Some(OnDelete::SetNull));
    assert_eq!(rule("a:upload:optional:cascade"), Some(OnDelete::Cascade));
}

#[test]
fn a_field_is_written_in_one_way() {
    let same = [
        "title:string:1..200:unique",
        "content:text",
        "published:bool=false",
        "rating:int:0..5:optional",
        "cover:upload:optional",
        "a:string:..10",
        "a:string:1..",
        "a:int:-5..-1:filter:sort",
        "a:decimal=5,2:-1.50..99.5:default=0.05",
        "a:ref=b:optional:filter:set-null",
        "a:url:default=https://example.com:8080/x:y",
        "a:string:0..:default=",
        "a:ref=b:optional:within=c",
    ];
    for text in same {
        assert_eq!(field(text).to_string(), text);
    }
    let shorter = [
        ("a:bool:default=true:index", "a:bool=true:index"),
        ("a:upload:set-null:optional", "a:upload:optional"),
        ("a:ref=user:cascade:owner", "a:ref=user:owner"),
        ("a:int:default=007:00..9", "a:int:0..9:default=7"),
        ("a:decimal=5,2:default=-000.10", "a:decimal=5,2:default=-0.10"),
        ("a:decimal=5,2:default=-0", "a:decimal=5,2:default=0"),
        ("a:float:default=-0.0", "a:float:default=0"),
        ("a:float:default=1.50", "a:float:default=1.5"),
        ("a:date:default=2026-01-31:filter", "a:date:filter:default=2026-01-31"),
    ];
    for (text, written) in shorter {
        assert_eq!(field(text).to_string(), written);
    }
}

#[test]
fn a_default_may_have_colons() {
    let default = |text| field(text).default.unwrap_or_default();
    assert_eq!(default("a:string:default=a:b:c:index"), "a:b:c");
    assert_eq!(default("a:string:default=note: unique"), "note: unique");
    assert_eq!(default("a:string:default=a::b"), "a::b");
    assert_eq!(
        told("a:string:default=b:fliter"),
        "in the field `a:string:default=b:fliter`, there is no modifier `fliter`: write `filter`, or a default without `:fliter`"
    );
}

/// Each is refused with a sentence that starts so, behind the field.
fn expect_refusals(refusals: &[(&str, &str)]) {
    for (text, sentence) in refusals {
        let told = told(text);
        let start = format!("in the field `{text}`, ").replace('\n', " ");
        assert!(told.starts_with(&start) && told[start.len()..].starts_with(sentence), "{text}: {told}");
        assert!(!told.contains('\n') && !told.ends_with('.'), "{told}");
    }
}

#[test]
fn a_type_that_is_none_is_refused() {
    expect_refusals(&[
        ("Title:string", "`Title` is not a valid name: write `title`"),
        ("größe:int", "`größe` is not a valid name"),
        (":string", "`` is not a valid name: write another (lowercase ASCII letters,"),
        ("title", "the type is missing: write one of string, text, bool"),
        ("title:", "the type is missing"),
        (
            "title:strng",
            "there is no type `strng`: write `string` if you mean that; the types are string, text,",
        ),
        ("title:banana", "there is no type `banana`: write one of string, text,"),
        ("done:boolean", "there is no type `boolean`: write `bool`; the types are string, text,"),
        ("count:integer", "there is no type `integer`: write `int`, or `bigint`"),
        ("post:references", "there is no type `references`: write `ref=post`"),
        (
            "slug:slug",
            "there is no type `slug`: write `string:1..100:unique`, and derive it from a title by hand (docs/adding-a-domain.md)",
        ),
        ("price:money", "there is no type `money`: write `decimal=12,2`"),
        (
            "tags:string[]",
            "there is no type `string[]`, and no lists: several values are a domain of their own",
        ),
        ("title:strng=3", "there is no type `strng`: write `string`"),
        ("a:int=3", "`int` has no argument: write `int`, and `:default=3` if `3` is the default"),
    ]);
}

#[test]
fn a_modifier_that_is_none_is_refused() {
    expect_refusals(&[
        ("a:string:", "nothing follows a colon: remove the colon"),
        (
            "a:string:uniqe",
            "there is no modifier `uniqe`: write `unique` if you mean that; the modifiers are optional, unique, index, min..max, default=…, filter, sort, search, owner, cascade, restrict, set-null, within=…",
        ),
        (
            "a:string:defualt=x",
            "there is no modifier `defualt=x`: write `default=` and the value if you mean that",
        ),
        ("a:string:optional=true", "there is no modifier `optional=true`: write `optional` if you mean that"),
        ("a:string:banana", "there is no modifier `banana`: the modifiers are"),
        ("a:string:..", "`..` is not a range"),
        (
            "a:string:a..b",
            "`a..b` is not a range: write a number before the dots, after them, or both, as in `1..200`",
        ),
        ("a:string:1...5", "`1...5` is not a range"),
        ("a:string:unique:unique", "`unique` is written twice: remove one"),
        ("a:string:search:search", "`search` is written twice"),
        ("a:string:1..2:1..2", "`min..max` is written twice"),
        ("a:bool=true:default=true", "`default=…` is written twice"),
        ("a:ref=b:cascade:cascade", "`cascade` is written twice"),
        ("a:ref=b:cascade:restrict", "`cascade` and `restrict` contradict each other: remove one"),
        (
            "a:text:filter",
            "`filter` does not apply to the type `text`: remove it, or use a type to which it applies (string, bool,",
        ),
        ("a:json:filter", "`filter` does not apply to the type `json`"),
        ("a:upload:filter", "`filter` does not apply to the type `upload`"),
        ("a:text:sort", "`sort` does not apply to the type `text`"),
        ("a:ref=b:sort", "`sort` does not apply to the type `ref`"),
        (
            "a:int:search",
            "`search` does not apply to the type `int`: remove it, or use a type to which it applies (string, text, email, url)",
        ),
        ("a:bool:unique", "`unique` does not apply to the type `bool`"),
        ("a:json:unique", "`unique` does not apply to the type `json`"),
        ("a:text:unique", "`unique` does not apply to the type `text`"),
        ("a:float:unique", "`unique` does not apply to the type `float`"),
        ("a:json:index", "`index` does not apply to the type `json`"),
        ("a:text:index", "`index` does not apply to the type `text`"),
        ("a:date:1..2", "`min..max` does not apply to the type `date`"),
        ("a:json:default={}", "`default=…` does not apply to the type `json`"),
        ("a:ref=b:default=x", "`default=…` does not apply to the type `ref`"),
        ("a:upload:default=x", "`default=…` does not apply to the type `upload`"),
        (
            "a:string:cascade",
            "`cascade` does not apply to the type `string`: remove it, or use a type to which it applies (ref, upload)",
        ),
        ("a:string:owner", "`owner` does not apply to the type `string`"),
        ("a:ref=b:owner", "only a user can own a row: write `ref=user:owner`"),
        (
            "a:ref=user:owner:optional",
            "a row always has an owner, the user who creates it: remove `optional`",
        ),
        (
            "a:ref=b:set-null",
            "`set-null` needs a field that may be empty: add `optional`, or write `cascade` or `restrict`",
        ),
        ("a:upload:set-null", "`set-null` needs a field that may be empty"),
        (
            "a:decimal",
            "a decimal needs its number of digits in total and after the point: write `decimal=10,2`",
        ),
        ("a:decimal=10", "`decimal=10` is not valid: write `decimal=P,S`"),
        ("a:decimal=0,0", "`decimal=0,0` is not valid"),
        ("a:decimal=16,2", "`decimal=16,2` is not valid"),
        ("a:decimal=2,3", "`decimal=2,3` is not valid"),
        ("a:decimal=-1,3", "`decimal=-1,3` is not valid"),
        ("a:enum", "an enum needs its values: write `enum=news,essay,note`"),
        ("a:enum=", "an enum has at least one choice"),
        ("a:enum=b,,c", "`` is not a valid name"),
        ("a:enum=News", "`News` is not a valid name: write `news`"),
        ("a:enum=b,c,b", "the choice `b` already exists"),
        ("a:enum=self", "the choice `self` is not a valid name in Rust"),
        ("a:string:..256:sort", "`sort` accepts texts of at most 255 characters"),
        ("a:string:..256:unique", "`unique` accepts texts of at most 255 characters"),
        ("a:string:search:default=№1", "the default of a field that is searched or sorted by must be ASCII"),
        ("a:email:5..", "an e-mail address has no minimum length"),
        ("a:url:..39", "most addresses of the type `url` would be too long: write at least `..40`"),
        ("a:enum=v1,v_1", "the choice `v_1` already exists, possibly with other underscores"),
        ("a:ref", "a reference needs the domain that it refers to: write `ref=user`"),
        ("a:ref=upload", "a file is not a reference: write the type `upload`"),
        ("a:ref=Blog", "`Blog` is not a valid name: write `blog`"),
        (
            "a:string:optional:default=x",
            "`optional` and a default both define the value if it is absent: remove one",
        ),
        ("a:bool=false:optional", "`optional` and a default both define"),
        ("a:string:unique:default=x", "with `unique`, only one row could have the default: remove one"),
    ]);
}

#[test]
fn names_and_choices_have_a_longest() {
    assert!(parse(&format!("{}:int", "a".repeat(30))).is_ok());
    assert!(told(&format!("{}:int", "a".repeat(31))).contains("at most 30 characters"));
    assert!(told(&format!("a:enum={}", "a".repeat(31))).contains("at most 30 characters"));
    let choices = |count: usize| (0..count).map(|number| format!("c{number}")).collect::<Vec<_>>().join(",");
    assert!(parse(&format!("a:enum={}", choices(50))).is_ok());
    assert!(
        told(&format!("a:enum={}", choices(51)))
            .contains("an enum has at most 50 choices, and this one has 51")
    );
}

#[test]
fn bounds_have_to_be_possible() {
    for text in [
        "a:string:0..0010000",
        "a:text:..100000",
        "a:email:..254",
        "a:url:..2048",
        "a:int:-2147483648..2147483647",
        "a:bigint:-9007199254740991..9007199254740991",
        "a:decimal=3,1:-99.9..99.9",
        "a:float:-0.5..1e0",
        "a:decimal=2,2:0.01..0.99",
        "a:int:5..5",
    ] {
        let refused = text.contains('e') && text.contains("float");
        assert_eq!(parse(text).is_err(), refused, "{text}");
    }
    let refusals = [
        ("a:string:-1..5", "`-1` is not a length: write a number of characters, at least 0"),
        ("a:string:1.5..5", "`1.5` is not a length"),
        (
            "a:string:..10001",
            "the type `string` has 1 to 10000 characters at most: write `..10000` or less, or use the type `text` for more",
        ),
        ("a:string:..0", "the type `string` has 1 to 10000 characters at most"),
        ("a:text:..100001", "the type `text` has 1 to 100000 characters at most: write `..100000` or less"),
        ("a:email:..255", "the type `email` has 1 to 254 characters at most"),
        ("a:url:..2049", "the type `url` has 1 to 2048 characters at most"),
        (
            "a:string:9..5",
            "it can't have at least 9 and at most 5 characters: write the smaller number first, as in `5..9`",
        ),
        ("a:string:300..", "it can't have at least 300 and at most 255 characters"),
        ("a:int:5..0", "it can't be at least 5 and at most 0: write the smaller number first, as in `0..5`"),
        (
            "a:int:0..2147483648",
            "the bound `2147483648` is not a number of this type: write an integer from -2147483648 to 2147483647",
        ),
        ("a:int:0.5..1", "the bound `0.5` is not a number of this type"),
        ("a:bigint:..9007199254740992", "the bound `9007199254740992` is not a number of this type"),
        (
            "a:decimal=3,1:..100",
            "the bound `100` is not a number of this type: write at most 2 digits before the point and 1 after it",
        ),
        ("a:decimal=3,1:0.05..", "the bound `0.05` is not a number of this type"),
        ("a:decimal=3,1:2..1.9", "it can't be at least 2 and at most 1.9"),
        ("a:float:0.2..0.1", "it can't be at least 0.2 and at most 0.1"),
    ];
    expect_refusals(&refusals);
}

#[test]
fn a_default_keeps_the_rules() {
    for text in [
        "a:string:1..3:default=äöü",
        "a:text:default=one\ntwo",
        "a:int:0..5:default=5",
        "a:date:default=2024-02-29",
        "a:email:default=ada@example.com",
        "a:url:default=http://example.com",
        "a:enum=b,c:default=c",
        "a:decimal=3,1:..9:default=9.0",
        "a:float:default=0.1",
    ] {
        assert!(parse(text).is_ok(), "{text}");
    }
    let refusals = [
        ("a:bool=yes", "the default `yes` is not a Boolean: write `bool=true` or `bool=false`"),
        ("a:enum=b,c:default=d", "the default `d` is not one of its choices: write one of b, c"),
        ("a:int:default=x", "the default `x` is not a number of this type"),
        ("a:int:default=", "the default `` is not a number of this type"),
        ("a:int:0..5:default=6", "the default `6` is out of bounds: write one from 0 to 5"),
        ("a:int:1..:default=0", "the default `0` is out of bounds: write 1 or more"),
        ("a:decimal=3,1:default=1.25", "the default `1.25` is not a number of this type"),
        ("a:decimal=3,1:..9:default=9.1", "the default `9.1` is out of bounds: write 9 or less"),
        ("a:float:default=inf", "the default `inf` is not a number"),
        ("a:float:default=NaN", "the default `NaN` is not a number"),
        ("a:date:default=2026-02-29", "the default `2026-02-29` is not a date: write one as in `2026-01-31`"),
        ("a:date:default=0000-01-01", "the default `0000-01-01` is not a date"),
        ("a:date:default=today", "the default `today` is not a date"),
        (
            "a:timestamp:default=2026-01-31T12:00:00Z",
            "the default `2026-01-31T12:00:00Z` would be the same for every row without a value",
        ),
        (
            "a:uuid:default=67e55044-10b1-426f-9247-bb680e5fe0c8",
            "the default `67e55044-10b1-426f-9247-bb680e5fe0c8` would be the same",
        ),
        ("a:email:default=ada", "the default `ada` is not an e-mail address"),
        ("a:url:default=ftp://example.com", "the default `ftp://example.com` is not a URL"),
        ("a:url:default=https://exa mple.com", "the default `https://exa mple.com` is not a URL"),
        ("a:string:default= x", "the default ` x` has white space at its ends or control characters"),
        ("a:string:default=a\nb", "the default `a b` has white space at its ends or control characters"),
        ("a:string:..3:default=abcd", "the default `abcd` has 4 characters: write one of 1 to 3"),
        ("a:string:default=", "the default `` has 0 characters: write one of 1 to 255"),
        ("a:string:1..:default=", "the default `` has 0 characters: write one of 1 to 255"),
    ];
    expect_refusals(&refusals);
}

#[test]
fn the_command_line_can_be_pasted() {
    let fields = ["title:string:1..200", "state:string:default=it's new"];
    let mut spec = Spec {
        name: "post".into(),
        plural: "posts".into(),
        prefix: "pst".into(),
        public_read: false,
        admin_only: false,
        events: true,
        fields: fields.map(field).to_vec(),
    };
    assert_eq!(
        command_line(&spec),
        r"cargo xtask new-domain post title:string:1..200 'state:string:default=it'\''s new' --shared"
    );
    spec.fields.truncate(1);
    spec.plural = "entries".into();
    spec.prefix = "abc".into();
    (spec.public_read, spec.admin_only, spec.events) = (true, true, false);
    assert_eq!(
        command_line(&spec),
        "cargo xtask new-domain post title:string:1..200 --plural entries --prefix abc --public-read --admin-only --no-events"
    );
}

/// A type, with modifiers of which most fit it.
fn lines() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "string",
        "text",
        "bool",
        "bool=true",
        "int",
        "bigint",
        "decimal=10,2",
        "decimal=3,3",
        "float",
        "date",
        "timestamp",
        "uuid",
        "json",
        "email",
        "url",
        "enum=a,b_c",
        "ref=user",
        "ref=post",
        "upload",
    ]);
    let modifier = prop::sample::select(vec![
        "optional",
        "unique",
        "index",
        "filter",
        "sort",
        "search",
        "owner",
        "cascade",
        "restrict",
        "set-null",
        "within=name",
        "1..20",
        "-3..",
        "..0.5",
        "default=a:b",
        "default=3",
        "default=0.5",
        "default=2026-01-31",
        "default=a@b.cd",
        "default=https://b.cd:80/",
        "default=2026-01-31T12:00:00Z",
        "default=67e55044-10b1-426f-9247-bb680e5fe0c8",
    ]);
    (kind, prop::collection::vec(modifier, 0..4)).prop_map(|(kind, modifiers)| {
        let parts: Vec<&str> = std::iter::once(kind).chain(modifiers).collect();
        format!("name:{}", parts.join(":"))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(line in lines()) {
        if let Ok(field) = parse(&line) {
            let written = field.to_string();
            prop_assert_eq!(parse(&written), Ok(field));
        }
    }

    #[test]
    fn numbers_are_written_as_the_same(value in -1_000_000_000_i64..1_000_000_000, places in 0_usize..4, kind in 0_usize..3) {
        let digits = format!("{:0>12}", value.unsigned_abs());
        let (whole, fraction) = digits.split_at(12 - places);
        let point = if places == 0 { "" } else { "." };
        let sign = if value < 0 { "-" } else { "" };
        let kind = ["decimal=12,3", "float", "bigint"][kind];
        let line = format!("name:{kind}:default={sign}{whole}{point}{fraction}");
        if let Ok(field) = parse(&line) {
            prop_assert_eq!(parse(&field.to_string()), Ok(field));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "(name)?[a-z:=.,0-9_\\-Äß ]{0,40}", any in any::<String>()) {
        drop(parse(&text));
        drop(parse(&format!("name:string:default={any}")));
        drop(parse(&any));
    }
}
