//! Writes every page, in its states, as a file, with the assets beside them:
//! `cargo run -p chancery-pages --example gallery -- DIR`, then open `DIR/index.html`.

use std::error::Error;
use std::path::Path;

use chancery_pages::{ASSETS, FOLDER};

mod samples;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: gallery DIR")?;
    write(Path::new(&folder))?;
    Ok(())
}

fn write(folder: &Path) -> std::io::Result<()> {
    let assets = folder.join("assets");
    std::fs::create_dir_all(&assets)?;
    for asset in ASSETS {
        std::fs::write(assets.join(asset.file_name()), asset.text())?;
    }
    let mut index =
        String::from("<!doctype html><html lang=en><meta charset=utf-8><title>Gallery</title><ul>");
    for (name, html) in samples::all() {
        // A file has no root: what is below the server's is beside the page here.
        let html = html.replace(&format!("=\"{FOLDER}"), "=\"assets/");
        std::fs::write(folder.join(format!("{name}.html")), html)?;
        index.push_str(&format!("<li><a href='{name}.html'>{name}</a>"));
    }
    std::fs::write(folder.join("index.html"), index)
}
