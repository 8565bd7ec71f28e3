//! Walks the HTML of every page. Each rule is shown a page that breaks it, too.

use std::collections::BTreeSet;

use chancery_pages::{ChangePassword, Door, Field, PasswordRules, SecondFactor, SignIn};
use html5gum::{Token, Tokenizer};

use crate::samples;

/// A tag with its attributes, or a text with the tags around it.
enum Piece {
    Start { name: String, attributes: Vec<(String, String)> },
    Text { text: String, inside: String },
}

fn read(html: &str) -> Vec<Piece> {
    let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (mut pieces, mut inside) = (Vec::new(), String::new());
    for token in Tokenizer::new(html) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                inside = owned(&tag.name);
                let attributes =
                    tag.attributes.iter().map(|(name, value)| (owned(name), owned(value))).collect();
                pieces.push(Piece::Start { name: inside.clone(), attributes });
            }
            Token::EndTag(_) => inside.clear(),
            Token::String(text) => pieces.push(Piece::Text { text: owned(&text), inside: inside.clone() }),
            Token::Error(error) => panic!("no HTML: {error:?}"),
            Token::Comment(_) | Token::Doctype(_) => {}
        }
    }
    pieces
}

/// Everything that is wrong with a page.
fn wrong(html: &str) -> Vec<String> {
    let pieces = read(html);
    [foreign(&pieces), forms(&pieces), labels(&pieces), ids(&pieces), outline(html, &pieces), odd(&pieces)]
        .concat()
}

fn attribute<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn starts(pieces: &[Piece]) -> impl Iterator<Item = (&str, &[(String, String)])> {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Start { name, attributes } => Some((name.as_str(), attributes.as_slice())),
        Piece::Text { .. } => None,
    })
}

/// What the policy for content refuses, what runs, and what leads or loads from elsewhere.
fn foreign(pieces: &[Piece]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, attributes) in starts(pieces) {
        if ["style", "base", "iframe", "object", "embed", "template"].contains(&name) {
            found.push(format!("foreign: <{name}>"));
        }
        if name == "script" && attribute(attributes, "src").is_none() {
            found.push("foreign: a script in the page".to_owned());
        }
        for (attribute, value) in attributes {
            let is_address = ["href", "src", "action", "formaction", "data-live", "data-options"]
                .contains(&attribute.as_str());
            let is_picture = value.starts_with("data:image/svg+xml,") && ["img", "link"].contains(&name);
            let is_ours = value.is_empty()
                || value.starts_with('#')
                || (value.starts_with('/') && !value.starts_with("//"));
            if attribute == "style" || attribute.starts_with("on") || (is_address && !is_ours && !is_picture)
            {
                found.push(format!("foreign: {attribute}={value:?} of <{name}>"));
            }
        }
    }
    found
}

/// Every form posts, and carries `csrf` once.
fn forms(pieces: &[Piece]) -> Vec<String> {
    let mut found: Vec<(String, u32)> = Vec::new();
    for (name, attributes) in starts(pieces) {
        if name == "form" {
            let action = attribute(attributes, "action").unwrap_or("nowhere").to_owned();
            let posts = attribute(attributes, "method") == Some("post");
            found.push((action, if posts { 0 } else { 99 }));
        } else if name == "input" && attribute(attributes, "name") == Some("csrf") {
            let is_set = attribute(attributes, "value").is_some_and(|value| !value.is_empty());
            found.last_mut().unwrap().1 += if is_set { 1 } else { 99 };
        }
    }
    found.retain(|(_, count)| *count != 1);
    found.into_iter().map(|(action, _)| format!("form: to {action}")).collect()
}

/// Every field has a label of its own, and every button says something.
fn labels(pieces: &[Piece]) -> Vec<String> {
    let labelled: BTreeSet<&str> = starts(pieces)
        .filter(|(name, _)| *name == "label")
        .filter_map(|(_, list)| attribute(list, "for"))
        .collect();
    let is_labelled = |attributes| attribute(attributes, "id").is_some_and(|id| labelled.contains(id));
    starts(pieces)
        .filter(|(name, list)| {
            let is_hidden = attribute(list, "type") == Some("hidden");
            ["input", "select", "textarea"].contains(name) && !is_hidden && !is_labelled(list)
        })
        .map(|(name, list)| format!("label: none for <{name} name={:?}>", attribute(list, "name")))
        .collect()
}

/// Every id is there once, and what is referred to exists.
fn ids(pieces: &[Piece]) -> Vec<String> {
    let (mut ids, mut found) = (BTreeSet::new(), Vec::new());
    for id in starts(pieces).filter_map(|(_, list)| attribute(list, "id")) {
        if !ids.insert(id) {
            found.push(format!("id: {id} twice"));
        }
    }
    for (_, attributes) in starts(pieces) {
        for name in ["for", "aria-labelledby", "aria-describedby", "data-copy", "data-reveal"] {
            for id in attribute(attributes, name).unwrap_or_default().split_whitespace() {
                if !ids.contains(id) {
                    found.push(format!("id: {name} of {id}, which is nowhere"));
                }
            }
        }
    }
    found
}

/// A page has a language, a title, one first heading, and a way past its head.
fn outline(html: &str, pieces: &[Piece]) -> Vec<String> {
    let count = |wanted: &str| starts(pieces).filter(|(name, _)| *name == wanted).count();
    let rules = [
        ("doctype", html.starts_with("<!DOCTYPE html><html lang=\"en\">")),
        ("h1", count("h1") == 1),
        ("main", count("main") == 1),
        ("title", count("title") == 1 && !html.contains("<title></title>")),
        ("skip", html.contains("<a class=\"skip\" href=\"#content\">") && html.contains("id=\"content\"")),
    ];
    rules.iter().filter(|(_, holds)| !holds).map(|(rule, _)| format!("outline: {rule}")).collect()
}

/// What cannot be seen is nowhere but in what somebody typed, which has to come back as it was.
fn odd(pieces: &[Piece]) -> Vec<String> {
    let has_odd = |text: &str| {
        text.chars().any(|character| "\u{202e}\u{202c}\u{200b}\u{feff}\u{e0041}".contains(character))
    };
    pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Text { text, inside } if inside != "textarea" && has_odd(text) => Some(text.clone()),
            Piece::Start { attributes, .. } => attributes
                .iter()
                .find(|(name, value)| name != "value" && has_odd(value))
                .map(|(name, value)| format!("{name}={value}")),
            Piece::Text { .. } => None,
        })
        .map(|text| format!("odd: {text:?}"))
        .collect()
}

#[test]
fn nothing_is_wrong_with_any_page() {
    let found: Vec<String> = samples::all()
        .into_iter()
        .flat_map(|(name, html)| {
            wrong(&html).into_iter().map(move |problem| format!("{name}: {problem:.200}"))
        })
        .collect();
    assert!(samples::all().len() > 80);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_is_wrong_is_found() {
    let good = SignIn {
        door: Door { csrf: "x".to_owned(), ..Door::default() },
        by_password: true,
        ..SignIn::default()
    };
    let good = good.render();
    assert_eq!(wrong(&good), Vec::<String>::new());
    for (rule, before, after) in [
        ("foreign: <style>", "</main>", "<style></style></main>"),
        ("foreign: a script", "</main>", "<script>1</script></main>"),
        ("foreign: style", "<h1", "<h1 style=\"color:red\""),
        ("foreign: onclick", "<h1", "<h1 onclick=\"x()\""),
        ("foreign: href", "</main>", "<a href=\"https://evil.example\">x</a></main>"),
        ("foreign: href", "</main>", "<a href=\"//evil.example\">x</a></main>"),
        ("foreign: href", "</main>", "<a href=\"javascript:x()\">x</a></main>"),
        ("form: to /sign-in", "<input type=\"hidden\" name=\"csrf\" value=\"x\">", ""),
        ("form: to /sign-in", "value=\"x\"", "value=\"\""),
        ("form: to /sign-in", "method=\"post\"", "method=\"get\""),
        ("label: none", "for=\"email\"", "for=\"other\""),
        ("id: for of other, which", "for=\"email\"", "for=\"other\""),
        ("id: email twice", "id=\"password\"", "id=\"email\""),
        ("outline: h1", "h1", "h2"),
        ("outline: skip", "class=\"skip\"", ""),
        ("odd: ", "</h1>", "\u{202e}</h1>"),
        ("odd: ", "<h1", "<h1 title=\"\u{200b}\""),
    ] {
        assert!(good.contains(before), "{before}");
        let found = wrong(&good.replace(before, after));
        assert!(found.iter().any(|problem| problem.contains(rule)), "{rule}: {found:?}");
    }
}

#[test]
fn secrets_are_not_sent_back() {
    let secret = || Field::refused("hunter2-5471", "That is not right.");
    let door = Door::default();
    let pages = [
        SignIn { door: door.clone(), by_password: true, password: secret(), ..SignIn::default() }.render(),
        SecondFactor {
            door,
            proofs: chancery_pages::Proofs {
                code: Some(secret()),
                recovery_code: Some(secret()),
                password: Some(secret()),
                passkey: false,
            },
            ..SecondFactor::default()
        }
        .render(),
        ChangePassword {
            frame: samples::frame(),
            rules: PasswordRules::default(),
            current: Some(secret()),
            password: secret(),
        }
        .render(),
    ];
    for page in pages {
        assert!(page.contains("That is not right.") && !page.contains("hunter2-5471"), "{page}");
    }
}

#[test]
fn a_value_and_its_name_are_told_whole() {
    let (_, html) = samples::all().into_iter().find(|(name, _)| *name == "approval-hostile").unwrap();
    let word = samples::long_word();
    assert!(html.contains(&format!("<code class=\"value text\"><bdi class=\"said\">{word}</bdi></code>")));
    assert!(html.contains(&format!("<dt><bdi class=\"said\">{word}</bdi></dt>")));
}

#[test]
fn no_markup_is_taken_from_a_string() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            assert!(!std::fs::read_to_string(&path).unwrap().contains("PreEscaped"), "{}", path.display());
        }
    }
    assert!(files > 20);
}
