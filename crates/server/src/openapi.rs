//! The API, described for programs (`OpenAPI` 3.1): made of the routes themselves, so that it cannot say anything else.

use std::sync::LazyLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Info, InfoBuilder, License, OpenApi, OpenApiBuilder, PathItem, Ref,
    ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use crate::routes::{Described, described};
use crate::token::Role;

/// How tokens are called in the document.
const TOKEN: &str = "token";
const PROBLEM: &str = "Problem";

/// Bytes.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(crate) struct Octets(#[allow(dead_code, reason = "it only says what travels")] Vec<u8>);

/// Why something was refused (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
struct ProblemBody {
    r#type: String,
    title: Option<String>,
    /// The status again.
    status: u16,
    /// The stable code, such as `image/not-found`.
    code: String,
    /// What happened, in English.
    detail: String,
}

/// The whole document, as JSON.
static DOCUMENT: LazyLock<String> = LazyLock::new(document);

fn document() -> String {
    let Described {
        open,
        read,
        watch,
        write,
    } = described();
    let mut api = empty();
    for (routes, role) in [
        (open, None),
        (read, Some(Role::Read)),
        (watch.merge(write), Some(Role::Write)),
    ] {
        api.merge(part(routes, role));
    }
    let mut text = api.to_pretty_json().expect("our own types serialise");
    text.push('\n');
    text
}

fn empty() -> OpenApi {
    let info: Info = InfoBuilder::new()
        .title("Azud, the manager of images")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A route that a token's role may not use says so (403), and images outside its bounds are not there for it \
             (404). Names of images have their `/` as `%2F`.",
        ))
        .license(Some(License::new("MIT OR Apache-2.0")))
        .build();
    let mut components = Components::new();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(bearer));
    components
        .schemas
        .insert(PROBLEM.to_owned(), ProblemBody::schema());
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

/// The routes of a role, each with the token that it takes and how it refuses.
fn part<S: Clone + Send + Sync + 'static>(routes: OpenApiRouter<S>, role: Option<Role>) -> OpenApi {
    let (_, mut api) = routes.split_for_parts();
    for item in api.paths.paths.values_mut() {
        operations(item).for_each(|operation| describe(operation, role));
    }
    api
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

fn describe(operation: &mut Operation, role: Option<Role>) {
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(PROBLEM)))
        .build();
    let refused = ResponseBuilder::new()
        .description("It was refused.")
        .content("application/problem+json", body)
        .build();
    let responses = &mut operation.responses.responses;
    responses.insert("default".to_owned(), refused.into());
    operation.tags = Some(vec![role.map_or("everybody", Role::as_str).to_owned()]);
    operation.security = role.map(|_| vec![SecurityRequirement::new::<_, _, &str>(TOKEN, [])]);
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1."))
)]
pub(crate) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::DOCUMENT;

    /// `AZUD_WRITE_GUIDE=1` writes it.
    #[test]
    fn the_document_in_the_repository_is_of_these_routes() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        if std::env::var_os("AZUD_WRITE_GUIDE").is_some() {
            std::fs::write(&file, &*DOCUMENT).unwrap();
        }
        let committed = std::fs::read_to_string(&file).unwrap();
        assert!(committed == *DOCUMENT, "docs/openapi.json is out of date");
    }

    #[test]
    fn what_is_no_part_of_a_path_is_not_said_to_be_one() {
        let document: serde_json::Value = serde_json::from_str(&DOCUMENT).unwrap();
        let mut asked = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let parameters = operation["parameters"].as_array();
                for parameter in parameters.into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap();
                    let inside = path.contains(&format!("{{{name}}}"));
                    let said = parameter["in"] == "path";
                    assert_eq!(inside, said, "{name} of {method} {path}");
                    asked += usize::from(parameter["in"] == "query");
                }
            }
        }
        assert!(asked >= 3, "only {asked} in queries");
    }

    #[test]
    fn every_route_says_who_may_use_it_and_how_it_refuses() {
        let document: serde_json::Value = serde_json::from_str(&DOCUMENT).unwrap();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let open = operation["tags"][0] == "everybody";
                assert_eq!(open, operation["security"].is_null(), "{method} {path}");
                let refused = &operation["responses"]["default"];
                assert!(refused.is_object(), "{method} {path}");
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{name} twice");
            }
        }
        assert!(names.len() >= 20, "{names:?}");
        let images = &document["paths"]["/v1/images/{name}"];
        assert_eq!(images["get"]["tags"][0], "read");
        assert_eq!(images["delete"]["tags"][0], "write");
    }
}
