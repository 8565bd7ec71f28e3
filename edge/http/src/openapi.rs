//! The OpenAPI 3.1 document, generated from the table of routes and the handlers' types.

use std::collections::{BTreeMap, BTreeSet};

use chancery_api::{Code, Failure, Page, words};
use http::Method;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
};

use crate::{Access, Route};

/// The schemas that the operations refer to, by name.
#[derive(Default)]
pub struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Schemas {
    /// A reference to a type's schema, which is taken in with all it refers to.
    pub fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let name = T::name().into_owned();
        let mut within = Vec::new();
        T::schemas(&mut within);
        self.0.extend(within);
        self.0.insert(name.clone(), T::schema());
        Ref::from_schema_name(name).into()
    }

    /// `{"data": T}`.
    pub fn data<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let data = self.reference::<T>();
        ObjectBuilder::new().property("data", data).required("data").build().into()
    }

    /// `{"data": [T], "page": {…}}`.
    pub fn list<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let data = ArrayBuilder::new().items(self.reference::<T>()).build();
        let page = self.reference::<Page>();
        ObjectBuilder::new()
            .property("data", Schema::from(data))
            .required("data")
            .property("page", page)
            .required("page")
            .build()
            .into()
    }
}

/// The document of these routes.
#[must_use]
pub fn document(routes: &[Route]) -> OpenApi {
    let mut schemas = Schemas::default();
    schemas.reference::<Failure>();
    schemas.reference::<words::ErrorCode>();
    let mut paths = PathsBuilder::new();
    for route in routes {
        let operation = operation(route, &mut schemas);
        paths = paths.path(route.path, PathItem::new(http_method(&route.method), operation));
    }
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas.0)
        .security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .security_scheme("header", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key"))))
        .build();
    OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Chancery").version(env!("CARGO_PKG_VERSION")).description(Some(
            "An authority server for AI agents, integrations and the people responsible for them.",
        )))
        .paths(paths)
        .components(Some(components))
        .build()
}

fn operation(route: &Route, schemas: &mut Schemas) -> Operation {
    let tag = route.operation.split_once('.').map_or(route.operation, |(resource, _)| resource);
    let mut operation =
        OperationBuilder::new().operation_id(Some(route.operation)).summary(Some(route.summary)).tag(tag);
    operation = (route.describe)(operation, schemas);
    for name in parameters(route.path) {
        operation = operation.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build())),
        );
    }
    for (status, meaning) in route.statuses {
        operation = operation.response(status.as_str(), ResponseBuilder::new().description(*meaning).build());
    }
    for (status, codes) in failures(route) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Failure"))).build();
        let response = ResponseBuilder::new().description(codes).content("application/json", content).build();
        operation = operation.response(status.to_string(), response);
    }
    operation = match route.access {
        Access::Public => operation.securities(Some(Vec::<SecurityRequirement>::new())),
        Access::AnyCaller | Access::Needs(_) => operation
            .security(SecurityRequirement::new("bearer", Vec::<String>::new()))
            .security(SecurityRequirement::new("header", Vec::<String>::new())),
    };
    if let Access::Needs(permission) = route.access {
        let scope = ExtensionsBuilder::new().add("x-required-scope", json!(permission.as_str())).build();
        operation = operation.extensions(Some(scope));
    }
    operation.build()
}

/// The failures of a route by status, with their codes: what its guard, its input and its path
/// bring, and what it says itself.
fn failures(route: &Route) -> BTreeMap<u16, String> {
    let mut codes = BTreeSet::from([Code::Internal, Code::TimedOut]);
    codes.extend(route.input_codes);
    codes.extend(route.codes);
    if route.access != Access::Public {
        codes.extend([
            Code::CredentialsAmbiguous,
            Code::Unauthenticated,
            Code::ApiKeyInvalid,
            Code::RateLimited,
            Code::OrganizationBusy,
            Code::StoreUnavailable,
        ]);
    }
    if matches!(route.access, Access::Needs(_)) {
        codes.insert(Code::InsufficientScope);
    }
    if route.path.contains('{') {
        codes.insert(Code::NotFound);
    }
    let mut by_status: BTreeMap<u16, String> = BTreeMap::new();
    for code in codes {
        let words = by_status.entry(code.status()).or_default();
        if !words.is_empty() {
            words.push_str(", ");
        }
        words.push_str(code.as_str());
    }
    by_status
}

fn parameters(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn rendered() -> Value {
        serde_json::from_str(&document(&crate::routes()).to_json().unwrap()).unwrap()
    }

    fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| {
                visit(name, value);
                walk(value, visit);
            }),
            Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_in_it_with_its_scope_and_parameters() {
        let document = rendered();
        assert_eq!(document["openapi"], "3.1.0");
        let mut operations = 0;
        for route in crate::routes() {
            let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
            assert_eq!(operation["operationId"], route.operation, "{route:?}");
            let scope = operation["x-required-scope"].as_str();
            match route.access {
                Access::Needs(permission) => assert_eq!(scope, Some(permission.as_str())),
                Access::AnyCaller | Access::Public => assert_eq!(scope, None),
            }
            assert_eq!(operation["security"] == json!([]), route.access == Access::Public, "{route:?}");
            let declared = operation["parameters"].as_array().into_iter().flatten();
            let declared: Vec<_> = declared.filter(|it| it["in"] == "path").map(|it| &it["name"]).collect();
            assert_eq!(declared, parameters(route.path).collect::<Vec<_>>(), "{route:?}");
            assert!(
                operation["responses"].as_object().unwrap().keys().any(|it| it.starts_with('2')),
                "{route:?}"
            );
            let takes = matches!(route.method, Method::PUT | Method::PATCH);
            assert!(!takes || operation["requestBody"].is_object(), "{route:?}");
            operations += 1;
        }
        let listed: usize =
            document["paths"].as_object().unwrap().values().map(|it| it.as_object().unwrap().len()).sum();
        assert_eq!(listed, operations);
    }

    #[test]
    fn what_it_refers_to_is_there() {
        let document = rendered();
        let mut seen = 0;
        walk(&document, &mut |name, value| {
            if let ("$ref", Some(target)) = (name, value.as_str()) {
                let pointer = target.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{target}");
                seen += 1;
            }
        });
        assert!(seen > 50, "{seen}");
    }

    #[test]
    fn it_lists_every_code_and_the_codes_of_each_route() {
        let document = rendered();
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(document["components"]["schemas"]["ErrorCode"]["enum"], json!(codes));
        let described = &document["paths"]["/api/v1/agents"]["post"]["responses"];
        assert_eq!(described["409"]["description"], "owner_not_active");
        assert_eq!(described["401"]["description"], "unauthenticated, api_key_invalid");
    }
}
