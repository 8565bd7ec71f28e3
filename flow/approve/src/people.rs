//! Who counts as another person.
//!
//! A request has members *behind* it: who asked, or the owner and the maker of the agent that asked, who
//! made the API key, and in whose name was asked, as of then and as of now. A member is *theirs* when one
//! of the two was created by the other, directly or through others: whoever created a member could hold
//! its keys. So nobody behind a request answers it, nor anybody who is theirs, nor with a key that one of
//! them made, nor in a role that one of them granted after the request.
//!
//! Whoever made a key could hold it, and make the next one with it in its holder's name. So a key's *makers*
//! are who made it and the makers of the key that it was made with. None of the makers of the key that was
//! asked with answers; and no key answers that has one of those behind the request among its makers.

use std::collections::{HashMap, HashSet};

use chancery_model::{MemberId, Role, Timestamp};
use chancery_store::StoreError;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A member, as far as answering goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub id: MemberId,
    /// The role now.
    pub role: Role,
    /// When it was granted.
    pub role_granted_at: Timestamp,
    /// By whom; `None` for the installation.
    pub role_granted_by: Option<MemberId>,
    /// Whether they are still in the organization.
    pub active: bool,
}

/// Why somebody may not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// They stand behind the request.
    Behind,
    /// They created one who stands behind it, or were created by one.
    Theirs,
    /// One who stands behind it made the key they answer with, or a key that led to it.
    TheirKey,
    /// The key they answered with was revoked.
    KeyGone,
    /// One who stands behind it gave them their role after the request.
    TheirGrant,
    /// They are not in the organization any more.
    Gone,
}

impl Barred {
    /// For the caller.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Behind => {
                "you asked for it, or own, made or are named by what asked, or made a key that led to it"
            }
            Self::Theirs => "you created a member who stands behind the request, or were created by one",
            Self::TheirKey => {
                "a member who stands behind the request made the key you answer with, or one that led to it"
            }
            Self::KeyGone => "the key you answered with was revoked",
            Self::TheirGrant => "a member who stands behind the request gave you your role after it",
            Self::Gone => "you are not a member any more",
        }
    }
}

/// Who created whom, upwards, of the members that matter.
#[derive(Debug, Default)]
pub struct Lineage(HashMap<MemberId, HashSet<MemberId>>);

impl Lineage {
    /// From pairs of a member and one of its ancestors.
    pub fn new(pairs: impl IntoIterator<Item = (MemberId, MemberId)>) -> Self {
        let mut above: HashMap<MemberId, HashSet<MemberId>> = HashMap::new();
        for (member, ancestor) in pairs {
            above.entry(member).or_default().insert(ancestor);
        }
        Self(above)
    }

    /// Whether one of the two is the other, or was created by the other.
    #[must_use]
    pub fn are_one(&self, one: MemberId, other: MemberId) -> bool {
        let above = |member, ancestor| self.0.get(&member).is_some_and(|above| above.contains(&ancestor));
        one == other || above(one, other) || above(other, one)
    }
}

/// What a person answers with.
#[derive(Clone, Copy, Debug)]
pub struct With<'a> {
    /// The makers of the API key.
    pub key_makers: &'a HashSet<MemberId>,
    /// When the request was made.
    pub requested_at: Timestamp,
}

/// Who has to do with a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who stands behind it.
    pub behind: &'a HashSet<MemberId>,
    /// The makers of the key that it was asked with.
    pub asked_with: &'a HashSet<MemberId>,
}

/// Whether a person may answer a request.
///
/// # Errors
/// Why not.
pub fn may_answer(
    person: &Person,
    with: With<'_>,
    Request { behind, asked_with }: Request<'_>,
    lineage: &Lineage,
) -> Result<(), Barred> {
    if !person.active {
        return Err(Barred::Gone);
    }
    if behind.contains(&person.id) || asked_with.contains(&person.id) {
        return Err(Barred::Behind);
    }
    if behind.iter().any(|one| lineage.are_one(*one, person.id)) {
        return Err(Barred::Theirs);
    }
    if !behind.is_disjoint(with.key_makers) {
        return Err(Barred::TheirKey);
    }
    let late = person.role_granted_at >= with.requested_at;
    if late && person.role_granted_by.is_some_and(|by| behind.contains(&by)) {
        return Err(Barred::TheirGrant);
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct PersonRow {
    id: Uuid,
    role: String,
    role_granted_at: OffsetDateTime,
    role_granted_by: Option<Uuid>,
    removed_at: Option<OffsetDateTime>,
}

impl TryFrom<PersonRow> for Person {
    type Error = StoreError;
    fn try_from(row: PersonRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: MemberId::from_uuid(row.id),
            role: row.role.parse().map_err(|error| StoreError::corrupt("members", error))?,
            role_granted_at: row.role_granted_at.into(),
            role_granted_by: row.role_granted_by.map(MemberId::from_uuid),
            active: row.removed_at.is_none(),
        })
    }
}

/// Members as they are now. A change of one of them moves the epoch, which committing compares.
pub(crate) async fn people(
    connection: &mut PgConnection,
    org: Uuid,
    ids: &[Uuid],
) -> Result<HashMap<MemberId, Person>, StoreError> {
    let rows: Vec<PersonRow> = sqlx::query_as(
        "SELECT id, role, role_granted_at, role_granted_by, removed_at FROM members
         WHERE org_id = $1 AND id = ANY($2)",
    )
    .bind(org)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Person::try_from(row).map(|person| (person.id, person))).collect()
}

/// The ancestors of members.
pub(crate) async fn lineage(
    connection: &mut PgConnection,
    org: Uuid,
    of: &[Uuid],
) -> Result<Lineage, StoreError> {
    let pairs: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "WITH RECURSIVE above (member, ancestor) AS (
             SELECT id, created_by FROM members
             WHERE org_id = $1 AND id = ANY($2) AND created_by IS NOT NULL
             UNION
             SELECT a.member, m.created_by FROM above a JOIN members m ON m.org_id = $1 AND m.id = a.ancestor
             WHERE m.created_by IS NOT NULL
         ) SELECT member, ancestor FROM above",
    )
    .bind(org)
    .bind(of)
    .fetch_all(connection)
    .await?;
    Ok(Lineage::new(
        pairs.into_iter().map(|(one, other)| (MemberId::from_uuid(one), MemberId::from_uuid(other))),
    ))
}

/// The members who answer for an agent now: its owner and who made it.
pub(crate) async fn behind_agent(
    connection: &mut PgConnection,
    org: Uuid,
    agent: Uuid,
) -> Result<Vec<MemberId>, StoreError> {
    let row: Option<(Uuid, Uuid)> =
        sqlx::query_as("SELECT owner_id, created_by FROM agents WHERE org_id = $1 AND id = $2")
            .bind(org)
            .bind(agent)
            .fetch_optional(connection)
            .await?;
    let (owner, maker) = row.ok_or_else(|| StoreError::corrupt("escalations", "its agent does not exist"))?;
    Ok(vec![MemberId::from_uuid(owner), MemberId::from_uuid(maker)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: u128) -> MemberId {
        MemberId::from_uuid(Uuid::from_u128(number))
    }

    fn person(number: u128) -> Person {
        let granted = Timestamp::from_micros(10);
        Person {
            id: member(number),
            role: Role::Approver,
            role_granted_at: granted,
            role_granted_by: None,
            active: true,
        }
    }

    const REQUESTED: Timestamp = Timestamp::from_micros(20);

    /// A request behind which 1 and 2 stand, asked with a key that 2 and 8 are makers of.
    fn asked(person: Person, key_by: u128, pairs: &[(u128, u128)]) -> Result<(), Barred> {
        let lineage = Lineage::new(pairs.iter().map(|(one, other)| (member(*one), member(*other))));
        let makers = HashSet::from([member(9), member(key_by)]);
        let with = With { key_makers: &makers, requested_at: REQUESTED };
        let behind = HashSet::from([member(1), member(2)]);
        let asked_with = HashSet::from([member(2), member(8)]);
        may_answer(&person, with, Request { behind: &behind, asked_with: &asked_with }, &lineage)
    }

    #[test]
    fn only_another_person_answers() {
        assert_eq!(asked(person(3), 9, &[]), Ok(()));
        assert_eq!(asked(person(1), 9, &[]), Err(Barred::Behind));
        assert_eq!(asked(person(2), 9, &[]), Err(Barred::Behind));
        assert_eq!(asked(person(8), 9, &[]), Err(Barred::Behind), "a maker of the key that led to it");
        assert_eq!(asked(person(3), 8, &[(3, 8)]), Ok(()), "whom and whose key that one made may answer");
        assert_eq!(asked(Person { active: false, ..person(3) }, 9, &[]), Err(Barred::Gone));
    }

    #[test]
    fn nor_whoever_they_created_or_were_created_by() {
        assert_eq!(asked(person(3), 9, &[(3, 1)]), Err(Barred::Theirs), "created by one behind it");
        assert_eq!(asked(person(3), 9, &[(2, 3)]), Err(Barred::Theirs), "created one behind it");
        assert_eq!(asked(person(3), 9, &[(3, 7), (1, 7)]), Ok(()), "the same founder created both");
    }

    #[test]
    fn nor_with_their_key_or_in_a_role_they_gave_later() {
        assert_eq!(asked(person(3), 1, &[]), Err(Barred::TheirKey));
        let given = |at, by| Person {
            role_granted_at: Timestamp::from_micros(at),
            role_granted_by: Some(member(by)),
            ..person(3)
        };
        assert_eq!(asked(given(21, 1), 9, &[]), Err(Barred::TheirGrant));
        assert_eq!(asked(given(20, 1), 9, &[]), Err(Barred::TheirGrant), "in the same instant");
        assert_eq!(asked(given(19, 1), 9, &[]), Ok(()));
        assert_eq!(asked(given(21, 8), 9, &[]), Ok(()));
    }
}
