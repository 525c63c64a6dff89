//! Cookies of requests, by their exact names.

use actix_web::http::header::{self, HeaderMap};

/// The values of all cookies of exactly this name. Not through a parser that decodes names: `__%48ost-…` is a name that
/// another host of the domain may set, and a browser guards the real one only.
pub fn named<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h str> {
    let texts = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(move |(of, _)| *of == name).map(|(_, value)| value)
}

/// The value of the only cookie of this name; `None` if there are several, of which one may be forged.
#[must_use]
pub fn only<'h>(headers: &'h HeaderMap, name: &'static str) -> Option<&'h str> {
    let mut cookies = named(headers, name);
    let (only, None) = (cookies.next()?, cookies.next()) else { return None };
    Some(only)
}
