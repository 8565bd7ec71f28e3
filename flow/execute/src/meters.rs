//! What is measured of calls. Labels are words of ours: how many there are is fixed.

use chancery_record::releases::CallOutcome;
use metrics::{counter, describe_counter};

/// Explains the meters to whoever reads them, and counts from the start: of a series that begins with its
/// first event, nobody sees it grow.
pub fn describe() {
    describe_counter!("executions_total", "Calls of connectors that ended, by outcome.");
    describe_counter!(
        "breakers_opened_total",
        "Failures of calls that opened a breaker, or found it just open."
    );
    counter!("breakers_opened_total").increment(0);
    for outcome in [CallOutcome::Succeeded, CallOutcome::Failed, CallOutcome::Unknown] {
        counter!("executions_total", "outcome" => outcome.as_str()).increment(0);
    }
}
