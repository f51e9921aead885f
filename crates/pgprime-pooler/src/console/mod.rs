//! The console: the database `pgbouncer`, where administrators look and steer.

mod command;
mod measured;
mod reply;
mod run;
mod show;
mod stats;
mod table;
mod time;

use std::io;

use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::backend::encode;
use pgprime_wire::frontend;
use pgprime_wire::startup::CancelKey;
use pgprime_wire::tag::frontend as tag;

use crate::context::{Context, Stage};
use crate::rights::Rights;
use crate::stream::Session;

/// Serves one client of the console until it leaves or the pooler ends.
pub(crate) async fn serve(
    context: &Context,
    session: &mut Session,
    rights: Rights,
    application_name: &str,
) -> io::Result<()> {
    let mut stage = context.stage.subscribe();
    session.send(&welcome(application_name)).await?;
    let mut skipping = false;
    loop {
        let received = tokio::select! {
            received = session.message() => received,
            _ = stage.wait_for(|stage| *stage == Stage::Stop) => return Ok(()),
        };
        let (kind, body) = match received {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            received => received?,
        };
        let mut out = Vec::new();
        match kind {
            tag::TERMINATE => return Ok(()),
            tag::QUERY => {
                let text = frontend::query_text(&body).map(String::from_utf8_lossy).unwrap_or_default();
                run::answer(context, rights, &text, &mut out).await;
                encode::ready_for_query(&mut out, TransactionStatus::Idle);
            }
            tag::SYNC => {
                skipping = false;
                encode::ready_for_query(&mut out, TransactionStatus::Idle);
            }
            tag::FLUSH => {}
            _ if skipping => {}
            _ => {
                skipping = true;
                reply::error(&mut out, "0A000", "extended query protocol not supported by admin console");
            }
        }
        session.send(&out).await?;
    }
}

fn welcome(application_name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    encode::authentication_ok(&mut out);
    for (name, value) in [
        ("server_version", show::SERVER_VERSION),
        ("client_encoding", "UTF8"),
        ("server_encoding", "UTF8"),
        ("DateStyle", "ISO"),
        ("TimeZone", "GMT"),
        ("standard_conforming_strings", "on"),
        ("is_superuser", "on"),
        ("application_name", application_name),
    ] {
        encode::parameter_status(&mut out, name, value);
    }
    // Nothing here can be cancelled: the key belongs to nobody.
    encode::backend_key_data(&mut out, &CancelKey { process_id: 0, secret: vec![0; 4] });
    encode::ready_for_query(&mut out, TransactionStatus::Idle);
    out
}
