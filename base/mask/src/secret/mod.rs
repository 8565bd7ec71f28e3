//! Secrets: keys and tokens by their makers' formats, and values by the name before them.

mod anchors;
mod formats;
mod header;
mod names;
mod pem;
mod url;
mod value;
mod vendors;

pub(crate) use anchors::find;
pub(crate) use formats::discord;
pub(crate) use pem::body as pem_body;
pub(crate) use value::quote_end;
