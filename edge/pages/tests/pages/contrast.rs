//! Whether the tokens can be told apart: WCAG 2.2, 1.4.3 (text, 4.5 : 1) and 1.4.11 (edges, 3 : 1).

use std::collections::BTreeMap;

use chancery_pages::STYLESHEET;

/// The colours among the tokens of a block.
fn colours(block: &str) -> BTreeMap<&str, [f64; 3]> {
    block
        .split(';')
        .filter_map(|line| line.trim().split_once(": #"))
        .map(|(name, hex)| {
            let channel = |at: usize| {
                let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            (name, [channel(0), channel(2), channel(4)])
        })
        .collect()
}

fn luminance([red, green, blue]: [f64; 3]) -> f64 {
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn what_is_written_can_be_read_in_both_schemes() {
    let blocks: Vec<&str> =
        STYLESHEET.text().split(":root {").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    let grounds = ["--ground", "--surface", "--sunk"];
    let texts =
        ["--ink", "--ink-soft", "--accent", "--accent-hover", "--good", "--warn", "--bad", "--bad-hover"];
    let mut pairs: Vec<(&str, &str, f64)> = Vec::new();
    for ground in grounds {
        pairs.extend(texts.map(|text| (text, ground, 4.5)));
        pairs.extend(["--edge", "--focus"].map(|edge| (edge, ground, 3.0)));
    }
    for soft in ["--good-soft", "--warn-soft", "--bad-soft"] {
        pairs.push((soft.trim_end_matches("-soft"), soft, 4.5));
        pairs.push(("--ink", soft, 4.5));
        pairs.push(("--warn", "--warn-soft", 4.5));
    }
    for (ink, ground) in [
        ("--accent-ink", "--accent"),
        ("--accent-ink", "--accent-hover"),
        ("--bad-ink", "--bad"),
        ("--bad-ink", "--bad-hover"),
    ] {
        pairs.push((ink, ground, 4.5));
    }
    let mut found = Vec::new();
    for (scheme, block) in ["light", "dark"].into_iter().zip(blocks) {
        let colours = colours(block);
        for &(one, other, least) in &pairs {
            let ratio = contrast(colours[one], colours[other]);
            if ratio < least {
                found.push(format!("{scheme}: {one} on {other} is {ratio:.2}, and not {least}"));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
