//! Writing a batch: everything it adds, and the moved tips, in one statement.

use std::sync::LazyLock;

use chancery_mint::token_uses;
use chancery_store::StoreError;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, PgConnection};

use super::redemptions::{Grounds, recorded};
use crate::chain::{self, Statement, Table, Tip, stored};
use crate::{idempotency, intents};

const ENTRIES: Table = chain::Columns::TABLE;
const INTENTS: Table = intents::Columns::TABLE;
const CLAIMS: Table = idempotency::Columns::TABLE;
const USES: Table =
    Table { name: "token_uses", columns: token_uses::Columns::NAMES, types: &token_uses::Columns::TYPES };
/// The tips as they become.
const TIPS: Table = Table {
    name: "heads",
    columns: "org_id, seq, entry_hash, last_time",
    types: &["uuid", "int8", "bytea", "timestamptz"],
};
/// The tips as they are remembered.
const REMEMBERED: Table =
    Table { name: "heads", columns: "org_id, entry_hash, epoch", types: &["uuid", "bytea", "int8"] };

fn move_tips(first: usize, condition: &str) -> String {
    format!(
        "UPDATE heads h SET seq = n.seq, entry_hash = n.entry_hash, last_time = n.last_time
         FROM {} AS n ({}) WHERE h.org_id = n.org_id {condition}",
        TIPS.rows(first),
        TIPS.columns
    )
}

/// Entries, intents and tips, for a transaction that holds the heads.
static WRITE: LazyLock<String> = LazyLock::new(|| {
    let (intents, tips) = (ENTRIES.after(1), INTENTS.after(ENTRIES.after(1)));
    format!(
        "WITH appended AS ({}), decided AS ({}) {}",
        ENTRIES.insert(1, ""),
        INTENTS.insert(intents, ""),
        move_tips(tips, "")
    )
});

/// No shape of a batch has more.
const MOST_PARAMETERS: usize = 64;

/// What a batch has besides entries: of what it lacks its statement does not speak.
#[derive(Clone, Copy)]
struct Shape {
    intents: bool,
    claims: bool,
    uses: bool,
}

impl Shape {
    fn statement(self) -> &'static str {
        static STATEMENTS: LazyLock<[[[String; 2]; 2]; 2]> = LazyLock::new(|| {
            [false, true].map(|intents| {
                [false, true]
                    .map(|claims| [false, true].map(|uses| Shape { intents, claims, uses }.write_if_same()))
            })
        });
        let [fewer, more] = &*STATEMENTS;
        let [fewer, more] = if self.intents { more } else { fewer };
        let [fewer, more] = if self.claims { more } else { fewer };
        if self.uses { more } else { fewer }
    }

    /// The whole batch as a transaction of its own: it takes the heads in their order, and writes only
    /// if each is as remembered and not halted, no nonce was used, no idempotency key claimed, and every
    /// token rests on a recorded decision. The statement sees the database as it was when it began, but
    /// heads as they are once it has them; one that is as remembered says that nobody has written to its
    /// organization's record since, so what is read of nonces and keys is current too. Their primary
    /// keys stand behind that.
    fn write_if_same(self) -> String {
        const GOOD: &str = "(SELECT good FROM verdict)";
        let only_if_good = format!("WHERE {GOOD}");
        let tips = ENTRIES.after(1);
        let remembered = TIPS.after(tips);
        let mut first = REMEMBERED.after(remembered);
        let mut conditions = String::new();
        let mut steps = format!("appended AS ({})", ENTRIES.insert(1, &only_if_good));
        let mut also = |name: &str, table: &Table, first: usize| {
            steps += &format!(", {name} AS ({})", table.insert(first, &only_if_good));
            table.after(first)
        };
        if self.intents {
            first = also("decided", &INTENTS, first);
        }
        if self.claims {
            conditions += &format!(
                " AND NOT EXISTS (SELECT FROM {} AS n ({})
                  JOIN idempotency i USING (org_id, principal_id, route, key_hash))",
                CLAIMS.rows(first),
                CLAIMS.columns
            );
            first = also("claimed", &CLAIMS, first);
        }
        if self.uses {
            conditions += &format!(
                " AND NOT EXISTS (SELECT FROM {} AS n ({}) JOIN token_uses u USING (org_id, nonce_hash))",
                USES.rows(first),
                USES.columns
            );
            first = also("used", &USES, first);
            conditions += &format!(" AND cardinality(${first}) = (SELECT count(*) FROM {})", recorded(first));
        }
        format!(
            "WITH locked AS MATERIALIZED (
                 SELECT org_id, entry_hash, epoch, halted FROM heads
                 WHERE org_id = ANY(${remembered}) ORDER BY org_id FOR UPDATE
             ), standing AS MATERIALIZED (
                 SELECT cardinality(${remembered}) = (
                     SELECT count(*) FROM locked l JOIN {} AS r ({}) USING (org_id)
                     WHERE l.entry_hash = r.entry_hash AND l.epoch = r.epoch AND NOT l.halted
                 ) AS stands
             ), verdict AS MATERIALIZED (
                 SELECT stands{conditions} AS good FROM standing
             ), {steps}, moved AS ({})
             SELECT good, stands FROM verdict, standing",
            REMEMBERED.rows(remembered),
            REMEMBERED.columns,
            move_tips(tips, &format!("AND {GOOD}")),
        )
    }
}

/// What a batch adds, in columns, and what its redemptions rest on.
#[derive(Default)]
pub(super) struct Rows<'a> {
    pub(super) entries: chain::Columns<'a>,
    pub(super) intents: intents::Columns<'a>,
    pub(super) claims: idempotency::Columns<'a>,
    pub(super) uses: token_uses::Columns<'a>,
    pub(super) grounds: Grounds<'a>,
}

/// Writes a batch whose idempotency keys are claimed and whose nonces are consumed already, in a
/// transaction that holds its heads.
pub(super) async fn write(
    connection: &mut PgConnection,
    rows: Rows<'_>,
    tips: &[Tip],
) -> Result<(), StoreError> {
    let statement = rows.intents.bind(rows.entries.bind(sqlx::query(WRITE.as_str())));
    bind_tips(statement, tips).execute(connection).await?;
    Ok(())
}

/// The statement that writes a batch if the tips it was linked to are still the tips.
pub(super) fn write_if_same<'q>(rows: Rows<'q>, remembered: &'q [Tip], tips: &[Tip]) -> Statement<'q> {
    let shape = Shape {
        intents: !rows.intents.is_empty(),
        claims: !rows.claims.is_empty(),
        uses: !rows.uses.is_empty(),
    };
    // What entries and intents take is reserved at once: growing would copy payloads again and again.
    let mut arguments = PgArguments::default();
    arguments.reserve(MOST_PARAMETERS, rows.entries.encoded_bytes() + rows.intents.encoded_bytes());
    let statement = rows.entries.bind(sqlx::query_with(shape.statement(), arguments));
    let mut statement = bind_tips(statement, tips)
        .bind(remembered.iter().map(|tip| tip.org.as_uuid()).collect::<Vec<_>>())
        .bind(remembered.iter().map(|tip| tip.entry_hash.as_slice()).collect::<Vec<_>>())
        .bind(remembered.iter().map(|tip| tip.epoch).collect::<Vec<_>>());
    if shape.intents {
        statement = rows.intents.bind(statement);
    }
    if shape.claims {
        statement = rows.claims.bind(statement);
    }
    if shape.uses {
        statement = rows.grounds.bind(rows.uses.bind(statement));
    }
    statement
}

fn bind_tips<'q>(statement: Statement<'q>, tips: &[Tip]) -> Statement<'q> {
    statement
        .bind(tips.iter().map(|tip| tip.org.as_uuid()).collect::<Vec<_>>())
        .bind(tips.iter().map(|tip| stored(tip.seq)).collect::<Vec<_>>())
        .bind(tips.iter().map(|tip| tip.entry_hash.to_vec()).collect::<Vec<_>>())
        .bind(tips.iter().map(|tip| tip.last_time.to_offset()).collect::<Vec<_>>())
}
