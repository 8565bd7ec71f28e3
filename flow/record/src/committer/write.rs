//! Writing a batch: everything it adds, and the moved tips, in one statement.

use std::sync::LazyLock;

use chancery_mint::token_uses;
use chancery_store::StoreError;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, PgConnection};

use super::redemptions::{Grounds, recorded};
use crate::chain::{self, Statement, Table, Tip, stored};
use crate::{idempotency, intents, release_rows};

const ENTRIES: Table = chain::Columns::TABLE;
const INTENTS: Table = intents::Columns::TABLE;
const CLAIMS: Table = idempotency::Columns::TABLE;
const RELEASES: Table = release_rows::Columns::TABLE;
const CLOSINGS: Table = release_rows::Closings::TABLE;
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
    releases: bool,
    closings: bool,
}

impl Shape {
    /// How many there are.
    const COUNT: usize = 32;

    /// The shape with a number below [`Self::COUNT`].
    const fn numbered(number: usize) -> Self {
        Self {
            intents: number & 1 != 0,
            claims: number & 2 != 0,
            uses: number & 4 != 0,
            releases: number & 8 != 0,
            closings: number & 16 != 0,
        }
    }

    fn number(self) -> usize {
        let Self { intents, claims, uses, releases, closings } = self;
        [closings, releases, uses, claims, intents]
            .iter()
            .fold(0, |number, has| 2 * number + usize::from(*has))
    }

    fn statement(self) -> &'static str {
        static STATEMENTS: LazyLock<Vec<String>> = LazyLock::new(|| {
            (0..Shape::COUNT).map(|number| Shape::numbered(number).write_if_same()).collect()
        });
        // There is one of each number; of another, Postgres would write nothing.
        STATEMENTS.get(self.number()).map_or("", String::as_str)
    }

    /// The whole batch as a transaction of its own: it takes the heads in their order, and writes only
    /// if each is as remembered and not halted, no nonce was used, no idempotency key claimed, every token
    /// rests on a recorded decision, what is released was not, and what is closed is open. The statement
    /// sees the database as it was when it began, but heads as they are once it has them; one that is as
    /// remembered says that nobody has written to its organization's record since, so what is read of
    /// nonces, keys and releases is current too. Their primary keys stand behind that.
    fn write_if_same(self) -> String {
        let tips = ENTRIES.after(1);
        let remembered = TIPS.after(tips);
        let Besides { conditions, steps } = self.besides(REMEMBERED.after(remembered));
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
             ), appended AS ({}){steps}, moved AS ({})
             SELECT good, stands FROM verdict, standing",
            REMEMBERED.rows(remembered),
            REMEMBERED.columns,
            ENTRIES.insert(1, &format!("WHERE {GOOD}")),
            move_tips(tips, &format!("AND {GOOD}")),
        )
    }

    /// What is written beside entries, from the parameters from `$first` on, and on which conditions.
    fn besides(self, mut first: usize) -> Besides {
        let mut besides = Besides::default();
        if self.intents {
            first = besides.insert("decided", &INTENTS, first);
        }
        if self.claims {
            besides.only_if_none(&CLAIMS, first, "idempotency", "org_id, principal_id, route, key_hash");
            first = besides.insert("claimed", &CLAIMS, first);
        }
        if self.uses {
            besides.only_if_none(&USES, first, "token_uses", "org_id, nonce_hash");
            first = besides.insert("used", &USES, first);
            besides.only_if_all(first, &recorded(first));
            first += Grounds::TYPES.len();
        }
        if self.releases {
            besides.only_if_none(&RELEASES, first, "releases", "org_id, intent_id");
            first = besides.insert("released", &RELEASES, first);
        }
        if self.closings {
            let open = "JOIN releases r USING (org_id, intent_id) WHERE r.state = 'open'";
            let closed = format!("{} AS n ({}) {open}", CLOSINGS.rows(first), CLOSINGS.columns);
            besides.only_if_all(first, &closed);
            let update = release_rows::Closings::update(first, &format!("AND {GOOD}"));
            besides.steps += &format!(", closed AS ({update})");
        }
        besides
    }
}

/// Whether a batch is written.
const GOOD: &str = "(SELECT good FROM verdict)";

/// The parts of a batch's statement that not every shape has.
#[derive(Default)]
struct Besides {
    conditions: String,
    steps: String,
}

impl Besides {
    /// Adds rows of a table. Gives the number of the first parameter after theirs.
    fn insert(&mut self, name: &str, table: &Table, first: usize) -> usize {
        self.steps += &format!(", {name} AS ({})", table.insert(first, &format!("WHERE {GOOD}")));
        table.after(first)
    }

    /// Only if none of the new rows is there by its key.
    fn only_if_none(&mut self, new: &Table, first: usize, table: &str, key: &str) {
        let (rows, columns) = (new.rows(first), new.columns);
        self.conditions +=
            &format!(" AND NOT EXISTS (SELECT FROM {rows} AS n ({columns}) JOIN {table} t USING ({key}))");
    }

    /// Only if as many rows are found as the array in `$first` is long.
    fn only_if_all(&mut self, first: usize, found: &str) {
        self.conditions += &format!(" AND cardinality(${first}) = (SELECT count(*) FROM {found})");
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
    pub(super) releases: release_rows::Columns<'a>,
    pub(super) closings: release_rows::Closings<'a>,
}

/// Writes a batch whose idempotency keys are claimed and whose nonces are consumed already, in a
/// transaction that holds its heads.
pub(super) async fn write(
    connection: &mut PgConnection,
    rows: Rows<'_>,
    tips: &[Tip],
) -> Result<(), StoreError> {
    let statement = rows.intents.bind(rows.entries.bind(sqlx::query(WRITE.as_str())));
    bind_tips(statement, tips).execute(&mut *connection).await?;
    if !rows.releases.is_empty() {
        rows.releases.insert(connection).await?;
    }
    if !rows.closings.is_empty() {
        rows.closings.write(connection).await?;
    }
    Ok(())
}

/// The statement that writes a batch if the tips it was linked to are still the tips.
pub(super) fn write_if_same<'q>(rows: Rows<'q>, remembered: &'q [Tip], tips: &[Tip]) -> Statement<'q> {
    let shape = Shape {
        intents: !rows.intents.is_empty(),
        claims: !rows.claims.is_empty(),
        uses: !rows.uses.is_empty(),
        releases: !rows.releases.is_empty(),
        closings: !rows.closings.is_empty(),
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
    if shape.releases {
        statement = rows.releases.bind(statement);
    }
    if shape.closings {
        statement = rows.closings.bind(statement);
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
