//! Signed checkpoints: C2SP signed-note v1.0.0 (<https://c2sp.org/signed-note>) with Ed25519, and
//! tlog-checkpoint v1.0.0 (<https://c2sp.org/tlog-checkpoint>) without extension lines.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_crypto::{Algorithm, PublicKey, SignError, SigningKey, sha256};
use chancery_model::OrgId;

use crate::Hash;

/// The most signatures a note may carry; the specification asks for at least 16.
const MAX_SIGNATURES: usize = 64;

/// The signature type of plain Ed25519.
const ED25519: u8 = 0x01;

const SIGNATURE_MARK: &str = "\u{2014} ";

/// What a log calls itself in a checkpoint: the installation's name, `/`, the organization's id.
#[must_use]
pub fn origin(name: &str, org: OrgId) -> String {
    format!("{name}/{org}")
}

/// Why a note was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not the form of a signed note.
    #[error("not a signed note: {0}")]
    Note(&'static str),
    /// No signature by a key that was given.
    #[error("no signature by a trusted key")]
    Unsigned,
    /// A signature by a key that was given does not verify.
    #[error("the signature by `{0}` does not verify")]
    Signature(String),
    /// The text is not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(&'static str),
}

/// Text that is not a verifier key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an ed25519 verifier key: {reason}")]
pub struct VerifierKeyError {
    reason: &'static str,
}

/// The public key of a note's signer. Its text is `name+hex(key id)+base64(01 ‖ key)`.
#[derive(Clone, Debug)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: PublicKey,
}

impl VerifierKey {
    fn new(name: String, key: PublicKey) -> Result<Self, VerifierKeyError> {
        if !is_key_name(&name) {
            return Err(VerifierKeyError {
                reason: "a name is not empty and has no space, `+` or control character",
            });
        }
        if key.algorithm() != Algorithm::EdDsa {
            return Err(VerifierKeyError { reason: "the key is of another algorithm" });
        }
        let [a, b, c, d, ..] = sha256(&[name.as_bytes(), b"\n", &[ED25519], &key.raw()]);
        Ok(Self { name, id: [a, b, c, d], key })
    }

    /// The signer's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend(self.key.raw());
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), BASE64.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| VerifierKeyError { reason };
        let (name, rest) = text.split_once('+').ok_or(refuse("expected `name+id+key`"))?;
        let (_, key) = rest.split_once('+').ok_or(refuse("expected `name+id+key`"))?;
        let key = BASE64.decode(key).map_err(|_| refuse("the key is not base64"))?;
        let [ED25519, raw @ ..] = key.as_slice() else { return Err(refuse("the key is of another type")) };
        let raw = raw.try_into().map_err(|_| refuse("the key is not 32 bytes"))?;
        let verifier = Self::new(name.to_owned(), PublicKey::from_ed25519(raw))?;
        if verifier.to_string() != text {
            return Err(refuse("the id is not that of the name and key"));
        }
        Ok(verifier)
    }
}

/// The state of a log: how many leaves, and the root over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log; see [`origin`].
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The Merkle root over them.
    pub root: Hash,
}

impl fmt::Display for Checkpoint {
    /// The note text: three lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }
}

impl FromStr for Checkpoint {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut lines = text.split_terminator('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(NoteError::Checkpoint("expected an origin, a size and a root, and no extension"));
        };
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| NoteError::Checkpoint("the size is not a number"))?,
            root: BASE64
                .decode(root)
                .ok()
                .and_then(|root| root.try_into().ok())
                .ok_or(NoteError::Checkpoint("the root is not the base64 of 32 bytes"))?,
        };
        if origin.is_empty() || checkpoint.size > 1 << 53 || checkpoint.to_string() != text {
            return Err(NoteError::Checkpoint("not in its only spelling"));
        }
        Ok(checkpoint)
    }
}

impl Checkpoint {
    /// Opens a signed checkpoint: at least one of `keys` signed it, and no signature that claims
    /// to be by one of them is false. Signatures by others are ignored.
    ///
    /// # Errors
    /// When the note or the checkpoint is malformed, or the signatures are not good.
    pub fn open(note: &str, keys: &[VerifierKey]) -> Result<Self, NoteError> {
        open(note, keys)?.0.parse()
    }
}

/// The text of a signed note and those of `keys` that signed it. See [`Checkpoint::open`].
///
/// # Errors
/// As for [`Checkpoint::open`].
pub fn open<'a>(
    note: &'a str,
    keys: &'a [VerifierKey],
) -> Result<(&'a str, Vec<&'a VerifierKey>), NoteError> {
    if note.chars().any(|character| character < ' ' && character != '\n') {
        return Err(NoteError::Note("it has a control character"));
    }
    let blank = note.rfind("\n\n").ok_or(NoteError::Note("no blank line before the signatures"))?;
    let (text, signatures) = note.split_at(blank + 1);
    let signatures = signatures
        .strip_prefix('\n')
        .and_then(|lines| lines.strip_suffix('\n'))
        .ok_or(NoteError::Note("it does not end in a signature line"))?;
    let mut signers = Vec::new();
    for (number, line) in signatures.split('\n').enumerate() {
        if number == MAX_SIGNATURES {
            return Err(NoteError::Note("it has more than 64 signatures"));
        }
        let (name, id, signature) =
            signature_line(line).ok_or(NoteError::Note("a signature line is malformed"))?;
        let Some(key) = keys.iter().find(|key| key.name == name && key.id == id) else { continue };
        if !key.key.verify(text.as_bytes(), &signature) {
            return Err(NoteError::Signature(name.to_owned()));
        }
        signers.push(key);
    }
    if signers.is_empty() { Err(NoteError::Unsigned) } else { Ok((text, signers)) }
}

/// `— <name> base64(key id ‖ signature)`.
fn signature_line(line: &str) -> Option<(&str, [u8; 4], Vec<u8>)> {
    let (name, signature) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
    let signature = BASE64.decode(signature).ok()?;
    let (id, signature) = signature.split_first_chunk::<4>()?;
    (is_key_name(name) && !signature.is_empty()).then(|| (name, *id, signature.to_vec()))
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|character| character.is_whitespace() || character.is_control() || character == '+')
}

/// Signs an installation's checkpoints.
#[derive(Debug)]
pub struct CheckpointSigner {
    vkey: VerifierKey,
    key: SigningKey,
}

impl CheckpointSigner {
    /// A signer under the installation's name.
    ///
    /// # Errors
    /// When the name is empty or has a space, `+` or control character, or the key is not Ed25519.
    pub fn new(name: String, key: SigningKey) -> Result<Self, VerifierKeyError> {
        Ok(Self { vkey: VerifierKey::new(name, key.public().clone())?, key })
    }

    /// What a verifier has to trust: the public half, under the installation's name.
    #[must_use]
    pub const fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// The signed note of a checkpoint.
    ///
    /// # Errors
    /// When the key can't sign.
    pub fn sign(&self, checkpoint: &Checkpoint) -> Result<String, SignError> {
        let text = checkpoint.to_string();
        let mut signature = self.vkey.id.to_vec();
        signature.extend(self.key.sign(text.as_bytes())?);
        Ok(format!("{text}\n{SIGNATURE_MARK}{} {}\n", self.vkey.name, BASE64.encode(signature)))
    }
}
