//! Cursors: where a list goes on. Opaque to clients, so that the order behind them may change.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chancery_api::Code;

use crate::ApiError;

/// The first byte: what follows is the position's text.
const VERSION: u8 = b'1';

/// The cursor behind the last thing of a page.
pub(crate) fn encode(position: &impl Display) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}{position}", char::from(VERSION)))
}

/// The position a cursor stands for.
pub(crate) fn decode<T: FromStr>(cursor: &str) -> Result<T, ApiError> {
    let position = || {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (version, position) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        std::str::from_utf8(position).ok()?.parse().ok()
    };
    position().ok_or_else(|| {
        ApiError::new(Code::CursorInvalid, "the cursor is not one that this list gave out").at("cursor")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_model::{AgentId, Timestamp};

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let id = AgentId::new(Timestamp::from_micros(5_000), [7; 10]);
        assert_eq!(decode::<AgentId>(&encode(&id)).unwrap(), id);
        assert_eq!(decode::<u64>(&encode(&42_u64)).unwrap(), 42);
        for bad in ["", "1", "!", "MQ", &id.to_string(), &encode(&"x"), &encode(&7)] {
            assert!(decode::<AgentId>(bad).is_err(), "{bad}");
        }
    }
}
