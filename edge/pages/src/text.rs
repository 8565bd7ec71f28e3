//! Text that others wrote, made safe to decide by.
//!
//! maud escapes what HTML would read. What remains is text that looks like other text: characters that
//! turn the direction round, take no place, or look like a plain space. Each is shown as its code point,
//! and every text stands in an element whose direction touches nothing around it. Nothing here is ever
//! a link.

use chancery_model::Role;
use maud::{Markup, html};

/// How many combining marks a letter can carry before the next ones are shown by their code points.
const MOST_COMBINING: usize = 2;

/// A piece of text: as it is, or a character to show by its code point.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Odd(char),
    Break,
}

/// Text of others on one line or several, with what cannot be seen made visible.
pub(crate) fn shown(text: &str) -> Markup {
    html! { bdi class="said" { (pieces_of(text)) } }
}

/// Text of others in the order of its characters, whatever their direction: for JSON, whose signs tell where a
/// value ends.
pub(crate) fn shown_in_order(text: &str) -> Markup {
    html! { bdo dir="ltr" class="said" { (pieces_of(text)) } }
}

/// Whether some of a text runs from right to left, so that what is read first need not come first.
pub(crate) fn is_reversed(text: &str) -> bool {
    // The blocks of Hebrew, Arabic and the like: `Bidi_Class` R and AL.
    text.chars().any(|character| {
        matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

/// Text of others for an attribute, such as a label that is read out.
pub(crate) fn spoken(text: &str) -> String {
    pieces(text)
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain(plain) => plain,
            Piece::Odd(odd) => format!("[{}]", code_point(odd)),
            Piece::Break => " ".to_owned(),
        })
        .collect()
}

/// A role as a title: `Approver`.
pub(crate) fn role_title(role: Role) -> String {
    let mut letters = role.as_str().chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn pieces_of(text: &str) -> Markup {
    html! {
        @for piece in pieces(text) {
            @match piece {
                Piece::Plain(plain) => (plain),
                Piece::Odd(odd) => span class="odd" { (code_point(odd)) },
                Piece::Break => { span class="odd" { "U+000A" } br; }
            }
        }
    }
}

fn code_point(odd: char) -> String {
    format!("U+{:04X}", u32::from(odd))
}

fn pieces(text: &str) -> Vec<Piece> {
    let inner = text.trim_matches(' ');
    let before = text.len() - text.trim_start_matches(' ').len();
    let after = if inner.is_empty() { 0 } else { text.len() - text.trim_end_matches(' ').len() };
    let mut pieces: Vec<Piece> = (0..before).map(|_| Piece::Odd(' ')).collect();
    let (mut plain, mut combining) = (String::new(), 0);
    for character in inner.chars() {
        combining = if is_combining(character) { combining + 1 } else { 0 };
        let odd = is_odd(character) || combining > MOST_COMBINING;
        if !odd && character != '\n' {
            plain.push(character);
            continue;
        }
        if !plain.is_empty() {
            pieces.push(Piece::Plain(std::mem::take(&mut plain)));
        }
        pieces.push(if odd { Piece::Odd(character) } else { Piece::Break });
    }
    if !plain.is_empty() {
        pieces.push(Piece::Plain(plain));
    }
    pieces.extend((0..after).map(|_| Piece::Odd(' ')));
    pieces
}

const fn is_combining(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Whether a character cannot be seen, changes how others are seen, or passes for a space. From Unicode's
/// `Default_Ignorable_Code_Point`, `Bidi_Control`, `White_Space`, and the general categories Cc, Cf and Co.
fn is_odd(character: char) -> bool {
    (character.is_control() && character != '\n')
        || (character.is_whitespace() && !matches!(character, ' ' | '\n'))
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}'
            | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffc}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown() {
        let html = shown("pay\u{202e}gpj.exe").into_string();
        assert_eq!(html, r#"<bdi class="said">pay<span class="odd">U+202E</span>gpj.exe</bdi>"#);
        for odd in [
            '\0',
            '\t',
            '\u{a0}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{2028}',
            '\u{2066}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{e0041}',
            '\u{10ffff}',
        ] {
            assert_eq!(pieces(&format!("a{odd}b")).get(1), Some(&Piece::Odd(odd)), "{:x}", u32::from(odd));
        }
    }

    #[test]
    fn blanks_at_the_ends_and_lines_are_shown() {
        use Piece::{Break, Odd, Plain};
        let plain = |text: &str| Plain(text.to_owned());
        assert_eq!(pieces(" a b "), [Odd(' '), plain("a b"), Odd(' ')]);
        assert_eq!(pieces("  "), [Odd(' '), Odd(' ')]);
        assert_eq!(pieces("a\nb"), [plain("a"), Break, plain("b")]);
        assert_eq!(pieces("é ü 漢 עברית"), [plain("é ü 漢 עברית")]);
    }

    #[test]
    fn letters_do_not_pile_up() {
        let marks = "\u{301}".repeat(40);
        let html = shown(&format!("e{marks}")).into_string();
        assert_eq!(html.matches("U+0301").count(), 38);
    }

    #[test]
    fn what_runs_from_right_to_left_is_known() {
        assert!(is_reversed("400 \u{5d0}") && is_reversed("\u{627}") && is_reversed("\u{1e900}"));
        assert!(!is_reversed("400 \u{e9} \u{6f22} \u{1f600}"));
    }

    #[test]
    fn html_is_text() {
        let html = shown("<img src=x onerror=alert(1)>").into_string();
        assert!(!html.contains("<img"), "{html}");
        assert_eq!(spoken("a\u{202e}\nb"), "a[U+202E] b");
    }
}
