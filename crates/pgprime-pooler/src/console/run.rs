//! Carrying out the console's commands.

use std::time::Duration;

use pgprime_pool::WorkerIndex;
use pgprime_wire::backend::encode::{self, ErrorNotice};
use tokio::sync::oneshot;

use super::command::{Command, When, parse};
use super::reply::error;
use super::show;
use crate::context::{Context, Stage};
use crate::core::PoolRow;
use crate::directory::{CONSOLE, Held};
use crate::mail::{Detail, Mail};
use crate::reload;
use crate::rights::Rights;
use crate::settings::Settings;
use crate::worker::client_id;

/// How often PAUSE and its like look whether they are done.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

const HELP: &str = "Console usage
\tSHOW ACTIVE_SOCKETS|CLIENTS|CONFIG|DATABASES|DNS_HOSTS|DNS_ZONES|HELP|LISTS
\tSHOW PEERS|PEER_POOLS|POOLS|SERVERS|SOCKETS|STATE
\tSHOW STATS|STATS_AVERAGES|STATS_TOTALS|TOTALS|USERS|VERSION
\tSHOW STATEMENTS|APPLICATIONS|USER_STATISTICS|REPEATS|PARAMETERS
\tRESET STATEMENTS
\tSET key = arg
\tRELOAD
\tPAUSE [<db>]
\tRESUME [<db>]
\tDISABLE <db>
\tENABLE <db>
\tRECONNECT [<db>]
\tKILL [<db>]
\tKILL_CLIENT <client ptr or id>
\tWAIT_CLOSE [<db>]
\tSHUTDOWN
\tSHUTDOWN WAIT_FOR_SERVERS
\tSHUTDOWN WAIT_FOR_CLIENTS";

/// Why a command was not carried out.
struct Refused {
    sqlstate: &'static str,
    message: String,
}

fn refused(sqlstate: &'static str, message: impl Into<String>) -> Refused {
    Refused { sqlstate, message: message.into() }
}

/// Appends the answer to one query, without ReadyForQuery.
pub(super) async fn answer(context: &Context, rights: Rights, text: &str, out: &mut Vec<u8>) {
    let command = match parse(text) {
        Ok(command) => command,
        Err(problem) => return error(out, "42601", &problem.to_string()),
    };
    if let Command::Empty = command {
        return encode::empty_query_response(out);
    }
    if let Command::Show(topic) = &command {
        return answer_show(context, rights, topic, out).await;
    }
    if rights != Rights::Admin {
        return error(out, "42501", "admin access needed: this user is in stats_users only");
    }
    tracing::info!(command = text.trim(), "console command");
    match run(context, command).await {
        Ok(tag) => encode::command_complete(out, tag),
        Err(problem) => error(out, problem.sqlstate, &problem.message),
    }
}

async fn answer_show(context: &Context, rights: Rights, topic: &str, out: &mut Vec<u8>) {
    if topic == "parameters" && rights != Rights::Admin {
        return error(out, "42501", "admin access needed: SHOW PARAMETERS tells values of clients");
    }
    if topic == "help" {
        let notice = ErrorNotice {
            severity: "NOTICE",
            sqlstate: "00000",
            message: "Console usage",
            detail: Some(HELP),
            hint: None,
            routine: None,
        };
        encode::notice_response(out, &notice);
        return encode::command_complete(out, "SHOW");
    }
    match show::table(context, topic).await {
        Some(table) => table.encode(out),
        None => error(
            out,
            "42601",
            &format!("invalid command 'SHOW {topic}', use SHOW HELP; topics are {}", show::TOPICS),
        ),
    }
}

async fn run(context: &Context, command: Command) -> Result<&'static str, Refused> {
    match command {
        Command::Show(_) | Command::Empty => Ok("SHOW"),
        Command::Pause(database) => pause(context, database).await,
        Command::Resume(database) => resume(context, database),
        Command::Disable(database) => {
            known(context, Some(&database))?;
            context.directory.note_held(|held| held_insert(&mut held.disabled, &database));
            Ok("DISABLE")
        }
        Command::Enable(database) => {
            known(context, Some(&database))?;
            context.directory.note_held(|held| {
                held.disabled.remove(&database);
            });
            Ok("ENABLE")
        }
        Command::Reconnect(database) => {
            known(context, database.as_deref())?;
            context.directory.mail_pools(database.as_deref(), Mail::Reconnect);
            Ok("RECONNECT")
        }
        Command::Kill(database) => kill(context, database),
        Command::KillClient(number) => kill_client(context, &number).await,
        Command::WaitClose(database) => {
            known(context, database.as_deref())?;
            until(context, database.as_deref(), |pool| pool.servers_to_close == 0).await;
            Ok("WAIT_CLOSE")
        }
        Command::Reload => {
            reload::reload(context)
                .await
                .map_err(|problem| refused("F0000", format!("RELOAD failed: {problem}")))?;
            Ok("RELOAD")
        }
        Command::ResetStatements => {
            context.mail_all(|| Mail::ResetMeasures);
            Ok("RESET")
        }
        Command::Shutdown(when) => {
            context.advance(match when {
                When::Now => Stage::Stop,
                When::ServersFree => Stage::WaitForServers,
                When::ClientsGone => Stage::WaitForClients,
            });
            Ok("SHUTDOWN")
        }
        Command::Set { name, value } => set(context, &name, &value),
    }
}

fn held_insert(names: &mut std::collections::BTreeSet<String>, name: &str) {
    names.insert(name.to_string());
}

/// Refuses the names of databases that do not exist.
fn known(context: &Context, database: Option<&str>) -> Result<(), Refused> {
    match database {
        Some(CONSOLE) => Err(refused("42501", "cannot do this to the console's own database")),
        Some(name) if context.directory.database(name).is_none() => {
            Err(refused("3D000", format!("no such database: {name}")))
        }
        _ => Ok(()),
    }
}

async fn pause(context: &Context, database: Option<String>) -> Result<&'static str, Refused> {
    known(context, database.as_deref())?;
    let held = context.directory.held();
    let is_paused = database.as_ref().map_or(held.all_paused, |name| held.paused.contains(name));
    if is_paused {
        return Err(refused("55000", "already paused: RESUME first"));
    }
    let note = |held: &mut Held| match &database {
        Some(name) => held_insert(&mut held.paused, name),
        None => held.all_paused = true,
    };
    context.directory.note_held(note);
    context.directory.mail_pools(database.as_deref(), Mail::Pause);
    until(context, database.as_deref(), |pool| !pool.paused || is_free(pool)).await;
    Ok("PAUSE")
}

fn is_free(pool: &PoolRow) -> bool {
    pool.servers_active + pool.servers_tested + pool.servers_being_cancelled + pool.servers_idle == 0
}

/// Waits until every pool of the database, or every pool, has got there on every worker.
async fn until(context: &Context, database: Option<&str>, done: fn(&PoolRow) -> bool) {
    loop {
        let snapshots = context.snapshot(Detail::Pools).await;
        let mut pools = snapshots.iter().flat_map(|snapshot| &snapshot.pools);
        let is_done = pools.all(|pool| database.is_some_and(|name| pool.database != name) || done(pool));
        if is_done || context.stage() == Stage::Stop {
            return;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

fn resume(context: &Context, database: Option<String>) -> Result<&'static str, Refused> {
    known(context, database.as_deref())?;
    let held = context.directory.held();
    let is_paused = match &database {
        Some(name) => held.paused.contains(name),
        None => held.all_paused || !held.paused.is_empty(),
    };
    if !is_paused {
        return Err(refused("55000", "not paused"));
    }
    let note = |held: &mut Held| match &database {
        Some(name) => {
            held.paused.remove(name);
        }
        None => {
            held.all_paused = false;
            held.paused.clear();
        }
    };
    context.directory.note_held(note);
    context.directory.mail_pools(database.as_deref(), Mail::Resume);
    Ok("RESUME")
}

fn kill(context: &Context, database: Option<String>) -> Result<&'static str, Refused> {
    known(context, database.as_deref())?;
    let note = |held: &mut Held| match &database {
        Some(name) => held_insert(&mut held.paused, name),
        None => held.all_paused = true,
    };
    context.directory.note_held(note);
    context.directory.mail_pools(database.as_deref(), Mail::Pause);
    context.directory.mail_pools(database.as_deref(), Mail::Kill);
    Ok("KILL")
}

/// Takes the number in the column `ptr` (`C0-1a`) or `id` of SHOW CLIENTS.
async fn kill_client(context: &Context, number: &str) -> Result<&'static str, Refused> {
    let unknown = || refused("22023", format!("there is no client {number}: use ptr or id of SHOW CLIENTS"));
    let (worker, id) = match number.strip_prefix('C').and_then(|pointer| pointer.split_once('-')) {
        Some((worker, id)) => {
            let worker: u16 = worker.parse().map_err(|_| unknown())?;
            (worker, u64::from_str_radix(id, 16).map_err(|_| unknown())?)
        }
        None => show::from_unique_id(number.parse().map_err(|_| unknown())?),
    };
    let (killed, answer) = oneshot::channel();
    context.mail(WorkerIndex(worker), Mail::KillClient { id: client_id(id), killed });
    if answer.await.unwrap_or(false) { Ok("KILL_CLIENT") } else { Err(unknown()) }
}

fn set(context: &Context, name: &str, value: &str) -> Result<&'static str, Refused> {
    match Settings::is_changeable(name) {
        Some(true) => {}
        Some(false) => return Err(refused("55P02", format!("{name} can only be changed by a restart"))),
        None => {}
    }
    let mut settings = context.directory.config().settings.clone();
    settings.set(name, value).map_err(|problem| refused("22023", problem.to_string()))?;
    // Only what is changed is looked at: other settings do not read files again.
    let tls = if name.contains("_tls") {
        reload::load_tls(&settings).map_err(|problem| refused("22023", problem.to_string()))?
    } else {
        context.directory.tls()
    };
    if let Some(warning) = settings.warning(name) {
        tracing::warn!("{warning}");
    }
    context.directory.change_settings(settings, tls);
    Ok("SET")
}
