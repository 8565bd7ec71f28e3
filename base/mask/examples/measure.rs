//! Measures masking: `cargo run --release -p chancery-mask --example measure`.

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::hint::black_box;
use std::time::Instant;

use chancery_mask::mask;

const ROUNDS: u32 = 200_000;

const LINES: [(&str, &str); 5] = [
    (
        "JSON, nothing in it",
        r#"{"timestamp":"2026-11-27T19:28:44.123456Z","level":"INFO","target":"chancery_http::serve","request_id":"0190a5c2-7b1e-7c3a-9f00-5d2c8a1b4e6f","method":"POST","path":"/api/v1/intents","status":200,"us":1834}"#,
    ),
    (
        "text, nothing in it",
        "2026-11-27T19:28:44.123456Z  INFO chancery_http::serve: request finished method=POST path=/api/v1/intents status=200 elapsed_us=1834 bytes=18230 organization=0190a5c2-7b1e-7c3a-9f00-5d2c8a1b4e6f peer=10.1.2.3",
    ),
    (
        "one e-mail address",
        "2026-11-27T19:28:44.123456Z  INFO chancery_people: invited member=alice@example.com organization=0190a5c2-7b1e-7c3a-9f00-5d2c8a1b4e6f by=0190a5c2-7b1e-7c3a-9f00-5d2c8a1b4e70 role=approver status=pending ok=1 ttl=600",
    ),
    (
        "six of several kinds",
        r#"{"level":"WARN","email":"alice@example.com","phone":"+55 11 98765-4321","cpf":"529.982.247-25","card":"4111 1111 1111 1111","password":"hunter2 hunter2","authorization":"Bearer abcdefghij0123456789","elapsed":1}"#,
    ),
    (
        "digits throughout",
        "00000010 00000020 00000030 12345678 23456789 34567890 45678901 56789012 67890123 78901234 89012345 90123456 12345678901 23456789012 34567890123 45678901234 56789012345 67890123456 78901234567 89012345678 90123",
    ),
];

fn main() {
    for (name, line) in LINES {
        let mut least = f64::INFINITY;
        for _ in 0..5 {
            let start = Instant::now();
            for _ in 0..ROUNDS {
                black_box(mask(black_box(line)));
            }
            least = least.min(start.elapsed().as_secs_f64() / f64::from(ROUNDS));
        }
        println!("{name:20} {} bytes: {:6.2} µs  {}", line.len(), least * 1e6, mask(line));
    }
}
