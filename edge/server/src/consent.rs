//! What can't be undone is asked about, unless the command line said that it is meant.

use std::io::{self, BufRead, IsTerminal as _, Write};

use anyhow::ensure;
use tokio::task::spawn_blocking;

/// An operator's consent to something that can't be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Given on the command line.
    Given,
    /// To be asked for, of whoever sits at the terminal.
    Asked,
}

impl Consent {
    /// What `--yes` says.
    #[must_use]
    pub const fn of(yes: bool) -> Self {
        if yes { Self::Given } else { Self::Asked }
    }

    /// Goes on only when `word` was typed at the terminal, or consent was given before. The question
    /// goes to standard error: standard output may be a file.
    ///
    /// # Errors
    /// When something else was typed, or nobody is there to be asked.
    pub async fn obtain(self, question: String, word: String) -> anyhow::Result<()> {
        if self == Self::Given {
            return Ok(());
        }
        ensure!(
            io::stdin().is_terminal(),
            "this can't be undone and there is no terminal to ask at: say --yes if it is meant; nothing was done"
        );
        // A person may take long, and a thread that serves others must not wait for them.
        spawn_blocking(move || ask(io::stdin().lock(), io::stderr(), &question, &word)).await?
    }
}

fn ask(mut person: impl BufRead, mut shown: impl Write, question: &str, word: &str) -> anyhow::Result<()> {
    write!(shown, "{question} ")?;
    shown.flush()?;
    let mut typed = String::new();
    person.read_line(&mut typed)?;
    ensure!(typed.trim() == word, "it was not confirmed; nothing was done");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_itself_is_consent() {
        let typed = |text: &str| ask(text.as_bytes(), Vec::new(), "Type 2:", "2");
        assert!(typed("2\n").is_ok() && typed(" 2 \r\n").is_ok());
        for other in ["", "\n", "y\n", "yes\n", "1\n", "22\n", "\n2\n"] {
            assert!(typed(other).is_err(), "{other:?}");
        }
    }

    #[test]
    fn the_question_is_shown_before_anything_is_read() {
        struct Nobody;
        impl io::Read for Nobody {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::Other.into())
            }
        }
        let mut shown = Vec::new();
        assert!(ask(io::BufReader::new(Nobody), &mut shown, "Type 2:", "2").is_err());
        assert_eq!(shown, b"Type 2: ");
    }
}
