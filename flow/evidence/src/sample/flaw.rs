//! Records that lie.

/// What the record itself may have wrong, though a trusted key signed it: an exporter or a server
/// that lies about meaning, not about bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The intent's hash is another's.
    IntentHash,
    /// The canonical form has a member too many.
    CanonicalForm,
    /// The effect is not that of the entry's type.
    Effect,
    /// The token names another intent.
    TokenBinding,
    /// The token names another organization.
    TokenOrganization,
    /// The token was signed by a key that no entry published.
    TokenKey,
    /// The token's signature covers other claims.
    TokenClaims,
    /// The token was used twice.
    TokenUsedTwice,
    /// The use is of another token.
    TokenUseOfAnother,
    /// The published key has another thumbprint.
    KeyThumbprint,
    /// An approval is of another intent.
    ApprovalOfAnother,
    /// The result is of another intent.
    ResultOfAnother,
    /// The opening's leaf refers to another intent than its payload.
    OpeningRefersToAnother,
    /// The opening's leaf refers to no token, and there is one.
    OpeningRefersToNoToken,
    /// A use's leaf refers to another token than its payload.
    UseRefersToAnother,
    /// A use is of another token, and its payload is not there to tell.
    WithheldUseOfAnother,
    /// The token was used twice, and the payloads are not there to tell.
    WithheldUseTwice,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::IntentHash,
        Self::CanonicalForm,
        Self::Effect,
        Self::TokenBinding,
        Self::TokenOrganization,
        Self::TokenKey,
        Self::TokenClaims,
        Self::TokenUsedTwice,
        Self::TokenUseOfAnother,
        Self::KeyThumbprint,
        Self::ApprovalOfAnother,
        Self::ResultOfAnother,
        Self::OpeningRefersToAnother,
        Self::OpeningRefersToNoToken,
        Self::UseRefersToAnother,
        Self::WithheldUseOfAnother,
        Self::WithheldUseTwice,
    ];

    /// The finding it leads to.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::IntentHash => "intent-hash",
            Self::CanonicalForm => "intent-form",
            Self::Effect => "effect",
            Self::TokenBinding | Self::TokenOrganization => "token-binding",
            Self::TokenKey | Self::TokenClaims => "token-signature",
            Self::TokenUsedTwice | Self::WithheldUseTwice => "once",
            Self::TokenUseOfAnother => "token-use",
            Self::KeyThumbprint => "key-unproven",
            Self::ApprovalOfAnother => "approvals",
            Self::ResultOfAnother => "result",
            Self::OpeningRefersToAnother
            | Self::OpeningRefersToNoToken
            | Self::UseRefersToAnother
            | Self::WithheldUseOfAnother => "refs",
        }
    }
}
