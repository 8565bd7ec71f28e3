//! Signing with a passkey: a form that only the script can fill.

use maud::{Markup, html};

use crate::field::csrf_field;
use crate::paths;

/// A button that proves who one is with a passkey. The script takes the options from the server, asks the
/// browser, puts the answer into the field `credential`, and posts the form. Without it, the button does
/// not show.
pub(crate) fn prove(csrf: &str, action: &str, purpose: &str, label: &str, extra: &Markup) -> Markup {
    html! {
        form method="post" action=(action) data-passkey="get" data-options=(paths::PASSKEY_REQUEST) hidden {
            (csrf_field(csrf))
            input type="hidden" name="purpose" value=(purpose);
            input type="hidden" name="credential";
            (extra)
            button type="submit" class="wide" { (label) }
            p class="error" role="alert" data-passkey-error hidden {}
        }
    }
}
