//! Pool sizes and waiting times from load, PostgreSQL's settings from hardware: the calculation behind `pgprime plan`.
//!
//! Everything here is a pure function of its arguments: no clock, no network, no file. Units are in the names, and each
//! formula names its source.
//!
//! [`plan`] makes a [`Plan`] from [`Inputs`], and [`curve`] what other sizes would mean; both rest on [`Waiting`], the
//! queue's formulas, and [`ServiceTime`]. [`sizing`] applies the same rule at run time to the load observed.
//!
//! ```
//! use pgprime_capacity::{Inputs, ServiceTime, plan};
//!
//! let service = ServiceTime::exponential(20.0)?;
//! let plan = plan(&Inputs::new(1000.0, service, 5, 100))?;
//! assert_eq!((plan.total_min_connections, plan.max_connections, plan.pool_size), (20, 16, 25));
//! # Ok::<(), pgprime_capacity::InputError>(())
//! ```

mod calculate;
mod curve;
mod error;
mod findings;
mod inputs;
mod plan;
mod pools;
pub mod postgres;
mod queue;
mod reasons;
mod rounding;
mod service_time;
pub mod sizing;
mod staffing;
mod text;
mod ways_out;

pub use calculate::plan;
pub use curve::curve;
pub use error::{InputError, InputProblem};
pub use inputs::{Inputs, Shares};
pub use plan::{
    Amount, CurvePoint, Finding, Plan, PoolKind, PoolShare, Reason, ServerKind, Severity, WithoutPooler,
};
pub use queue::{Waiting, erlang_b, erlang_c};
pub use service_time::ServiceTime;
pub use staffing::UTILISATION_MAX;
