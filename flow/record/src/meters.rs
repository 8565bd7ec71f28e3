//! What is measured of the record. Labels are words of ours: how many there are is fixed.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

/// Explains the meters to whoever reads them.
pub fn describe() {
    describe_counter!("decisions_total", "Recorded decisions, by effect.");
    describe_histogram!("record_batch_jobs", Unit::Count, "Entries committed in one transaction.");
    describe_gauge!("record_queue_jobs", Unit::Count, "Entries waiting to be committed.");
    describe_counter!("record_queue_full_total", "Entries refused because too many were waiting.");
    describe_counter!("record_tips_moved_total", "Batches that another process came before.");
    describe_counter!("record_groundless_tokens_total", "Good signatures on tokens that nobody decided on.");
    describe_counter!("record_groundless_approvals_total", "Approvals that the record knows nothing of.");
    describe_gauge!(
        "record_checkpoint_lag_entries",
        Unit::Count,
        "Entries that were under no checkpoint after the last round."
    );
    describe_counter!("record_checkpoint_failures_total", "Rounds that made no checkpoints.");
    describe_counter!("record_breaks_total", "Records found broken, by fault.");
    describe_gauge!("record_organizations", Unit::Count, "Records that are verified.");
    describe_counter!("record_verified_entries_total", "Entries that the background verifier read.");
    describe_gauge!(
        "record_verification_pass_seconds",
        Unit::Seconds,
        "How long the background verifier's last pass over all records took."
    );
    begin();
}

/// What must never happen is counted from the start: of a series that begins with its first event, nobody
/// sees it grow.
fn begin() {
    for name in [
        "record_queue_full_total",
        "record_groundless_tokens_total",
        "record_groundless_approvals_total",
        "record_checkpoint_failures_total",
        "record_verified_entries_total",
    ] {
        counter!(name).increment(0);
    }
    for effect in ["allow", "escalate", "deny"] {
        counter!("decisions_total", "effect" => effect).increment(0);
    }
    for code in crate::verify::FAULTS {
        counter!("record_breaks_total", "code" => code).increment(0);
    }
}
