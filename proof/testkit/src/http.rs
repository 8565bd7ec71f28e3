//! A small HTTP/1.1 client over one kept connection: what a test sends is exactly what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `null` when it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// `data` of the envelope.
    #[must_use]
    pub fn data(&self) -> Value {
        self.json().get("data").cloned().unwrap_or(Value::Null)
    }

    /// `error.code` of the envelope; empty when there is none.
    #[must_use]
    pub fn code(&self) -> String {
        self.json().pointer("/error/code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A client of one server with one key.
#[derive(Debug)]
pub struct Client {
    address: String,
    key: Option<String>,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// A client of the server at `address` (`host:port`), with an API key or none.
    #[must_use]
    pub fn new(address: &str, key: Option<&str>) -> Self {
        Self { address: address.to_owned(), key: key.map(str::to_owned), connection: None }
    }

    /// The same server, another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self::new(&self.address, Some(key))
    }

    /// Sends a request without a body.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.send("GET", path, &[], None)
    }

    /// Sends a JSON body.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn post(&mut self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        self.send("POST", path, &[], Some(body.to_string().as_bytes()))
    }

    /// Sends a JSON body and gives `data`.
    ///
    /// # Errors
    /// When the answer is not a success.
    pub fn made(&mut self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self.post(path, body)?;
        if !(200..300).contains(&answer.status) {
            bail!("{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        }
        Ok(answer.data())
    }

    /// Sends any request.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> anyhow::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if let Some(key) = &self.key {
            head.push_str(&format!("authorization: Bearer {key}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
                head.push_str("content-type: application/json\r\n");
            }
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut message = head.into_bytes();
        message.extend_from_slice(body.unwrap_or_default());
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.address)?,
        };
        connection.get_mut().write_all(&message)?;
        let (answer, keep) = receive(&mut connection)?;
        if keep {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}

fn connect(address: &str) -> anyhow::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address).with_context(|| format!("no server at {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(BufReader::new(stream))
}

/// A chunked body (RFC 9112 §7.1), to its end.
fn chunks(connection: &mut BufReader<TcpStream>) -> anyhow::Result<Vec<u8>> {
    let (mut body, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16).context("no length of a chunk")?;
        let mut chunk = vec![0; length + 2];
        connection.read_exact(&mut chunk)?;
        chunk.truncate(length);
        if chunk.is_empty() {
            return Ok(body);
        }
        body.append(&mut chunk);
    }
}

fn receive(connection: &mut BufReader<TcpStream>) -> anyhow::Result<(Answer, bool)> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no status line")?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    match answer.header("content-length").map(str::parse::<usize>) {
        Some(length) => {
            answer.body = vec![0; length?];
            connection.read_exact(&mut answer.body)?;
        }
        None if answer.header("transfer-encoding").is_some() => answer.body = chunks(connection)?,
        None => {}
    }
    let keep = answer.header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
    Ok((answer, keep))
}
