//! Ready policies with the actions they are about, part of the program.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::ActionDefinition;

/// A pack: actions for the catalogue, and policies for them.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// What it is applied by.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Its actions.
    pub actions: Vec<ActionDefinition>,
    /// Its policies, as one text.
    pub policies: &'static str,
}

/// A `pack.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    title: String,
    description: String,
    #[serde(rename = "action")]
    actions: Vec<ActionDefinition>,
}

macro_rules! pack {
    ($folder:literal) => {
        (
            include_str!(concat!("../../../policies/packs/", $folder, "/pack.toml")),
            include_str!(concat!("../../../policies/packs/", $folder, "/policies.cedar")),
        )
    };
}

const SOURCES: [(&str, &str); 5] = [
    pack!("payments"),
    pack!("production-changes"),
    pack!("data-export"),
    pack!("messaging"),
    pack!("read-only"),
];

impl Pack {
    /// The packs that come with the program.
    #[must_use]
    pub fn builtin() -> &'static [Self] {
        #[allow(clippy::expect_used, reason = "part of the program, read by its tests")]
        static BUILTIN: LazyLock<Vec<Pack>> = LazyLock::new(|| {
            SOURCES
                .iter()
                .map(|(manifest, policies)| Pack::parse(manifest, policies).expect("a pack"))
                .collect()
        });
        &BUILTIN
    }

    /// The built-in pack of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::builtin().iter().find(|pack| pack.name == name)
    }

    fn parse(manifest: &str, policies: &'static str) -> Result<Self, toml::de::Error> {
        let Manifest { name, title, description, actions } = toml::from_str(manifest)?;
        Ok(Self { name, title, description, actions, policies })
    }
}
