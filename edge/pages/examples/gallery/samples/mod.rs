//! Every page in its states: empty, filled, with errors, with hostile text, and with very long text.
//! The gallery writes them down, and the tests walk them.

use std::path::Path;

use chancery_model::Timestamp;
use chancery_pages::{ASSETS, Door, FOLDER, Flash, Frame, Opens, Tone};

mod account;
mod approvals;
mod door;
mod members;
mod settings;

/// A page, by the name of its file.
pub(crate) type Sample = (&'static str, String);

/// All of them.
pub(crate) fn all() -> Vec<Sample> {
    [door::all(), account::all(), settings::all(), members::all(), approvals::all()].concat()
}

/// Writes them into a folder, with the assets and a list.
pub(crate) fn write(folder: &Path) -> std::io::Result<()> {
    let assets = folder.join("assets");
    std::fs::create_dir_all(&assets)?;
    for asset in ASSETS {
        std::fs::write(assets.join(asset.file_name()), asset.text())?;
    }
    let mut index =
        String::from("<!doctype html><html lang=en><meta charset=utf-8><title>Gallery</title><ul>");
    for (name, html) in all() {
        // A file has no root: what is below the server's is beside the page here.
        let html = html.replace(&format!("=\"{FOLDER}"), "=\"assets/");
        std::fs::write(folder.join(format!("{name}.html")), html)?;
        index.push_str(&format!("<li><a href='{name}.html'>{name}</a>"));
    }
    std::fs::write(folder.join("index.html"), index)
}

/// Text of somebody who wants to be taken for somebody else.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(2)> \u{202e}gnp.ecioivni\u{202c} \
    in\u{200b}visible https://evil.example/ <a href=\"javascript:alert(3)\">approve</a> \u{feff}\u{e0041}";

/// A word that has no place to break.
pub(crate) fn long_word() -> String {
    "Pneumono".repeat(1_280)
}

/// The moment at which all of it is looked at: 15 January 2027, 08:00.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// A moment so many minutes before.
pub(crate) const fn before(minutes: i64) -> Timestamp {
    NOW.plus_seconds(-60 * minutes)
}

/// A moment so many minutes later.
pub(crate) const fn after(minutes: i64) -> Timestamp {
    NOW.plus_seconds(60 * minutes)
}

fn door() -> Door {
    Door { csrf: "a1b2c3".to_owned(), organization: None, flash: None }
}

pub(crate) fn frame() -> Frame {
    Frame {
        csrf: "a1b2c3".to_owned(),
        organization: "Northwind Payments".to_owned(),
        in_several: true,
        name: "Ada Moreau".to_owned(),
        email: "ada@northwind.example".to_owned(),
        now: NOW,
        opens: Opens { approvals: Some(3), members: true, settings: true },
        flash: None,
        halted: None,
    }
}

fn hostile_frame() -> Frame {
    Frame {
        organization: HOSTILE.to_owned(),
        name: long_word(),
        halted: Some(HOSTILE.to_owned()),
        flash: Some(flash(Tone::Failed, HOSTILE)),
        ..frame()
    }
}

fn flash(tone: Tone, text: &str) -> Flash {
    Flash { tone, text: text.to_owned() }
}

fn text(text: &str) -> String {
    text.to_owned()
}
