//! Sign-up, sign-in and sign-out, with all responses in the form of the OpenAPI document.

mod cookie;
mod device;
mod oauth;
mod sessions;
mod signup;
