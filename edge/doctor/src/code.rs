//! The stable words for what can be wrong; `docs/runbooks/doctor.md` explains each.

use serde::{Serialize, Serializer};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It has to be put right, or known and accepted by name.
    Finding,
    /// It could be better, and nothing leaks.
    Advice,
}

macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $name:ident = $severity:ident $text:literal,)+) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $meaning])+ $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// How bad it is, whatever it is found on.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)+
                }
            }
        }
    };
}

codes! {
    /// Something was not looked at.
    Unseen = Finding "unseen",
    /// No table has the tenant column.
    NothingToExamine = Finding "nothing_to_examine",
    /// A table with the column has no row-level security.
    RlsOff = Finding "rls_off",
    /// Row-level security does not hold the table's owner.
    RlsNotForced = Finding "rls_not_forced",
    /// A part of a table has no row-level security of its own, and is granted by itself.
    PartitionUnlocked = Finding "partition_unlocked",
    /// A foreign table can have no row-level security.
    ForeignTable = Finding "foreign_table",
    /// Rows may have no tenant.
    ColumnNullable = Advice "column_nullable",
    /// No index begins with the column.
    IndexMissing = Advice "index_missing",
    /// A foreign key leads to rows of any tenant.
    ForeignKeyAcross = Advice "foreign_key_across",
    /// A policy lets rows through without asking for the tenant.
    PolicyIgnoresColumn = Finding "policy_ignores_column",
    /// A policy asks for the tenant in some branches only.
    PolicyHasWayAround = Finding "policy_has_way_around",
    /// A login that row-level security does not hold.
    LoginBypassesRls = Finding "login_bypasses_rls",
    /// A login that can become a role that row-level security does not hold.
    LoginCanBypassRls = Finding "login_can_bypass_rls",
    /// A login that has a right of the whole server, past every policy.
    LoginReachesAround = Finding "login_reaches_around",
    /// A session of a role that row-level security does not hold.
    BypassInUse = Finding "bypass_in_use",
    /// A session of a role that owns tables, and so can unlock them.
    OwnerInUse = Finding "owner_in_use",
    /// A `SECURITY DEFINER` function finds what its caller's search path says.
    DefinerSearchPath = Finding "definer_search_path",
    /// A `SECURITY DEFINER` function looks for tables among its caller's temporary ones first.
    DefinerTemporary = Advice "definer_temporary",
    /// Everyone may call a `SECURITY DEFINER` function.
    DefinerPublic = Finding "definer_public",
    /// A `SECURITY DEFINER` function reaches every tenant and does not ask who calls.
    DefinerUnguarded = Finding "definer_unguarded",
    /// A view reads with the rights of an owner whom row-level security does not hold.
    ViewBypassesRls = Finding "view_bypasses_rls",
    /// A view reads with its owner's rights.
    ViewOfOwner = Advice "view_of_owner",
    /// A materialized view keeps rows of every tenant without row-level security.
    MaterializedView = Finding "materialized_view",
    /// Everyone has a right to a table with the column.
    GrantedToPublic = Finding "granted_to_public",
    /// TRUNCATE is granted, which no policy holds.
    TruncateGranted = Finding "truncate_granted",
    /// TRIGGER or REFERENCES is granted, which look past policies.
    BehindGranted = Advice "behind_granted",
    /// Everyone may draw from a sequence.
    SequencePublic = Advice "sequence_public",
    /// Everyone may make objects in a schema.
    SchemaOpen = Finding "schema_open",
    /// The key file is open to others than its owner, or could be replaced by them.
    KekExposed = Finding "kek_exposed",
    /// The key file is missing, or does not read.
    KekUnusable = Finding "kek_unusable",
    /// Others can write in the data directory, or it is another user's.
    DataDirOpen = Finding "data_dir_open",
    /// Others can list the data directory.
    DataDirListed = Advice "data_dir_listed",
    /// Others can write the checkpoint file, or it does not read.
    CheckpointFile = Finding "checkpoint_file",
    /// There is no checkpoint file yet.
    CheckpointFileMissing = Advice "checkpoint_file_missing",
    /// The database is another installation's than the key file.
    OtherInstallation = Finding "other_installation",
    /// The schema is older or newer than this program, or a migration was changed.
    Migrations = Finding "migrations",
    /// A role of ours can do more, or less, than provisioning makes it.
    RoleDiffers = Finding "role_differs",
    /// A right is there that no migration gave, or one is missing.
    GrantDiffers = Finding "grant_differs",
    /// A table, policy, function or trigger is not what migrations made.
    SchemaDiffers = Finding "schema_differs",
    /// Postgres may lose or damage what it acknowledged.
    SettingUnsafe = Finding "setting_unsafe",
    /// Postgres writes users' data into its log.
    SettingLogsData = Finding "setting_logs_data",
    /// Postgres would not notice damage on the disk.
    ChecksumsOff = Advice "checksums_off",
    /// The database's clock differs from this machine's.
    ClockDiffers = Finding "clock_differs",
    /// The newest entry of a record is from the future.
    RecordAhead = Finding "record_ahead",
    /// A record is not intact.
    RecordBroken = Finding "record_broken",
    /// A record that a checkpoint vouches for is gone.
    RecordMissing = Finding "record_missing",
    /// The connection to the database is not protected.
    DatabaseWithoutTls = Finding "database_without_tls",
    /// Clients reach the server without TLS.
    ListenerWithoutTls = Finding "listener_without_tls",
    /// The listener relies on a proxy in front.
    BehindProxy = Advice "behind_proxy",
    /// The private key of the listener is open to others.
    TlsKeyExposed = Finding "tls_key_exposed",
    /// A limit is so high that it limits nobody.
    LimitWeak = Advice "limit_weak",
    /// The log says more than operators need.
    LogVerbose = Advice "log_verbose",
    /// This program was built with a dangerous feature.
    DangerBuiltIn = Finding "danger_built_in",
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
