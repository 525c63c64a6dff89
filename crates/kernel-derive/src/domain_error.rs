//! `#[derive(DomainError)]`.

use std::collections::BTreeMap;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Fields, Ident, ItemEnum, LitInt, LitStr, Member, Path, Result};

/// Generates the code for an enum.
pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let item: ItemEnum = syn::parse2(item).map_err(|error| {
        Error::new(
            error.span(),
            "`DomainError` is derived for an enum, each variant of which is one way to fail",
        )
    })?;
    let variants = variants(&item)?;
    let (name, visibility) = (&item.ident, &item.vis);
    let own: Vec<(&Variant, &Own)> = variants.iter().filter_map(|one| Some((one, one.own()?))).collect();
    let constants = own.iter().map(|(variant, own)| own.constant(variant, visibility));
    let names = own.iter().map(|(variant, _)| variant.constant());
    let catalogue = (!own.is_empty()).then(|| {
        quote! {
            impl #name {
                #(#constants)*
                /// Every problem that is declared here.
                #visibility const PROBLEMS: &'static [&'static ::shared_kernel::error::Problem] = &[#(Self::#names),*];
            }
        }
    });
    let problem = variants.iter().map(Variant::problem);
    let fields = method(
        &variants,
        Variant::fields,
        &quote!(fn fields(&self) -> ::std::vec::Vec<::shared_kernel::error::FieldError>),
        &quote!(::std::vec::Vec::new()),
    );
    let retry_after = method(
        &variants,
        Variant::retry_after,
        &quote!(fn retry_after(&self) -> ::core::option::Option<::core::time::Duration>),
        &quote!(::core::option::Option::None),
    );
    let conversions = conversions(name, &variants)?;
    Ok(quote! {
        #catalogue
        #[automatically_derived]
        impl ::shared_kernel::error::DomainError for #name {
            fn problem(&self) -> &'static ::shared_kernel::error::Problem {
                match self { #(#problem)* }
            }
            #fields
            #retry_after
        }
        #conversions
    })
}

/// A method with arms for some variants and a default for all others; none if the default applies to all.
fn method(
    variants: &[Variant],
    arm: fn(&Variant) -> Option<TokenStream>,
    signature: &TokenStream,
    otherwise: &TokenStream,
) -> Option<TokenStream> {
    let arms: Vec<TokenStream> = variants.iter().filter_map(arm).collect();
    let rest = (arms.len() < variants.len()).then(|| quote!(_ => #otherwise,));
    (!arms.is_empty()).then(|| quote!(#signature { match self { #(#arms)* #rest } }))
}

/// The conversions from errors of the kernel, if there is a variant for them.
fn conversions(name: &Ident, variants: &[Variant]) -> Result<Option<TokenStream>> {
    let mut takers = variants.iter().filter(|variant| matches!(variant.says, Says::Kernel(_)));
    let uniques: Vec<(&Variant, &LitStr)> =
        variants.iter().filter_map(|variant| Some((variant, variant.own()?.unique.as_ref()?))).collect();
    let Some(taker) = takers.next() else {
        return match uniques.first() {
            Some((_, unique)) => Err(Error::new(
                unique.span(),
                "`unique` needs a variant with `#[problem(kernel)]`, for every other failure of the database",
            )),
            None => Ok(None),
        };
    };
    if let Some(second) = takers.next() {
        let message = format!("`{}` takes the failures of the kernel already", taker.name);
        return Err(Error::new(second.name.span(), message));
    }
    let (variant, member) = (&taker.name, taker.inner());
    let other = quote!(Self::#variant { #member: error });
    let mapped = uniques.iter().map(|(variant, unique)| {
        let name = &variant.name;
        quote!(::core::option::Option::Some(#unique) => Self::#name,)
    });
    let kernel = if uniques.is_empty() {
        other
    } else {
        quote!(match error.violated_unique().as_deref() { #(#mapped)* _ => #other, })
    };
    Ok(Some(quote! {
        #[automatically_derived]
        impl ::core::convert::From<::shared_kernel::kernel_error::KernelError> for #name {
            fn from(error: ::shared_kernel::kernel_error::KernelError) -> Self { #kernel }
        }
        #[automatically_derived]
        impl ::core::convert::From<::shared_kernel::session::SessionError> for #name {
            fn from(error: ::shared_kernel::session::SessionError) -> Self {
                ::shared_kernel::kernel_error::KernelError::from(error).into()
            }
        }
        #[automatically_derived]
        impl ::core::convert::From<::shared_kernel::error::Invalid> for #name {
            fn from(error: ::shared_kernel::error::Invalid) -> Self {
                ::shared_kernel::kernel_error::KernelError::from(error).into()
            }
        }
        #[automatically_derived]
        impl ::core::convert::From<::shared_kernel::principal::UserRequired> for #name {
            fn from(error: ::shared_kernel::principal::UserRequired) -> Self {
                ::shared_kernel::kernel_error::KernelError::from(error).into()
            }
        }
    }))
}

/// A variant with its attributes.
struct Variant {
    name: Ident,
    fields: Fields,
    says: Says,
    retry_after: Option<LitInt>,
}

/// The source of the problem of a variant.
enum Says {
    /// Declared at the variant.
    Own(Box<Own>),
    /// A constant or a static.
    Is(Path),
    /// The error in its only field.
    Delegates(Member),
    /// The error in its only field, which is the kernel's.
    Kernel(Member),
}

/// A problem that is declared at a variant.
struct Own {
    kind: Ident,
    code: LitStr,
    title: LitStr,
    help: LitStr,
    example: LitStr,
    field: Option<LitStr>,
    unique: Option<LitStr>,
}

impl Variant {
    fn own(&self) -> Option<&Own> {
        if let Says::Own(own) = &self.says { Some(own) } else { None }
    }

    fn constant(&self) -> Ident {
        format_ident!("{}", screaming(&self.name.to_string()), span = self.name.span())
    }

    fn inner(&self) -> Option<&Member> {
        match &self.says {
            Says::Delegates(member) | Says::Kernel(member) => Some(member),
            Says::Own(_) | Says::Is(_) => None,
        }
    }

    /// An arm that delegates to the inner error.
    fn asks(&self, what: &TokenStream) -> Option<TokenStream> {
        let (name, member) = (&self.name, self.inner()?);
        Some(quote!(Self::#name { #member: inner } => ::shared_kernel::error::DomainError::#what(inner),))
    }

    fn problem(&self) -> TokenStream {
        let (name, constant) = (&self.name, self.constant());
        match &self.says {
            Says::Own(_) => quote!(Self::#name { .. } => Self::#constant,),
            Says::Is(path) => quote!(Self::#name { .. } => &#path,),
            Says::Delegates(_) | Says::Kernel(_) => self.asks(&quote!(problem)).unwrap_or_default(),
        }
    }

    fn fields(&self) -> Option<TokenStream> {
        let name = &self.name;
        let refused = self.own().and_then(|own| {
            let (pointer, code) = own.refuses()?;
            Some(quote! {
                Self::#name { .. } => ::std::vec::Vec::from([::shared_kernel::error::FieldError::new(
                    #pointer, #code, ::std::string::ToString::to_string(self),
                )]),
            })
        });
        refused.or_else(|| self.asks(&quote!(fields)))
    }

    fn retry_after(&self) -> Option<TokenStream> {
        let name = &self.name;
        let told = self.retry_after.as_ref().map(|seconds| {
            quote!(Self::#name { .. } => ::core::option::Option::Some(::core::time::Duration::from_secs(#seconds)),)
        });
        told.or_else(|| self.asks(&quote!(retry_after)))
    }
}

impl Own {
    /// The pointer and the code of the field error.
    fn refuses(&self) -> Option<(&LitStr, LitStr)> {
        let taken = |unique: &LitStr| LitStr::new("taken", unique.span());
        Some((self.field.as_ref()?, self.unique.as_ref().map_or_else(|| self.code.clone(), taken)))
    }

    fn constant(&self, variant: &Variant, visibility: &syn::Visibility) -> TokenStream {
        let Self { kind, code, title, help, example, .. } = self;
        let name = variant.constant();
        // With a space, as the text after `///` has.
        let doc = format!(" {}", title.value());
        let field = if let Some((pointer, code)) = self.refuses() {
            quote!(::core::option::Option::Some((#pointer, #code)))
        } else {
            quote!(::core::option::Option::None)
        };
        quote! {
            #[doc = #doc]
            #visibility const #name: &'static ::shared_kernel::error::Problem = &::shared_kernel::error::Problem {
                kind: ::shared_kernel::error::Kind::#kind,
                code: #code,
                title: #title,
                help: #help,
                example: #example,
                field: #field,
            };
        }
    }
}

/// `NotFound` as `NOT_FOUND`.
fn screaming(name: &str) -> String {
    let mut constant = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !constant.is_empty() {
            constant.push('_');
        }
        constant.extend(letter.to_uppercase());
    }
    constant
}

/// All variants, or all errors in them.
fn variants(item: &ItemEnum) -> Result<Vec<Variant>> {
    let mut refused: Option<Error> = None;
    let mut refuse = |error: Error| match &mut refused {
        Some(errors) => errors.combine(error),
        None => refused = Some(error),
    };
    let mut codes: BTreeMap<String, &Ident> = BTreeMap::new();
    let mut variants = Vec::new();
    for variant in &item.variants {
        match read(variant) {
            Ok(read) => {
                if let Some(code) = read.own().map(|own| &own.code)
                    && let Some(first) = codes.insert(code.value(), &variant.ident)
                {
                    refuse(Error::new(
                        code.span(),
                        format!("`{}` is the code of `{first}` already", code.value()),
                    ));
                }
                variants.push(read);
            }
            Err(error) => refuse(error),
        }
    }
    refused.map_or(Ok(variants), Err)
}

fn read(variant: &syn::Variant) -> Result<Variant> {
    let name = variant.ident.clone();
    let message = variant.attrs.iter().find(|attribute| attribute.path().is_ident("error")).map(message);
    let message = message.transpose()?.unwrap_or(Message::None);
    let mut attributes = variant.attrs.iter().filter(|attribute| attribute.path().is_ident("problem"));
    let (said, span) = match (attributes.next(), attributes.next()) {
        (Some(attribute), None) => (said(attribute)?, attribute.path().span()),
        (Some(_), Some(second)) => {
            return Err(Error::new(second.span(), format!("`{name}` has a `#[problem(…)]` already")));
        }
        (None, _) if matches!(message, Message::Transparent) => {
            let delegates = Said { delegates: Some(Span::call_site()), ..Said::default() };
            (delegates, name.span())
        }
        (None, _) => {
            return Err(Error::new(
                name.span(),
                format!(
                    "`{name}` says nothing of the problem that it is: give it `#[problem(kind = …, code = …, title = …, help = …)]`"
                ),
            ));
        }
    };
    let retry_after = said.retry_after.clone();
    let says = said.says(variant, message, span)?;
    Variant { name, fields: variant.fields.clone(), says, retry_after }.checked()
}

impl Variant {
    fn checked(self) -> Result<Self> {
        if let Some(unique) = self.own().and_then(|own| own.unique.as_ref())
            && !matches!(self.fields, Fields::Unit)
        {
            let message =
                "what breaks a unique constraint tells nothing more: `unique` is for variants without fields";
            return Err(Error::new(unique.span(), message));
        }
        Ok(self)
    }
}

/// The contents of `#[problem(…)]`.
#[derive(Default)]
struct Said {
    kind: Option<Ident>,
    code: Option<LitStr>,
    title: Option<LitStr>,
    help: Option<LitStr>,
    example: Option<LitStr>,
    field: Option<LitStr>,
    unique: Option<LitStr>,
    retry_after: Option<LitInt>,
    is: Option<Path>,
    delegates: Option<Span>,
    kernel: Option<Span>,
}

fn said(attribute: &Attribute) -> Result<Said> {
    let mut said = Said::default();
    attribute.parse_nested_meta(|meta| {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match key.as_str() {
            "kind" => once(&meta, &mut said.kind),
            "code" => once(&meta, &mut said.code),
            "title" => once(&meta, &mut said.title),
            "help" => once(&meta, &mut said.help),
            "example" => once(&meta, &mut said.example),
            "field" => once(&meta, &mut said.field),
            "unique" => once(&meta, &mut said.unique),
            "retry_after" => once(&meta, &mut said.retry_after),
            "is" => once(&meta, &mut said.is),
            "delegate" => flag(&meta, &mut said.delegates),
            "kernel" => flag(&meta, &mut said.kernel),
            _ => Err(meta.error(format!("a problem has no `{key}`: write {KEYS}"))),
        }
    })?;
    Ok(said)
}

const KEYS: &str = "kind, code, title, help, example, field, unique, retry_after, is, delegate or kernel";

fn once<T: Parse>(meta: &ParseNestedMeta<'_>, place: &mut Option<T>) -> Result<()> {
    if place.is_some() {
        return Err(meta.error("this is said already"));
    }
    *place = Some(meta.value()?.parse()?);
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the other keys can be refused")]
fn flag(meta: &ParseNestedMeta<'_>, place: &mut Option<Span>) -> Result<()> {
    *place = Some(meta.path.span());
    Ok(())
}

impl Said {
    fn says(self, variant: &syn::Variant, message: Message, span: Span) -> Result<Says> {
        let declares = self.kind.is_some()
            || [&self.code, &self.title, &self.help, &self.example, &self.field, &self.unique]
                .iter()
                .any(|said| said.is_some());
        let ways = [declares, self.is.is_some(), self.delegates.is_some(), self.kernel.is_some()];
        if ways.iter().filter(|way| **way).count() > 1 {
            let message = "a variant declares a problem, or `is` one, or delegates: one of the three";
            return Err(Error::new(span, message));
        }
        if let Some(path) = self.is {
            return Ok(Says::Is(path));
        }
        if self.delegates.or(self.kernel).is_some() {
            let takes_kernel = self.kernel.is_some();
            if let Some(seconds) = self.retry_after {
                return Err(Error::new(seconds.span(), "the inner error knows when to try again"));
            }
            let member = only_field(variant)?;
            return Ok(if takes_kernel { Says::Kernel(member) } else { Says::Delegates(member) });
        }
        self.declared(&variant.ident, message, span).map(|own| Says::Own(Box::new(own)))
    }

    fn declared(self, name: &Ident, message: Message, span: Span) -> Result<Own> {
        let missing =
            |key: &str, meaning: &str| Error::new(span, format!("`{name}` has no `{key}`, {meaning}"));
        let conflict = self.unique.as_ref().map(|unique| Ident::new("Conflict", unique.span()));
        let kind = self
            .kind
            .or(conflict)
            .ok_or_else(|| missing("kind", "the `Kind` that the server has a status for"))?;
        let code = self.code.ok_or_else(|| missing("code", "the stable name that clients match on"))?;
        let title = self
            .title
            .or_else(|| message.capitalized())
            .ok_or_else(|| missing("title", "the summary that is the same for every occurrence"))?;
        let help = self.help.ok_or_else(|| missing("help", "the text of the page that says what to do"))?;
        let is_snake_case =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        if code.value().is_empty() || !code.value().chars().all(is_snake_case) {
            return Err(Error::new(code.span(), "a code is in `snake_case`: clients match on it"));
        }
        let example = match (self.example, message) {
            (Some(example), _) => example,
            (None, Message::Fixed(text)) => text,
            (None, _) => {
                return Err(missing(
                    "example",
                    "which it needs because its message is not the same each time: what may it look like?",
                ));
            }
        };
        Ok(Own { kind, code, title, help, example, field: self.field, unique: self.unique })
    }
}

/// The only field of a variant, to which the error delegates.
fn only_field(variant: &syn::Variant) -> Result<Member> {
    let mut members = variant.fields.members();
    match (members.next(), members.next()) {
        (Some(member), None) => Ok(member),
        _ => Err(Error::new(
            variant.ident.span(),
            format!("`{}` delegates, so it has one field: the error that knows", variant.ident),
        )),
    }
}

/// The contents of `#[error(…)]`.
enum Message {
    /// No known contents.
    None,
    /// The message of the inner error.
    Transparent,
    /// A fixed text.
    Fixed(LitStr),
    /// A text with values in it.
    Varies,
}

impl Message {
    /// The message with a capital letter, if it is a fixed text.
    fn capitalized(&self) -> Option<LitStr> {
        let Self::Fixed(text) = self else { return None };
        let value = text.value();
        let mut letters = value.chars();
        let first = letters.next()?.to_uppercase();
        Some(LitStr::new(&format!("{first}{}", letters.as_str()), text.span()))
    }
}

fn message(attribute: &Attribute) -> Result<Message> {
    attribute.parse_args_with(|input: ParseStream<'_>| {
        let message = if let Ok(text) = input.parse::<LitStr>() {
            if text.value().contains('{') { Message::Varies } else { Message::Fixed(text) }
        } else if input.parse::<Ident>().is_ok_and(|word| word == "transparent") {
            Message::Transparent
        } else {
            Message::None
        };
        // The rest is for thiserror.
        input.parse::<TokenStream>()?;
        Ok(message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The enum of the documentation.
    fn documented() -> String {
        let library = include_str!("lib.rs");
        let item =
            library.lines().skip_while(|line| !line.contains("#[derive(Debug, thiserror::Error")).skip(1);
        let item = item.take_while(|line| *line != "/// ```").filter_map(|line| line.strip_prefix("///"));
        item.fold(String::new(), |text, line| text + line + "\n")
    }

    /// The code without its layout, and with `///` as the attribute that it is.
    fn tokens(code: &str) -> Vec<String> {
        fn flat(stream: TokenStream, into: &mut Vec<String>) {
            for token in stream {
                match token {
                    proc_macro2::TokenTree::Group(group) => {
                        let (open, close) = match group.delimiter() {
                            proc_macro2::Delimiter::Brace => ("{", "}"),
                            proc_macro2::Delimiter::Bracket => ("[", "]"),
                            _ => ("(", ")"),
                        };
                        into.push(open.to_owned());
                        flat(group.stream(), into);
                        // A comma before it is a matter of layout.
                        if into.last().is_some_and(|last| last == ",") {
                            into.pop();
                        }
                        into.push(close.to_owned());
                    }
                    other => {
                        into.push(other.to_string().trim_start_matches("r\"").trim_matches('"').to_owned());
                    }
                }
            }
        }
        let mut found = Vec::new();
        flat(code.parse().unwrap(), &mut found);
        found
    }

    #[test]
    fn what_the_documentation_shows_is_what_it_writes() {
        let written = expand(documented().parse().unwrap()).unwrap().to_string();
        assert_eq!(tokens(&written), tokens(include_str!("expanded.rs.txt")));
    }

    /// The sentences.
    fn refused(variants: &str) -> Vec<String> {
        let code = format!("pub enum E {{ {variants} }}");
        let error = expand(code.parse().unwrap()).unwrap_err();
        error.into_iter().map(|one| one.to_string()).collect()
    }

    const GONE: &str =
        r#"#[error("gone")] #[problem(kind = Gone, code = "gone", title = "Gone", help = "Gone.")] Gone,"#;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            refused(r#"#[error("a")] #[problem(kind = Gone, title = "A", help = "A.")] A,"#),
            ["`A` has no `code`, the stable name that clients match on"]
        );
        assert_eq!(
            refused(r#"#[error("a")] A,"#),
            [
                "`A` says nothing of the problem that it is: give it `#[problem(kind = …, code = …, title = …, help = …)]`"
            ]
        );
        let varies =
            r#"#[error("{0} gone")] #[problem(kind = Gone, code = "a", title = "A", help = "A.")] A(u8),"#;
        assert_eq!(
            refused(varies),
            [
                "`A` has no `example`, which it needs because its message is not the same each time: what may it look like?"
            ]
        );
    }

    #[test]
    fn a_code_is_there_once_and_in_snake_case() {
        let again = GONE.replace(")] Gone,", ")] Again,");
        assert_eq!(refused(&format!("{GONE}{again}")), ["`gone` is the code of `Gone` already"]);
        assert_eq!(
            refused(&GONE.replace("code = \"gone\"", "code = \"is-gone\"")),
            ["a code is in `snake_case`: clients match on it"]
        );
    }

    #[test]
    fn a_word_that_means_nothing_is_named() {
        let [sentence] = &refused(&GONE.replace("help", "hlep"))[..] else { panic!() };
        assert!(sentence.starts_with("a problem has no `hlep`: write kind, code,"), "{sentence}");
        assert_eq!(refused(&GONE.replace("code =", "code = \"a\", code =")), ["this is said already"]);
        let both = GONE.replace("kind = Gone", "delegate, kind = Gone");
        assert_eq!(
            refused(&both),
            ["a variant declares a problem, or `is` one, or delegates: one of the three"]
        );
    }

    #[test]
    fn who_delegates_has_somebody_who_knows() {
        assert_eq!(
            refused("#[error(transparent)] A { first: B, second: C },"),
            ["`A` delegates, so it has one field: the error that knows"]
        );
        assert_eq!(
            refused("#[problem(delegate, retry_after = 1)] A(B),"),
            ["the inner error knows when to try again"]
        );
    }

    #[test]
    fn a_unique_constraint_needs_the_kernel() {
        let taken = GONE.replace("help =", "unique = \"a_key\", help =");
        assert_eq!(
            refused(&taken),
            ["`unique` needs a variant with `#[problem(kernel)]`, for every other failure of the database"]
        );
        let kernel = "#[problem(kernel)] Kernel(KernelError),";
        assert_eq!(
            refused(&format!("{taken}{kernel}").replace(")] Gone,", ")] Gone(u8),")),
            ["what breaks a unique constraint tells nothing more: `unique` is for variants without fields"]
        );
        assert_eq!(
            refused(&format!("{kernel}{}", kernel.replace("Kernel(", "Other("))),
            ["`Kernel` takes the failures of the kernel already"]
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        assert_eq!(refused(&format!("A, {GONE} B,")).len(), 2);
    }

    #[test]
    fn only_an_enum_fails_in_ways() {
        let error = expand("pub struct A;".parse().unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("`DomainError` is derived for an enum"), "{error}");
    }
}
