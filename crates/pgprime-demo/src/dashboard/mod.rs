//! The admin dashboard of the demo: its views, the same queries over base tables, views and cache, and what a heavy
//! report in the admin pool does to the service.

mod answer;
mod asked;
mod compare;
mod heavy;
mod keeper;
mod office;
mod queries;
mod report;
mod slices;
mod views;

pub(crate) use asked::asked_beside_load;
pub(crate) use office::{Office, PoolsWanted};
pub use report::{
    AdminPool, BesideReport, ComparedQuery, DashboardReport, DashboardView, HeavyReport, RefreshesReport,
    ServiceSide, ViewsReport,
};
pub(crate) use slices::{Slices, beside_heavy_report};
