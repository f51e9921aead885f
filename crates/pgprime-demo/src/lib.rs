//! Sample data, load generator, demo and benchmark.
//!
//! The crate sees the pooler from outside: it starts it as a child process, connects to it as any client
//! does, and reads what the pooler's console tells. It never links the pooler. The dashboard's work uses `pgprime-client`
//! and `pgprime-views` as a service would. Every answer is compared with what the
//! sample data must hold, so a wrong answer is an error and not a fast request.
//!
//! * [`Dataset`] and [`load_sample_data`]: an insurer's data, the same for the same seed.
//! * [`planted_indexes`]: the indexes that the data lacks on purpose, each with the statement that suffers.
//! * [`demo`]: all of it together: PostgreSQL, data, pooler, ten thousand clients, a report.
//! * [`bench`]: the pooler compared with PostgreSQL itself and with other poolers.
//! * [`verify`]: the waiting times that the capacity planner predicts, held against measured ones.
//! * [`run_traffic`]: an insurer's application as load, on thousands of connections.

mod back_office;
mod bench;
mod bench_report;
mod console_client;
mod dashboard;
mod data;
mod demo;
mod demo_report;
mod generator;
mod interrupt;
mod load;
mod login;
mod machine;
mod mix;
mod observer;
mod planted;
mod pooler_config;
mod pooler_process;
mod private_server;
mod rows;
mod running_pooler;
mod sampler;
mod screen;
mod select;
mod server;
mod text;
mod traffic;
mod verify;

pub use back_office::BackOfficeReport;
pub use bench::{BenchOptions, bench};
pub use bench_report::{BenchReport, BenchRun, BenchTarget, LoginRun};
pub use dashboard::{
    AdminPool, BesideReport, ComparedQuery, DashboardReport, DashboardView, HeavyReport, RefreshesReport,
    ServiceSide, ViewsReport,
};
pub use data::dataset::{Counts, Dataset};
pub use demo::{DemoOptions, RedisUrl, demo};
pub use demo_report::DemoReport;
pub use generator::{Errors, Latency, Limit};
pub use load::{load_sample_data, now_seconds};
pub use machine::Machine;
pub use mix::Statements;
pub use observer::{Findings, LoadObserver, LoadedServer};
pub use planted::{PlantedIndex, planted_indexes};
pub use pooler_config::Auth;
pub use pooler_process::PoolerCommand;
pub use select::Protocol;
pub use server::{Address, Server};
pub use traffic::{TrafficOptions, TrafficReport, run_traffic};
pub use verify::{
    ActualLoad, Estimate, PoolerSays, VerifiedSize, VerifyOptions, VerifyReport, WaitMeasured, WaitReplayed,
    verify,
};
