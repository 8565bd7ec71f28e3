//! Moments, as people read them. All are UTC: the server does not know where its reader is.

use chancery_model::Timestamp;
use maud::{Markup, html};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `15 Jan 2027, 08:00 UTC`.
pub(crate) fn moment(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (exact(at)) } }
}

/// `15 Jan 2027`.
pub(crate) fn day(at: Timestamp) -> Markup {
    html! { time datetime=(at) { (date(at)) } }
}

/// `2 hours ago`, or `in 2 hours`; exact for whoever points at it.
pub(crate) fn relative(at: Timestamp, now: Timestamp) -> Markup {
    let text = if at > now { format!("in {}", span(now, at)) } else { ago(at, now) };
    html! { time datetime=(at) title=(exact(at)) { (text) } }
}

/// `2 hours left`, or `over`.
pub(crate) fn left(until: Timestamp, now: Timestamp) -> Markup {
    let text = if until > now { format!("{} left", span(now, until)) } else { "over".to_owned() };
    html! { time datetime=(until) title=(exact(until)) { (text) } }
}

fn exact(at: Timestamp) -> String {
    let offset = at.to_offset();
    format!("{}, {:02}:{:02} UTC", date(at), offset.hour(), offset.minute())
}

fn date(at: Timestamp) -> String {
    let at = at.to_offset();
    let month = MONTHS.get(usize::from(u8::from(at.month())).saturating_sub(1)).copied().unwrap_or_default();
    format!("{} {month} {}", at.day(), at.year())
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    if now.as_seconds() - at.as_seconds() < 60 {
        "just now".to_owned()
    } else {
        format!("{} ago", span(at, now))
    }
}

/// How long it is from one moment to a later one, in the largest unit that is full at least twice, or once.
fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to.as_seconds() - from.as_seconds()).max(0);
    let (count, unit) = match seconds {
        0..60 => return "less than a minute".to_owned(),
        60..5_400 => (seconds / 60, "minute"),
        5_400..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_people_say_them() {
        // 2027-01-15T08:00:00Z
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let text = |markup: Markup| {
            let html = markup.into_string();
            html.split('>').nth(1).unwrap_or_default().trim_end_matches("</time").to_owned()
        };
        assert_eq!(text(moment(now)), "15 Jan 2027, 08:00 UTC");
        assert_eq!(text(day(now)), "15 Jan 2027");
        assert_eq!(text(relative(now.plus_seconds(-59), now)), "just now");
        assert_eq!(text(relative(now.plus_seconds(-60), now)), "1 minute ago");
        assert_eq!(text(relative(now.plus_seconds(-7_200), now)), "2 hours ago");
        assert_eq!(text(relative(now.plus_seconds(3 * 86_400), now)), "in 3 days");
        assert_eq!(text(left(now.plus_seconds(30), now)), "less than a minute left");
        assert_eq!(text(left(now, now)), "over");
    }
}
