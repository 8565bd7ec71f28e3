//! The table of routes: one file for each resource, each with its routes at the top.

mod actions;
mod agents;
mod api_keys;
mod approvals;
mod connectors;
mod delegations;
mod emergency;
mod installation;
mod intents;
mod intents_release;
mod intents_show;
mod me;
mod members;
mod named;
mod organization;
mod packs;
mod policies;
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
        actions::routes(),
        policies::routes(),
        packs::routes(),
        connectors::routes(),
        signing_keys::routes(),
        intents::routes(),
        intents_show::routes(),
        intents_release::routes(),
        approvals::routes(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Access;
    use std::collections::HashSet;

    /// What strangers may call, each with its reason.
    const PUBLIC: &[(&str, &str)] = &[
        ("/orgs/{slug}/.well-known/jwks.json", "public keys"),
        ("/healthz", "for whoever keeps the process running"),
        ("/readyz", "for load balancers; says three words"),
        ("/metrics", "counts without names; kept from outside by the proxy"),
        ("/openapi.json", "the code is public"),
    ];

    #[test]
    fn only_the_listed_routes_are_public() {
        let public: Vec<_> = routes()
            .into_iter()
            .filter(|route| route.access == Access::Public)
            .map(|route| route.path)
            .collect();
        assert_eq!(public, PUBLIC.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    }

    #[test]
    fn every_route_has_a_name_of_its_own() {
        let (mut names, mut places) = (HashSet::new(), HashSet::new());
        for route in routes() {
            let sentence = route.summary.ends_with('.') && route.summary.starts_with(char::is_uppercase);
            assert!(route.operation.contains('.') && sentence, "{route:?}");
            assert!(names.insert(route.operation), "{route:?}: its name is taken");
            assert!(places.insert((route.method.clone(), route.path)), "{route:?} stands twice");
        }
    }

    #[test]
    fn what_changes_something_needs_a_permission_of_its_own() {
        for route in routes() {
            if let (false, Access::Needs(permission)) = (route.method == http::Method::GET, route.access) {
                // Asks, and changes nothing.
                let asks = route.operation == "policies.check";
                assert!(asks || !permission.as_str().ends_with(":read"), "{route:?}");
            } else {
                assert_eq!(route.method, http::Method::GET, "{route:?}");
            }
        }
    }
}
