//! Setting up an authenticator app: its key, shown while it is set up, and recovery codes, shown once.

use maud::{Markup, html};

use super::{Part, page};
use crate::factor::code_input;
use crate::field::{Field, form};
use crate::frame::{Frame, titled};
use crate::paths;

/// Setting up an authenticator app. Posts `code` to [`paths::TOTP_CONFIRM`].
#[derive(Clone, Debug)]
pub struct TotpEnrolment {
    /// What stands around it.
    pub frame: Frame,
    /// The QR code of the `otpauth:` address, as a document of SVG. It is shown as a picture, in which
    /// neither scripts nor links work.
    pub qr_svg: String,
    /// The key for whoever types it, in base32.
    pub key: String,
    /// The first code; only its error shows.
    pub code: Field,
}

impl TotpEnrolment {
    /// The page.
    #[must_use]
    pub fn render(&self) -> String {
        let content = html! {
            ol class="steps" {
                li {
                    h2 { "Scan this with the app" }
                    img class="qr" src=(picture(&self.qr_svg)) width="200" height="200"
                        alt="QR code with the key that is written below";
                    details class="more" {
                        summary { "Type the key instead" }
                        p { code class="key" id="totp-key" { (grouped(&self.key)) }
                            button type="button" class="quiet small" data-copy="totp-key" hidden { "Copy" } }
                        p class="hint" { "Based on time, six digits, 30 seconds." }
                    }
                }
                li {
                    h2 { "Type the code it shows" }
                    (form(&self.frame.csrf, paths::TOTP_CONFIRM, &html! {
                        (code_input(&self.code))
                        div class="actions" {
                            button type="submit" class="primary" { "Turn it on" }
                            a class="button" href=(paths::FACTORS) { "Cancel" }
                        }
                    }))
                }
            }
        };
        let title = titled("Set up an authenticator app", usize::from(self.code.error.is_some()));
        let about = "Any app that shows time-based codes will do.";
        page(&self.frame, Part::Factors, &title, "Set up an authenticator app", about, &content)
    }
}

/// New recovery codes, shown once.
#[derive(Clone, Debug)]
pub struct RecoveryCodes {
    /// What stands around it.
    pub frame: Frame,
    /// The codes.
    pub codes: Vec<String>,
}

impl RecoveryCodes {
    /// The page. It must not be cached: `Cache-Control: no-store`.
    #[must_use]
    pub fn render(&self) -> String {
        let content = html! {
            div class="notice" role="note" {
                p {
                    strong { "Keep them now." }
                    " They are not shown again. Print them, or put them into a password manager."
                }
            }
            ul class="codes" id="recovery-codes" { @for code in &self.codes { li { code { (code) } } } }
            p class="actions" {
                a class="button primary" href=(paths::FACTORS) { "I have kept them" }
                button type="button" data-copy="recovery-codes" hidden { "Copy all" }
            }
        };
        let about = "Each signs you in once, when your phone is not at hand.";
        page(&self.frame, Part::Factors, "Recovery codes", "Recovery codes", about, &content)
    }
}

/// The key in groups of four, as people read it out.
fn grouped(key: &str) -> Markup {
    let mut text = String::new();
    for (place, character) in key.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push(' ');
        }
        text.push(character);
    }
    html! { (text) }
}

/// A picture as an address (RFC 2397): what is no unreserved character (RFC 3986) is encoded.
fn picture(svg: &str) -> String {
    use std::fmt::Write as _;
    let mut address = String::from("data:image/svg+xml,");
    for byte in svg.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_an_address_and_nothing_else() {
        assert_eq!(picture("<svg a=\"é\">"), "data:image/svg+xml,%3Csvg%20a%3D%22%C3%A9%22%3E");
    }

    #[test]
    fn a_key_is_read_in_fours() {
        assert_eq!(grouped("ABCDEFGHI").into_string(), "ABCD EFGH I");
    }
}
