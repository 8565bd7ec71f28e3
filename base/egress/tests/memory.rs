//! What an answer that is far too large costs. A process of its own: memory is the whole process'.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

use std::io::{self, Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use bytes::Bytes;
use chancery_egress::{
    Cause, Egress, Limits, Outgoing, Permit, Pins, PoolKey, Reach, Rules, Settings, Target,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, Method};

const MIB: usize = 1 << 20;
const LIMIT: usize = MIB;

/// The most that the process has held since `forget_peak`, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn forget_peak() -> usize {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

/// Serves one connection after another with what `write` writes, until nobody reads it any more.
fn serve(write: fn(&mut TcpStream) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            assert!(write(&mut stream).is_err(), "all of it was read");
        }
    });
    address
}

fn announced(stream: &mut TcpStream) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 400 * MIB)?;
    (0..400 * 16).try_for_each(|_| stream.write_all(&[b'x'; MIB / 16]))
}

fn in_chunks(stream: &mut TcpStream) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
    (0..400 * 16).try_for_each(|_| {
        write!(stream, "{:x}\r\n", MIB / 16)?;
        stream.write_all(&[b'x'; MIB / 16])?;
        stream.write_all(b"\r\n")
    })
}

/// A gibibyte of zeros, packed as it is sent: a few thousand bytes on the wire pass the limit.
fn bomb(stream: &mut TcpStream) -> io::Result<()> {
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n")?;
    let mut encoder = GzEncoder::new(stream, Compression::fast());
    for _ in 0..1024 * 16 {
        encoder.write_all(&[0; MIB / 16])?;
    }
    // Its last bytes meet a connection that was closed long ago.
    encoder.try_finish()?;
    let stream = encoder.get_mut();
    loop {
        stream.write_all(&[0])?;
    }
}

#[test]
fn an_answer_of_400_mib_or_a_bomb_of_a_gibibyte_costs_the_limit_and_two_mib() {
    let loopback = || vec!["127.0.0.1".parse().unwrap()];
    let rules = Rules { allow: loopback(), allow_plain_http: loopback(), ..Rules::default() };
    let egress = Egress::new(Settings { rules, ..Settings::default() }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let permit = Permit {
        pool: PoolKey { organization: 1, policy: 1 },
        reach: Reach::Allowed,
        pins: Pins::unbound(),
        limits: Limits { body_bytes: LIMIT, ..Limits::default() },
        redirects: 0,
    };
    let ask = |address: SocketAddr| {
        let request = Outgoing {
            method: Method::GET,
            target: Target::parse(&format!("http://{address}/")).unwrap(),
            headers: HeaderMap::new(),
            credential_headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let failure = runtime.block_on(egress.send(request, &permit)).unwrap_err();
        assert!(matches!(failure.cause(), Cause::BodyTooLarge { limit: LIMIT }), "{}", failure.cause());
    };
    for write in [announced, in_chunks, bomb] {
        let address = serve(write);
        let before = forget_peak();
        for _ in 0..3 {
            ask(address);
        }
        let grown = peak().saturating_sub(before);
        assert!(grown <= LIMIT + 2 * MIB, "{grown} bytes");
    }
}
