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
    /// A use is told of before the token was minted.
    UsedEarly,
    /// The end of a call is told of before it was opened.
    ClosedEarly,
    /// It was released before all had agreed.
    ReleasedEarly,
    /// The call was closed twice.
    ClosedTwice,
    /// It was released twice.
    ReleasedTwice,
    /// It was released, and nobody was asked.
    ReleasedUnasked,
    /// It was released although it was rejected, cancelled or expired.
    ReleasedAfterEnd,
    /// It was released with one person less than required.
    TooFew,
    /// It was released with one person less than required, and the payloads are not there to tell.
    WithheldTooFew,
    /// It was released with one person counted twice.
    OnePersonTwice,
    /// It was released with no admin, and one was required.
    LowerRole,
    /// It was released although one took their answer back.
    TakenBack,
    /// It was escalated and released, and nothing was required.
    NothingRequired,
    /// What was released is another intent.
    ReleasedOfAnother,
    /// What was released is not what was escalated there.
    ReleasedElsewhere,
    /// It was released to another than asked.
    ReleasedForAnother,
    /// It was released by a decision that does not allow it.
    ReleasedEffect,
    /// It was refused again by a decision that allows it.
    DeniedAgainEffect,
    /// It was refused again, with a token.
    DeniedAgainWithToken,
    /// It was refused again, and a call was opened.
    DeniedAgainWithCall,
    /// The leaf of the release refers to no token, and there is one.
    ReleasedRefersToNoToken,
    /// The leaf of an approval refers to another person than its payload.
    AnswerRefersToAnother,
    /// An approval is of other content.
    ApprovalOfAnotherHash,
    /// The result tells no outcome.
    ResultWithoutOutcome,
    /// The call that was closed went through another connector.
    ClosedAsAnother,
    /// A call was closed that none opened.
    ClosedUnopened,
    /// A call was opened, and a token minted as well.
    CalledWithToken,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 44] = [
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
        Self::UsedEarly,
        Self::ClosedEarly,
        Self::ReleasedEarly,
        Self::ClosedTwice,
        Self::ReleasedTwice,
        Self::ReleasedUnasked,
        Self::ReleasedAfterEnd,
        Self::TooFew,
        Self::WithheldTooFew,
        Self::OnePersonTwice,
        Self::LowerRole,
        Self::TakenBack,
        Self::NothingRequired,
        Self::ReleasedOfAnother,
        Self::ReleasedElsewhere,
        Self::ReleasedForAnother,
        Self::ReleasedEffect,
        Self::DeniedAgainEffect,
        Self::DeniedAgainWithToken,
        Self::DeniedAgainWithCall,
        Self::ReleasedRefersToNoToken,
        Self::AnswerRefersToAnother,
        Self::ApprovalOfAnotherHash,
        Self::ResultWithoutOutcome,
        Self::ClosedAsAnother,
        Self::ClosedUnopened,
        Self::CalledWithToken,
    ];

    /// The finding it leads to.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::IntentHash => "intent-hash",
            Self::CanonicalForm => "intent-form",
            Self::Effect | Self::ReleasedEffect | Self::DeniedAgainEffect => "effect",
            Self::TokenBinding | Self::TokenOrganization => "token-binding",
            Self::TokenKey | Self::TokenClaims => "token-signature",
            Self::TokenUsedTwice | Self::WithheldUseTwice | Self::ClosedTwice | Self::ReleasedTwice => "once",
            Self::TokenUseOfAnother => "token-use",
            Self::KeyThumbprint => "key-unproven",
            Self::ApprovalOfAnother | Self::ApprovalOfAnotherHash => "approvals",
            Self::ResultOfAnother | Self::ResultWithoutOutcome => "result",
            Self::OpeningRefersToAnother
            | Self::OpeningRefersToNoToken
            | Self::UseRefersToAnother
            | Self::WithheldUseOfAnother
            | Self::ReleasedRefersToNoToken
            | Self::AnswerRefersToAnother => "refs",
            Self::UsedEarly | Self::ClosedEarly | Self::ReleasedEarly => "order",
            Self::ReleasedUnasked => "escalation",
            Self::ReleasedAfterEnd => "ended",
            Self::ReleasedOfAnother | Self::ReleasedElsewhere | Self::ReleasedForAnother => "released",
            Self::DeniedAgainWithToken => "token",
            Self::DeniedAgainWithCall
            | Self::ClosedAsAnother
            | Self::ClosedUnopened
            | Self::CalledWithToken => "execution",
            Self::TooFew
            | Self::WithheldTooFew
            | Self::OnePersonTwice
            | Self::LowerRole
            | Self::TakenBack
            | Self::NothingRequired => "requirements",
        }
    }

    /// Whether it shows only where people are asked.
    pub(super) const fn is_of_people(self) -> bool {
        matches!(
            self,
            Self::ApprovalOfAnother
                | Self::ApprovalOfAnotherHash
                | Self::AnswerRefersToAnother
                | Self::ReleasedEarly
                | Self::ReleasedTwice
                | Self::ReleasedAfterEnd
                | Self::ReleasedOfAnother
                | Self::ReleasedElsewhere
                | Self::ReleasedForAnother
                | Self::ReleasedEffect
                | Self::ReleasedRefersToNoToken
                | Self::DeniedAgainEffect
                | Self::DeniedAgainWithToken
                | Self::DeniedAgainWithCall
                | Self::TooFew
                | Self::WithheldTooFew
                | Self::OnePersonTwice
                | Self::LowerRole
                | Self::TakenBack
                | Self::NothingRequired
        )
    }
}
