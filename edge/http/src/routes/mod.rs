//! The table of routes: one file for each resource, each with its routes at the top.

mod agents;
mod api_keys;
mod delegations;
mod emergency;
mod installation;
mod intents;
mod me;
mod members;
mod organization;
mod record;
mod signing_keys;
mod tokens;
mod tokens_revoke;
mod well_known;

use crate::Route;

/// Every route of the server.
#[must_use]
pub fn routes() -> Vec<Route> {
    [
        me::routes(),
        organization::routes(),
        members::routes(),
        agents::routes(),
        api_keys::routes(),
        delegations::routes(),
        signing_keys::routes(),
        intents::routes(),
        tokens::routes(),
        tokens_revoke::routes(),
        record::routes(),
        emergency::routes(),
        well_known::routes(),
        installation::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
