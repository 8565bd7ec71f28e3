//! A system to call: it stops where an account's name says, and keeps whatever reached it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// How long something that must happen may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where it stops when an account's name begins so: the request has come and is not read, its head is read,
/// it is read, half of the answer is sent, all of it is.
pub(crate) const STAGES: [&str; 5] = ["accepted", "head", "whole", "half", "answered"];
/// Accounts whose name begins so get 500.
pub(crate) const ILL: &str = "ill";

/// A request that reached it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) account: String,
    /// The intent that it named.
    pub(crate) intent: String,
    /// Whether all of the answer was sent, or might have been.
    pub(crate) answered: bool,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    held: Vec<String>,
    releases: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) struct Upstream {
    /// `http://…`.
    pub(crate) url: String,
    /// `https://…`, where connections are accepted and nothing is ever said.
    pub(crate) mute: String,
    shared: Arc<Shared>,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let [speaks, is_mute] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let url = format!("http://{}", speaks.local_addr().unwrap());
        let mute = format!("https://{}", is_mute.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let for_each = |listener: TcpListener, serve: fn(&Shared, TcpStream) -> io::Result<()>| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for stream in listener.incoming() {
                    let (shared, stream) = (Arc::clone(&shared), stream.unwrap());
                    // Who is killed leaves connections that fail.
                    thread::spawn(move || drop(serve(&shared, stream)));
                }
            });
        };
        for_each(speaks, Shared::serve);
        for_each(is_mute, |shared, _stream| {
            shared.hold("mute");
            Ok(())
        });
        Self { url, mute, shared }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    /// Returns once that many are held where they are to be.
    #[track_caller]
    pub(crate) fn await_held(&self, many: usize) {
        self.await_state(|state| state.held.len() >= many);
    }

    /// Returns once that many more requests came than now.
    #[track_caller]
    pub(crate) fn await_more(&self, more: usize) {
        let wanted = self.seen().len() + more;
        self.await_state(|state| state.seen.len() >= wanted);
    }

    #[track_caller]
    fn await_state(&self, reached: impl Fn(&State) -> bool) {
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), PATIENCE, |state| !reached(state))
            .unwrap();
        assert!(reached(&state), "held: {:?}, seen: {}", state.held, state.seen.len());
    }

    /// Lets all go on that are held now.
    pub(crate) fn release(&self) {
        let mut state = self.shared.lock();
        state.held.clear();
        state.releases += 1;
        self.shared.changed.notify_all();
    }
}

/// What it answers for an account.
pub(crate) fn answer_of(account: &str) -> String {
    format!(r#"{{"transferred":"{account}"}}"#)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn hold(&self, who: &str) {
        let mut state = self.lock();
        let before = state.releases;
        state.held.push(who.to_owned());
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| state.releases == before).unwrap());
    }

    fn pass(&self, stage: &str, account: &str) {
        if account.starts_with(stage) {
            self.hold(account);
        }
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(account) = account_that_comes(&stream)? {
            self.pass("accepted", &account);
            let (intent, length) = head(&mut reader)?;
            let number = {
                let mut state = self.lock();
                state.seen.push(Seen { account: account.clone(), intent, answered: false });
                self.changed.notify_all();
                state.seen.len() - 1
            };
            self.pass("head", &account);
            reader.read_exact(&mut vec![0; length])?;
            self.pass("whole", &account);
            let (status, body) =
                if account.starts_with(ILL) { (500, "{}".to_owned()) } else { (200, answer_of(&account)) };
            // Nobody else is to be held with it.
            let close = if account.starts_with("answered") { "connection: close\r\n" } else { "" };
            let answer = format!(
                "HTTP/1.1 {status} Said\r\n{close}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let (first, second) = answer.split_at(answer.len() - body.len() / 2);
            stream.write_all(first.as_bytes())?;
            self.pass("half", &account);
            // Before it is: who has the answer finds it here.
            self.lock().seen[number].answered = true;
            stream.write_all(second.as_bytes())?;
            self.pass("answered", &account);
        }
        Ok(())
    }
}

/// The account of the request that has come, which is left unread; `None` at the end.
fn account_that_comes(stream: &TcpStream) -> io::Result<Option<String>> {
    let until = Instant::now() + PATIENCE;
    let mut bytes = [0; 4096];
    loop {
        let there = stream.peek(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes[..there]).into_owned();
        if there == 0 {
            return Ok(None);
        }
        if text.contains("\r\n\r\n") {
            return Ok(text.split('/').nth(2).map(str::to_owned));
        }
        assert!(Instant::now() < until, "half a head came: {text}");
        thread::yield_now();
    }
}

/// The intent that a head names, and how long its body is.
fn head(reader: &mut BufReader<TcpStream>) -> io::Result<(String, usize)> {
    let (mut intent, mut length, mut line) = (String::new(), 0, String::new());
    while reader.read_line(&mut line)? > 2 {
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "x-intent" => value.trim().clone_into(&mut intent),
            "content-length" => length = value.trim().parse().unwrap(),
            _ => {}
        }
        line.clear();
    }
    Ok((intent, length))
}
