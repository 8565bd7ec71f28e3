//! Founding an organization, with its first admin and that admin's key.

use anyhow::{Context as _, bail, ensure};
use chancery_authenticate::RoleRights;
use chancery_keys::api_key::{self, Creator, Issued, NewApiKey};
use chancery_keys::format::KeyPrefix;
use chancery_model::{DisplayName, Environment, MemberId, OrgId, Permission, Principal, Role, Slug};
use chancery_people::member::{self, NewMember};
use chancery_people::{Profile, organization};
use chancery_record::{Actor, RecordError, Recorder};
use chancery_store::{Change, Scope, Scoped, Store, Write};
use secrecy::SecretString;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// An organization just founded.
#[derive(Debug)]
pub struct Founded {
    /// Its id.
    pub org: OrgId,
    /// Its short name.
    pub slug: Slug,
    /// The key of its admin, to be shown once.
    pub admin_key: SecretString,
}

/// An organization to found.
#[derive(Clone, Debug)]
pub struct Founding {
    /// Its name.
    pub name: DisplayName,
    /// Its short name.
    pub slug: Slug,
}

impl Founding {
    /// Organizations of these names; a slug goes with one name only.
    ///
    /// # Errors
    /// When a name or the slug breaks its rule: then none is founded.
    pub fn all(names: &[String], slug: Option<&str>) -> anyhow::Result<Vec<Self>> {
        ensure!(slug.is_none() || names.len() == 1, "--slug goes with one name");
        names.iter().map(|name| Self::new(name, slug)).collect()
    }

    /// An organization of this name; without a slug, one is made of the name.
    ///
    /// # Errors
    /// When either breaks its rule.
    pub fn new(name: &str, slug: Option<&str>) -> anyhow::Result<Self> {
        let made = slug.map_or_else(|| slug_of(name), str::to_owned);
        let slug = made.parse().with_context(|| match slug {
            Some(given) => format!("`{given}` is not a slug"),
            None => format!("no slug can be made of `{name}`; give one with --slug"),
        })?;
        Ok(Self {
            name: name.parse().with_context(|| format!("`{name}` can't be an organization's name"))?,
            slug,
        })
    }
}

/// A name in the letters of a slug: `Größe & Söhne` is `grosse-sohne`.
///
/// The rule: letters lose their marks (Unicode's compatibility decomposition, NFKD, UAX #15), Latin
/// letters that do not decompose are spelled out, and whatever is not of `a-z 0-9` then parts words.
fn slug_of(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for letter in name.nfkd().filter(|letter| !is_combining_mark(*letter)) {
        match spelled(letter) {
            Some(letters) => plain.push_str(letters),
            None => plain.push(letter),
        }
    }
    let words = plain.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    slug.truncate(48);
    slug.trim_end_matches('-').to_owned()
}

/// The Latin letters that are letters of their own to Unicode, not a plain one with a mark.
const fn spelled(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' | 'ẞ' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'ø' | 'Ø' => "o",
        'þ' | 'Þ' => "th",
        'đ' | 'Đ' | 'ð' | 'Ð' => "d",
        'ł' | 'Ł' => "l",
        'ħ' | 'Ħ' => "h",
        'ŧ' | 'Ŧ' => "t",
        'ŋ' | 'Ŋ' => "ng",
        'ı' => "i",
        'ə' | 'Ə' => "e",
        _ => return None,
    })
}

/// Founds organizations.
#[derive(Debug)]
pub struct Founder<'a> {
    /// Where.
    pub store: &'a Store,
    /// What records it.
    pub recorder: &'a Recorder,
    /// What the admin's key begins with.
    pub prefix: &'a KeyPrefix,
    /// What an admin may do.
    pub roles: &'a RoleRights,
}

impl Founder<'_> {
    /// Founds one: organization, admin and key together or not at all, under one entry.
    ///
    /// # Errors
    /// When the slug is taken, or the database or the record refuse.
    pub async fn found(&self, founding: Founding) -> anyhow::Result<Founded> {
        let keyring = self.store.keyring();
        let org = OrgId::new(keyring.clock().now(), keyring.random().bytes());
        let mut scoped = self.store.write(&Scope::founding(org)).await?;
        let slug = founding.slug.clone();
        let founded = organization::found(&mut scoped, keyring, founding.slug, founding.name)
            .await
            .with_context(|| format!("the organization `{slug}` can't be founded"))?;
        let admin = NewMember { profile: admin_profile(&slug)?, role: Role::Admin, by: None };
        let (admin, admin_change) = member::create(&mut scoped, keyring, &founded.org_key, admin).await?;
        let (issued, key_change) = self.admin_key(&mut scoped, admin.id).await?;
        let change = together(founded.change, [("member", admin_change), ("api_key", key_change)]);
        self.recorder.commit(scoped, Actor::installation(), change).await?;
        Ok(Founded { org, slug, admin_key: issued.text })
    }

    /// Makes another key for an admin of an organization that stands: the one who is an admin longest.
    /// For a key that was lost, or never shown because the server ended between founding and showing it.
    ///
    /// # Errors
    /// When there is no such organization, or the database or the record refuse.
    pub async fn another_key(&self, slug: &Slug) -> anyhow::Result<AnotherKey> {
        let found = organization::find(self.store, slug).await?;
        let org = found.with_context(|| format!("there is no organization `{slug}`"))?;
        for _ in 0..TRIES {
            let mut scoped = self.store.write(&Scope::installation(org)).await?;
            let admin = member::longest_admin(&mut scoped).await?.context("the organization has no admin")?;
            let (issued, change) = self.admin_key(&mut scoped, admin).await?;
            match self.recorder.commit(scoped, Actor::installation(), change).await {
                Ok(_) => return Ok(AnotherKey { org, admin, key: issued.text }),
                Err(RecordError::Stale { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bail!("the organization changed each time; run the command again")
    }

    /// A key of an admin that may do whatever an admin may.
    async fn admin_key(
        &self,
        scoped: &mut Scoped<Write>,
        admin: MemberId,
    ) -> anyhow::Result<(Issued, Change)> {
        let rights_of = |role| self.roles.of(role);
        let held = rights_of(Role::Admin);
        let creator = Creator {
            member: admin,
            key: None,
            rights: held,
            environment: Environment::Live,
            audiences: &[],
            expires_at: None,
            rights_of: &rights_of,
        };
        let key = NewApiKey {
            holder: Principal::Member(admin),
            name: "admin".parse()?,
            environment: Environment::Live,
            scopes: Permission::ALL.iter().copied().filter(|scope| scope.bit() & held != 0).collect(),
            audiences: Vec::new(),
            expires_at: None,
        };
        Ok(api_key::create(scoped, self.store.keyring(), self.prefix, &creator, key).await?)
    }
}

/// How often an organization is tried that changes at the same moment.
const TRIES: usize = 5;

/// A key made for an organization that stands.
#[derive(Debug)]
pub struct AnotherKey {
    /// The organization.
    pub org: OrgId,
    /// Whose key it is.
    pub admin: MemberId,
    /// The key, to be shown once.
    pub key: SecretString,
}

/// Nobody is known yet: the admin is an address of the installation, renamed by whoever takes over.
fn admin_profile(slug: &Slug) -> anyhow::Result<Profile> {
    Ok(Profile { name: "Admin".parse()?, email: format!("admin@{slug}.invalid").parse()? })
}

/// One entry that says all of it: what was made together is recorded together. The first change's
/// payload stays as it is, with those of the others beside it.
fn together<const N: usize>(mut first: Change, others: [(&'static str, Change); N]) -> Change {
    for (name, change) in others {
        first.refs.extend(change.refs.into_iter().filter(|(kind, _)| *kind == name));
        if let Some(payload) = first.payload.as_object_mut() {
            payload.insert(name.to_owned(), change.payload);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_store::Epoch;
    use serde_json::json;

    #[test]
    fn a_slug_is_made_of_the_name_where_that_is_possible() {
        for (name, slug) in [("Acme", "acme"), ("Acme & Sons, Ltd.", "acme-sons-ltd"), ("a  b", "a-b")] {
            assert_eq!(Founding::new(name, None).unwrap().slug.as_str(), slug);
        }
        for name in ["", "7", "日本", "x"] {
            let refused = Founding::new(name, None).unwrap_err().to_string();
            assert!(refused.contains("give one with --slug"), "{name}: {refused}");
        }
        assert_eq!(Founding::new("日本", Some("nihon")).unwrap().slug.as_str(), "nihon");
    }

    #[test]
    fn letters_with_marks_become_plain_ones() {
        for (name, slug) in [
            ("Größe & Söhne", "grosse-sohne"),
            ("GRÖẞE", "grosse"),
            ("Café Ñandú", "cafe-nandu"),
            ("Łódź Ærø Þórr Œuvre", "lodz-aero-thorr-oeuvre"),
            // The same letter, decomposed before it was typed.
            ("So\u{308}hne", "sohne"),
            ("ﬁne Ｗide", "fine-wide"),
            ("日本 Bank", "bank"),
        ] {
            assert_eq!(Founding::new(name, None).unwrap().slug.as_str(), slug, "{name}");
        }
        let longest = Founding::new(&"ß".repeat(40), None).unwrap().slug;
        assert_eq!(longest.as_str(), "s".repeat(48));
    }

    #[test]
    fn one_entry_names_everything_that_was_made() {
        let of = |kind, id: &str| Change::new(kind, Epoch::Keep, (kind, id.to_owned()), json!({ kind: id }));
        let all = together(
            of("organization", "o"),
            [("member", of("member", "m")), ("api_key", of("api_key", "k"))],
        );
        assert_eq!(all.refs.len(), 3);
        assert_eq!(all.payload["api_key"], json!({ "api_key": "k" }));
        assert_eq!(all.payload["organization"], "o");
    }
}
