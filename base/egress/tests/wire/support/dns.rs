//! A name server over UDP that answers what a test says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What it says to a question.
pub(crate) enum Say {
    /// These addresses, of which each question gets those of its family.
    Addresses(Vec<IpAddr>),
    /// That there is no such name.
    NoSuchName,
    /// Nothing.
    Nothing,
}

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    questions: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const A: u16 = 1;
const AAAA: u16 = 28;

impl NameServer {
    /// Answers by name, in lower case and without the last point; records live for no time.
    pub(crate) async fn start(say: impl Fn(&str) -> Say + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let questions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&questions);
        let task = tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                if let Some(answer) = answer(&buffer[..length], &say) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { address, questions, task }
    }

    /// The same address for every name.
    pub(crate) async fn always(addresses: &[IpAddr]) -> Self {
        let addresses = addresses.to_vec();
        Self::start(move |_| Say::Addresses(addresses.clone())).await
    }

    pub(crate) fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }
}

fn answer(question: &[u8], say: &impl Fn(&str) -> Say) -> Option<Vec<u8>> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while question[at] != 0 {
        let length = usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..=at + length]).to_ascii_lowercase());
        at += length + 1;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let end = at + 5;
    let (code, addresses) = match say(&labels.join(".")) {
        Say::Nothing => return None,
        Say::NoSuchName => (3, Vec::new()),
        Say::Addresses(addresses) => (0, addresses),
    };
    let records: Vec<Vec<u8>> = addresses
        .into_iter()
        .filter_map(|address| match address {
            IpAddr::V4(address) if kind == A => Some(address.octets().to_vec()),
            IpAddr::V6(address) if kind == AAAA => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1]);
    answer.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
    answer.extend([0, 0, 0, 0]);
    answer.extend(&question[12..end]);
    for record in records {
        // The name again, the class, no time to live.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 0]);
        answer.extend(u16::try_from(record.len()).unwrap().to_be_bytes());
        answer.extend(record);
    }
    Some(answer)
}
