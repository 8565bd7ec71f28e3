//! What tells who a person is. Numbers are those that the issuers publish as samples, or made up.

use chancery_mask::mask;

/// Each is masked alone and in lines.
fn are_masked(word: &str, samples: &[&str]) {
    for sample in samples {
        for line in [
            "SAMPLE",
            r#"{"level":"info","msg":"seen SAMPLE here","n":1}"#,
            r#"{"value":"SAMPLE","n":1}"#,
            r#"{"body":"first\nSAMPLE\nlast"}"#,
            "ts=2026-11-27T19:28:44Z value=SAMPLE status=200",
            "It was SAMPLE, then (SAMPLE); SAMPLE.",
            "\u{1b}[1mSAMPLE\u{1b}[0m",
            "número:SAMPLE：SAMPLE",
        ] {
            assert_eq!(mask(&line.replace("SAMPLE", sample)), line.replace("SAMPLE", word), "{sample}");
        }
    }
}

fn are_left(samples: &[&str]) {
    for sample in samples {
        for line in ["SAMPLE", "a SAMPLE b", "value=SAMPLE", "\"SAMPLE\""] {
            let line = line.replace("SAMPLE", sample);
            assert_eq!(mask(&line), line, "{sample}");
        }
    }
}

fn becomes(pairs: &[(&str, &str)]) {
    for (line, masked) in pairs {
        assert_eq!(mask(line), *masked);
    }
}

#[test]
fn addresses_are_masked() {
    are_masked(
        "[email]",
        &[
            "alice@example.com",
            "a.b-c_d+tag@mail.example.co.uk",
            "o'brien@example.ie",
            "jörg@exämple.de",
            "用户@例子.广告",
            "x@xn--bcher-kva.example",
            "a@163.com",
            "alice%40example.com",
            "alice%2Btag%40example.com",
        ],
    );
    becomes(&[
        ("mailto:alice@example.com?subject=x", "mailto:[email]?subject=x"),
        ("<alice@example.com>", "<[email]>"),
        ("%3Calice%40example.com%3E", "%3C[email]%3E"),
        (r"\u003calice@example.com\u003e", r"\u003c[email]\u003e"),
        ("bounces+alice=example.org@lists.example.com", "[email]"),
        ("user=alice@example.com", "user=[email]"),
        ("alice@example.com,bob@example.com", "[email],[email]"),
        ("'alice@example.com'", "'[email]'"),
        ("5511987654321@s.whatsapp.net", "[email]"),
        ("john.12345678Z@example.com", "[email]"),
        ("a@b.com-foo x", "[email] x"),
        ("\u{1b}[38;5;208malice@example.com", "\u{1b}[38;5;208m[email]"),
    ]);
    are_left(&[
        "@scope/package@1.2.3",
        "user@host",
        "package@1.2.3-beta.rc",
        "root@10.0.0.1",
        "git@github.com:org/repo",
        "@example.com",
        "a@.com",
        "image@sha256:0a1b",
        "a@b.c",
        "alice at example.com",
    ]);
}

#[test]
fn telephone_numbers_are_masked() {
    are_masked(
        "[phone]",
        &[
            "+5511987654321",
            "+55 11 98765-4321",
            "+55 (11) 98765-4321",
            "+1 (555) 234-5678",
            "+1-555-234-5678",
            "+1.555.234.5678",
            "+44 20 7946 0958",
            "+44 (0)20 7946 0958",
            "+351 912 345 678",
            "+34 612 34 56 78",
            "+52 55 1234 5678",
            "+54 9 11 4321-5678",
            "+56 9 8765 4321",
            "+49 30 901820",
            "%2B5511987654321",
            "+55\u{a0}11\u{a0}98765\u{2011}4321",
            "(11) 98765-4321",
            "(11) 987654321",
            "(555) 234-5678",
            "(011) 4321-5678",
            "(02) 9876 5432",
            "555-234-5678",
            "555.234.5678",
            "1-555-234-5678",
            "11 98765-4321",
            "11 4321-5678",
            "55-1234-5678",
            "011 98765-4321",
            "020 7946 0958",
            "07700 900123",
            "06 12 34 56 78",
            "0412 345 678",
        ],
    );
    becomes(&[
        ("phone=5511987654321", "phone=[phone]"),
        (r#"{"phone_number":"11987654321"}"#, r#"{"phone_number":"[phone]"}"#),
        (r#"{"phoneNumber": 11987654321}"#, r#"{"phoneNumber": [phone]}"#),
        ("Tel.: 234 5678", "Tel.: [phone]"),
        ("tel:5552345678", "tel:[phone]"),
        ("WhatsApp 55 11 98765 4321", "WhatsApp [phone]"),
        ("phone number is 912 345 678", "phone number is [phone]"),
        ("userTel=912345678", "userTel=[phone]"),
        (
            "\u{1b}[3mphone\u{1b}[0m\u{1b}[2m=\u{1b}[0m912345678",
            "\u{1b}[3mphone\u{1b}[0m\u{1b}[2m=\u{1b}[0m[phone]",
        ),
        ("+5511987654321 200 12", "[phone] 200 12"),
        ("+1 555 234 5678 200", "[phone] 200"),
        ("200 555-234-5678", "200 [phone]"),
    ]);
}

#[test]
fn what_only_has_digits_is_left() {
    are_left(&[
        "5511987654320",
        "2026-11-27T19:28:44.123456789+00:00",
        "2026-11-27 19:28:44,123",
        "27/11/2026 19:28",
        "20261127192844",
        "1795807724",
        "1795807724123",
        "1795807724123456",
        "1795807724123456789",
        "0190a5c2-7b1e-7c3a-9f00-5d2c8a1b4e6f",
        "12345678-1234-1234-1234-123456789012",
        "00000000-0000-0000-0000-000000000000",
        "10.0.0.1:8080",
        "192.168.100.200",
        "fe80::1",
        "1.2.3",
        "123.456.78",
        "10737418240 bytes",
        "4 8 15 16 23 42",
        "100 200 3000",
        "200 1234 5678",
        "01:23:45:67:89:ab",
        "0x1234567890",
        "1e12345678",
        "-1234567890",
        "+12",
        "+0530",
        "99.98%",
        "12345678",
        "123456789",
        "1234567890",
        "12345-6789",
        "hotel=1234567",
        "trace=4bf92f3577b34da6a3ce929d0e0e4736",
        "sha256:9f86d081884c7d65",
        "port=65535 pid=1234567 tid=12345678",
        "0000010 0012 0034 0056 0078",
        "01 02 03 04 05 06 07",
        "01-02-03-04-05-06",
        "0.4532015112830366",
        "(1234) 56",
        "phones=3",
        "phone=123",
        "v1.20.300.4000",
        "5-2-2-1 7-7-7",
        "a-555-234-5678-b",
        "9007199254740993",
        "18446744073709551615",
    ]);
}

/// Test numbers that the schemes and the payment providers publish.
#[test]
fn cards_are_masked() {
    are_masked(
        "[card]",
        &[
            "4111111111111111",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "4222222222222",
            "4012888888881881",
            "5555555555554444",
            "5105105105105100",
            "2223003122003222",
            "378282246310005",
            "3782 822463 10005",
            "371449635398431",
            "6011111111111117",
            "6011 0009 9013 9424",
            "30569309025904",
            "3056 930902 5904",
            "38520000023237",
            "3530111333300000",
            "6200000000000005",
            "6759649826438453",
            "6062826786276634",
            "4111+1111+1111+1111",
            "4111%201111%201111%201111",
        ],
    );
    becomes(&[
        ("10 4111 1111 1111 1111 123", "10 [card] 123"),
        ("/cards/4111111111111111/x", "/cards/[card]/x"),
        ("card-4111111111111111", "card-[card]"),
    ]);
    are_left(&[
        "4111111111111112",
        "4111 1111 1111 1112",
        "1111111111111117",
        "41111111111111111111",
        "0.4111111111111111",
        "a-4111111111111111-b",
        "x4111111111111111",
        "4111 1111 1111-1111",
        "9111111111111111",
    ]);
}

#[test]
fn numbers_of_brazil_are_masked() {
    are_masked("[cpf]", &["529.982.247-25", "52998224725", "529982247-25", "111.444.777-35", "11144477735"]);
    are_left(&[
        "529.982.247-24",
        "529.982.247-15",
        "52998224724",
        "111.111.111-11",
        "11111111111",
        "1.529.982.247-25",
    ]);
    are_masked(
        "[cnpj]",
        &["11.222.333/0001-81", "11222333000181", "11222333/0001-81", "11.222.333%2F0001-81"],
    );
    are_left(&["11.222.333/0001-82", "11.222.333/0001-91", "11222333000182", "00000000000000"]);
    // The samples of Receita Federal and Serpro for the form with letters.
    are_masked("[cnpj]", &["12.ABC.345/01DE-35"]);
    are_left(&["12.ABC.345/01DE-36", "12.ABC.345/01DE-45", "12.ABD.345/01DE-35", "12ABC34501DE35"]);
    becomes(&[
        ("cnpj=12ABC34501DE35", "cnpj=[cnpj]"),
        ("CPF nº 52998224725", "CPF nº [cpf]"),
        ("cpf-52998224725", "cpf-[cpf]"),
        ("/users/52998224725/orders", "/users/[cpf]/orders"),
        ("/users/529.982.247-25/orders", "/users/[cpf]/orders"),
        ("user_52998224725_x", "user_[cpf]_x"),
    ]);
}

#[test]
fn a_time_that_passes_for_a_cnpj_is_left_unless_it_is_called_one() {
    let number = (0..=99)
        .map(|check| format!("202611271928{check:02}"))
        .find(|number| mask(&format!("cnpj={number}")) == "cnpj=[cnpj]");
    are_left(&[&number.unwrap_or_default()]);
}

#[test]
fn codes_of_mexico_are_masked() {
    are_masked("[curp]", &["HEGG560427MVZRRL04", "hegg560427mvzrrl04"]);
    are_left(&["HEGG560427MVZRRL05", "HEGG561327MVZRRL04", "HEGG560427AVZRRL04", "XHEGG560427MVZRRL04"]);
    are_masked("[rfc]", &["GODE561231GR8", "GODE-561231-GR8", "GODE 561231 GR8", "gode561231gr8"]);
    are_left(&["GODE561231GR9", "GODE561331GR8", "GODE-561231GR8", "0190GODE561231GR8"]);
}

#[test]
fn letters_of_an_rfc_may_be_beyond_ascii() {
    for letters in ["ÑAÑ", "A&Ñ", "ÑÑÑÑ", "A&B", "A&BÑ"] {
        let found = |check: char| mask(&format!("rfc {letters}010101AA{check} x")) == "rfc [rfc] x";
        assert_eq!("0123456789A".chars().filter(|check| found(*check)).count(), 1, "{letters}");
    }
}

#[test]
fn numbers_of_argentina_are_masked() {
    are_masked(
        "[cuit]",
        &["20-12345678-6", "20123456786", "20-12.345.678-6", "30-50001091-2", "20 12345678 6"],
    );
    are_left(&["20-12345678-5", "20123456785", "21-12345678-6", "a-20-12345678-6"]);
}

#[test]
fn numbers_of_chile_are_masked() {
    are_masked(
        "[rut]",
        &[
            "12.345.678-5",
            "12345678-5",
            "30.686.957-4",
            "11.111.111-1",
            "1.000.005-K",
            "1.000.005-k",
            "1000005-K",
        ],
    );
    are_left(&["12.345.678-4", "12345678-4", "12345678-5-1", "1-12345678-5", "123456785", "1.000.005-1"]);
    becomes(&[
        ("rut=123456785", "rut=[rut]"),
        ("RUT: 1000005K", "RUT: [rut]"),
        ("rut=123456784", "rut=123456784"),
    ]);
}

#[test]
fn numbers_of_spain_and_portugal_are_masked() {
    are_masked(
        "[nif]",
        &[
            "12345678Z",
            "12345678-Z",
            "12.345.678-Z",
            "00000000T",
            "PT123456789",
            "PT501442600",
            "ES12345678Z",
        ],
    );
    are_left(&[
        "12345678A",
        "12345678z",
        "123456789",
        "501442600",
        "PT123456788",
        "12345678Z9",
        "1-12345678Z",
        "ES12345678A",
    ]);
    becomes(&[
        ("nif=123456789", "nif=[nif]"),
        ("NIF: 501 442 600", "NIF: [nif]"),
        ("nif=123456788", "nif=123456788"),
        ("dni=12345678z", "dni=[nif]"),
        ("número de contribuinte 501442600", "número de contribuinte [nif]"),
    ]);
    are_masked("[nie]", &["X1234567L", "Y1234567X", "Z1234567R", "X-1234567-L", "X0000000T", "ESX1234567L"]);
    are_left(&["X1234567M", "W1234567L", "X123456L", "x1234567l"]);
}

/// The samples of the registry.
#[test]
fn accounts_are_masked() {
    are_masked(
        "[iban]",
        &[
            "GB29NWBK60161331926819",
            "GB29 NWBK 6016 1331 9268 19",
            "gb29nwbk60161331926819",
            "DE89370400440532013000",
            "DE89-3704-0044-0532-0130-00",
            "FR1420041010050500013M02606",
            "ES9121000418450200051332",
            "PT50000201231234567890154",
            "BR1800360305000010009795493C1",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "CH9300762011623852957",
        ],
    );
    are_left(&[
        "GB29NWBK60161331926818",
        "GB28NWBK60161331926819",
        "XX29NWBK60161331926819",
        "GB29NWBK6016133192681",
        "GB29NWBK601613319268190",
        "Gb29NWBK60161331926819",
    ]);
}
