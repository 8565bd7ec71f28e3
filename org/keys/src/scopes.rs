//! Lists of permissions as the API and the database write them.

use chancery_model::Permission;
use chancery_store::StoreError;

/// The set of the permissions' bits.
pub(crate) fn bits(scopes: &[Permission]) -> u64 {
    scopes.iter().fold(0, |set, scope| set | scope.bit())
}

/// Those of `scopes` that are not in the set `rights`.
pub(crate) fn beyond(scopes: &[Permission], rights: u64) -> Vec<Permission> {
    scopes.iter().copied().filter(|scope| scope.bit() & rights == 0).collect()
}

/// Scopes for a sentence: `a`, `b`.
pub(crate) fn named(scopes: &[Permission]) -> String {
    scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ")
}

/// Scopes of a stored key. A word we don't know may be a right we would not see: it is an error.
pub(crate) fn parse(words: &[String]) -> Result<Vec<Permission>, StoreError> {
    words.iter().map(|word| word.parse().map_err(|error| StoreError::corrupt("api_keys", error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_is_named() {
        let scopes = [Permission::IntentsSubmit, Permission::KeysManage, Permission::RecordRead];
        let over = beyond(&scopes, bits(&[Permission::IntentsSubmit]));
        assert_eq!(named(&over), "`keys:manage`, `record:read`");
        assert!(beyond(&scopes, bits(&scopes)).is_empty());
        assert!(parse(&["intents:submit".to_owned(), "root".to_owned()]).is_err());
    }
}
