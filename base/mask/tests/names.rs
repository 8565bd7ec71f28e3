//! Secrets by the name before them.

use chancery_mask::mask;

fn becomes(pairs: &[(&str, &str)]) {
    for (line, masked) in pairs {
        assert_eq!(mask(line), *masked);
    }
}

fn is_left(lines: &[&str]) {
    for line in lines {
        assert_eq!(mask(line), *line);
    }
}

#[test]
fn names_are_kept_and_values_masked() {
    becomes(&[
        ("password=hunter2 user=bob", "password=[password] user=bob"),
        ("PGPASSWORD=hunter2", "PGPASSWORD=[password]"),
        ("db_passwd: hunter2", "db_passwd: [password]"),
        ("?token=abc&x=1", "?token=[token]&x=1"),
        ("access_token=a.b.c refresh_token=d", "access_token=[token] refresh_token=[token]"),
        ("client_secret=abc&grant_type=x", "client_secret=[secret]&grant_type=x"),
        ("api_key=abc apikey=def API-Key=ghi", "api_key=[key] apikey=[key] API-Key=[key]"),
        ("x-api-key: abc", "x-api-key: [key]"),
        ("private_key=abc", "private_key=[key]"),
        ("routing_key=abc", "routing_key=[key]"),
        ("accessToken=abc", "accessToken=[token]"),
        ("password2=abc", "password2=[password]"),
        ("user[password]=abc&user[name]=x", "user[password]=[password]&user[name]=x"),
        ("user%5Bpassword%5D=abc&x=1", "user%5Bpassword%5D=[password]&x=1"),
        ("next=%2F%3Fpassword%3Dabc%26x%3D1", "next=%2F%3Fpassword%3D[password]%26x%3D1"),
        ("%7B%22password%22%3A%22abc%22%7D", "%7B%22password%22%3A%22[password]%22%7D"),
        ("run --password hunter2 --verbose", "run --password [password] --verbose"),
        ("password => hunter2", "password => [password]"),
        ("Server=x;Password=a;User=y", "Server=x;Password=[password];User=y"),
        ("{password=abc, user=bob}", "{password=[password], user=bob}"),
        ("password=a,b,c", "password=[password]"),
        ("password=a,user=bob", "password=[password],user=bob"),
        ("f(password=abc)", "f(password=[password])"),
        ("password=f(x)", "password=[password]"),
        (
            "\u{1b}[3mpassword\u{1b}[0m\u{1b}[2m=\u{1b}[0mhunter2\u{1b}[0m",
            "\u{1b}[3mpassword\u{1b}[0m\u{1b}[2m=\u{1b}[0m[password]\u{1b}[0m",
        ),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = [key]"),
    ]);
}

#[test]
fn quotes_are_followed_however_deep() {
    becomes(&[
        (r#"{"password":"a b \" c","user":"bob"}"#, r#"{"password":"[password]","user":"bob"}"#),
        (r#"{"password" : "a\\","user":"bob"}"#, r#"{"password" : "[password]","user":"bob"}"#),
        (r#"{"b":"{\"password\":\"a b\",\"u\":1}"}"#, r#"{"b":"{\"password\":\"[password]\",\"u\":1}"}"#),
        (
            r#"{"b":"{\"password\":\"a \\\" b\",\"u\":1}"}"#,
            r#"{"b":"{\"password\":\"[password]\",\"u\":1}"}"#,
        ),
        (
            r#"{"b":"{\"c\":\"{\\\"token\\\":\\\"x y\\\"}\"}"}"#,
            r#"{"b":"{\"c\":\"{\\\"token\\\":\\\"[token]\\\"}\"}"}"#,
        ),
        ("password='a b' x", "password='[password]' x"),
        (r#"Login { password: "a b", user: "bob" }"#, r#"Login { password: "[password]", user: "bob" }"#),
        (r#"password: Some("a b"), user: 1"#, r#"password: Some("[password]"), user: 1"#),
        (r#"password: Some(Secret("a b")), user: 1"#, r#"password: Some(Secret("[password]")), user: 1"#),
        (r#"token: b"a b" x"#, r#"token: b"[token]" x"#),
        (r#""passwords":["a","b"],"x":1"#, r#""passwords":[password],"x":1"#),
        (r#"{"password":"never closed"#, r#"{"password":"[password]"#),
        (r#""msg":"password=abc\nuser=bob""#, r#""msg":"password=[password]\nuser=bob""#),
        (r#"{"password":12345,"x":1}"#, r#"{"password":[password],"x":1}"#),
    ]);
}

#[test]
fn what_is_no_secret_is_left() {
    is_left(&[
        "token_type=Bearer max_tokens=512 tokens=12",
        r#"{"password":null,"secret":true,"token":"","api_key":false}"#,
        r#"{"token":{"id":7,"name":"ci"}}"#,
        "invalid token: expired",
        "token: missing, password: wrong",
        "bypass=1 compass=north pass: 12 fail: 0 pass=12",
        "PWD=/home/x",
        "chancery_mint::token::verify token::sign",
        "if token == other",
        "password= user=bob",
        "secretary=anna tokenizer=bpe",
        "the password is not shown",
        "--password --verbose",
    ]);
}

#[test]
fn credentials_of_headers_are_masked() {
    becomes(&[
        ("Authorization: Bearer abc", "Authorization: Bearer [token]"),
        ("authorization=Bearer abc user=bob", "authorization=Bearer [token] user=bob"),
        (r#""authorization": "Basic dXNlcjpwYXNz""#, r#""authorization": "Basic [token]""#),
        (r#""Proxy-Authorization":"abc def""#, r#""Proxy-Authorization":"[token]""#),
        ("Authorization: Digest username=\"x\"", "Authorization: Digest [token]\"x\""),
        ("Authorization: Token token=y_NbAkKc66ryYTWUXYEu", "Authorization: Token [token]"),
        ("got Bearer abcdefghij0123456789 from", "got Bearer [token] from"),
        ("got Basic dXNlcjpwYXNz from", "got Basic [token] from"),
        ("\"sent Basic dXNlcjpwYXNzMQ==\"", "\"sent Basic [token]\""),
        ("Basic password=\"a b\"", "Basic password=\"[password]\""),
        ("got bearer%20abcdefghij0123456789&x", "got bearer%20[token]&x"),
        ("Cookie: a=b; c=d", "Cookie: [cookie]"),
        ("Set-Cookie: id=abc; Path=/; HttpOnly", "Set-Cookie: [cookie]"),
        ("cookie=a=b; c=d user=bob", "cookie=[cookie] user=bob"),
        (r#""set-cookie":"id=abc; Path=/""#, r#""set-cookie":"[cookie]""#),
    ]);
    is_left(&[
        "Bearer authentication is required",
        "Basic authentication",
        "WWW-Authenticate: Bearer realm=\"x\"",
    ]);
}

fn pem(label: &str, newline: &str) -> String {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    [
        "-----BEGIN LABEL-----",
        body,
        body,
        "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3S",
        "QvNT4w==",
        "-----END LABEL-----",
    ]
    .join(newline)
    .replace("LABEL", label)
}

#[test]
fn private_keys_are_masked_whole() {
    for label in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        for newline in ["\n", "\r\n", "\\n", "\\r\\n", "\\\\n", " "] {
            let text = format!("before\nkey: {}, after", pem(label, newline));
            assert!(!mask(&text).contains("MII") && !mask(&text).contains("QvNT4w"), "{}", mask(&text));
            assert_eq!(mask(&text).replace('\r', ""), "before\nkey: [key], after", "{label} {newline:?}");
        }
    }
    assert_eq!(mask(&format!("private_key={} after", pem("PRIVATE KEY", "\\n"))), "private_key=[key] after");
    let json = format!(r#"{{"private_key":"{}\n","x":1}}"#, pem("PRIVATE KEY", "\\n"));
    assert_eq!(mask(&json), r#"{"private_key":"[key]","x":1}"#);
    let json = format!(r#"{{"pem":"{}\n","x":1}}"#, pem("PRIVATE KEY", "\\n"));
    assert_eq!(mask(&json), r#"{"pem":"[key]\n","x":1}"#);
    let old = pem("RSA PRIVATE KEY", "\n").replacen(
        "KEY-----\n",
        "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n",
        1,
    );
    assert_eq!(mask(&format!("{old}\nafter")), "[key]\nafter");
}

#[test]
fn a_broken_private_key_hides_nothing_else() {
    let text = pem("PRIVATE KEY", "\n").replace("\n-----END PRIVATE KEY-----", "");
    assert_eq!(mask(&format!("{text}\nINFO the next line\nand more")), "[key]\nINFO the next line\nand more");
    assert_eq!(mask("-----BEGIN PRIVATE KEY----- was in it"), "[key] was in it");
    is_left(&[&pem("CERTIFICATE", "\n"), &pem("PUBLIC KEY", "\\n"), "-----BEGIN PRIVATE"]);
}
