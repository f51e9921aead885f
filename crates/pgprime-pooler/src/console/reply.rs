//! Short answers of the console.

use pgprime_wire::backend::encode::{self, ErrorNotice};

pub(super) fn error(out: &mut Vec<u8>, sqlstate: &str, message: &str) {
    encode::error_response(
        out,
        &ErrorNotice { severity: "ERROR", sqlstate, message, detail: None, hint: None, routine: None },
    );
}
