//! What the database says of itself, as plain values. Ids are the database's (`oid`).

use std::collections::{BTreeMap, BTreeSet};

/// An object's id in the database.
pub(crate) type Oid = i64;

/// `PUBLIC`, as access lists and policies write it.
pub(crate) const PUBLIC: Oid = 0;

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Role {
    pub(crate) oid: Oid,
    pub(crate) name: String,
    pub(crate) superuser: bool,
    pub(crate) bypass: bool,
    pub(crate) login: bool,
    pub(crate) replication: bool,
    pub(crate) makes_roles: bool,
    /// Whether it may connect to this database.
    pub(crate) connects: bool,
}

impl Role {
    /// Whether no policy ever holds it.
    pub(crate) const fn is_unheld(&self) -> bool {
        self.superuser || self.bypass
    }
}

/// What a relation is, as `pg_class.relkind` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Table,
    Partitioned,
    Foreign,
    View,
    Materialized,
    Sequence,
}

impl Kind {
    pub(crate) fn of(relkind: &str) -> Option<Self> {
        Some(match relkind {
            "r" => Self::Table,
            "p" => Self::Partitioned,
            "f" => Self::Foreign,
            "v" => Self::View,
            "m" => Self::Materialized,
            "S" => Self::Sequence,
            _ => return None,
        })
    }

    /// Whether rows are kept in it, or under it.
    pub(crate) const fn holds_rows(self) -> bool {
        matches!(self, Self::Table | Self::Partitioned | Self::Foreign)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) oid: Oid,
    pub(crate) name: String,
    /// With its schema, quoted as SQL needs it.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    pub(crate) owner: Oid,
    pub(crate) locked: bool,
    pub(crate) forced: bool,
    pub(crate) is_partition: bool,
    /// A view that reads with its caller's rights.
    pub(crate) invoker: bool,
    /// Whether it has the tenant column.
    pub(crate) has_column: bool,
    pub(crate) nullable: bool,
    /// Whether an index begins with the column.
    pub(crate) indexed: bool,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Policy {
    pub(crate) relation: Oid,
    pub(crate) name: String,
    /// As `pg_policy.polcmd`: `r`, `a`, `w`, `d`, or `*` for all.
    pub(crate) command: String,
    pub(crate) permissive: bool,
    pub(crate) roles: Vec<Oid>,
    pub(crate) using: Option<String>,
    pub(crate) check: Option<String>,
    /// Whether it depends on the tenant column at all, by the database's own account.
    pub(crate) names_column: bool,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Grant {
    pub(crate) relation: Oid,
    /// Of these columns only; none for the whole.
    pub(crate) column: Option<String>,
    pub(crate) privilege: String,
    pub(crate) grantee: Oid,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Function {
    /// With its schema and the types of its arguments, as SQL needs it.
    pub(crate) path: String,
    /// The same without the names of its arguments.
    pub(crate) signature: String,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) owner: Oid,
    pub(crate) language: String,
    /// The names of its arguments, in and out.
    pub(crate) arguments: Vec<String>,
    pub(crate) definer: bool,
    pub(crate) settings: Vec<String>,
    pub(crate) body: Option<String>,
    pub(crate) is_trigger: bool,
    pub(crate) is_procedure: bool,
    pub(crate) public: bool,
    /// Whether an extension owns it.
    pub(crate) of_extension: bool,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct ForeignKey {
    pub(crate) relation: Oid,
    pub(crate) target: Oid,
    pub(crate) name: String,
    /// Whether the tenant column refers to the tenant column.
    pub(crate) by_column: bool,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Session {
    pub(crate) role: Oid,
    pub(crate) sessions: i64,
    pub(crate) application: Option<String>,
}

#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Schema {
    pub(crate) name: String,
    /// Quoted as SQL needs it.
    pub(crate) path: String,
    /// Whether everyone may make objects in it.
    pub(crate) open: bool,
}

/// What was read of a database's catalogue.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    pub(crate) schemas: Vec<Schema>,
    pub(crate) roles: BTreeMap<Oid, Role>,
    /// Of each role those that it is a member of, at once or through others.
    pub(crate) above: BTreeMap<Oid, BTreeSet<Oid>>,
    pub(crate) relations: BTreeMap<Oid, Relation>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) grants: Vec<Grant>,
    /// View and what it reads, both relations.
    pub(crate) reads: Vec<(Oid, Oid)>,
    pub(crate) functions: Vec<Function>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) sessions: Vec<Session>,
}

impl Catalogue {
    /// Tables with the tenant column, partitions included.
    pub(crate) fn tenant_tables(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values().filter(|relation| relation.has_column && relation.kind.holds_rows())
    }

    pub(crate) fn role_name(&self, oid: Oid) -> &str {
        if oid == PUBLIC {
            return "PUBLIC";
        }
        self.roles.get(&oid).map_or("?", |role| role.name.as_str())
    }

    /// Whom a right is granted to, as SQL needs it.
    pub(crate) fn grantee(&self, oid: Oid) -> String {
        if oid == PUBLIC { "PUBLIC".to_owned() } else { quoted(self.role_name(oid)) }
    }

    /// Whether a role is another, or is a member of it.
    pub(crate) fn is_or_can_become(&self, role: Oid, other: Oid) -> bool {
        role == other || self.above.get(&role).is_some_and(|above| above.contains(&other))
    }

    /// The rights that others than its owner have to a relation.
    pub(crate) fn granted(&self, relation: &Relation) -> impl Iterator<Item = &Grant> {
        let (oid, owner) = (relation.oid, relation.owner);
        self.grants.iter().filter(move |grant| grant.relation == oid && grant.grantee != owner)
    }

    /// The tables with the tenant column that a view reads, through other views as well.
    pub(crate) fn tenant_tables_under(&self, view: Oid) -> Vec<&Relation> {
        let (mut seen, mut open, mut found) = (BTreeSet::from([view]), vec![view], Vec::new());
        while let Some(reader) = open.pop() {
            for (_, read) in self.reads.iter().filter(|(from, _)| *from == reader) {
                if seen.insert(*read) {
                    open.push(*read);
                    found.extend(self.relations.get(read).filter(|it| it.has_column && it.kind.holds_rows()));
                }
            }
        }
        found
    }
}

/// A name as SQL needs it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
