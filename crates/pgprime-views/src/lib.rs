//! Materialized views for dashboards and reports: declared, changed without an interruption, and refreshed when it is
//! worth it.
//!
//! * [`Declarations`] say which views there are to be; [`plan()`] says what has to be done for that, [`apply()`] does it.
//! * [`next_refresh`] decides, as a pure function, whether a view is refreshed; [`refresh()`] does it once, [`Scheduler`]
//!   goes on doing it; [`status()`] and [`history()`] tell what came of it.
//! * [`AdminMetrics`] is what an admin dashboard shows, with the [`Figures`] that the configuration declares.
//! * State and history are in the database itself, in the schema `pgprime`: any number of instances share them.
//! * It never drops a view that is no longer declared, never refreshes one view twice at once, whoever asks, and never
//!   trusts the clock of the machine it runs on: every time is the database's.
//! * Nothing is kept in a session, so connections may lead through a transaction pooler.

mod adopt;
mod affected;
mod announce;
mod apply;
mod carry;
mod catalog;
mod changes;
mod decide;
mod declaration;
mod error;
mod figures;
mod fingerprint;
mod metrics;
mod metrics_text;
mod names;
mod observe;
mod plan;
mod policy;
mod pressure;
mod refresh;
mod schedule;
mod scheduler;
mod session;
mod statements;
mod status;
mod store;

pub use adopt::{adopt, adoptable, declaration};
pub use apply::{Applied, ApplyOptions, apply, apply_with_cache};
pub use decide::{Changes, Decision, Hold, Reason, ViewState, decision_text, next_refresh};
pub use declaration::{DeclarationError, Declarations, Staleness, ViewDeclaration};
pub use error::ViewsError;
pub use figures::{FigureDeclaration, Figures};
pub use metrics::{
    AdminLimits, AdminMetrics, AdminPool, CacheMetrics, CachedQuery, Figure, FigureRow, FiguresUnderWay,
    MetricsOptions, MissingSection,
};
pub use metrics_text::metrics_text;
pub use names::{BUILD_SCHEMA, ViewName};
pub use plan::{Action, Plan, PlanItem, Undeclared, plan};
pub use policy::Policy;
pub use pressure::{PoolerWait, Pressure, PressureCause, StandbyLag};
pub use refresh::{RefreshOutcome, Refreshed, refresh, refresh_with_cache};
pub use schedule::{CronTimes, Schedule};
pub use scheduler::{Held, Round, Scheduler, WaitSource};
pub use status::{Status, ViewStatus, Worth, status, status_behind};
pub use store::{HistoryEntry, SETUP_SQL, history};
