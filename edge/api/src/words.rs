//! The closed sets of words, as schemas: what a field of such a type may say. The types themselves
//! are the model's; these stand for them in the OpenAPI document.

use chancery_model::{Environment, Permission, Role};
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::Code;

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident from $source:expr),+ $(,)?) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let object: Object = ObjectBuilder::new()
                    .schema_type(SchemaType::Type(Type::String))
                    .enum_values(Some($source.iter().map(|word| word.as_str())))
                    .build();
                object.into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

words!(
    /// A key's scope: one permission.
    Scope from Permission::ALL,
    /// A role that a principal may have.
    RoleWord from Role::ALL,
    /// Where a key is good.
    EnvironmentWord from Environment::ALL,
    /// A failure's code.
    ErrorCode from Code::ALL,
    /// What a connector is authenticated to with.
    CredentialWord from ["bearer", "basic", "header", "oauth2_client_credentials"].map(Word),
    /// How a client authenticates where it fetches a token.
    ClientAuthWord from ["basic", "post"].map(Word),
    /// How tokens are signed.
    TokenAlgorithm from ["RS256", "ES256", "EdDSA"].map(Word),
);

struct Word(&'static str);

impl Word {
    const fn as_str(&self) -> &'static str {
        self.0
    }
}

/// Who acts: a member or an agent.
#[derive(Debug, ToSchema)]
pub struct PrincipalRef {
    /// Which of the two.
    #[allow(dead_code, reason = "stands for its schema only")]
    r#type: PrincipalType,
    /// Its id.
    #[allow(dead_code, reason = "stands for its schema only")]
    id: uuid::Uuid,
}

/// The kinds of principals.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "stands for its schema only")]
pub enum PrincipalType {
    /// A person.
    Member,
    /// A program.
    Agent,
}
