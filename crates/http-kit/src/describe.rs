//! What operations say of themselves in the OpenAPI document by the types that their handlers take and return: parameters and
//! answers, each with its headers, described once.
//!
//! ```
//! use actix_web::get;
//! use http_kit::extract::PathId;
//! use http_kit::problem::ApiError;
//! use http_kit::respond::Resource;
//! # use shared_kernel::id::{UserId, UserKind};
//! # use shared_kernel::repository::Representation;
//! # #[derive(serde::Serialize, utoipa::ToSchema, Representation)]
//! # struct User { id: UserId, #[serde(skip)] version: i64 }
//!
//! /// Read an account
//! #[utoipa::path(params(PathId<UserKind>), responses(Resource<User>))]
//! #[get("/api/v1/users/{user_id}")]
//! async fn get_user(PathId(id): PathId<UserKind>) -> Result<Resource<User>, ApiError> {
//!     Ok(Resource(User { id, version: 1 }))
//! }
//! ```
//!
//! utoipa collects the schemas of types that are written into the attribute and knows nothing of those behind such a type. So an
//! answer brings its schemas along, and the document puts them where they belong.

use std::collections::BTreeMap;

use serde_json::Value;
use shared_kernel::id::{Id, IdKind};
use shared_kernel::page::Page;
use shared_kernel::repository::Representation;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Schema, Type};
use utoipa::openapi::{
    Components, ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder,
};
use utoipa::{IntoParams, IntoResponses, PartialSchema as _, ToSchema};

use crate::contract::operations_mut;
use crate::extract::{IfMatch, PathId};
use crate::media;
use crate::respond::{Paged, Resource};
use crate::write::{Created, NoContent, Updated};

/// The member of a response that brings schemas along.
const SCHEMAS: &str = "x-schemas";

type Responses = BTreeMap<String, RefOr<Response>>;
type Schemas = Vec<(String, RefOr<Schema>)>;

/// The header `If-None-Match` of an operation that answers with a [`Resource`]: `params(…, IfNoneMatch)`.
#[derive(Debug)]
pub enum IfNoneMatch {}

impl IntoParams for IfNoneMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header_parameter("If-None-Match", "ETag of the version that the client has.")]
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header_parameter("If-Match", "ETag of the version to change or delete; any other is refused.")]
    }
}

fn header_parameter(name: &str, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .description(Some(description))
        .required(Required::False)
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}

/// The parameter is called as the kind of the id is: `{post_id}` for posts. Its schema is among those of what has the id.
impl<K: IdKind> IntoParams for PathId<K> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = ParameterBuilder::new()
            .name(format!("{}_id", K::NAME))
            .parameter_in(ParameterIn::Path)
            .description(Some(format!("Id of the {}.", K::NAME.replace('_', " "))))
            .required(Required::True)
            .schema(Some(Ref::from_schema_name(Id::<K>::name())));
        vec![parameter.build()]
    }
}

impl<T: ToSchema + Representation> IntoResponses for Resource<T> {
    fn responses() -> Responses {
        let found = answer::<T>(format!("The {}.", words::<T>()), &[ETAG]);
        let mut responses = Responses::from([("200".to_owned(), found)]);
        if !T::HOLDS_SIGNED_URLS {
            let same = ResponseBuilder::new().description("The version that the client has is current.");
            responses.insert("304".to_owned(), same.build().into());
        }
        responses
    }
}

impl<T: ToSchema> IntoResponses for Created<T> {
    fn responses() -> Responses {
        let location = ("Location", "Path of the new resource.");
        one("201", answer::<T>(format!("The new {}.", words::<T>()), &[location, ETAG]))
    }
}

impl<T: ToSchema> IntoResponses for Updated<T> {
    fn responses() -> Responses {
        one("200", answer::<T>(format!("The {}, as it is now.", words::<T>()), &[ETAG]))
    }
}

impl IntoResponses for NoContent {
    fn responses() -> Responses {
        one("204", ResponseBuilder::new().description("Done.").build().into())
    }
}

impl<T: ToSchema> IntoResponses for Paged<T> {
    fn responses() -> Responses {
        let name = format!("{}_{}", Page::<T>::name(), T::name());
        let mut schemas = schemas_of::<T>();
        Page::<T>::schemas(&mut schemas);
        schemas.push((name.clone(), Page::<T>::schema()));
        let next = ("Link", "The next page.");
        one("200", described("A page of the list.".to_owned(), &name, schemas, &[next]))
    }
}

/// Tells one state of a resource from another.
const ETAG: (&str, &str) = ("ETag", "Version of the resource.");

fn one(status: &str, response: RefOr<Response>) -> Responses {
    Responses::from([(status.to_owned(), response)])
}

fn answer<T: ToSchema>(description: String, headers: &[(&str, &str)]) -> RefOr<Response> {
    described(description, &T::name(), schemas_of::<T>(), headers)
}

fn schemas_of<T: ToSchema>() -> Schemas {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    schemas
}

fn described(description: String, body: &str, schemas: Schemas, headers: &[(&str, &str)]) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(body))).build();
    let schemas: Value = schemas
        .into_iter()
        .filter_map(|(name, schema)| Some((name, serde_json::to_value(schema).ok()?)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let response = ResponseBuilder::new()
        .description(description)
        .content(media::JSON, content)
        .extensions(Some(Extensions::from_iter([(SCHEMAS, schemas)])));
    headers
        .iter()
        .fold(response, |response, (name, text)| response.header(*name, header(text)))
        .build()
        .into()
}

fn header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

/// `blog post` of `BlogPost`.
fn words<T: ToSchema>() -> String {
    let mut words = String::new();
    for letter in T::name().chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// Moves the schemas that answers brought along to where they are referred to.
pub(crate) fn take_schemas(document: &mut OpenApi) {
    let mut found = BTreeMap::new();
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations_mut(item) {
            for response in operation.responses.responses.values_mut() {
                if let RefOr::T(response) = response {
                    found.extend(brought(response));
                }
            }
        }
    }
    let components = document.components.get_or_insert_with(Components::new);
    for (name, schema) in found {
        components.schemas.entry(name).or_insert(schema);
    }
}

fn brought(response: &mut Response) -> Vec<(String, RefOr<Schema>)> {
    let Some(extensions) = &mut response.extensions else { return Vec::new() };
    let Some(Value::Object(schemas)) = extensions.remove(SCHEMAS) else { return Vec::new() };
    if extensions.is_empty() {
        response.extensions = None;
    }
    let read = |(name, schema)| Some((name, serde_json::from_value(schema).ok()?));
    schemas.into_iter().filter_map(read).collect()
}
