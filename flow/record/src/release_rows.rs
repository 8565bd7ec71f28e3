//! Writing releases, and how calls ended, for a whole batch at once.

use std::sync::LazyLock;

use chancery_approve::CHANNEL;
use chancery_model::{OrgId, Timestamp};
use chancery_store::StoreError;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::chain::{Statement, Table};
use crate::releases::{Carries, Closing, Release};

/// Releases in columns, for one array insert.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    org: Vec<Uuid>,
    intent: Vec<Uuid>,
    seq: Vec<i64>,
    intent_hash: Vec<&'a [u8]>,
    opened_at: Vec<OffsetDateTime>,
    state: Vec<&'static str>,
    token: Vec<Option<&'a [u8]>>,
    connector: Vec<Option<&'a str>>,
    unknown_at: Vec<Option<OffsetDateTime>>,
}

impl<'a> Columns<'a> {
    /// The table, its columns and their types, in the order of [`Self::bind`].
    pub(crate) const TABLE: Table = Table {
        name: "releases",
        columns: "org_id, intent_id, seq, intent_hash, opened_at, state, token, connector, unknown_at",
        types: &["uuid", "uuid", "int8", "bytea", "timestamptz", "text", "bytea", "text", "timestamptz"],
    };

    /// Adds the release of the entry at its place and time.
    pub(crate) fn push(&mut self, (org, seq, at): (OrgId, i64, Timestamp), release: &'a Release) {
        self.org.push(org.as_uuid());
        self.intent.push(release.intent.as_uuid());
        self.seq.push(seq);
        self.intent_hash.push(&release.intent_hash);
        self.opened_at.push(at.to_offset());
        let (state, token, connector, unknown_at) = match &release.carries {
            Carries::Token(token) => ("token", Some(token.as_slice()), None, None),
            Carries::Call { connector, unknown_after_seconds } => (
                "open",
                None,
                Some(connector.as_str()),
                Some(at.plus_seconds(*unknown_after_seconds).to_offset()),
            ),
        };
        self.state.push(state);
        self.token.push(token);
        self.connector.push(connector);
        self.unknown_at.push(unknown_at);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.intent.is_empty()
    }

    /// Binds one array for each column.
    pub(crate) fn bind<'q>(self, query: Statement<'q>) -> Statement<'q>
    where
        'a: 'q,
    {
        query
            .bind(self.org)
            .bind(self.intent)
            .bind(self.seq)
            .bind(self.intent_hash)
            .bind(self.opened_at)
            .bind(self.state)
            .bind(self.token)
            .bind(self.connector)
            .bind(self.unknown_at)
    }

    /// Writes them all with one statement.
    pub(crate) async fn insert(self, connection: &mut PgConnection) -> Result<(), StoreError> {
        static INSERT: LazyLock<String> = LazyLock::new(|| Columns::TABLE.insert(1, ""));
        self.bind(sqlx::query(INSERT.as_str())).execute(connection).await?;
        Ok(())
    }
}

/// How calls ended, in columns, for one update.
#[derive(Default)]
pub(crate) struct Closings<'a> {
    org: Vec<Uuid>,
    intent: Vec<Uuid>,
    state: Vec<&'static str>,
    closed_at: Vec<OffsetDateTime>,
    status: Vec<Option<i32>>,
    answer: Vec<Option<&'a [u8]>>,
}

impl<'a> Closings<'a> {
    /// The table, the columns and their types, in the order of [`Self::bind`].
    pub(crate) const TABLE: Table = Table {
        name: "releases",
        columns: "org_id, intent_id, state, closed_at, status, answer",
        types: &["uuid", "uuid", "text", "timestamptz", "int4", "bytea"],
    };

    /// The update of the rows that the parameters from `$first` on hold. Whoever waits hears of it.
    pub(crate) fn update(first: usize, condition: &str) -> String {
        format!(
            "UPDATE releases r
             SET state = n.state, closed_at = n.closed_at, status = n.status, answer = n.answer
             FROM {} AS n ({})
             WHERE r.org_id = n.org_id AND r.intent_id = n.intent_id AND r.state = 'open' {condition}
             RETURNING pg_notify('{CHANNEL}', r.org_id || ' ' || r.intent_id)",
            Self::TABLE.rows(first),
            Self::TABLE.columns
        )
    }

    /// Adds how a call ended whose entry is of that time.
    pub(crate) fn push(&mut self, (org, at): (OrgId, Timestamp), closing: &'a Closing) {
        self.org.push(org.as_uuid());
        self.intent.push(closing.intent.as_uuid());
        self.state.push(closing.outcome.state());
        self.closed_at.push(at.to_offset());
        self.status.push(closing.status.map(i32::from));
        self.answer.push(closing.answer.as_deref());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.intent.is_empty()
    }

    /// Binds one array for each column.
    pub(crate) fn bind<'q>(self, query: Statement<'q>) -> Statement<'q>
    where
        'a: 'q,
    {
        query
            .bind(self.org)
            .bind(self.intent)
            .bind(self.state)
            .bind(self.closed_at)
            .bind(self.status)
            .bind(self.answer)
    }

    /// Writes them all with one statement.
    pub(crate) async fn write(self, connection: &mut PgConnection) -> Result<(), StoreError> {
        static UPDATE: LazyLock<String> = LazyLock::new(|| Closings::update(1, ""));
        self.bind(sqlx::query(UPDATE.as_str())).execute(connection).await?;
        Ok(())
    }
}
